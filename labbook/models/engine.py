"""How connections behave, on either engine."""

from __future__ import annotations

import random
import sqlite3
import time
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DisconnectionError, OperationalError

WRITE_OPTION = "labbook_write"
"""The execution option of a connection that is about to write."""

_BUSY_TIMEOUT_MS = 5000
_LAST_USE = "labbook_last_use"
_TRUSTED_FOR = 2.0
"""Seconds for which a connection counts as alive after its last use."""

_LOOK_AGAIN = (0.001, 0.006)


def prepare_engine(engine: Engine) -> Engine:
    """Install the connection settings that the rest relies on; call once per engine.

    SQLite: the driver's own transaction handling is off (``isolation_level=None``) and every transaction
    begins explicitly, with ``BEGIN IMMEDIATE`` where it may write: two writers that both read first would
    otherwise lose one of the updates or fail with "database is locked" half-way.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _connect_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _connect_postgresql)
        event.listen(engine, "checkin", _note_last_use)
        event.listen(engine, "checkout", _ping_when_idle)
    return engine


def _connect_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get(WRITE_OPTION):
        _begin_writing(connection)
    else:
        driver: Any = connection.connection.driver_connection
        driver.execute("BEGIN")


def _begin_writing(connection: Connection) -> None:
    """Wait for the write lock in short, uneven steps.

    SQLite's own waiting sleeps for up to 0.1 s at a time: with many writers whoever has waited longest
    looks least often, and the last of sixteen waits a second for locks that are held for milliseconds.
    """
    deadline = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise OperationalError("BEGIN IMMEDIATE", None, error) from error
                time.sleep(random.uniform(*_LOOK_AGAIN))  # noqa: S311 - no secret
            else:
                return
    finally:
        driver.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")


def _note_last_use(connection: Any, record: Any) -> None:
    record.info[_LAST_USE] = time.monotonic()


def _ping_when_idle(connection: Any, record: Any, proxy: Any) -> None:
    """A connection that was used a moment ago is there; one that lay idle may have lost its server.

    SQLAlchemy's own ping goes before every use, which is a round trip more for each request.
    """
    if time.monotonic() - record.info.get(_LAST_USE, float("-inf")) < _TRUSTED_FOR:
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error as error:
        raise DisconnectionError from error


def _connect_postgresql(connection: Any, record: Any) -> None:
    before = connection.autocommit
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.execute("SET lock_timeout = '10s'")
    connection.autocommit = before
