"""The addresses over HTTP: bytes, tags, what is unknown, and what a log may say."""

from __future__ import annotations

import gzip
import io
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from icalendar import Calendar
from sqlalchemy import event

from labbook import logs
from labbook.extensions import db, limiter
from labbook.services import feeds
from labbook.services.commands import Decide
from labbook.services.decisions import cancel
from tests.cast import NOW, Cast
from tests.feeds.booking import address, book


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(NOW, tick=False) as coordinates:
        yield coordinates


@pytest.fixture(autouse=True)
def _fresh_limits(app: Flask) -> None:
    limiter.reset()


@pytest.fixture
def cast(app_cast: Cast) -> Cast:
    return app_cast


def test_a_feed_is_a_calendar_in_utf_8(client: FlaskClient, cast: Cast) -> None:
    book(cast.anna, "Überspannung", "scope")
    answer = client.get(address(cast.anna, "mine"))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert "SUMMARY:Überspannung\r\n" in answer.get_data().decode("utf-8")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Set-Cookie" not in answer.headers


def test_a_competitor_gets_a_busy_block(client: FlaskClient, cast: Cast) -> None:
    book(cast.anna, "Hush", "scope")
    body = client.get(address(cast.carla, "equipment:scope")).get_data()
    assert b"Hush" not in body
    assert b"SUMMARY:Busy: Scope\r\n" in body


def test_an_unchanged_feed_answers_304_without_a_body_from_one_query(client: FlaskClient, cast: Cast) -> None:
    book(cast.anna, "Steady", "scope")
    path = address(cast.anna, "mine")
    first = client.get(path)
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    second = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (second.status_code, second.get_data()) == (304, b"")
    assert second.headers["ETag"] == first.headers["ETag"]
    assert not first.headers["ETag"].startswith("W/")
    assert len([s for s in statements if "SELECT" in s]) == 1


def test_a_client_that_only_knows_the_date_gets_304_too(client: FlaskClient, cast: Cast) -> None:
    path = address(cast.anna, "mine")
    modified = client.get(path).headers["Last-Modified"]
    assert client.get(path, headers={"If-Modified-Since": modified}).status_code == 304


def test_what_changes_within_the_second_is_not_hidden_by_the_date(client: FlaskClient, cast: Cast) -> None:
    path = address(cast.anna, "mine")
    modified = client.get(path).headers["Last-Modified"]
    book(cast.anna, "New", "scope")
    assert client.get(path, headers={"If-Modified-Since": modified}).status_code == 200


def test_the_tag_outranks_the_date(client: FlaskClient, cast: Cast) -> None:
    path = address(cast.anna, "mine")
    modified = client.get(path).headers["Last-Modified"]
    headers = {"If-None-Match": '"other"', "If-Modified-Since": modified}
    assert client.get(path, headers=headers).status_code == 200


