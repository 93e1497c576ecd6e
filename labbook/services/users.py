"""Accounts as their keepers see them: admins keep all, managers the engineers of their own organisation.

Who belongs to an organisation sees what is its, so that nobody but an admin lets people into another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from labbook.domain.access import Role, Viewer
from labbook.domain.errors import Forbidden, NotFound, Problem, Refused
from labbook.domain.words import text_problems
from labbook.models import Facility, OneTimeLink, Qualification, QualificationKind, StaffMembership, User
from labbook.services import accounts, passwords, transaction
from labbook.services.directory import (
    NAME_LIMIT,
    email_problems,
    is_keeper,
    organisation_named,
    require_keeper,
)

STAFF = (Role.TECHNICIAN, Role.MANAGER)


@dataclass(frozen=True)
class CreateUser:
    """``facilities`` are slugs, for technicians and managers. Without a password an invitation is mailed."""

    email: str
    name: str
    organisation: str
    role: str = Role.ENGINEER
    facilities: tuple[str, ...] = ()
    password: str | None = None


@dataclass(frozen=True)
class ChangeUser:
    """What is None stays as it is."""

    name: str | None = None
    organisation: str | None = None
    role: str | None = None
    facilities: tuple[str, ...] | None = None
    active: bool | None = None


@dataclass(frozen=True)
class Held:
    """A qualification somebody holds; ``until`` None: for good."""

    kind: str
    until: date | None


@dataclass(frozen=True)
class UserView:
    """``invited``: has an account and no password yet. ``refused_at`` and ``refusal``: when and in what words
    their mail server refused mail for good; None and empty while it takes it."""

    id: int
    email: str
    name: str
    organisation: str
    organisation_name: str
    role: str
    facilities: Sequence[str]
    active: bool
    invited: bool
    qualifications: Sequence[Held]
    editable: bool
    refused_at: datetime | None = None
    refusal: str = ""


def list_all(session: Session, *, viewer: Viewer, text: str = "", limit: int = 500) -> list[UserView]:
    """Everybody, for those who keep the register; by organisation and name."""
    require_keeper(viewer)
    query = _loading().order_by(User.active.desc(), User.organisation_id, User.name, User.id).limit(limit)
    if text.strip():
        part = text.strip().lower()
        query = query.where(
            or_(
                func.lower(User.name).contains(part, autoescape=True),
                User.email.contains(part, autoescape=True),
            )
        )
    return _views(session, list(session.scalars(query)), viewer)


def find(session: Session, user_id: int, *, viewer: Viewer) -> UserView:
    require_keeper(viewer)
    row = session.scalar(_loading().where(User.id == user_id))
    if row is None:
        raise NotFound("user")
    return _views(session, [row], viewer)[0]


@dataclass(frozen=True)
class Colleague:
    name: str
    email: str
    organisation_name: str


def nameable(session: Session, *, viewer: Viewer) -> list[Colleague]:
    """Whom the viewer may name in a reservation: colleagues; for staff everybody."""
    query = select(User).where(User.active).options(joinedload(User.organisation, innerjoin=True))
    if not (viewer.is_admin or viewer.staff_at):
        query = query.where(User.organisation_id == viewer.organisation_id)
    rows = session.scalars(query.order_by(User.name, User.id).limit(1000))
    return [Colleague(u.name, u.email, u.organisation.name) for u in rows]


def create(session: Session, command: CreateUser, *, actor: Viewer | None, now: datetime) -> UserView:
    """``actor`` None is whoever operates the machine. Raises ``Forbidden``, ``Refused``."""
    if actor is not None:
        require_keeper(actor)
    email = command.email.strip().lower()
    wrong = email_problems(email) + text_problems(command.name, "name", limit=NAME_LIMIT, required=True)
    wrong += _role_problems(command.role, actor)
    fresh = None
    if command.password is not None:
        wrong += passwords.problems(command.password, known=email)
        fresh = passwords.hashed(command.password)

    def work() -> UserView:
        problems = list(wrong)
        organisation = organisation_named(session, command.organisation, problems)
        if organisation is not None and not _may_let_in(organisation.id, actor):
            problems.append(Problem("not_your_organisation", "organisation"))
        facilities = _facilities(session, command.role, command.facilities, problems)
        if session.scalar(select(User.id).where(User.email == email)) is not None:
            problems.append(Problem("email_taken", "email"))
        if problems or organisation is None:
            raise Refused(problems)
        user = User(
            email=email,
            name=command.name.strip(),
            organisation=organisation,
            role=command.role,
            password_hash=fresh,
            created_at=now,
            facilities=[StaffMembership(facility_id=i) for i in facilities],
        )
        session.add(user)
        session.flush()
        if fresh is None:
            accounts.send_link(session, user, "invitation", now=now)
        return _views(session, [user], actor)[0]

    return transaction.write(session, work)


def change(session: Session, user_id: int, command: ChangeUser, *, actor: Viewer, now: datetime) -> UserView:
    """Deactivating, and a change of role or organisation, ends the user's sessions at once."""
    require_keeper(actor)

    def work() -> UserView:
        user = _editable(session, user_id, actor)
        problems = _role_problems(command.role, actor) if command.role is not None else []
        if command.name is not None:
            problems += text_problems(command.name, "name", limit=NAME_LIMIT, required=True)
        demoted = command.role is not None and command.role != user.role
        if user.id == actor.id and (command.active is False or demoted):
            problems.append(Problem("yourself", "role" if demoted else None))
        organisation = user.organisation
        if command.organisation is not None:
            organisation = organisation_named(session, command.organisation, problems) or organisation
            if not _may_let_in(organisation.id, actor):
                problems.append(Problem("not_your_organisation", "organisation"))
        role = command.role or user.role
        named = tuple(command.facilities) if command.facilities is not None else None
        facilities = None if named is None else _facilities(session, role, named, problems)
        if role not in STAFF:
            facilities = []
        if problems:
            raise Refused(problems)
        deactivated = command.active is False and user.active
        if deactivated or demoted or organisation.id != user.organisation_id:
            user.session_epoch += 1
        user.name = (command.name or user.name).strip()
        user.organisation, user.role = organisation, role
        user.active = user.active if command.active is None else command.active
        if facilities is not None:
            _assign(user, facilities)
        if deactivated:
            _end_links(session, user, now)
        session.flush()
        return _views(session, [user], actor)[0]

    return transaction.write(session, work)


