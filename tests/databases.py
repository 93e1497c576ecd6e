"""Real databases for tests: migrated and empty, of each engine, for every test that asks for one."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask_migrate
from sqlalchemy import Engine, create_engine

from labbook.app import create_app
from labbook.config import Settings
from labbook.models.engine import prepare_engine
from tests.postgresql import PostgreSQL

ENGINES = ("sqlite", "postgresql")


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
    """Hands out empty, migrated databases. One that is given back serves again under its address.

    ``durable``: as in production, for measuring; else as fast as can be.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder = folder
        self.durable = durable
        self._template: Path | None = None
        self._free: list[Path] = []
        self._postgresql: PostgreSQL | None = None
        self._engines: dict[tuple[str, str], Engine] = {}

    @contextlib.contextmanager
    def fresh(self, engine: str) -> Iterator[str]:
        """The URL of a database that nobody else uses."""
        with self._sqlite() if engine == "sqlite" else self._at_postgresql().fresh() as url:
            yield url

    @contextlib.contextmanager
    def engine(self, url: str, **options: Any) -> Iterator[Engine]:
        """Prepared as in production, and with what it compiled for earlier tests at this address.

        Whoever listens to it listens to it alone, and not beyond the end.
        """
        key = url, repr(sorted(options.items()))
        if key not in self._engines:
            self._engines[key] = prepare_engine(create_engine(url, **options))
        found = self._engines[key].execution_options()
        try:
            yield found
        finally:
            found.dispose()

    def close(self) -> None:
        if self._postgresql is not None:
            self._postgresql.close()

    @contextlib.contextmanager
    def _sqlite(self) -> Iterator[str]:
        if self._template is None:
            template = self.folder / "template.sqlite3"
            migrate(f"sqlite:///{template}", self.folder / "instance")
            self._template = template
        path = self._free.pop() if self._free else self.folder / f"{secrets.token_hex(6)}.sqlite3"
        shutil.copyfile(self._template, path)
        try:
            yield f"sqlite:///{path}"
        finally:
            for file in path.parent.glob(f"{path.name}*"):
                file.unlink()  # whoever still has it open keeps that, and the next is another
            self._free.append(path)

    def _at_postgresql(self) -> PostgreSQL:
        if self._postgresql is None:
            instance = self.folder / "instance"
            self._postgresql = PostgreSQL(lambda url: migrate(url, instance), durable=self.durable)
        return self._postgresql
