"""Enforcing slot windows: what is due follows from the rows, so it survives every crash and restart.

Updates compare and set:

1. Ids whose ``due_at`` has come are read in order, a batch at a time; most often there are none.
2. As many are taken in one transaction, ``FOR UPDATE SKIP LOCKED``, the longest due first: of several
   processes one gets a row, and the others go on to the next.
3. Each row says what its next step is and when that was due (``domain.reservation.next_step``). Status,
   allocations, history, messages and the next ``due_at`` are committed together, so a process killed
   half-way leaves the batch as due as it was.
4. What has to do with more than its own row (growing into free time, keeping others waiting, letting go of
   an undecided change) is taken apart, with the equipment locked ahead of the rows: the one order, in which
   whoever gives a place back takes them too.
5. A batch that fails is taken row by row; a row that fails then is put aside with its error, for a pause
   that grows, and the rest go on.

After the reservations come the other rows that are due: visits, and whoever waits for something.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from labbook.domain.errors import StorageTrouble
from labbook.domain.reservation import (
    ACTIONS,
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

BATCH, APART = 500, 100
"""So many rows in one transaction; those taken apart keep bookings of their equipment waiting."""

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
    apart = [
        _apart(session, outcome.apart[first : first + APART], now, done, watch)
        for first in range(0, len(outcome.apart), APART)
    ]
    return bool(outcome.taken or outcome.silent or any(apart))


def _apart(
    session: Session, ids: Sequence[int], now: datetime, done: Counter[str], watch: Watch | None
) -> bool:
    """These rows together, and each by itself where one of them fails; False when others have them all."""
    try:
        outcome = transaction.write(session, lambda: _with_equipment(session, ids, now))
    except (StorageTrouble, OperationalError):
        raise  # no row's fault
    except Exception as error:  # one poisoned row must not hold up the rest
        if len(ids) > 1:
            log.exception("%s steps with their equipment failed, and are taken row by row", len(ids))
            dealt = [_apart(session, [row_id], now, done, watch) for row_id in ids]
            return any(dealt)
        log.exception("the step due for reservation %s failed", ids[0])
        due.put_aside(session, Reservation, ids[0], error, now)
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
_THESE = _ROWS.where(among(Reservation.id, "ids"))


class _Due(NamedTuple):
    """A locked row and what is due of it now; ``step`` None: nothing is, after all."""

    row: Any
    clock: Clock
    step: Step | None
    at: datetime


def _due(row: Any, now: datetime) -> _Due:
    clock = clock_of(row)
    found = next_step(clock)
    if found is None or found[1] > now:
        return _Due(row, clock, None, row.due_at)
    return _Due(row, clock, *found)


def _these(session: Session, ids: Sequence[int], now: datetime) -> list[_Due]:
    """Of these, locked, what is still due and nobody else has."""
    rows = session.connection().execute(_THESE, {"ids": ids, "now": now}).all()
    return [_due(row, now) for row in rows]


def _batch(session: Session, size: int, now: datetime) -> _Outcome:
    """Of what is due and nobody else has, so many, the longest due first."""
    rows = session.connection().execute(_LONGEST_DUE, {"size": size, "now": now}).all()
    steps = [_due(row, now) for row in rows]
    # Asked once the rows are locked: who changes one meanwhile has committed, or waits.
    changing = set(session.scalars(_CHANGING, {"ids": [row.id for row in rows]})) if rows else set()
    apart = {each.row.id for each in steps if _reaches_further(each, each.row.id in changing)}
    apart |= _kept_waiting(session, steps, now)
    taken, silent = _take(session, [each for each in steps if each.row.id not in apart], (), now)
    return _Outcome(taken, silent, [each.row.id for each in steps if each.row.id in apart])


def _with_equipment(session: Session, ids: Sequence[int], now: datetime) -> _Outcome:
    """The same for rows whose steps have to do with others, once the locks that they need are taken."""
    lock_equipment_of(session, ids)
    steps = _these(session, ids, now)
    growing = [each.row.id for each in steps if each.step in (Step.OVERRUN, Step.GROWN)]
    if growing:
        overruns.grow(session, growing, now)
    held = _kept_waiting(session, steps, now)  # of a pool, who comes next may have another unit now
    for each in steps:
        # What is displaced keeps what was proposed for it: that is wanted now more than before.
        if each.step is not None and each.step in ACTIONS and each.row.id not in held:
            reservation = session.get_one(Reservation, each.row.id, populate_existing=True)
            step_records.before(session, reservation, each.step, now)
    session.flush()
    session.expire_all()
    # What was done to them may have changed what they say.
    steps = _these(session, [each.row.id for each in steps], now)
    taken, silent = _take(session, steps, held, now)
    return _Outcome(taken, silent, ())


def _reaches_further(each: _Due, is_changing: bool) -> bool:
    """Whether the step has to do with more than its own row."""
    if each.step is None or each.step in NOTICES:
        return False
    return is_changing or each.step in (Step.OVERRUN, Step.GROWN)


_NEED_PLACES = frozenset({Step.STARTED, Step.OPENED, Step.FLAGGED, Step.NO_SHOW})
"""Not taken while somebody else is still there. A piece that is set up later than the rest may have become
such after the window opened: nobody is missed for that."""


def _kept_waiting(session: Session, steps: Sequence[_Due], now: datetime) -> frozenset[int]:
    opening = [each.row.id for each in steps if each.step in _NEED_PLACES]
    return overruns.kept_waiting(session, opening, now) if opening else frozenset()


def _take(
    session: Session, steps: Sequence[_Due], held: Collection[int], now: datetime
) -> tuple[list[Taken], int]:
    """Carry the steps out; whose places somebody else holds is displaced. How many had nothing to tell of."""
    taken: list[Taken] = []
    silent: list[Taken] = []
    for row, clock, step, at in steps:
        if step is None:
            silent.append(Taken(row, None, at, clock))
            continue
        if row.id in held:
            step = Step.DISPLACED
        each = Taken(row, step, at, after(clock, step, at, now))
        (silent if is_overtaken(clock, step, now) else taken).append(each)
    step_records.write(session, taken, silent, now=now)
    return taken, len(silent)
