"""What happens inside a reservation, as its readers see it: the test's clock, its read-outs and visits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session, joinedload

from labbook.domain import long_test
from labbook.domain.interval import Interval
from labbook.domain.long_test import LONG_FROM, Run
from labbook.domain.reservation import BLOCKING, Status
from labbook.models import Pause, Reservation, Visit

_RAN = frozenset({Status.IN_USE, Status.COMPLETED, Status.ABORTED})


@dataclass(frozen=True)
class VisitView:
    """``kind`` is ``readout``, ``after`` so much running, or ``visit``. ``staffed``: the lab has people there
    throughout. ``laid``: there was room for it; else ``start`` is when it would have been. ``waits``: the
    test stands still, so that ``start`` is not known yet.
    """

    id: str
    kind: str
    after: timedelta | None
    start: datetime
    end: datetime
    staffed: bool
    laid: bool
    waits: bool
    note: str
    done_at: datetime | None
    done_by: str | None
    done_note: str
    dropped_at: datetime | None
    revision: int

    @property
    def is_pending(self) -> bool:
        return self.done_at is None and self.dropped_at is None

    def is_overdue(self, now: datetime) -> bool:
        """It should have been by now, and nobody said that it was."""
        return self.is_pending and self.laid and not self.waits and self.end <= now


@dataclass(frozen=True)
class LongTestView:
    """The clock of a test, and its visits in order of time. ``is_long``: a day or longer."""

    run: Run
    begun: bool
    over: bool
    is_long: bool
    expected_end: datetime
    visits: Sequence[VisitView]
    pause_reason: str = ""

    def accrued(self, now: datetime) -> timedelta:
        return self.run.accrued(now) if self.begun else timedelta(0)

    def planned(self, now: datetime) -> timedelta:
        """How long it is to run: until the last read-out, else what it will have run by its end."""
        afters = [v.after for v in self.visits if v.after is not None and v.dropped_at is None]
        if afters:
            return max(afters)
        going_on = [p if p.end else replace(p, end=max(now, p.start)) for p in self.run.pauses]
        pauses = [p for p in going_on if p.end and p.end > p.start]
        return replace(self.run, pauses=pauses, until=None).accrued(self.expected_end)

    @property
    def paused_since(self) -> datetime | None:
        return None if self.over else self.run.paused_since

    @property
    def next_readout(self) -> VisitView | None:
        return self._next("readout")

    @property
    def nextvisit_view(self) -> VisitView | None:
        return self._next("visit")

    def _next(self, kind: str) -> VisitView | None:
        if self.over:
            return None
        return next((v for v in self.visits if v.kind == kind and v.is_pending), None)


def run_of(reservation: Reservation, pauses: Iterable[Pause]) -> Run:
    """Running begins with the time of use, however early somebody checked in to set it up; and not before
    the permit to energise it was signed, nor, where nobody checks in, before what overran had gone.
    """
    begun = (
        reservation.checked_in_at,
        reservation.freed_at if reservation.check_in == "none" else None,
        reservation.permit_signed_at if reservation.permit_required else None,
    )
    since = max([reservation.starts_at, *(at for at in begun if at is not None)])
    return Run(since, [long_test.Pause(p.starts_at, p.ends_at) for p in pauses], _ended(reservation, since))


def _lacks_permit(reservation: Reservation) -> bool:
    return reservation.permit_required and reservation.permit_signed_at is None


def _ended(reservation: Reservation, since: datetime) -> datetime | None:
    """What nobody checks out ends with its time of use; what is checked out, when it was."""
    status = Status(reservation.status)
    if status in (Status.REQUESTED, Status.APPROVED):
        return None
    if status not in _RAN:
        return since
    if reservation.check_in == "none":
        return min(reservation.ended_at or reservation.ends_at, reservation.ends_at)
    return reservation.ended_at


# Built once: putting these statements together takes longer than running them.
_VISITS = (
    select(Visit)
    .where(Visit.reservation_id.in_(bindparam("ids", expanding=True)))
    .order_by(Visit.planned_at, Visit.id)
    .options(joinedload(Visit.remark), joinedload(Visit.done_by))
)
_PAUSES = (
    select(Pause)
    .where(Pause.reservation_id.in_(bindparam("ids", expanding=True)))
    .order_by(Pause.starts_at)
    .options(joinedload(Pause.remark))
)


def of(
    session: Session, reservation: Reservation, notes: Mapping[str, str] | None = None
) -> LongTestView | None:
    """None for what is neither long nor visited. ``notes``: what was said of visits when they were done."""
    asked = {"ids": [reservation.id]}
    visits = session.scalars(_VISITS, asked).all()
    return view(reservation, visits, session.scalars(_PAUSES, asked).all(), notes or {})


def of_each(session: Session, reservations: Sequence[Reservation]) -> dict[int, LongTestView]:
    """By the reservation's number, in two queries however many there are."""
    asked = {"ids": [row.id for row in reservations]}
    visits, pauses = session.scalars(_VISITS, asked).all(), session.scalars(_PAUSES, asked).all()
    found = {
        row.id: view(
            row,
            [v for v in visits if v.reservation_id == row.id],
            [p for p in pauses if p.reservation_id == row.id],
        )
        for row in reservations
    }
    return {row_id: each for row_id, each in found.items() if each is not None}


def view(
    reservation: Reservation,
    visits: Sequence[Visit],
    pauses: Sequence[Pause] = (),
    notes: Mapping[str, str] | None = None,
) -> LongTestView | None:
    use = Interval(reservation.starts_at, reservation.ends_at)
    if not visits and not pauses and use.duration < LONG_FROM:
        return None
    run = run_of(reservation, pauses)
    going_on = next((p for p in pauses if p.ends_at is None), None)
    paused = going_on is not None and run.until is None
    return LongTestView(
        run=run,
        begun=reservation.status in _RAN and not _lacks_permit(reservation),
        over=reservation.status not in BLOCKING,
        is_long=use.duration >= LONG_FROM,
        expected_end=reservation.expected_end or reservation.ends_at,
        visits=[visit_view(v, use, paused, (notes or {}).get(v.public_id, "")) for v in visits],
        pause_reason=going_on.remark.text if going_on and going_on.remark else "",
    )


def visit_view(row: Visit, use: Interval, paused: bool, done_note: str = "") -> VisitView:
    span = Interval(row.planned_at, row.planned_at + timedelta(seconds=row.length))
    pending = row.done_at is None and row.dropped_at is None
    return VisitView(
        id=row.public_id,
        kind=row.kind,
        after=None if row.after is None else timedelta(seconds=row.after),
        start=span.start,
        end=span.end,
        staffed=row.staffed,
        laid=(row.staffed or row.fixed) and use.contains(span),
        waits=pending and paused and row.kind == "readout",
        note=row.remark.text if row.remark else "",
        done_at=row.done_at,
        done_by=row.done_by.name if row.done_by else None,
        done_note=done_note,
        dropped_at=row.dropped_at,
        revision=row.revision,
    )
