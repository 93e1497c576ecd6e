"""The one place that begins, commits and rolls back.

A use case is a function that may be run again from the start: a deadlock, a serialization failure or a
guard that refused because another writer was faster rolls back and runs it once more on what is stored
now, so that the answer explains itself. The database's own refusal is the last word, never the first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from labbook.domain.errors import Problem, Refused, StorageBusy, StorageUnwritable
from labbook.models import ChangeCounter, guards
from labbook.models.engine import WRITE_OPTION

T = TypeVar("T")

ATTEMPTS = 4

_TOUCHED = "labbook_touched_facilities"
_DEADLOCK, _SERIALIZATION, _LOCK_TIMEOUT = "40P01", "40001", "55P03"
_UNWRITABLE = ("53100", "25006")  # disk full, read-only transaction
_RACES = (guards.NO_OVERLAP, guards.WITHIN_BUDGET, "uq_changes_open", "uq_idempotency_keys_user_key")


def write(session: Session, work: Callable[[], T]) -> T:
    """Run ``work`` in one write transaction: returning commits, raising rolls back.

    Raises whatever ``work`` raises; ``StorageBusy`` or ``StorageUnwritable`` when the database cannot
    take it; ``Refused`` when other writers were faster on every attempt.
    """
    return _attempted(session, work, keep=True)


def rehearse(session: Session, work: Callable[[], T]) -> T:
    """Run ``work`` as ``write`` would, and keep nothing of it."""
    return _attempted(session, work, keep=False)


def _attempted(session: Session, work: Callable[[], T], *, keep: bool) -> T:
    for attempt in range(1, ATTEMPTS + 1):
        session.rollback()  # a read transaction left open would hold an old snapshot
        session.info.pop(_TOUCHED, None)
        try:
            session.connection(execution_options={WRITE_OPTION: True})
            result = work()
            session.flush()
            if keep:
                _count_changes(session)
                session.commit()
            return result
        except DBAPIError as error:
            if not (_is_race(error) and attempt < ATTEMPTS):
                raise _translated(error) from error
        finally:
            session.rollback()  # of what was committed, nothing is left to take back
            session.info.pop(_TOUCHED, None)
    raise AssertionError("the last attempt returns or raises")


def read_apart(session: Session) -> None:
    """Let each statement of a reading request be a transaction of its own, where nothing is lost by that.

    PostgreSQL's "read committed" gives two statements no common view anyway, and beginning and ending a
    transaction around one small query costs twice what the query does. SQLite's transactions do give one
    view, and cost nothing.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})


def touch(session: Session, facility_id: int) -> None:
    """Say that this transaction changes what a calendar of the facility may show."""
    session.info.setdefault(_TOUCHED, set()).add(facility_id)


def _count_changes(session: Session) -> None:
    """Last in the transaction and in order of id, so that the counter is held for as short as can be."""
    for facility_id in sorted(session.info.pop(_TOUCHED, ())):
        bump = (
            update(ChangeCounter)
            .where(ChangeCounter.facility_id == facility_id)
            .values(number=ChangeCounter.number + 1)
            .execution_options(synchronize_session=False)
        )
        if session.execute(bump).rowcount == 0:  # type: ignore[attr-defined]
            session.add(ChangeCounter(facility_id=facility_id, number=1))
            session.flush()


def constraint_of(error: DBAPIError) -> str:
    """The name of the guard or constraint that refused: PostgreSQL names it, SQLite says it in words."""
    diagnosis = getattr(error.orig, "diag", None)
    return getattr(diagnosis, "constraint_name", None) or str(error.orig)


def _is_race(error: DBAPIError) -> bool:
    if getattr(error.orig, "sqlstate", None) in (_DEADLOCK, _SERIALIZATION):
        return True
    return isinstance(error, IntegrityError) and any(name in constraint_of(error) for name in _RACES)


def _translated(error: DBAPIError) -> Exception:
    state = getattr(error.orig, "sqlstate", None)
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if state in (_DEADLOCK, _SERIALIZATION, _LOCK_TIMEOUT) or code in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    ):
        return StorageBusy()
    if state in _UNWRITABLE or code in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
    ):
        return StorageUnwritable()
    if _is_race(error):
        return Refused([Problem("taken_meanwhile", "start")])
    return error
