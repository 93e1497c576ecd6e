"""Read-outs and visits laid into staffed time, laid anew when their test moves, and announced.

Read-outs follow the hours that the test has run; what somebody moved by hand stays where it is while that is
possible. Each change of a visit goes with a change of its reservation, so that calendars and forms notice.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.errors import Problem
from labbook.domain.interval import Interval
from labbook.domain.long_test import READOUT_LENGTH, Run, announced_at, is_staffed, lay
from labbook.domain.long_test import Pause as Stop
from labbook.domain.reservation import BLOCKING, Status
from labbook.domain.wall_time import Hours
from labbook.models import Pause, Reservation, StaffMembership, User, Visit
from labbook.services import facts, journal, transaction
from labbook.services.due import Queue
from labbook.services.visit_views import run_of

ASK_AGAIN = timedelta(hours=1)
"""How soon a visit of a request that is still undecided is looked at again."""

_BEFORE = timedelta(days=15)
"""How far back the hours are needed to find the working day before a visit."""

_NOTHING = timedelta(0)


class Layout:
    """The time of one reservation into which its visits are laid."""

    def __init__(
        self, session: Session, reservation: Reservation, pauses: Sequence[Pause], now: datetime
    ) -> None:
        self.use = Interval(reservation.starts_at, reservation.ends_at)
        within = Interval(self.use.start - _BEFORE, self.use.end)
        self.hours: Hours = facts.hours_of(session, reservation.facility, within)
        self.run: Run = replace(run_of(reservation, pauses), until=None)
        self.paused = self.run.paused_since is not None
        self.now = now

    def nominal(self, after: timedelta) -> datetime:
        """When so much will have accrued; while the test stands still, if it went on at once."""
        found = self.run.instant_of(after)
        if found is not None:
            return found
        stops = [Stop(p.start, p.end or max(self.now, p.start)) for p in self.run.pauses]
        going_on = replace(self.run, pauses=[p for p in stops if p.end != p.start]).instant_of(after)
        assert going_on is not None
        return going_on

    def laid(self, nominal: datetime, length: timedelta) -> Interval | None:
        return lay(nominal, length, self.hours, self.use)

    def is_staffed(self, span: Interval) -> bool:
        return is_staffed(span, self.hours)

    def due(self, visit: Visit) -> datetime | None:
        """When it must be announced; None when it has been, cannot be, or it is too late for that."""
        span = span_of(visit)
        unlaid = not (visit.staffed or visit.fixed) or not self.use.contains(span)
        waits = self.paused and visit.kind == "readout"
        if visit.announced_for == visit.planned_at or unlaid or waits or span.end <= self.now:
            return None
        return max(announced_at(span.start, self.hours), self.now)


def changed(visit: Visit, now: datetime) -> None:
    """Count the change, which calendars show as a SEQUENCE."""
    visit.revision += 1
    visit.changed_at = now


def span_of(visit: Visit) -> Interval:
    return Interval(visit.planned_at, visit.planned_at + timedelta(seconds=visit.length))


def pauses_of(session: Session, reservation: Reservation) -> list[Pause]:
    query = select(Pause).where(Pause.reservation_id == reservation.id).order_by(Pause.starts_at)
    return list(session.scalars(query))


def pending_of(session: Session, reservation: Reservation) -> list[Visit]:
    """Those neither done nor dropped."""
    return list(
        session.scalars(
            select(Visit)
            .where(
                Visit.reservation_id == reservation.id, Visit.done_at.is_(None), Visit.dropped_at.is_(None)
            )
            .order_by(Visit.planned_at, Visit.id)
        )
    )


def plan(session: Session, reservation: Reservation, now: datetime) -> tuple[list[Visit], list[Problem]]:
    """The read-outs that the reservation's recipe asks for; warnings where no staffed time is left for one.

    Part of the transaction that books it.
    """
    recipe = reservation.environment_version
    if recipe is None or not recipe.readouts or reservation.status not in BLOCKING:
        return [], []
    layout = Layout(session, reservation, (), now)
    made, problems = [], []
    for after in recipe.readouts:
        visit = new_visit(reservation, "readout", now, after=timedelta(seconds=after))
        if not _lay(visit, layout):
            problems.append(no_room(visit, layout.use, "warning"))
        visit.due_at = layout.due(visit)
        made.append(visit)
    session.add_all(made)
    session.flush()
    return made, problems


def new_visit(
    reservation: Reservation,
    kind: str,
    now: datetime,
    *,
    after: timedelta | None = None,
    length: timedelta = READOUT_LENGTH,
) -> Visit:
    """Not yet laid."""
    return Visit(
        public_id=secrets.token_hex(6),
        reservation_id=reservation.id,
        kind=kind,
        after=None if after is None else int(after.total_seconds()),
        planned_at=reservation.starts_at,
        length=int(length.total_seconds()),
        fixed=False,
        staffed=True,
        remark=None,
        done_at=None,
        done_by=None,
        dropped_at=None,
        announced_for=None,
        revision=1,
        created_at=now,
        changed_at=now,
    )


def relay(
    session: Session,
    reservation: Reservation,
    now: datetime,
    *,
    moved: timedelta = _NOTHING,
    confirmed: bool = False,
) -> list[Problem]:
    """Lay what is pending anew, as the reservation now is; warnings where no staffed time is left.

    Part of the transaction that moved, extended, began, approved or resumed it, and before that is told in
    the history. ``confirmed``: calendars show as certain now what they did not. One query without visits.
    """
    visits = pending_of(session, reservation)
    if not visits:
        return []
    layout = Layout(session, reservation, pauses_of(session, reservation), now)
    before = {visit.public_id: visit.planned_at for visit in visits}
    problems = []
    for visit in visits:
        was = (visit.planned_at, visit.staffed)
        visit.planned_at += moved
        if not _lay(visit, layout):
            problems.append(no_room(visit, layout.use, "warning"))
        visit.due_at = layout.due(visit)
        visit.due_attempts, visit.due_error = 0, None
        if confirmed or (visit.planned_at, visit.staffed) != was:
            changed(visit, now)
    session.flush()
    after = {visit.public_id: visit.planned_at for visit in visits}
    if after != before:
        _tell_laid_anew(session, reservation, before, after, now)
    return problems


def relay_out(session: Session, reservation_ids: Collection[int], now: datetime) -> int:
    """The same for whichever of these have visits, each counted as changed; how many. One query for none.

    For what changes reservations without being a use case of theirs.
    """
    pending = select(Visit.reservation_id).where(
        Visit.reservation_id.in_(reservation_ids), Visit.done_at.is_(None), Visit.dropped_at.is_(None)
    )
    rows = session.scalars(
        select(Reservation)
        .where(Reservation.id.in_(pending), Reservation.status.in_(sorted(BLOCKING)))
        .order_by(Reservation.id)
        .with_for_update(of=Reservation)
    ).all()
    for row in rows:
        relay(session, row, now)
        row.revision += 1
        row.changed_at = now
        transaction.touch(session, row.facility_id)
    return len(rows)


def met_by(session: Session, facility_id: int, start: datetime, end: datetime) -> list[int]:
    """The reservations that have a visit planned in ``[start, end)``, or up to a day before it."""
    return list(
        session.scalars(
            select(Visit.reservation_id)
            .join(Visit.reservation)
            .where(
                Reservation.facility_id == facility_id,
                Visit.planned_at < end,
                Visit.planned_at > start - timedelta(days=1),
            )
            .distinct()
        )
    )


def _tell_laid_anew(
    session: Session,
    reservation: Reservation,
    before: dict[str, datetime],
    after: dict[str, datetime],
    now: datetime,
) -> None:
    changed = sorted(visit for visit in after if after[visit] != before[visit])
    old, new = ({"visits": {v: side[v].isoformat() for v in changed}} for side in (before, after))
    journal.record(session, reservation, "laid_anew", actor=None, now=now, rule="long_test", old=old, new=new)


def _lay(visit: Visit, layout: Layout) -> bool:
    """Whether there is room. Without, a read-out stands when it would have been, and says so."""
    length = timedelta(seconds=visit.length)
    nominal = visit.planned_at if visit.after is None else layout.nominal(timedelta(seconds=visit.after))
    stays = visit.fixed and visit.planned_at >= nominal and layout.use.contains(span_of(visit))
    if stays and (layout.is_staffed(span_of(visit)) or not visit.staffed):
        visit.staffed = layout.is_staffed(span_of(visit))
        return True
    earliest = max(nominal, visit.planned_at) if visit.fixed else nominal
    found = layout.laid(earliest, length) or layout.laid(nominal, length)
    visit.planned_at = nominal if found is None else found.start
    visit.staffed = found is not None
    if visit.kind == "readout":
        visit.fixed = visit.fixed and found is not None and found.start > nominal
    return found is not None


def no_room(visit: Visit, use: Interval, weight: str) -> Problem:
    after = timedelta(seconds=visit.after or 0)
    code = "readout_no_room" if visit.kind == "readout" else "visit_no_room"
    return Problem(
        code, "end", weight="warning" if weight == "warning" else "blocking",
        params={"hours": after.total_seconds() / 3600, "at": visit.planned_at, "end": use.end},
    )  # fmt: skip


# --- announced ----------------------------------------------------------------------------------------


def _announce(session: Session, visit: Visit, now: datetime) -> str | None:
    """Tell those who come, and those whose test it is. What is over is dropped without a word."""
    visit.due_at = None
    reservation = visit.reservation
    if visit.done_at is not None or visit.dropped_at is not None:
        return None
    if reservation.status not in BLOCKING:
        visit.dropped_at = now
        changed(visit, now)
        return None
    if reservation.status == Status.REQUESTED:
        visit.due_at = now + ASK_AGAIN
        return None
    if visit.kind == "readout" and any(p.ends_at is None for p in pauses_of(session, reservation)):
        return None  # laid anew, and due again, when the test goes on
    if span_of(visit).end <= now:
        return None  # after a long silence: it stands there as overdue
    told = [reservation.holder_id, *(p.user_id for p in reservation.participants)]
    told += technicians_of(session, reservation.facility_id)
    span = span_of(visit)
    payload = {"visit_from": span.start, "visit_until": span.end, "after": visit.after}
    journal.post(session, "visit", told, now=now, reservation=reservation, payload=payload)
    visit.announced_for = visit.planned_at
    return "visit"


QUEUE = Queue("visit", Visit, _announce)


def technicians_of(session: Session, facility_id: int) -> list[int]:
    """The active technicians of a facility, by id; where there are none its managers."""
    found = list(
        session.scalars(
            select(User.id)
            .join(StaffMembership, StaffMembership.user_id == User.id)
            .where(StaffMembership.facility_id == facility_id, User.role == "technician", User.active)
            .order_by(User.id)
        )
    )
    return found or journal.managers_of(session, facility_id)
