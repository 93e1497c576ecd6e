"""A database that takes no writes is said to be so; and more of everything costs no more queries."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import Connection, event, text
from werkzeug.test import TestResponse

from labbook.extensions import db
from labbook.models import engine as engines
from tests.api.asking import START, Script, wish
from tests.cast import Cast

WEEK = "/calendar?from=2026-03-23T00:00:00Z&to=2026-03-30T00:00:00Z"


@pytest.fixture
def anna(app: Flask, app_cast: Cast) -> Script:
    found = Script(app, app_cast.anna)
    found.get("/me")  # from now on reading does not write when the token was used
    return found


@contextmanager
def each_transaction_says(statement: str) -> Iterator[None]:
    def say(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

    db.session.remove()
    event.listen(db.engine, "begin", say)
    try:
        yield
    finally:
        db.session.remove()
        event.remove(db.engine, "begin", say)


@contextmanager
def somebody_writes_without_end(url: str) -> Iterator[None]:
    if url.startswith("sqlite"):
        other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        yield
        other.close()
    else:
        with each_transaction_says("SET LOCAL lock_timeout = '50ms'"), db.engine.connect() as connection:
            connection.execute(text("LOCK TABLE equipment IN EXCLUSIVE MODE"))
            yield


def test_a_locked_database_is_503_and_nothing_is_made(
    anna: Script, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_BUSY_TIMEOUT_MS", 50)
    with somebody_writes_without_end(database_url):
        refused = anna.book()
        assert (refused.status_code, refused.content_type) == (503, "application/problem+json")
        assert refused.headers["Retry-After"] == "1"
        assert anna.ask("GET", WEEK).json == {"items": []}
    assert anna.book().status_code == 201


def test_a_read_only_database_is_503_and_still_read(anna: Script, database_url: str) -> None:
    one = anna.book().json["id"]
    sqlite = database_url.startswith("sqlite")
    with each_transaction_says("PRAGMA query_only = ON" if sqlite else "SET TRANSACTION READ ONLY"):
        assert anna.book("scope-2").status_code == 503
        assert anna.ask("PATCH", f"/reservations/{one}", {"title": "New"}, If_Match='"1"').status_code == 503
        refused = anna.ask("POST", f"/reservations/{one}/cancel")
        assert (refused.status_code, refused.content_type) == (503, "application/problem+json")
        assert anna.get(f"/reservations/{one}").json["status"] == "approved"


def statements(ask: Callable[[], TestResponse]) -> int:
    seen: list[str] = []

    def note(*given: object) -> None:
        seen.append(str(given[2]))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        assert ask().status_code == 200
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return len(seen)


def test_ten_times_as_much_costs_no_more_queries(app: Flask, app_cast: Cast, anna: Script) -> None:
    mia = Script(app, app_cast.mia)
    mia.get("/me")

    def book(hours: range) -> None:
        for n in hours:
            made = anna.book(
                "cycler", start=START + timedelta(hours=2 * n), participants=["bo@alpha.example"]
            )
            assert made.status_code == 201
            body = wish("chamber", start=START + timedelta(days=n, hours=4))
            body["equipment"] += [{"slug": "scope"}, {"slug": "source"}]
            assert anna.ask("POST", "/reservations", body).status_code == 201

    paths = (WEEK, "/reservations", "/equipment", "/facilities", "/environments", "/projects")
    book(range(1))
    before = {path: statements(lambda p=path: mia.ask("GET", p)) for path in paths}  # type: ignore[misc]
    book(range(1, 11))
    assert {path: statements(lambda p=path: mia.ask("GET", p)) for path in paths} == before  # type: ignore[misc]
    assert max(before.values()) <= 12
    assert before[WEEK] <= 6


NUL = "a\0b"


def test_a_null_character_in_an_address_is_404_and_in_any_field_422(app: Flask, anna: Script) -> None:
    for noun in ("reservations", "equipment", "facilities", "environments"):
        assert anna.ask("GET", f"/{noun}/%00").status_code == 404
    assert anna.ask("POST", "/reservations/%00/cancel", {}).status_code == 404
    one = anna.book(start=START + timedelta(days=1))
    etag = one.headers["ETag"]
    here = f"/reservations/{one.json['id']}"
    bodies = [{name: NUL} for name in ("environment", "project", "holder", "title", "notes", "reason")]
    bodies += [{"participants": [NUL]}, {"equipment": [{"slug": NUL}]}]
    for body in bodies:
        assert anna.ask("POST", "/reservations", wish() | body).status_code == 422
        if "environment" not in body:
            assert anna.ask("PATCH", here, body, If_Match=etag).status_code == 422
    assert anna.ask("POST", f"{here}/transfer", {"to": NUL}).status_code == 422
    assert anna.ask("GET", "/equipment?q=%00").status_code == 422
