"""Who stands in for a manager: named with dates, from within, and over by itself.

A deputy may do at the facility what the manager may, and decides nothing for themselves by it. It ends with
its last day, when the manager is no longer one there, and when the deputy belongs to neither the laboratory
nor the manager's organisation any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, delete, exists, literal_column, or_, select
from sqlalchemy.orm import Session, aliased, joinedload

from labbook.domain.access import Role, Viewer
from labbook.domain.errors import Forbidden, NotFound, Problem, Refused
from labbook.domain.wall_time import local_date, midnight
from labbook.models import Deputy, Facility, StaffMembership, User
from labbook.services import transaction

_STAFF = (Role.TECHNICIAN, Role.MANAGER)
_DAY = timedelta(days=1)
_YEARS = (1990, 2190)

_manager, _theirs, _own = aliased(User), aliased(StaffMembership), aliased(StaffMembership)
_users = User.__table__
_deputy = _users.c

# In words and not as parameters: each of those costs every call a little.
_TECHNICIAN: ColumnElement[str] = literal_column(f"'{Role.TECHNICIAN}'")
_MANAGER: ColumnElement[str] = literal_column(f"'{Role.MANAGER}'")


def holds(now: Any) -> ColumnElement[bool]:
    """Whether a row of ``Deputy`` holds at ``now`` for the user in the same row of the query around it."""
    # Without being told, SQLAlchemy asks for any user and any deputy two levels down.
    around = (Deputy, _users)
    is_staff = exists().where(_own.user_id == _deputy.id, _own.facility_id == Deputy.facility_id)
    belongs = or_(
        _manager.organisation_id == _deputy.organisation_id,
        and_(or_(_deputy.role == _TECHNICIAN, _deputy.role == _MANAGER), is_staff.correlate(*around)),
    )
    still = exists().where(
        _manager.id == Deputy.manager_id,
        _manager.active,
        _manager.role == _MANAGER,
        _theirs.user_id == _manager.id,
        _theirs.facility_id == Deputy.facility_id,
        belongs,
    )
    return and_(
        Deputy.deputy_id == _deputy.id,
        Deputy.starts_at <= now,
        Deputy.ends_at > now,
        still.correlate(*around),
    )


def standing_in(session: Session, facility_id: int, now: datetime) -> list[int]:
    """The active deputies of the facility's managers at this moment, by id."""
    stands = exists().where(Deputy.facility_id == facility_id, holds(now)).correlate(_users)
    return list(session.scalars(select(User.id).where(User.active, stands).order_by(User.id)))


@dataclass(frozen=True)
class NameDeputy:
    """Days of the facility, both included. ``manager`` None is whoever names them."""

    facility: str
    deputy: str
    first: date
    last: date
    manager: str | None = None


@dataclass(frozen=True)
class DeputyView:
    """``begun``: they stand in now. ``yours``: the viewer may end it."""

    id: int
    facility: str
    facility_name: Mapping[str, str]
    zone: str
    manager: str
    deputy: str
    deputy_email: str
    first: date
    last: date
    begun: bool
    yours: bool


def list_managed(session: Session, *, viewer: Viewer, now: datetime) -> list[DeputyView]:
    """Those of the facilities that the viewer manages, that are not over."""
    rows = session.execute(
        select(Deputy, Facility)
        .join(Facility, Deputy.facility_id == Facility.id)
        .where(Deputy.ends_at > now)
        .options(joinedload(Deputy.manager, innerjoin=True), joinedload(Deputy.deputy, innerjoin=True))
        .order_by(Deputy.starts_at, Deputy.id)
    )
    return [_view(row, place, viewer, now) for row, place in rows if viewer.manages(place.id)]


def _view(row: Deputy, facility: Facility, viewer: Viewer, now: datetime) -> DeputyView:
    zone = ZoneInfo(facility.time_zone)
    return DeputyView(
        id=row.id,
        facility=facility.slug,
        facility_name=facility.name,
        zone=facility.time_zone,
        manager=row.manager.name,
        deputy=row.deputy.name,
        deputy_email=row.deputy.email,
        first=local_date(row.starts_at, zone),
        last=local_date(row.ends_at - timedelta(microseconds=1), zone),
        begun=row.starts_at <= now,
        yours=viewer.is_admin or viewer.id == row.manager_id,
    )


@dataclass(frozen=True)
class Candidate:
    name: str
    email: str


