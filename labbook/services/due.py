"""Rows that say themselves when something must happen to them: each taken once, by one process, in order.

A queue is a table with ``due_at``, ``due_attempts`` and ``due_error``. Of several processes one gets a row
(``FOR UPDATE SKIP LOCKED``, and only if it is still due), and what it does is committed together with the
row's next ``due_at``: a process killed half-way leaves the row as due as it was. A row that fails is put
aside with its error, for a pause that doubles from a minute to an hour, and the rest go on.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from labbook.domain.errors import StorageTrouble
from labbook.models import Instant
from labbook.services import transaction

BATCH = 100
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
FAILED = "failed"
_ERROR_LIMIT = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Queue:
    """``step`` takes what is due of one locked row and moves its ``due_at`` on.

    It answers the step's name, as ``sweep`` prints it, or None where nothing had to be done after all; it
    runs within a transaction and may be run again from the start.
    """

    name: str
    model: Any
    step: Callable[[Session, Any, datetime], str | None]


def run(session: Session, queue: Queue, *, now: datetime, limit: int | None = None) -> Counter[str]:
    """Take what is due at ``now``, at most ``limit`` rows; how many of each step, and how many ``failed``.

    Raises ``StorageTrouble`` when the database takes no writes; what was done until then stays done.
    """
    done: Counter[str] = Counter()
    left = limit
    while left is None or left > 0:
        rows = waiting(session, queue.model, now, BATCH if left is None else min(BATCH, left))
        taken = [attempt(session, queue, row_id, now) for row_id in rows]
        done.update(step for step in taken if isinstance(step, str))
        left = None if left is None else left - len(rows)
        if not any(taken):  # nothing is due, or other processes are at it
            break
    return done


def waiting(session: Session, model: Any, now: datetime, size: int) -> list[int]:
    """The rows due, the longest due first."""
    found = list(session.scalars(_waiting(model), {"now": now, "size": size}))
    session.rollback()
    return found


@cache  # putting a statement together takes longer than finding that nothing is due
def _waiting(model: Any) -> Select[Any]:
    return (
        select(model.id)
        .where(model.due_at.is_not(None), model.due_at <= bindparam("now", type_=Instant()))
        .order_by(model.due_at, model.id)
        .limit(bindparam("size"))
    )


@cache
def _first(model: Any) -> Select[Any]:
    return select(func.min(model.due_at)).where(model.due_at.is_not(None))


def attempt(session: Session, queue: Queue, row_id: int, now: datetime) -> str | bool:
    """The step taken; True when the row was dealt with otherwise, False when another process has it."""

    def work() -> str | bool:
        row = take(session, queue.model, row_id, now)
        if row is None:
            return False
        row.due_attempts, row.due_error = 0, None
        step = queue.step(session, row, now)
        if row.due_at is not None and row.due_at <= now and step is None:
            raise AssertionError(f"{queue.name} {row_id} is still due and says nothing of it")
        return step or True

    try:
        return transaction.write(session, work)
    except (StorageTrouble, OperationalError):
        raise  # no row's fault
    except Exception as error:  # one poisoned row must not hold up the rest
        log.exception("the step due for %s %s failed", queue.name, row_id)
        put_aside(session, queue.model, row_id, error, now)
        return FAILED


def take(session: Session, model: Any, row_id: int, now: datetime) -> Any:
    """The row, locked and still due; None when it is not, or another process has it."""
    return session.scalar(
        select(model)
        .where(model.id == row_id, model.due_at <= now)
        .with_for_update(of=model, skip_locked=True)
        .execution_options(populate_existing=True)
    )


def put_aside(session: Session, model: Any, row_id: int, error: Exception, now: datetime) -> None:
    """Try again after a pause that doubles."""

    def work() -> None:
        row = take(session, model, row_id, now)
        if row is None:
            return
        pause = FIRST_PAUSE * 2 ** min(row.due_attempts, 10)
        row.due_at = now + min(pause, LONGEST_PAUSE)
        row.due_attempts += 1
        row.due_error = f"{type(error).__name__}: {error}"[:_ERROR_LIMIT]

    transaction.write(session, work)


def next_due(session: Session, *models: Any) -> datetime | None:
    """When the next row of any is due; None when nothing waits."""
    found = [session.scalar(_first(model)) for model in models]
    session.rollback()
    return min((at for at in found if at is not None), default=None)
