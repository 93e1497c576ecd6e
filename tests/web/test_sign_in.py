"""Signing in and out, links by mail, and forms whose session has ended."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from labbook.domain.access import Viewer
from labbook.extensions import db
from labbook.models import OutboxMessage, Reservation
from labbook.services import accounts, users
from labbook.services.users import CreateUser
from tests.cast import NOW, Cast
from tests.signing import client_of, form_token
from tests.web.people import Clock, Page

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def clock(app: Flask) -> Clock:
    return Clock(app)


def with_password(viewer: Viewer) -> str:
    """The address of somebody who can sign in."""
    token = accounts.invitation_link(db.session(), viewer.email, now=NOW).rpartition("/")[2]
    accounts.redeem(db.session(), "invitation", token, PASSWORD, now=NOW)
    return viewer.email


def token_of(client: FlaskClient, path: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).get_data(as_text=True))
    assert found
    return found[1]


def enter(client: FlaskClient, email: str, password: str = PASSWORD, **more: str) -> Page:
    form = {"csrf_token": token_of(client, "/sign-in"), "email": email, "password": password, **more}
    return Page(client.post("/sign-in", data=form))


def test_somebody_signed_out_is_sent_to_sign_in_and_back_to_where_they_wanted(
    app: Flask, app_cast: Cast
) -> None:
    client = app.test_client()
    answer = client.get("/calendar?view=day")
    assert answer.status_code == 302
    assert answer.location == "/sign-in?next=/calendar?view%3Dday"
    page = enter(client, with_password(app_cast.anna), next="/calendar?view=day")
    assert (page.status, page.location) == (302, "/calendar?view=day")
    assert client.get("/calendar").status_code == 200


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(app: Flask, app_cast: Cast) -> None:
    email = with_password(app_cast.anna)
    wrong = enter(app.test_client(), email, "something else")
    unknown = enter(app.test_client(), "nobody@alpha.example", "something else")
    assert wrong.status == unknown.status == 422
    assert wrong.text == unknown.text
    assert wrong.value("email") == email


def test_trying_passwords_is_slowed_down(app: Flask, app_cast: Cast) -> None:
    client = app.test_client()
    statuses = [enter(client, app_cast.bo.email, f"guess {n}").status for n in range(12)]
    assert statuses[-1] == 429


@pytest.mark.parametrize(
    "target", ["//evil.example/", "https://evil.example", "/\\evil.example", "javascript:x"]
)
def test_signing_in_leads_nowhere_else(app: Flask, app_cast: Cast, target: str) -> None:
    assert enter(app.test_client(), with_password(app_cast.anna), next=target).location == "/"


def test_signing_out_ends_the_session(app: Flask, app_cast: Cast) -> None:
    client = client_of(app, app_cast.anna)
    assert client.post("/sign-out", data={"csrf_token": form_token(app)}).status_code == 302
    assert client.get("/account").status_code == 302


def test_signing_out_ends_being_remembered_too(app: Flask, app_cast: Cast) -> None:
    client = app.test_client()
    enter(client, with_password(app_cast.anna), remember="1")
    assert client.get_cookie("remember_token") is not None
    token = token_of(client, "/account")
    assert client.post("/sign-out", data={"csrf_token": token}).status_code == 302
    assert client.get("/account").location == "/sign-in?next=/account"


def test_an_invitation_is_taken_up_by_its_link(app: Flask, app_cast: Cast) -> None:
    users.create(db.session(), CreateUser("eva@alpha.example", "Eva", "alpha"), actor=app_cast.ada, now=NOW)
    payload = db.session.scalars(
        select(OutboxMessage.payload).where(OutboxMessage.kind == "invitation")
    ).all()[-1]
    client, path = app.test_client(), payload["path"]
    assert "Welcome, Eva" in Page(client.get(path)).text
    short = {"csrf_token": token_of(client, path), "password": "short", "again": "short"}
    refused = Page(client.post(path, data=short))
    assert refused.status == 422
    assert "10" in refused.text
    differ = {"csrf_token": token_of(client, path), "password": PASSWORD, "again": PASSWORD + "!"}
    assert client.post(path, data=differ).status_code == 422
    taken = {"csrf_token": token_of(client, path), "password": PASSWORD, "again": PASSWORD}
    assert client.post(path, data=taken).status_code == 302
    assert client.get("/account").status_code == 200
    assert app.test_client().get(path).status_code == 404


def test_asking_for_a_new_password_says_the_same_of_everybody_and_mails_only_who_exists(
    app: Flask, app_cast: Cast
) -> None:
    email = with_password(app_cast.anna)
    texts = []
    for address in (email, "nobody@nowhere.example"):
        client = app.test_client()
        form = {"csrf_token": token_of(client, "/forgotten"), "email": address}
        texts.append(Page(client.post("/forgotten", data=form)).text)
    assert texts[0] == texts[1]
    db.session.rollback()
    resets = db.session.scalars(select(OutboxMessage).where(OutboxMessage.kind == "password_reset")).all()
    assert len(resets) == 1


def test_a_form_posted_after_the_session_ended_comes_back_filled_in_and_is_not_carried_out(
    app: Flask, app_cast: Cast
) -> None:
    email = with_password(app_cast.anna)
    client = app.test_client()
    form = {"equipment": "scope", "title": "Typed for half an hour", "notes": "Line one\nLine <two>"}
    ended = client.post("/book", data=form)
    assert ended.status_code == 401
    html = ended.get_data(as_text=True)
    kept = re.search(r'name="kept" value="([^"]+)"', html)
    assert kept
    assert "nothing of it is lost" in html
    page = enter(client, email, kept=unescape(kept[1]))
    assert page.status == 200
    assert page.value("title") == "Typed for half an hour"
    assert page.value("notes") == "Line one\nLine <two>"
    assert db.session.scalars(select(Reservation)).all() == []


def test_a_kept_form_comes_back_to_whoever_typed_it_and_to_nobody_else(app: Flask, app_cast: Cast) -> None:
    typing = Page(client_of(app, app_cast.bo).get("/book"))
    form = {"typist": typing.value("typist"), "title": "Bo's secret", "equipment": "scope"}
    html = app.test_client().post("/book", data=form).get_data(as_text=True)
    kept = re.search(r'name="kept" value="([^"]+)"', html)
    assert kept
    shown = enter(app.test_client(), with_password(app_cast.carla), kept=unescape(kept[1]))
    assert shown.status == 302
    own = enter(app.test_client(), with_password(app_cast.bo), kept=unescape(kept[1]))
    assert own.value("title") == "Bo's secret"


def test_a_forged_kept_form_is_thrown_away(app: Flask, app_cast: Cast) -> None:
    page = enter(app.test_client(), with_password(app_cast.anna), kept="forged.by.somebody")
    assert (page.status, page.location) == (302, "/")


def test_a_form_without_its_token_is_shown_again_and_not_carried_out(app: Flask, app_cast: Cast) -> None:
    page = Page(client_of(app, app_cast.anna).post("/account/profile", data={"name": "Evil", "locale": "en"}))
    assert page.status == 400
    assert "once more" in page.text
    assert app_cast.anna.name in Page(client_of(app, app_cast.anna).get("/account")).html