def candidates(session: Session, *, viewer: Viewer) -> list[Candidate]:
    """Whom the viewer might name: colleagues; for an admin the staff of every laboratory too."""
    query = select(User.name, User.email).where(User.active, User.id != viewer.id)
    mine = User.organisation_id == viewer.organisation_id
    rows = session.execute(
        query.where(or_(mine, User.role.in_(_STAFF)) if viewer.is_admin else mine)
        .order_by(User.name, User.id)
        .limit(1000)
    )
    return [Candidate(name, email) for name, email in rows]


def managers(session: Session, *, viewer: Viewer) -> list[Candidate]:
    """For whom the viewer may name a deputy: an admin for every manager, a manager for themselves."""
    query = select(User.name, User.email).where(User.active, User.role == Role.MANAGER)
    if not viewer.is_admin:
        query = query.where(User.id == viewer.id)
    return [Candidate(name, email) for name, email in session.execute(query.order_by(User.name, User.id))]


def name(session: Session, command: NameDeputy, *, actor: Viewer, now: datetime) -> int:
    """The id. Raises ``Forbidden`` where the actor is no manager in their own right, ``Refused``."""

    def work() -> int:
        facility = session.scalar(select(Facility).where(Facility.slug == command.facility))
        if facility is None:
            raise Refused([Problem("unknown_facility", "facility", params={"facility": command.facility})])
        if not actor.manages_by_right(facility.id):
            raise Forbidden("name_deputy")
        problems = _day_problems(command, facility, now)
        manager = _user(session, command.manager or actor.email)
        if (
            manager is None
            or not (actor.is_admin or manager.id == actor.id)
            or not _manages(session, manager, facility.id)
        ):
            params = {"user": command.manager or actor.email}
            raise Refused([*problems, Problem("not_a_manager_there", "manager", params=params)])
        deputy = _user(session, command.deputy)
        if deputy is None or not _may_stand_in(session, deputy, manager, facility.id, actor):
            problems.append(Problem("unknown_deputy", "deputy", params={"user": command.deputy}))
        elif deputy.id == manager.id:
            problems.append(Problem("yourself", "deputy"))
        if problems or deputy is None:
            raise Refused(problems)
        zone = ZoneInfo(facility.time_zone)
        row = Deputy(
            facility_id=facility.id,
            manager_id=manager.id,
            deputy_id=deputy.id,
            starts_at=midnight(command.first, zone),
            ends_at=midnight(command.last + _DAY, zone),
            created_at=now,
        )
        session.add(row)
        session.flush()
        return row.id

    return transaction.write(session, work)


def end(session: Session, deputy_id: int, *, actor: Viewer, now: datetime) -> None:
    """From now on; one that has not begun never was."""

    def work() -> None:
        row = session.get(Deputy, deputy_id)
        if row is None or not actor.manages(row.facility_id) or row.ends_at <= now:
            raise NotFound("deputy")
        if not (actor.is_admin or actor.id == row.manager_id):
            raise Forbidden("name_deputy")
        if row.starts_at < now:
            row.ends_at = now
        else:
            session.execute(delete(Deputy).where(Deputy.id == row.id))

    transaction.write(session, work)


def _day_problems(command: NameDeputy, facility: Facility, now: datetime) -> list[Problem]:
    days = {"first": command.first, "last": command.last}
    problems = [
        Problem("out_of_range", name) for name, day in days.items() if not _YEARS[0] <= day.year < _YEARS[1]
    ]
    if problems:
        return problems
    if command.last < command.first:
        return [Problem("end_before_start", "last")]
    if command.last < local_date(now, ZoneInfo(facility.time_zone)):
        return [Problem("already_over", "last")]
    return []


def _user(session: Session, email: str) -> User | None:
    return session.scalar(select(User).where(User.email == email.strip().lower(), User.active))


def _manages(session: Session, user: User, facility_id: int) -> bool:
    return user.role == Role.MANAGER and _is_member(session, user, facility_id)


def _is_member(session: Session, user: User, facility_id: int) -> bool:
    found = exists().where(StaffMembership.user_id == user.id, StaffMembership.facility_id == facility_id)
    return bool(session.scalar(select(found)))


def _may_stand_in(session: Session, deputy: User, manager: User, facility_id: int, actor: Viewer) -> bool:
    """Of the manager's organisation; somebody of another sees what its people must not, so that only an
    admin names them, and only from the laboratory's own staff. Who is not to be named and who does not exist
    get the same answer.
    """
    if deputy.organisation_id == manager.organisation_id:
        return True
    return actor.is_admin and deputy.role in _STAFF and _is_member(session, deputy, facility_id)
