"""Waiting, offers and options, in the browser: everything works without script, and tells nobody too much."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from labbook.extensions import db
from labbook.services import sweep
from tests.cast import NOW, Cast
from tests.web.house import House, booked, step
from tests.web.people import Desk, Page

WISH = {
    "equipment": "chamber",
    "title": "I wait",
    "earliest_date": "2026-03-24",
    "earliest_time": "10:00",
    "latest_date": "2026-03-24",
    "latest_time": "12:00",
}


@pytest.fixture
def house(app: Flask, app_cast: Cast) -> House:
    return House(app, app_cast)


def serve(house: House) -> None:
    sweep.sweep(db.session(), now=house.clock.now)


def join(desk: Desk, **more: Any) -> None:
    made = desk.post("/waitlist", **(WISH | more))
    assert (made.status, made.location) == (303, "/waitlist"), made.text


def pressed(desk: Desk, page: Page, label: str) -> Page:
    """Follow the one form of the page whose button says so."""
    for action, inside in re.findall(r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', page.html, re.DOTALL):
        if re.search(rf">\s*{label}", inside):
            done = desk.post(action)
            assert done.status == 303, done.text
            return desk.get(done.location)
    raise AssertionError(f"no button says {label}")


def test_from_a_refusal_to_the_waitlist_to_an_offer_that_is_taken(house: House) -> None:
    path = booked(house.carla)
    refused = house.anna.post(
        "/book",
        equipment="chamber",
        title="Damp heat",
        project="joint",
        start_date="2026-03-24",
        start_time="10:00",
        end_date="2026-03-24",
        end_time="12:00",
    )
    assert refused.status == 409
    [link] = re.findall(r'href="(/waitlist\?[^"]*)"', refused.html)
    form = house.anna.get(link.replace("&amp;", "&"))
    assert form.value("earliest_time") == "10:00"
    assert form.value("duration") == "2 h"
    assert (form.value("title"), form.value("project")) == ("Damp heat", "joint")
    join(house.anna, title="Damp heat", project="joint", duration="2 h")
    assert "offered to you first" in house.anna.get("/waitlist").text
    step(house.carla, path, "cancel")
    serve(house)
    home = house.anna.get("/")
    assert "Offered to you until" in home.text
    assert "0 requests" not in house.mia.get("/").text
    assert "Nothing waits for you" in house.mia.get("/approvals").text
    taken = pressed(house.anna, home, "Take it")
    assert "Taken." in taken.text
    assert "1 waiting" in house.mia.get("/approvals").text
    assert "taken" in house.anna.get("/waitlist").text


def test_an_offer_is_let_go_from_the_reservations_page_and_others_are_told_what_it_is(house: House) -> None:
    join(house.anna)
    serve(house)
    [path] = re.findall(r'href="(/reservations/[0-9a-f]+)"', house.anna.get("/waitlist").html)
    colleague, manager = house.bo.get(path), house.mia.get(path)
    for page in (colleague, manager):
        assert "Offered to Anna until" in page.text
        assert not any(page.offers(name) for name in ("approve", "decline", "change", "cancel", "propose"))
        assert "Take it" not in page.text
    assert house.carla.get(path).status == 404
    refused = house.mia.post(f"{path}/approve", revision=manager.value("revision") or "")
    assert refused.status == 422
    assert "they take it or let it go" in refused.text
    gone = pressed(house.anna, house.anna.get(path), "Let it go")
    assert "offered to the next in line" in gone.text
    assert "cancelled" in house.anna.get(path).text


def test_everything_that_is_wrong_stands_beside_its_field_and_what_was_typed_stays(house: House) -> None:
    wrong = {"equipment": "", "title": "", "latest_time": "25:00", "duration": "long", "places": "x"}
    page = house.anna.post("/waitlist", **(WISH | wrong))
    assert page.status == 422
    assert page.html.count("field-problem") >= 5
    assert (page.value("latest_time"), page.value("duration")) == ("25:00", "long")
    past = {"earliest_date": "2026-03-20", "latest_date": "2026-03-20"}
    late = house.anna.post("/waitlist", **(WISH | past))
    assert late.status == 422
    assert "nothing of this length could begin any more" in late.text


def test_another_line_of_equipment_loses_nothing(house: House) -> None:
    page = house.anna.post("/waitlist", **(WISH | {"add": "1", "mode": "book"}))
    assert page.status == 200
    assert page.html.count('name="equipment"') == 3
    assert page.value("title") == "I wait"
    assert re.search(r'value="book" checked', page.html)


def test_managers_see_who_waits_in_order_and_nobody_else_does(house: House) -> None:
    booked(house.dorte)
    join(house.carla, title="Beta's secret")
    join(house.anna, title="Alpha's secret", mode="book")
    serve(house)
    page = house.mia.get("/manage/waitlist")
    assert page.text.index("Carla") < page.text.index("Anna")
    assert "waits, to be booked at once" in page.text
    for desk in (house.anna, house.tom):
        assert desk.get("/manage/waitlist").status == 403
    for path in ("/waitlist", "/", "/calendar?date=2026-03-24", "/equipment/chamber"):
        assert "Beta's secret" not in house.anna.get(path).text
        assert "Carla" not in house.anna.get(path).text


def test_a_step_on_somebody_elses_entry_is_a_page_that_is_not_there(house: House) -> None:
    join(house.anna)
    serve(house)
    [action] = set(re.findall(r'action="(/waitlist/[0-9a-f]+)/take"', house.anna.get("/waitlist").html))
    for name in ("take", "let-go", "withdraw"):
        assert house.carla.post(f"{action}/{name}").status == 404
        assert house.mia.post(f"{action}/{name}").status == 403
    house.clock.move_to(NOW + timedelta(hours=5))
    assert house.anna.post(f"{action}/take").status == 409


def option(house: House, **more: Any) -> str:
    until = {"option_until_date": "2026-03-24", "option_until_time": "08:00"}
    return booked(house.mia, title="Held", customer="Nordic Drives", **(until | more))


def test_an_option_is_made_in_the_booking_form_and_becomes_a_reservation(house: House) -> None:
    path = option(house)
    page = house.max.get(path)
    assert "Nordic Drives" in page.text
    assert not page.offers("approve")
    board = house.max.get("/manage/options")
    assert "Nordic Drives" in board.text
    one = path.rpartition("/")[2]
    refused = house.max.post(f"/manage/options/{one}/convert", holder="nobody@x.example", title="")
    assert refused.status == 422
    assert "nobody@x.example" in refused.html
    made = house.max.post(
        f"/manage/options/{one}/convert", holder="anna@alpha.example", title="Damp heat", project="joint"
    )
    assert (made.status, made.location) == (303, path)
    page = house.anna.get(path)
    assert "approved" in page.text
    assert "Nordic" not in page.html
    assert "Nothing is held for anybody" in house.max.get("/manage/options").text


def test_an_option_is_prolonged_and_let_go_on_its_page(house: House) -> None:
    one = option(house).rpartition("/")[2]
    wrong = house.mia.post(f"/manage/options/{one}/prolong", until_date="2026-03-25", until_time="10:00")
    assert wrong.status == 422
    assert "at the latest when its time begins" in wrong.text
    good = house.mia.post(f"/manage/options/{one}/prolong", until_date="2026-03-24", until_time="10:00")
    assert good.status == 303
    assert "Tue 24 Mar, 10:00" in house.mia.get("/manage/options").text
    assert house.mia.post(f"/manage/options/{one}/release").status == 303
    assert "let go" in house.mia.get("/manage/options").text


def test_the_customers_name_is_on_no_page_of_others(house: House) -> None:
    path = option(house)
    for desk in (house.dorte, house.carla, house.anna):
        for page in ("/", path, "/reservations?of=organisation", "/calendar?date=2026-03-24", "/waitlist"):
            assert "Nordic" not in desk.get(page).html
        assert desk.get("/manage/options").status == 403
    assert "Held" in house.dorte.get(path).text  # of the manager's organisation: in full, but for the name
    assert "option" in house.dorte.get(path).text


def test_what_is_wrong_with_an_option_is_said_beside_its_fields(house: House) -> None:
    page = house.mia.post(
        "/book",
        equipment="chamber",
        title="Held",
        start_date="2026-03-24",
        start_time="10:00",
        end_date="2026-03-24",
        end_time="12:00",
        option_until_date="2026-03-24",
        option_until_time="11:00",
    )
    assert page.status == 422
    assert "at the latest when its time begins" in page.text
    assert page.value("option_until_time") == "11:00"
    until = {"option_until_date": "2026-03-24", "option_until_time": "08:00"}
    theirs = {"equipment": "chamber", "title": "x", "start_date": "2026-03-24", "start_time": "10:00"}
    assert house.anna.post("/book", **theirs, **until, duration="2 h", customer="X").status == 403
