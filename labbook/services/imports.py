"""Existing calendars into reservations: each event by itself, and none of them twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Conflict, LabbookError, NotFound, Problem, Refused, StorageTrouble
from labbook.formats.calendar_file import Event, Unread, read
from labbook.models import Equipment, Facility, IdempotencyKey, StaffMembership, User
from labbook.services import decisions, reservations, viewers
from labbook.services.commands import Decide, RequestReservation, Wanted
from labbook.services.reservation_views import ReservationView

REASON = "Imported from an existing calendar"


@dataclass(frozen=True)
class Untaken:
    """An event that could not be taken, with everything that stood in its way."""

    uid: str
    title: str
    problems: Sequence[Problem] = ()
    conflicts: Sequence[Conflict] = ()


@dataclass(frozen=True)
class Imported:
    taken: int
    known: int
    untaken: Sequence[Untaken]


def take(session: Session, content: bytes, slug: str, *, now: datetime, dry_run: bool = False) -> Imported:
    """What the lab had agreed before: approved at once, in the name of whoever organised it.

    Somebody without an account is stood in for by a block of the lab's manager. Raises ``NotFound``,
    ``formats.calendar_file.NoCalendar``, ``StorageTrouble``.
    """
    found = session.execute(
        select(Facility.id, Facility.time_zone)
        .join(Equipment, Equipment.facility_id == Facility.id)
        .where(Equipment.slug == slug)
    ).one_or_none()
    if found is None:
        raise NotFound("equipment")
    keepers = _keepers(session, found.id, now)
    taken, known, untaken = 0, 0, []
    for event in list(read(content, ZoneInfo(found.time_zone))):
        if isinstance(event, Unread):
            untaken.append(Untaken(event.uid, event.title, [Problem(event.code)]))
            continue
        try:
            if _take(session, event, slug, keepers, now, dry_run):
                taken += 1
            else:
                known += 1
        except StorageTrouble:
            raise
        except Refused as error:
            untaken.append(Untaken(event.uid, event.title, error.problems, error.conflicts))
        except LabbookError:
            untaken.append(Untaken(event.uid, event.title, [Problem("not_permitted")]))
    return Imported(taken, known, untaken)


def _take(
    session: Session,
    event: Event,
    slug: str,
    keepers: Sequence[Viewer],
    now: datetime,
    dry_run: bool,
) -> bool:
    key = f"ics {slug} {event.key}"
    ids = [keeper.id for keeper in keepers]
    told = select(IdempotencyKey.id).where(IdempotencyKey.user_id.in_(ids), IdempotencyKey.key == key)
    if session.scalar(told) is not None:
        return False
    holder = event.organiser if viewers.by_email(session, event.organiser, now) is not None else None
    # Nobody approves for themselves while somebody else can.
    keeper = next((each for each in keepers if each.email != holder), keepers[0])
    command = RequestReservation(
        equipment=(Wanted(slug),),
        start=event.start,
        end=event.end,
        title=event.title,
        notes=event.notes,
        holder=holder,
        kind="booking" if holder else "block",
        idempotency_key=key,
        dry_run=dry_run,
    )
    view = _asked(session, command, keeper, now)
    if view.status == "requested" and not dry_run:
        decisions.approve(session, Decide(view.id, reason=REASON), actor=keeper, now=now)
    return True


def _asked(session: Session, command: RequestReservation, keeper: Viewer, now: datetime) -> ReservationView:
    """What a manager may set aside is set aside: the lab had agreed to it."""
    try:
        return reservations.request(session, command, actor=keeper, now=now)
    except Refused as error:
        codes = tuple(sorted({p.code for p in error.problems if p.overridable}))
        if not codes or error.conflicts or not all(p.overridable for p in error.problems):
            raise
        again = replace(command, override=codes, reason=REASON)
        return reservations.request(session, again, actor=keeper, now=now)


def _keepers(session: Session, facility_id: int, now: datetime) -> list[Viewer]:
    """In whose names: the managers of the facility, then the admins."""
    managers = (
        select(User.email)
        .join(StaffMembership, StaffMembership.user_id == User.id)
        .where(StaffMembership.facility_id == facility_id, User.role == "manager", User.active)
    )
    admins = select(User.email).where(User.role == "admin", User.active)
    emails = [email for query in (managers, admins) for email in session.scalars(query.order_by(User.id))]
    found = [viewer for email in emails if (viewer := viewers.by_email(session, email, now)) is not None]
    if not found:
        raise Refused([Problem("no_keeper", "equipment")])
    return found
