"""Connections, on the engines as they are prepared for use."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from labbook.models import engine as engines
from tests.databases import Databases


def backend(connection: object) -> int:
    return int(connection.scalar(text("SELECT pg_backend_pid()")))  # type: ignore[attr-defined]


def test_a_connection_that_died_while_idle_is_replaced_unnoticed(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_TRUSTED_FOR", 0.0)
    with databases.fresh("postgresql") as url:
        kept, other = (engines.prepare_engine(create_engine(url, pool_size=1)) for _ in range(2))
        with kept.connect() as connection:
            first = backend(connection)
        with other.connect() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": first})
        with kept.connect() as connection:
            assert backend(connection) != first
        for each in (kept, other):
            each.dispose()


def test_a_connection_used_a_moment_ago_is_not_asked_first(databases: Databases) -> None:
    with databases.fresh("postgresql") as url:
        kept, other = (engines.prepare_engine(create_engine(url, pool_size=1)) for _ in range(2))
        with kept.connect() as connection:
            first = backend(connection)
        with other.connect() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": first})
        with pytest.raises(OperationalError), kept.connect() as connection:
            backend(connection)
        with kept.connect() as connection:
            assert backend(connection) != first
        for each in (kept, other):
            each.dispose()