def test_a_change_gives_a_new_tag_and_a_new_body(client: FlaskClient, cast: Cast) -> None:
    booked = book(cast.anna, "Goes", "scope")
    path = address(cast.anna, "mine")
    before = client.get(path)
    cancel(db.session(), Decide(booked), actor=cast.anna, now=NOW)
    after = client.get(path, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert b"STATUS:CANCELLED" in after.get_data()


def test_what_a_competitor_may_not_see_changes_neither_body_nor_tag_nor_date(
    client: FlaskClient, cast: Cast, clock: time_machine.Coordinates
) -> None:
    path = address(cast.carla, "facility:cie")
    before = client.get(path)
    clock.shift(timedelta(minutes=3))
    cancel(db.session(), Decide(book(cast.anna, "Brief", "scope")), actor=cast.anna, now=NOW)
    after = client.get(path)
    for same in ("ETag", "Last-Modified", "Content-Length"):
        assert after.headers[same] == before.headers[same]
    assert after.get_data() == before.get_data()


def test_head_answers_as_get_does_without_the_body(client: FlaskClient, cast: Cast) -> None:
    path = address(cast.anna, "mine")
    get, head = client.get(path), client.head(path)
    assert (head.status_code, head.get_data()) == (200, b"")
    for same in ("ETag", "Last-Modified", "Content-Length", "Content-Type"):
        assert head.headers[same] == get.headers[same]


def test_gzip_is_a_representation_with_a_tag_of_its_own(client: FlaskClient, cast: Cast) -> None:
    book(cast.anna, "Zip", "scope")
    path = address(cast.anna, "mine")
    plain, packed = client.get(path), client.get(path, headers={"Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.get_data()) == plain.get_data()
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert "Accept-Encoding" in plain.vary
    assert "Accept-Encoding" in packed.vary
    again = {"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]}
    assert client.get(path, headers=again).status_code == 304
    crossed = {"If-None-Match": packed.headers["ETag"]}
    assert client.get(path, headers=crossed).status_code == 200


def test_gzip_is_not_forced_on_who_refuses_it(client: FlaskClient, cast: Cast) -> None:
    answer = client.get(address(cast.anna, "mine"), headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert "Content-Encoding" not in answer.headers


def test_a_revoked_address_is_unknown_at_once_even_to_who_has_its_tag(
    client: FlaskClient, cast: Cast
) -> None:
    path = address(cast.anna, "mine")
    tag = client.get(path).headers["ETag"]
    feeds.revoke(db.session(), feeds.list_own(db.session(), viewer=cast.anna)[0].id, actor=cast.anna, now=NOW)
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 404
    assert client.head(path).status_code == 404


def test_guessing_is_slowed_down_and_known_addresses_are_served_on(client: FlaskClient, cast: Cast) -> None:
    path = address(cast.anna, "mine")
    answers = [client.get(f"/feeds/guess{n}.ics").status_code for n in range(35)]
    assert set(answers[:30]) == {404}
    assert set(answers[30:]) == {429}
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_feed_is_only_read(client: FlaskClient, cast: Cast, method: str) -> None:
    assert getattr(client, method)(address(cast.anna, "mine")).status_code in (400, 405)


def test_a_manager_and_the_holder_see_an_approval_arrive(client: FlaskClient, cast: Cast) -> None:
    book(cast.anna, "Please", "chamber", start="2026-03-25 10:00", end="2026-03-26 12:00")
    for path in (address(cast.mia, "approvals"), address(cast.anna, "mine")):
        shown = Calendar.from_ical(client.get(path).get_data()).walk("VEVENT")
        assert [(str(e["summary"]), str(e["status"])) for e in shown] == [
            ("Set-up: Please", "TENTATIVE"), ("Please", "TENTATIVE"), ("Tear-down: Please", "TENTATIVE"),
        ]  # fmt: skip


@pytest.fixture
def written(app: Flask) -> Iterator[Callable[[], str]]:
    """What the app's own log and the servers' loggers have written, as where the app really runs."""
    stream = io.StringIO()
    own = logging.getLogger("labbook")
    before = (own.handlers[:], own.level, own.propagate)
    own.handlers.clear()
    logs.install(app)
    handlers = [(own.handlers[0], own)]
    own.handlers[0].setStream(stream)  # type: ignore[attr-defined]
    for name in ("werkzeug", "waitress", "gunicorn.access"):
        handlers.append((logging.StreamHandler(stream), logging.getLogger(name)))
        logging.getLogger(name).addHandler(handlers[-1][0])
    yield stream.getvalue
    for handler, logger in handlers:
        logger.removeHandler(handler)
    own.handlers, own.level, own.propagate = before


def test_logs_never_hold_an_address(
    app: Flask, client: FlaskClient, cast: Cast, written: Callable[[], str]
) -> None:
    path = address(cast.anna, "mine")
    client.get(path)
    app.logger.error("Exception on %s [%s]", path, "GET")
    for name in ("werkzeug", "waitress", "gunicorn.access"):
        logging.getLogger(name).warning('"GET %s HTTP/1.1" 200', path)
    assert written().count("/feeds/***") == 5
    assert path.split("/")[-1].removesuffix(".ics") not in written()
