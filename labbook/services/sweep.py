"""Enforcing slot windows: what is due follows from the rows, so it survives every crash and restart.

Updates compare and set:

1. Ids whose ``due_at`` has come are read in order, a batch at a time; most often there are none.
2. As many are taken in one transaction, ``FOR UPDATE SKIP LOCKED``, the longest due first: of several
   processes one gets a row, and the others go on to the next.
3. Each row says what its next step is and when that was due (``domain.reservation.next_step``). Status,
   allocations, history, messages and the next ``due_at`` are committed together, so a process killed
   half-way leaves the batch as due as it was.
4. What has to touch more than its own row (growing into free time, letting go of an undecided change) is
   taken by itself, with the locks in the one order.
5. A batch that fails is taken row by row; a row that fails then is put aside with its error, for a pause
   that grows, and the rest go on.

After the reservations come the other rows that are due: visits, and whoever waits for something.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from labbook.domain.errors import StorageTrouble
from labbook.domain.reservation import (
    NOTICES,
    Clock,
    Step,
    after,
    is_overtaken,
    next_step,
)
from labbook.models import Change, Instant, Reservation
from labbook.models.many import among
from labbook.services import due, overruns, step_records, transaction, visits, waitlist_queue
from labbook.services.due import FAILED, Queue
from labbook.services.opening import lock_equipment_of
from labbook.services.reservations import CLOCK_COLUMNS, clock_of
from labbook.services.step_records import Taken

BATCH = 500

QUEUES: tuple[Queue, ...] = (visits.QUEUE, waitlist_queue.QUEUE)
"""What is due besides reservations, in this order."""

Watch = Callable[[Sequence[datetime]], None]

log = logging.getLogger(__name__)


def sweep(
    session: Session, *, now: datetime, limit: int | None = None, watch: Watch | None = None
) -> Counter[str]:
    """Take every step that is due at ``now``, of at most ``limit`` reservations; how many of each kind.

    One row may have several steps to catch up with: they are taken in order. ``watch`` is told, after each
    commit, when the steps in it were due. Raises ``StorageTrouble`` when the database takes no writes;
    what was done until then stays done.
    """
    done: Counter[str] = Counter()
    left = limit
    while left is None or left > 0:
        ids = due.waiting(session, Reservation, now, BATCH if left is None else min(BATCH, left))
        progress = _pass(session, ids, now, done, watch)
        left = None if left is None else left - len(ids)
        if progress:
            continue
        for queue in QUEUES:
            found = due.run(session, queue, now=now, limit=left)
            left = None if left is None else left - found.total()
            done += found
            progress = progress or bool(found)
        if not progress:  # nothing is due, or other processes are at it
            break
    return done


def next_due(session: Session) -> datetime | None:
    """When the next step is due; None when nothing waits."""
    return due.next_due(session, Reservation, *(queue.model for queue in QUEUES))


@dataclass(frozen=True)
class _Outcome:
    """``taken``: dealt with; ``apart``: rows of the batch that must be taken by themselves."""

    taken: Sequence[Taken]
    silent: int
    apart: Sequence[int]


def _pass(
    session: Session, ids: Sequence[int], now: datetime, done: Counter[str], watch: Watch | None
) -> bool:
    """One batch; whether anything was dealt with."""
    if not ids:
        return False
    try:
        outcome = transaction.write(session, lambda: _batch(session, len(ids), now))
    except (StorageTrouble, OperationalError):
        raise
    except Exception:  # some row's fault: find out whose
        log.exception("a batch of %s steps failed, and is taken row by row", len(ids))
        outcome = _Outcome((), 0, ids)
    _count(outcome, done, watch)
    alone = [_alone(session, row_id, now, done, watch) for row_id in outcome.apart]
    return bool(outcome.taken or outcome.silent or any(alone))


def _alone(session: Session, row_id: int, now: datetime, done: Counter[str], watch: Watch | None) -> bool:
    """One row by itself; False when another process has it."""
    try:
        outcome = transaction.write(session, lambda: _single(session, row_id, now))
    except (StorageTrouble, OperationalError):
        raise  # no row's fault
    except Exception as error:  # one poisoned row must not hold up the rest
        log.exception("the step due for reservation %s failed", row_id)
        due.put_aside(session, Reservation, row_id, error, now)
        done[FAILED] += 1
        return True
    _count(outcome, done, watch)
    return bool(outcome.taken or outcome.silent)


def _count(outcome: _Outcome, done: Counter[str], watch: Watch | None) -> None:
    done.update(str(taken.step) for taken in outcome.taken)
    if watch is not None and outcome.taken:
        watch([taken.due for taken in outcome.taken])


# Built once: putting the statement together takes longer than running it.
_ROWS = (
    select(
        Reservation.id,
        Reservation.facility_id,
        Reservation.holder_id,
        Reservation.requested_by_id,
        Reservation.revision,
        Reservation.due_at,
        Reservation.ended_at,
        Reservation.changed_at,
        Reservation.cancel_cause,
        *CLOCK_COLUMNS,
    )
    .where(Reservation.due_at.is_not(None), Reservation.due_at <= bindparam("now", type_=Instant()))
    .order_by(Reservation.due_at, Reservation.id)
    .with_for_update(of=Reservation, skip_locked=True)
)
_LONGEST_DUE = _ROWS.limit(bindparam("size"))
_CHANGING = select(Change.reservation_id).where(among(Change.reservation_id, "ids"), Change.state == "open")
_ONE = _ROWS.where(Reservation.id == bindparam("row_id"))


def _row(session: Session, row_id: int, now: datetime) -> Sequence[Any]:
    """It, locked; nothing when it is not due any more or somebody else has it."""
    return session.connection().execute(_ONE, {"row_id": row_id, "now": now}).all()


def _batch(session: Session, size: int, now: datetime) -> _Outcome:
    """Of what is due and nobody else has, so many, the longest due first."""
    steps, apart = [], []
    rows = session.connection().execute(_LONGEST_DUE, {"size": size, "now": now}).all()
    # Asked once the rows are locked: who changes one meanwhile has committed, or waits.
    changing = set(session.scalars(_CHANGING, {"ids": [row.id for row in rows]})) if rows else set()
    for row in rows:
        clock = clock_of(row)
        found = next_step(clock)
        if found is not None and found[1] <= now and _reaches_further(found[0], row.id in changing):
            apart.append(row.id)
        else:
            steps.append((row, clock, found))
    taken, silent = _take(session, steps, now)
    return _Outcome(taken, silent, apart)


def _single(session: Session, row_id: int, now: datetime) -> _Outcome:
    """The same for one row, with the locks that the step may need taken first."""
    lock_equipment_of(session, row_id)
    rows = _row(session, row_id, now)
    for row in rows:
        found = next_step(clock_of(row))
        waits = found is not None and found[0] in _NEED_PLACES
        if waits and overruns.kept_waiting(session, [row_id], now):
            continue  # it is displaced, and what was proposed for it is wanted now more than before
        if found is not None and found[1] <= now:
            _reach_further(session, row, found[0], now)
    # What was done to it may have changed what it says.
    rows = _row(session, row_id, now)
    clocks = [clock_of(row) for row in rows]
    taken, silent = _take(session, [(r, c, next_step(c)) for r, c in zip(rows, clocks, strict=True)], now)
    return _Outcome(taken, silent, ())


def _reaches_further(step: Step, is_changing: bool) -> bool:
    """Whether the step has to do with more than its own row."""
    if step in NOTICES:
        return False
    return is_changing or step in (Step.OVERRUN, Step.GROWN)


def _reach_further(session: Session, row: Any, step: Step, now: datetime) -> None:
    reservation = session.get_one(Reservation, row.id, populate_existing=True)
    if step in (Step.OVERRUN, Step.GROWN):
        overruns.grow(session, reservation, now)
    else:
        step_records.before(session, reservation, step, now)
    session.flush()
    session.expire(reservation)


_NEED_PLACES = frozenset({Step.STARTED, Step.OPENED, Step.FLAGGED, Step.NO_SHOW})
"""Not taken while somebody else is still there. A piece that is set up later than the rest may have become
such after the window opened: nobody is missed for that."""


def _take(
    session: Session, steps: Sequence[tuple[Any, Clock, tuple[Step, datetime] | None]], now: datetime
) -> tuple[list[Taken], int]:
    """Carry the steps out; how many rows had nothing to tell of."""
    opening = [
        row.id
        for row, _, found in steps
        if found is not None and found[1] <= now and found[0] in _NEED_PLACES
    ]
    held = overruns.kept_waiting(session, opening, now) if opening else frozenset[int]()
    taken: list[Taken] = []
    silent: list[Taken] = []
    for row, clock, found in steps:
        if found is None or found[1] > now:
            silent.append(Taken(row, None, row.due_at, clock))
            continue
        step, at = found
        if row.id in held:
            step = Step.DISPLACED
        each = Taken(row, step, at, after(clock, step, at, now))
        (silent if is_overtaken(clock, step, now) else taken).append(each)
    step_records.write(session, taken, silent, now=now)
    return taken, len(silent)
