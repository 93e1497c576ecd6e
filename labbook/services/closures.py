"""Days on which a facility is unstaffed or shut down, kept by its managers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, NotFound, Problem, Refused
from labbook.domain.reservation import BLOCKING
from labbook.domain.words import NOTES_LIMIT, text_problems
from labbook.models import Closure, Equipment, Facility, Reservation
from labbook.services import journal, transaction, visits

KINDS = ("unstaffed", "shutdown")


@dataclass(frozen=True)
class FacilityName:
    """A facility as forms and headings need it. ``by_right``: managed, and not as somebody's deputy."""

    slug: str
    name: Mapping[str, str]
    zone: str
    duty_phone: str | None
    example: bool
    managed: bool
    by_right: bool


@dataclass(frozen=True)
class ClosureView:
    id: int
    facility: str
    facility_name: Mapping[str, str]
    zone: str
    kind: str
    start: datetime
    end: datetime
    reason: str
    affected: int


@dataclass(frozen=True)
class AddClosure:
    facility: str
    kind: str
    start: datetime
    end: datetime
    reason: str = ""


def facilities(session: Session, *, viewer: Viewer) -> list[FacilityName]:
    rows = session.scalars(select(Facility).order_by(Facility.id))
    return [
        FacilityName(
            f.slug,
            f.name,
            f.time_zone,
            f.duty_phone,
            f.example,
            viewer.manages(f.id),
            viewer.manages_by_right(f.id),
        )
        for f in rows
    ]


def list_managed(session: Session, *, viewer: Viewer, now: datetime) -> list[ClosureView]:
    """What is to come in the facilities that the viewer manages, with how many live reservations it meets."""
    rows = session.execute(
        select(Closure, Facility)
        .join(Facility, Closure.facility_id == Facility.id)
        .where(Closure.ends_at > now)
        .order_by(Closure.starts_at, Closure.id)
    ).all()
    mine = [(closure, facility) for closure, facility in rows if viewer.manages(facility.id)]
    live = _live(session, [c for c, _ in mine])
    return [
        ClosureView(
            id=closure.id,
            facility=facility.slug,
            facility_name=facility.name,
            zone=facility.time_zone,
            kind=closure.kind,
            start=closure.starts_at,
            end=closure.ends_at,
            reason=closure.reason,
            affected=sum(
                facility_id == facility.id and start < closure.ends_at and end > closure.starts_at
                for facility_id, start, end in live
            ),
        )
        for closure, facility in mine
    ]


def _live(session: Session, closures: Sequence[Closure]) -> list[tuple[int, datetime, datetime]]:
    if not closures:
        return []
    rows = session.execute(
        select(Reservation.facility_id, Reservation.occupied_from, Reservation.occupied_until).where(
            Reservation.facility_id.in_({c.facility_id for c in closures}),
            Reservation.status.in_(sorted(BLOCKING)),
            Reservation.occupied_until > min(c.starts_at for c in closures),
            Reservation.occupied_from < max(c.ends_at for c in closures),
        )
    )
    return [(facility_id, start, end) for facility_id, start, end in rows]


def add(session: Session, command: AddClosure, *, actor: Viewer, now: datetime) -> int:
    """The id. What is reserved already stays: its people hear of a shutdown, and decide with the manager.

    Whoever is requesting at the same moment is waited for, or waits and is refused.
    """

    def work() -> int:
        facility = session.scalar(select(Facility).where(Facility.slug == command.facility))
        if facility is None:
            raise Refused([Problem("unknown_facility", "facility", params={"facility": command.facility})])
        if not actor.manages(facility.id):
            raise Forbidden("manage")
        wrong = text_problems(command.reason, "reason", limit=NOTES_LIMIT)
        if command.kind not in KINDS:
            wrong.append(Problem("unknown_kind", "kind", params={"kind": command.kind}))
        if command.end <= command.start:
            wrong.append(Problem("end_before_start", "end"))
        if wrong:
            raise Refused(wrong)
        row = Closure(
            facility_id=facility.id,
            kind=command.kind,
            starts_at=command.start,
            ends_at=command.end,
            reason=command.reason.strip(),
        )
        _lock_equipment(session, facility.id)
        session.add(row)
        session.flush()
        if row.kind == "shutdown":
            _tell(session, row, actor, now)
        visits.relay_out(session, visits.met_by(session, facility.id, row.starts_at, row.ends_at), now)
        transaction.touch(session, facility.id)
        return row.id

    return transaction.write(session, work)


def _lock_equipment(session: Session, facility_id: int) -> None:
    """In order of id, as everybody who takes places."""
    session.execute(
        select(Equipment.id)
        .where(Equipment.facility_id == facility_id)
        .order_by(Equipment.id)
        .with_for_update(key_share=True)
    )


def _tell(session: Session, closure: Closure, actor: Viewer, now: datetime) -> None:
    affected = session.scalars(
        select(Reservation).where(
            Reservation.facility_id == closure.facility_id,
            Reservation.status.in_(sorted(BLOCKING)),
            Reservation.occupied_until > closure.starts_at,
            Reservation.occupied_from < closure.ends_at,
        )
    )
    for reservation in affected:
        told = [reservation.holder_id, reservation.requested_by_id]
        journal.post(session, "closed", told, now=now, reservation=reservation, apart_from=actor.id)


def remove(session: Session, closure_id: int, *, actor: Viewer) -> None:
    def work() -> None:
        row = session.get(Closure, closure_id)
        if row is None or not actor.manages(row.facility_id):
            raise NotFound("closure")
        transaction.touch(session, row.facility_id)
        session.delete(row)

    transaction.write(session, work)
