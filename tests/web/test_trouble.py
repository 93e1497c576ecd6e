"""Errors in words: nothing that was typed is lost, whatever the database is unable to do."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Connection, event, text
from werkzeug.routing import AnyConverter, Rule

from labbook.app import BODY_LIMIT, create_app
from labbook.extensions import db
from labbook.models import engine as engines
from tests.cast import Cast
from tests.databases import settings_for
from tests.signing import Client, client_of
from tests.web.people import Desk, Page

PROJECT = {"slug": "chokes", "name": "Better <chokes>", "organisation": "alpha", "activity": "research"}
PERSON = {
    "email": "nils@university.example",
    "name": "Nils",
    "organisation": "university",
    "role": "engineer",
}


def typed_everywhere(mia: Desk) -> list[tuple[Page, str, str]]:
    """Each form sent, with a field of it and what was typed there."""
    return [
        (mia.post("/projects", **PROJECT), "name", PROJECT["name"]),
        (mia.post("/manage/users", **PERSON), "email", PERSON["email"]),
        (mia.post("/account/profile", name="Mia Maria", locale="da"), "name", "Mia Maria"),
        (mia.post("/account/feeds", feed_scope="mine", feed_name="phone"), "feed_name", "phone"),
        (mia.post("/account/tokens", token_name="bench"), "token_name", "bench"),
        (mia.post("/forgotten", email="bo@alpha.example"), "email", "bo@alpha.example"),
    ]


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
        with each_transaction_says("SET LOCAL lock_timeout = '50ms'"), db.engine.connect() as other:
            other.execute(text("LOCK TABLE users, organisations IN EXCLUSIVE MODE"))
            yield


def test_a_locked_database_is_503_with_what_was_typed_kept(
    app: Flask, app_cast: Cast, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_BUSY_TIMEOUT_MS", 50)
    mia = Desk(app, app_cast.mia)
    with somebody_writes_without_end(database_url):
        for page, field, value in typed_everywhere(mia):
            assert page.status == 503, (field, page.text)
            assert "Nothing was saved: the database is busy." in page.text
            assert page.value(field) == value
    assert mia.post("/projects", **PROJECT).status == 303


def test_a_read_only_database_is_503_with_what_was_typed_kept(
    app: Flask, app_cast: Cast, database_url: str
) -> None:
    mia = Desk(app, app_cast.mia)
    sqlite = database_url.startswith("sqlite")
    with each_transaction_says("PRAGMA query_only = ON" if sqlite else "SET TRANSACTION READ ONLY"):
        for page, field, value in typed_everywhere(mia):
            assert page.status == 503, (field, page.text)
            assert "the server's disk is full or read-only" in page.text
            assert page.value(field) == value
        assert mia.get("/account").status == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_that_cannot_be_written_is_still_read(
    app: Flask, app_cast: Cast, database_url: str, tmp_path: Path
) -> None:
    db.session.remove()
    path = database_url.removeprefix("sqlite:///")
    read_only = create_app(settings_for(f"sqlite:///file:{path}?mode=ro&uri=true", tmp_path / "other"))
    read_only.test_client_class = Client
    with read_only.app_context():
        mia = Desk(read_only, app_cast.mia)
        page = mia.post("/projects", **PROJECT)
        assert (page.status, page.value("name")) == (503, PROJECT["name"])
        assert "the server's disk is full or read-only" in page.text
        db.session.remove()
        db.engine.dispose()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_any_database_what_was_typed_can_be_sent_once_more(
    app: Flask, app_cast: Cast, tmp_path: Path
) -> None:
    gone = create_app(settings_for(f"sqlite:///{tmp_path}/no/such.sqlite3", tmp_path / "other"))
    gone.test_client_class = Client
    client = client_of(gone, app_cast.mia)
    assert client.get("/projects").status_code == 503
    answer = client.post("/account/password", data={"name": "Better <chokes>", "present": "secret words"})
    page = Page(answer)
    assert (page.status, page.value("name")) == (503, "Better <chokes>")
    assert "secret words" not in page.html
    assert "Send once more" in page.text
    assert client.get("/sign-in").status_code == 503


def test_more_than_a_mebibyte_is_413_in_words(app: Flask, app_cast: Cast) -> None:
    page = Desk(app, app_cast.mia).post("/projects", name="x" * (BODY_LIMIT + 1))
    assert (page.status, "larger than 1 MiB" in page.text) == (413, True)


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/account/tokens", 405), ("/%00", 404)])
def test_an_address_that_leads_nowhere_says_where_to_go(
    app: Flask, app_cast: Cast, path: str, status: int
) -> None:
    page = Desk(app, app_cast.anna).get(path)
    assert page.status == status
    assert re.search(r'href="/"[^>]*>Home', page.html)


def one_of_each(rule: Rule) -> dict[str, str]:
    """A word for each part of an address that is one of several."""
    parts = rule._converters.items()
    return {name: min(part.items) for name, part in parts if isinstance(part, AnyConverter)}


def test_every_form_needs_its_token(app: Flask, app_cast: Cast) -> None:
    """From the map of addresses, so that a new one is held to it too."""
    mia = Desk(app, app_cast.mia)
    mia.token = "made up"
    adapter = app.url_map.bind("")
    values = {"slug": "joint", "user_id": app_cast.bo.id, "kind": "hv", "token": "x", "purpose": "reset"}
    values |= {"closure_id": 1, "token_id": 1, "feed_id": 1, "public_id": "0" * 12, "minutes": 30}
    values |= {"device_id": 1, "deputy_id": 1, "delivery_id": 1, "row_id": 1}
    values |= {"visit": "0" * 12}
    sent = {}
    for rule in app.url_map.iter_rules():
        if "POST" not in (rule.methods or ()) or rule.endpoint.startswith("api."):
            continue
        given = {k: (values | one_of_each(rule))[k] for k in rule.arguments}
        path = adapter.build(rule.endpoint, given, method="POST")
        sent[path] = mia.post(path, **PROJECT).status
    assert len(sent) > 25
    assert {path.split("/")[1] for path in sent} >= {"book", "reservations", "account", "manage"}
    assert set(sent.values()) <= {400, 404}, sent
    assert mia.get("/account").status == 200


FIELDS = """
email password name slug organisation role title notes equipment facility category q feed_scope scope kind
holder participants project activity environment reason text to present again next kept typist start_date
start_time end_date end_time valid_until once places locale id starts_at
"""


def test_a_null_character_in_any_field_of_any_form_or_query_breaks_nothing(
    app: Flask, app_cast: Cast
) -> None:
    ada = Desk(app, app_cast.ada)
    values = {"slug": "joint", "user_id": 10**6, "kind": "hv", "token": "x", "purpose": "reset"}
    values |= {"step": "deactivate", "closure_id": 1, "token_id": 1, "feed_id": 1, "public_id": "x"}
    values |= {"device_id": 1, "deputy_id": 1, "delivery_id": 1, "row_id": 1}
    adapter = app.url_map.bind("")
    asked = {}
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(("api", "static", "feeds", "sign_in.sign_out")):
            continue
        for method in {"GET", "POST"} & (rule.methods or set()):
            known = {k: values.get(k, "x") for k in rule.arguments} | one_of_each(rule)
            path = adapter.build(rule.endpoint, known, method=method)
            typed = dict.fromkeys(FIELDS.split(), "a\0b")
            answer = ada.get(path, **typed) if method == "GET" else ada.post(path, **typed)
            asked[method, path] = answer.status
    assert len(asked) > 50
    assert {key: status for key, status in asked.items() if status >= 500} == {}


def test_a_number_that_no_row_can_have_is_nobodys_address(app: Flask, app_cast: Cast) -> None:
    ada = Desk(app, app_cast.ada)
    for path in ("/account/tokens/{}/revoke", "/manage/users/{}/invite", "/manage/closures/{}/remove"):
        for number in (2**63 - 1, 2**63, 10**30):
            assert ada.post(path.format(number)).status == 404
    assert ada.get(f"/manage/users/{2**63}").status == 404


@pytest.mark.parametrize(
    "instant", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "0001-01-01 00:00", "x"]
)
def test_an_instant_beyond_all_calendars_is_not_prefilled(app: Flask, app_cast: Cast, instant: str) -> None:
    anna = Desk(app, app_cast.anna)
    for name in ("start", "end"):
        assert anna.get("/book", **{name: instant}).status == 200


def test_the_same_form_sent_twice_makes_one(app: Flask, app_cast: Cast) -> None:
    mia = Desk(app, app_cast.mia)
    assert mia.post("/projects", **PROJECT).status == 303
    again = mia.post("/projects", **PROJECT)
    assert (again.status, again.value("name")) == (422, PROJECT["name"])
    ada = Desk(app, app_cast.ada)
    assert ada.post("/projects/joint/members", email="bo@alpha.example").status == 303
    assert ada.post("/projects/joint/members", email="bo@alpha.example").status in (303, 422)
    assert ada.get("/projects/joint").html.count(f"/members/{app_cast.bo.id}/remove") == 1
