"""Enforcing slot windows: what is due follows from the rows, so it survives every crash and restart.

Updates compare and set:

1. Ids whose ``due_at`` has come are read in order, a batch at a time.
2. Each is taken in a transaction of its own, ``FOR UPDATE SKIP LOCKED``, and only if it is still due: of
   several processes one gets it, and the others go on to the next.
3. The row says what its next step is and when that was due (``domain.reservation.next_step``). Status,
   allocations, history, messages and the next ``due_at`` are committed together, so a process killed
   half-way leaves the row as due as it was.
4. A row that fails is put aside with its error, for a pause that grows, and the rest go on.
"""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from labbook.domain.errors import StorageTrouble
from labbook.domain.reservation import Action, Step, next_step
from labbook.models import Reservation
from labbook.services import journal, transaction, waitlist
from labbook.services.opening import changed
from labbook.services.reservations import clock_of
from labbook.services.steps import advance

BATCH = 100
RULE = "scheduler"
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
_ERROR_LIMIT = 500

_ACTIONS = {
    Step.EXPIRED: Action.EXPIRE,
    Step.STARTED: Action.START,
    Step.COMPLETED: Action.FINISH,
    Step.NO_SHOW: Action.MISS,
}
_TOLD = frozenset({Step.EXPIRED, Step.NO_SHOW, Step.FLAGGED})
"""The steps that the holder and the managers hear of."""

log = logging.getLogger(__name__)


def sweep(session: Session, *, now: datetime, limit: int | None = None) -> Counter[Step]:
    """Take every step that is due at ``now``, at most ``limit`` of them; how many of each kind.

    One row may have several steps to catch up with: they are taken in order. Raises ``StorageTrouble``
    when the database takes no writes; what was done until then stays done.
    """
    done: Counter[Step] = Counter()
    while limit is None or done.total() < limit:
        size = BATCH if limit is None else min(BATCH, limit - done.total())
        taken = [_attempt(session, row_id, now) for row_id in _due(session, now, size)]
        done.update(step for step in taken if isinstance(step, Step))
        if not any(taken):  # nothing is due, or other processes are at it
            return done
    return done


def next_due(session: Session) -> datetime | None:
    """When the next step is due; None when nothing waits."""
    found = session.scalar(select(func.min(Reservation.due_at)).where(Reservation.due_at.is_not(None)))
    session.rollback()
    return found


def _due(session: Session, now: datetime, size: int) -> list[int]:
    query = (
        select(Reservation.id)
        .where(Reservation.due_at.is_not(None), Reservation.due_at <= now)
        .order_by(Reservation.due_at, Reservation.id)
        .limit(size)
    )
    found = list(session.scalars(query))
    session.rollback()
    return found


def _attempt(session: Session, row_id: int, now: datetime) -> Step | bool:
    """The step taken; True when the row was dealt with otherwise, False when another process has it."""
    try:
        return transaction.write(session, lambda: _step(session, row_id, now))
    except (StorageTrouble, OperationalError):
        raise  # no row's fault
    except Exception as error:  # one poisoned row must not hold up the rest
        log.exception("the step due for reservation %s failed", row_id)
        _put_aside(session, row_id, f"{type(error).__name__}: {error}"[:_ERROR_LIMIT], now)
        return True


def _take(session: Session, row_id: int, now: datetime) -> Reservation | None:
    return session.scalar(
        select(Reservation)
        .where(Reservation.id == row_id, Reservation.due_at <= now)
        .with_for_update(of=Reservation, skip_locked=True)
        .execution_options(populate_existing=True)
    )


def _step(session: Session, row_id: int, now: datetime) -> Step | bool:
    reservation = _take(session, row_id, now)
    if reservation is None:
        return False
    found = next_step(clock_of(reservation))
    if found is None or found[1] > now:
        reservation.due_at = found[1] if found else None
        return True
    step, due = found
    _carry_out(session, reservation, step, due, now)
    if reservation.hold is not None and step is Step.EXPIRED:
        waitlist.released(session, reservation, now)
    elif step in _TOLD:
        told = [reservation.holder_id, reservation.requested_by_id]
        told += journal.managers_of(session, reservation.facility_id, now)
        journal.post(session, step, told, now=now, reservation=reservation)
    return step


def _carry_out(session: Session, reservation: Reservation, step: Step, due: datetime, now: datetime) -> None:
    if step in _ACTIONS:
        if step is Step.COMPLETED:
            reservation.ended_at = due
        action = _ACTIONS[step]
        advance(session, reservation, action, actor=None, now=now, rule=RULE, new={"due": due})
        return
    if step is Step.FLAGGED:
        reservation.flagged_at = due
    else:
        reservation.overrun_since = due
    changed(reservation, now)
    session.flush()
    journal.record(session, reservation, step, actor=None, now=now, rule=RULE, new={"due": due})


def _put_aside(session: Session, row_id: int, error: str, now: datetime) -> None:
    """Try again after a pause that doubles from a minute to an hour."""

    def work() -> None:
        reservation = _take(session, row_id, now)
        if reservation is None:
            return
        pause = FIRST_PAUSE * 2 ** min(reservation.due_attempts, 10)
        reservation.due_at = now + min(pause, LONGEST_PAUSE)
        reservation.due_attempts += 1
        reservation.due_error = error

    transaction.write(session, work)
