"""Use cases inside a running test: its read-outs and visits, its pauses, and the end that is expected."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import PRESENT, Viewer
from labbook.domain.errors import NotFound, Problem, Refused, WrongStatus
from labbook.domain.long_test import READOUT_LENGTH
from labbook.domain.reservation import BLOCKING, Status
from labbook.domain.visibility import scope_of
from labbook.domain.words import NOTES_LIMIT, text_problems
from labbook.models import Pause, Remark, Reservation, Visit
from labbook.services import journal, transaction, visits
from labbook.services.commands import OnTest, OnVisit, PlanVisit
from labbook.services.opening import changed, opened
from labbook.services.reservation_views import ReservationView, in_scope, view_of
from labbook.services.reservations import expect_end, refuse_if_any, when_problems
from labbook.services.visits import Layout, pauses_of, span_of

VISITS_LIMIT = 200
LONGEST_VISIT = timedelta(days=1)
_LIVE: Collection[str] = sorted(BLOCKING)
_RUNNING: Collection[str] = (Status.IN_USE,)


def plan(session: Session, command: PlanVisit, *, actor: Viewer, now: datetime) -> ReservationView:
    """A read-out in the first staffed time after so many hours, or a visit exactly when it is asked for.

    Warnings where the lab has nobody there, or other visits at the same time.
    """

    def work() -> ReservationView:
        reservation = _opened(session, command, "visit", actor)
        problems = _written(command.note, "note") + _length_problems(command.length)
        if (command.after is None) == (command.at is None):
            problems.append(Problem("missing" if command.after is None else "after_or_at", "after"))
        pending = visits.pending_of(session, reservation)
        if len(pending) >= VISITS_LIMIT:
            problems.append(Problem("too_many", "after", params={"limit": VISITS_LIMIT}))
        _refuse_or_require(problems, reservation, "visit", _LIVE)
        layout = Layout(session, reservation, pauses_of(session, reservation), now)
        visit = visits.new_visit(
            reservation,
            "visit" if command.after is None else "readout",
            now,
            after=command.after,
            length=command.length or READOUT_LENGTH,
        )
        if command.after is not None:
            _lay_readout(visit, command.after, layout, pending)
        else:
            assert command.at is not None
            problems += _put(visit, command.at, layout)
        if command.note.strip():
            visit.remark = Remark(text=command.note.strip())
        visit.due_at = layout.due(visit)
        session.add(visit)
        session.flush()
        problems += _crowded(session, reservation, visit, actor)
        _tell(session, reservation, "visit_planned", visit, actor, now)
        return view_of(session, reservation, viewer=actor, problems=problems)

    return transaction.write(session, work)


def move(session: Session, command: OnVisit, *, actor: Viewer, now: datetime) -> ReservationView:
    """To another time within the use; a read-out not before its hours have accrued."""

    def work() -> ReservationView:
        reservation, visit = _visited(session, command, actor)
        problems = _written(command.note, "note") + _length_problems(command.length)
        if command.at is None:
            problems.append(Problem("missing", "at"))
        _refuse_or_require(problems, reservation, "visit", _LIVE, visit)
        assert command.at is not None
        layout = Layout(session, reservation, pauses_of(session, reservation), now)
        was = visit.planned_at
        if command.length is not None:
            visit.length = int(command.length.total_seconds())
        problems += _put(visit, command.at, layout)
        visit.due_at = layout.due(visit)
        visit.due_attempts, visit.due_error = 0, None
        visits.changed(visit, now)
        session.flush()
        problems += _crowded(session, reservation, visit, actor)
        old = {"at": was}
        _tell(session, reservation, "visit_moved", visit, actor, now, old=old, reason=command.note)
        return view_of(session, reservation, viewer=actor, problems=problems)

    return transaction.write(session, work)


def drop(session: Session, command: OnVisit, *, actor: Viewer, now: datetime) -> ReservationView:
    """It will not take place."""

    def work() -> ReservationView:
        reservation, visit = _visited(session, command, actor)
        _refuse_or_require(_written(command.note, "note"), reservation, "visit", _LIVE, visit)
        visit.dropped_at, visit.due_at = now, None
        visits.changed(visit, now)
        _tell(session, reservation, "visit_dropped", visit, actor, now, reason=command.note)
        return view_of(session, reservation, viewer=actor)

    return transaction.write(session, work)


def done(session: Session, command: OnVisit, *, actor: Viewer, now: datetime) -> ReservationView:
    """It took place; ``note`` says what was found. Only while the test is in use."""

    def work() -> ReservationView:
        reservation, visit = _visited(session, command, actor)
        _refuse_or_require(_written(command.note, "note"), reservation, "visit", _RUNNING, visit)
        visit.done_at, visit.done_by_id, visit.due_at = now, actor.id, None
        visits.changed(visit, now)
        session.flush()
        session.refresh(visit, ["done_by"])
        _tell(session, reservation, "visit_done", visit, actor, now, reason=command.note)
        return view_of(session, reservation, viewer=actor)

    return transaction.write(session, work)


def pause(session: Session, command: OnTest, *, actor: Viewer, now: datetime) -> ReservationView:
    """The test stands still from now on, or has since ``at``: when its read-outs are is not known until it
    goes on.
    """

    def work() -> ReservationView:
        reservation = _opened(session, command, "pause", actor)
        _refuse_or_require(_written(command.reason, "reason"), reservation, "pause", _RUNNING)
        stops = pauses_of(session, reservation)
        if any(stop.ends_at is None for stop in stops):
            raise WrongStatus("pause", "paused")
        since = command.at or now
        ran_since = Layout(session, reservation, stops, now).run.since
        earliest = max([ran_since, *(stop.ends_at for stop in stops if stop.ends_at)])
        if now < ran_since:
            raise Refused([Problem("not_running_yet", "at", params={"start": ran_since})])
        if not earliest <= since <= now:
            raise Refused([Problem("pause_outside", "at", params={"start": earliest, "end": now})])
        remark = Remark(text=command.reason.strip()) if command.reason.strip() else None
        session.add(Pause(reservation_id=reservation.id, starts_at=since, by_id=actor.id, remark=remark))
        for visit in visits.pending_of(session, reservation):
            if visit.kind == "readout":
                visit.due_at = None
                visits.changed(visit, now)
        changed(reservation, now)
        session.flush()
        new = {"at": since} if since != now else {}
        journal.record(session, reservation, "pause", actor=actor, now=now, new=new, reason=command.reason)
        return view_of(session, reservation, viewer=actor)

    return transaction.write(session, work)


def resume(session: Session, command: OnTest, *, actor: Viewer, now: datetime) -> ReservationView:
    """The clock goes on, now or since ``at``, and what is to be read out is laid anew."""

    def work() -> ReservationView:
        reservation = _opened(session, command, "resume", actor)
        _refuse_or_require(_written(command.reason, "reason"), reservation, "resume", _RUNNING)
        stop = next((s for s in pauses_of(session, reservation) if s.ends_at is None), None)
        if stop is None:
            raise WrongStatus("resume", reservation.status)
        until = command.at or now
        if not stop.starts_at <= until <= now:
            raise Refused([Problem("pause_outside", "at", params={"start": stop.starts_at, "end": now})])
        stood = int((until - stop.starts_at).total_seconds())
        if until == stop.starts_at:
            session.delete(stop)  # it never stood still
        else:
            stop.ends_at = until
        session.flush()
        problems = visits.relay(session, reservation, now, confirmed=True)
        changed(reservation, now)
        session.flush()
        new: dict[str, Any] = {"stood": stood} | ({"at": until} if until != now else {})
        journal.record(session, reservation, "resume", actor=actor, now=now, new=new, reason=command.reason)
        return view_of(session, reservation, viewer=actor, problems=problems)

    return transaction.write(session, work)


def expect(session: Session, command: OnTest, *, actor: Viewer, now: datetime) -> ReservationView:
    """When the end is expected; the latest end stays what is occupied. None: as late as that."""

    def work() -> ReservationView:
        reservation = _opened(session, command, "expect", actor)
        problems = when_problems(reservation.starts_at, reservation.ends_at, command.at)
        problems += _written(command.reason, "reason")
        _refuse_or_require(problems, reservation, "expect", _LIVE)
        old = reservation.expected_end
        if expect_end(reservation, command.at):
            changed(reservation, now)
            session.flush()
            old_side, new_side = {"expected_end": old}, {"expected_end": command.at}
            journal.record(
                session, reservation, "expect", actor=actor, now=now, old=old_side, new=new_side,
                reason=command.reason,
            )  # fmt: skip
        return view_of(session, reservation, viewer=actor)

    return transaction.write(session, work)


def _opened(
    session: Session, command: PlanVisit | OnVisit | OnTest, action: str, actor: Viewer
) -> Reservation:
    return opened(
        session,
        command.reservation,
        actor=actor,
        allowed=PRESENT,
        action=action,
        revision=command.revision,
    )


def _visited(session: Session, command: OnVisit, actor: Viewer) -> tuple[Reservation, Visit]:
    reservation = _opened(session, command, "visit", actor)
    visit = session.scalar(
        select(Visit).where(Visit.reservation_id == reservation.id, Visit.public_id == command.visit)
    )
    if visit is None:
        raise NotFound("visit")
    return reservation, visit


def _refuse_or_require(
    problems: list[Problem],
    reservation: Reservation,
    action: str,
    statuses: Collection[str],
    visit: Visit | None = None,
) -> None:
    """What is wrong with the command first, then whether the status allows it at all."""
    refuse_if_any(problems, ())
    if reservation.status not in statuses:
        raise WrongStatus(action, reservation.status)
    if visit is not None and not (visit.done_at is None and visit.dropped_at is None):
        raise WrongStatus(action, "done" if visit.done_at is not None else "dropped")


def _lay_readout(visit: Visit, after: timedelta, layout: Layout, pending: list[Visit]) -> None:
    """In the first staffed time from when so much has accrued; of what has already, from now on."""
    if any(other.after == visit.after for other in pending):
        raise Refused([Problem("readout_there", "after")])
    nominal = layout.nominal(after)
    found = layout.laid(max(nominal, layout.now), timedelta(seconds=visit.length))
    visit.planned_at = nominal
    if found is None:
        raise Refused([visits.no_room(visit, layout.use, "blocking")])
    visit.planned_at = found.start
    visit.fixed = nominal < layout.now


def _put(visit: Visit, at: datetime, layout: Layout) -> list[Problem]:
    """By hand: anywhere within the use; a warning where the lab has nobody there."""
    visit.planned_at, visit.fixed = at, True
    if not layout.use.has(at) or not layout.use.contains(span := span_of(visit)):
        window = {"start": layout.use.start, "end": layout.use.end}
        raise Refused([Problem("visit_outside", "at", params=window)])
    if visit.after is not None and at < (nominal := layout.nominal(timedelta(seconds=visit.after))):
        raise Refused([Problem("readout_early", "at", params={"earliest": nominal})])
    visit.staffed = layout.is_staffed(span)
    return [] if visit.staffed else [Problem("visit_unstaffed", "at", weight="warning")]


def _crowded(session: Session, reservation: Reservation, visit: Visit, actor: Viewer) -> list[Problem]:
    """A warning where others want somebody to come at the same time, as far as the actor may know of them."""
    span = span_of(visit)
    near = session.scalars(
        select(Visit)
        .join(Visit.reservation)
        .where(
            Reservation.facility_id == reservation.facility_id,
            Reservation.status.in_(_LIVE),
            in_scope(scope_of(actor)),
            Visit.id != visit.id,
            Visit.done_at.is_(None),
            Visit.dropped_at.is_(None),
            Visit.planned_at > span.start - LONGEST_VISIT,
            Visit.planned_at < span.end,
        )
    )
    others = sum(span_of(each).overlaps(span) for each in near)
    return [Problem("visits_at_once", "at", weight="warning", params={"count": others})] if others else []


def _tell(
    session: Session,
    reservation: Reservation,
    action: str,
    visit: Visit,
    actor: Viewer,
    now: datetime,
    *,
    old: dict[str, Any] | None = None,
    reason: str = "",
) -> None:
    changed(reservation, now)
    session.flush()
    new = {"visit": visit.public_id, "kind": visit.kind, "after": visit.after, "at": visit.planned_at}
    journal.record(
        session, reservation, action, actor=actor, now=now, old=old, new=new, reason=reason.strip()
    )


def _written(text: str, field: str) -> list[Problem]:
    return text_problems(text, field, limit=NOTES_LIMIT, lines=True)


def _length_problems(length: timedelta | None) -> list[Problem]:
    if length is None or timedelta(minutes=1) <= length <= LONGEST_VISIT:
        return []
    return [Problem("visit_length", "length", params={"most": LONGEST_VISIT})]