def invite_again(session: Session, user_id: int, *, actor: Viewer, now: datetime) -> None:
    """Mail a fresh link; the earlier ones end."""
    require_keeper(actor)

    def work() -> None:
        user = _editable(session, user_id, actor)
        if not user.active:
            raise NotFound("user")
        _end_links(session, user, now)
        accounts.send_link(session, user, "invitation" if user.password_hash is None else "reset", now=now)

    transaction.write(session, work)


def _end_links(session: Session, user: User, now: datetime) -> None:
    query = select(OneTimeLink).where(OneTimeLink.user_id == user.id, OneTimeLink.used_at.is_(None))
    for link in session.scalars(query):
        link.used_at = now


def _editable(session: Session, user_id: int, actor: Viewer) -> User:
    user = session.scalar(
        _loading()
        .where(User.id == user_id)
        .with_for_update(of=User)
        .execution_options(populate_existing=True)
    )
    if user is None:
        raise NotFound("user")
    if not _may_edit(user, actor):
        raise Forbidden("edit_user")
    return user


def _may_edit(user: User, actor: Viewer | None) -> bool:
    if actor is None or actor.is_admin:
        return True
    return is_keeper(actor) and user.role == Role.ENGINEER and _may_let_in(user.organisation_id, actor)


def _may_let_in(organisation_id: int, actor: Viewer | None) -> bool:
    return actor is None or actor.is_admin or actor.organisation_id == organisation_id


def _role_problems(role: str, actor: Viewer | None) -> list[Problem]:
    """Managers give the engineer's role, admins every one."""
    known = role in set(Role)
    if known and (actor is None or actor.is_admin or role == Role.ENGINEER):
        return []
    return [Problem("unknown_role", "role", params={"role": role})]


def _facilities(session: Session, role: str, slugs: Sequence[str], problems: list[Problem]) -> list[int]:
    if role not in STAFF:
        return []
    rows = dict(session.execute(select(Facility.slug, Facility.id).where(Facility.slug.in_(slugs))).all())
    problems += [
        Problem("unknown_facility", "facilities", params={"facility": slug})
        for slug in slugs
        if slug not in rows
    ]
    return sorted(rows.values())


def _assign(user: User, facility_ids: Sequence[int]) -> None:
    for row in [m for m in user.facilities if m.facility_id not in facility_ids]:
        user.facilities.remove(row)
    present = {m.facility_id for m in user.facilities}
    user.facilities += [StaffMembership(facility_id=i) for i in facility_ids if i not in present]


def _loading() -> Select[User]:
    return select(User).options(joinedload(User.organisation, innerjoin=True), selectinload(User.facilities))


def _views(session: Session, rows: Sequence[User], viewer: Viewer | None) -> list[UserView]:
    slugs = dict(session.execute(select(Facility.id, Facility.slug)).all())
    held: dict[int, list[Held]] = {}
    for user_id, kind, until in session.execute(
        select(Qualification.user_id, QualificationKind.slug, Qualification.valid_until)
        .join(QualificationKind, Qualification.kind_id == QualificationKind.id)
        .where(Qualification.user_id.in_([row.id for row in rows]))
        .order_by(QualificationKind.slug)
    ):
        held.setdefault(user_id, []).append(Held(kind, until))
    return [
        UserView(
            id=row.id,
            email=row.email,
            name=row.name,
            organisation=row.organisation.slug,
            organisation_name=row.organisation.name,
            role=row.role,
            facilities=[slugs[m.facility_id] for m in row.facilities],
            active=row.active,
            invited=row.password_hash is None,
            qualifications=held.get(row.id, []),
            editable=_may_edit(row, viewer),
            refused_at=row.mail_refused_at,
            refusal=row.mail_refusal or "",
        )
        for row in rows
    ]
