"""One's own account: secrets are shown once, and each can be revoked alone."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from labbook.extensions import db
from labbook.models import Feed
from labbook.services import accounts
from tests.cast import NOW, Cast
from tests.web.people import Clock, Desk


@pytest.fixture(autouse=True)
def clock(app: Flask) -> Clock:
    return Clock(app)


def codes(html: str) -> list[str]:
    return re.findall(r'<code class="code"[^>]*>([^<]+)</code>', html)


def test_a_feed_address_is_shown_once_reads_and_can_be_revoked(app: Flask, app_cast: Cast) -> None:
    anna = Desk(app, app_cast.anna)
    made = anna.post("/account/feeds", feed_scope="mine", feed_name="Phone")
    (address,) = codes(made.html)
    path = "/feeds/" + address.rpartition("/")[2]
    assert codes(anna.get("/account").html) == []
    assert "Phone" in anna.get("/account").text
    assert app.test_client().get(path).status_code == 200
    feed = db.session.query(Feed).one()
    db.session.rollback()
    assert anna.post(f"/account/feeds/{feed.id}/revoke").status == 303
    assert app.test_client().get(path).status_code == 404


def test_nobody_revokes_what_is_somebody_elses(app: Flask, app_cast: Cast) -> None:
    made = Desk(app, app_cast.anna).post("/account/feeds", feed_scope="mine")
    (address,) = codes(made.html)
    feed = db.session.query(Feed).one()
    db.session.rollback()
    assert Desk(app, app_cast.carla).post(f"/account/feeds/{feed.id}/revoke").status == 404
    assert app.test_client().get("/feeds/" + address.rpartition("/")[2]).status_code == 200


def test_a_subscription_to_somebody_elses_project_is_refused_as_if_there_were_none(
    app: Flask, app_cast: Cast
) -> None:
    carla = Desk(app, app_cast.carla)
    real = carla.post("/account/feeds", feed_scope="project:joint")
    made_up = carla.post("/account/feeds", feed_scope="project:never-was")
    assert real.status == made_up.status == 422
    assert real.text.replace("joint", "X") == made_up.text.replace("never-was", "X")


def test_a_token_is_shown_once_and_its_name_stays(app: Flask, app_cast: Cast) -> None:
    anna = Desk(app, app_cast.anna)
    made = anna.post("/account/tokens", token_name="Rig script", scope="read")
    (secret,) = codes(made.html)
    assert secret.startswith("lb_")
    page = anna.get("/account")
    assert secret not in page.html
    assert "Rig script reads only" in page.text


def test_what_was_typed_for_a_token_stays_when_it_is_refused(app: Flask, app_cast: Cast) -> None:
    page = Desk(app, app_cast.anna).post("/account/tokens", token_name="Old script", expires="2020-01-01")
    assert page.status == 422
    assert page.value("expires") == "2020-01-01"
    assert "Old script" in page.html
    assert "field-problem" in page.html


def test_a_new_password_needs_the_present_one_and_ends_other_sessions(app: Flask, app_cast: Cast) -> None:
    link = accounts.invitation_link(db.session(), app_cast.anna.email, now=NOW).rpartition("/")[2]
    accounts.redeem(db.session(), "invitation", link, "correct horse battery", now=NOW)
    here, elsewhere = Desk(app, app_cast.anna), Desk(app, app_cast.anna)
    new = {"password": "a quite new phrase", "again": "a quite new phrase"}
    assert here.post("/account/password", present="wrong", **new).status == 422
    assert here.post("/account/password", present="correct horse battery", **new).status == 303
    assert here.get("/account").status == 200
    assert elsewhere.get("/account").status == 302


def test_the_profile_keeps_a_name_and_a_language(app: Flask, app_cast: Cast) -> None:
    anna = Desk(app, app_cast.anna)
    assert anna.post("/account/profile", name="  Anna K. Holm ", locale="da").status == 303
    page = anna.get("/account")
    assert page.value("name") == "Anna K. Holm"
    assert page.value("locale") == "da"
    refused = anna.post("/account/profile", name="", locale="xx")
    assert refused.status == 422
