"""A manager sees what an outage touches and moves it in one step."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask import Flask
from sqlalchemy import select

from labbook.extensions import db
from labbook.models import Reservation
from tests.api.asking import Script
from tests.cast import Cast
from tests.web.people import Clock, Desk, Page


@pytest.fixture
def clock(app: Flask) -> Clock:
    return Clock(app)


@pytest.fixture
def mia(app: Flask, app_cast: Cast, clock: Clock) -> Desk:
    return Desk(app, app_cast.mia)


@pytest.fixture
def booked(app: Flask, app_cast: Cast, clock: Clock) -> str:
    made = Script(app, app_cast.anna).book("scope")
    assert made.status_code == 201
    found: str = made.json["id"]
    return found


OUTAGE = {"equipment": "scope", "since_date": "", "until_date": "2026-03-26", "until_time": "08:00"}


def choices(page: Page) -> list[str]:
    found = re.findall(r'type="radio" name="choice-[0-9a-f]+" value="([^"]*)"', page.html)
    return [unescape(each) for each in found]


def test_what_is_touched_is_shown_with_what_could_replace_it(mia: Desk, booked: str) -> None:
    page = mia.post("/manage/swap", look="1", **OUTAGE)
    assert page.status == 200
    for words in ("Double pulse", "Anna, Alpha", "at the same time with Scope 2", "cancel it", "leave it"):
        assert words in page.text


def test_one_step_moves_it_and_says_so(mia: Desk, booked: str) -> None:
    first, *_others = choices(mia.post("/manage/swap", look="1", **OUTAGE))
    sent = OUTAGE | {f"choice-{booked}": first, f"revision-{booked}": "1", "reason": "Its probe burnt"}
    done = mia.post("/manage/swap", **sent)
    assert done.status == 303, done.text
    assert "1 reservation was moved." in mia.get(done.location).text
    row = db.session.scalars(select(Reservation)).one()
    assert [piece.equipment.slug for piece in row.pieces] == ["scope-2"]


def test_what_is_missing_is_said_and_the_choices_are_kept(mia: Desk, booked: str) -> None:
    sent = OUTAGE | {f"choice-{booked}": "cancel", f"revision-{booked}": "1", "reason": ""}
    page = mia.post("/manage/swap", **sent)
    assert page.status == 422
    assert "Please give a reason." in page.text
    assert re.search(r'value="cancel" checked', page.html)


def test_somebody_who_changed_it_meanwhile_is_not_overrun(mia: Desk, booked: str) -> None:
    sent = OUTAGE | {f"choice-{booked}": "cancel", f"revision-{booked}": "7", "reason": "Why"}
    assert mia.post("/manage/swap", **sent).status == 412


def test_malformed_choices_change_nothing(mia: Desk, booked: str) -> None:
    for value, revision in (("x|y", "1"), ("cancel", "one"), ("\0", "1")):
        sent = OUTAGE | {f"choice-{booked}": value, f"revision-{booked}": revision, "reason": "Why"}
        assert mia.post("/manage/swap", **sent).status == 422
    nothing = {"look": "1", "equipment": "nothing", "until_date": "2026-03-26"}
    assert mia.post("/manage/swap", **nothing, until_time="25").status == 200
    assert mia.post("/manage/swap", **nothing).status == 404


def test_it_is_for_managers(app: Flask, app_cast: Cast, mia: Desk, booked: str) -> None:
    for who in (app_cast.anna, app_cast.carla, app_cast.tom):
        desk = Desk(app, who)
        assert desk.get("/manage/swap").status == 403
        assert desk.post("/manage/swap", look="1", **OUTAGE).status == 403


def test_links_lead_there_from_the_reservation_and_from_the_fault(mia: Desk, booked: str) -> None:
    page = mia.get(f"/reservations/{booked}")
    assert f"/manage/swap?reservation={booked}" in page.html
    asked = mia.get("/manage/swap", reservation=booked)
    assert asked.status == 200
    assert "A test takes longer" in asked.text
    slip = {"reservation": booked, "until_date": "2026-03-24", "until_time": "14:00"}
    assert "Nothing is booked on it then." in mia.post("/manage/swap", look="1", **slip).text


def test_until_when_is_suggested_on_the_hour_and_a_day_without_a_time_is_all_of_it(
    mia: Desk, booked: str
) -> None:
    page = mia.get("/manage/swap", equipment="scope")
    assert (page.value("until_time") or "").endswith(":00")
    page = mia.post("/manage/swap", look="1", **(OUTAGE | {"until_date": "2026-03-24", "until_time": ""}))
    assert "Double pulse" in page.text
