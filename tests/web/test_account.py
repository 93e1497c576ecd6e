"""One's own account: secrets are shown once, and each can be revoked alone."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import update

from labbook.extensions import db
from labbook.models import Feed, User
from labbook.services import accounts, transaction
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


CHOICES = {"changes": "daily", "messages": "never", "calendar_by": "invitation"}


def checked(html: str) -> set[tuple[str, str]]:
    return set(re.findall(r'<input type="radio" name="(\w+)" value="(\w+)" checked', html))


def test_what_one_is_sent_is_chosen_topic_by_topic(app: Flask, app_cast: Cast) -> None:
    anna = Desk(app, app_cast.anna)
    before = checked(anna.get("/account").html)
    assert {value for name, value in before if name != "calendar_by"} == {"at_once"}
    assert ("calendar_by", "feed") in before
    assert anna.post("/account/mail", **CHOICES).status == 303
    after = checked(anna.get("/account").html)
    assert set(CHOICES.items()) <= after
    assert ("decisions", "at_once") in after
    assert len(after) == len(before)


def test_topics_of_staff_are_shown_to_staff(app: Flask, app_cast: Cast) -> None:
    shown = {
        who.name: {name for name, _ in checked(Desk(app, who).get("/account").html)}
        for who in (app_cast.anna, app_cast.tom, app_cast.mia)
    }
    assert not {"requests", "missed", "faults"} & shown["Anna"]
    assert {"missed", "faults"} <= shown["Tom"]
    assert {"requests", "missed", "faults"} <= shown["Mia"]


def test_a_choice_that_there_is_not_is_refused_and_the_rest_stays_chosen(app: Flask, app_cast: Cast) -> None:
    anna = Desk(app, app_cast.anna)
    page = anna.post("/account/mail", changes="hourly", messages="never", calendar_by="pigeon")
    assert page.status == 422
    assert page.html.count("field-problem") >= 2
    assert ("messages", "never") in checked(page.html)
    assert ("messages", "at_once") in checked(anna.get("/account").html)


def test_who_refuses_mail_is_told_so_and_so_are_the_managers(app: Flask, app_cast: Cast) -> None:
    refused = {"mail_refused_at": NOW, "mail_refusal": "550 5.1.1 <no> such user"}

    def work() -> None:
        db.session.execute(update(User).where(User.id == app_cast.anna.id).values(refused))

    transaction.write(db.session(), work)
    anna, mia = Desk(app, app_cast.anna), Desk(app, app_cast.mia)
    for path in ("/", "/account"):
        page = anna.get(path)
        assert "Your mail server refused what Labbook sent you." in page.text
        assert "550 5.1.1 &lt;no&gt; such user" in page.html
        assert app_cast.anna.email in page.text
    assert "mail refused" in mia.get("/manage/users", q="anna").text
    assert "550 5.1.1" in mia.get(f"/manage/users/{app_cast.anna.id}").text
    for path in ("/", "/account", "/manage/users"):
        assert "550" not in mia.get(path).text
    assert "mail refused" not in mia.get("/manage/users", q="carla").text
