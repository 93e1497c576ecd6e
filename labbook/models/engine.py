"""How connections behave, on either engine."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event

WRITE_OPTION = "labbook_write"
"""The execution option of a connection that is about to write."""

_BUSY_TIMEOUT_MS = 5000


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
    write = connection.get_execution_options().get(WRITE_OPTION)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _connect_postgresql(connection: Any, record: Any) -> None:
    before = connection.autocommit
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.execute("SET lock_timeout = '10s'")
    connection.autocommit = before
