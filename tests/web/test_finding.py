"""Describe the test, get the slot: from needs to a booking in one step, and what happens to the slower."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from labbook.domain.capability import parse_offer
from labbook.extensions import db
from labbook.models import ChangeCounter, Environment, EnvironmentVersion, Equipment, Facility, Reservation
from tests.cast import Cast, equipment
from tests.web.people import Clock, Desk, Page


@pytest.fixture
def clock(app: Flask) -> Clock:
    return Clock(app)


@pytest.fixture
def anna(app: Flask, app_cast: Cast, clock: Clock) -> Desk:
    db.session.rollback()
    db.session.connection(execution_options={"labbook_write": True})
    for slug, most in (("source", "1500 V"), ("source-2", "600 V")):
        row = db.session.scalars(select(Equipment).where(Equipment.slug == slug)).one()
        row.capabilities = {"dc_voltage": parse_offer(most).stored()}
    recipe = Environment(slug="ripple", facility_id=app_cast.facility_id)
    needs: list[dict[str, Any]] = [
        {"category": "oscilloscope", "capabilities": {}},
        {"equipment": "chamber"},
    ]
    recipe.versions.append(
        EnvironmentVersion(number=1, needs=needs, name={"en": "Output ripple"}, ambient={}, draws={})
    )
    db.session.add(recipe)
    db.session.commit()
    return Desk(app, app_cast.anna)


def needs(**more: Any) -> dict[str, Any]:
    return {
        "once": "one",
        "need_category": ["dc-source", "oscilloscope"],
        "need_capabilities": ["dc voltage: 0.8 kV", ""],
        "need_places": ["1", "1"],
        "duration": "2 h",
        "earliest_date": "2026-03-24",
        "earliest_time": "10:00",
        "title": "Ripple",
    } | more


def buttons(page: Page) -> list[str]:
    return [unescape(found) for found in re.findall(r'name="slot" value="([^"]*)"', page.html)]


def count() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Reservation)) or 0


def test_needs_become_slots_and_one_step_books_one(anna: Desk) -> None:
    page = anna.post("/book/find", find="1", **needs())
    assert page.status == 200
    assert "Tue 24 Mar, 10:00–12:00 (2 h)" in page.text
    assert "Source · Scope" in page.text
    first, *_others = buttons(page)
    made = anna.post("/book/find", slot=first, **needs())
    assert made.status == 303, made.text
    booked = anna.get(made.location).text
    assert "10:00–12:00" in booked
    row = db.session.scalars(select(Reservation)).one()
    assert [need["category"] for need in row.needs] == ["dc-source", "oscilloscope"]


def test_whoever_was_slower_is_offered_the_next_and_keeps_what_was_typed(
    app: Flask, app_cast: Cast, anna: Desk
) -> None:
    first, *_others = buttons(anna.post("/book/find", find="1", **needs()))
    assert Desk(app, app_cast.carla).post("/book/find", slot=first, **needs(title="Ours")).status == 303
    page = anna.post("/book/find", slot=first, **needs(notes="Half bridge"))
    assert page.status == 422  # the feeder does not carry both, either
    assert "Somebody was faster." in page.text
    assert page.value("title") == "Ripple"
    assert page.value("notes") == "Half bridge"
    assert "Ours" not in page.text
    assert "12:00–14:00" in page.text
    assert anna.post("/book/find", slot=buttons(page)[0], **needs()).status == 303
    assert count() == 2


def another_lab_with(*categories: str) -> None:
    """A facility that has one of each category, free from then on."""
    db.session.rollback()
    db.session.connection(execution_options={"labbook_write": True})
    lab = Facility(
        slug="hall", name={"en": "The hall"}, time_zone="Europe/Copenhagen", country="DK", staffed={}
    )
    db.session.add(lab)
    db.session.flush()
    db.session.add(ChangeCounter(facility_id=lab.id, number=0))
    for category in categories:
        row = equipment(db.session(), lab, f"hall-{category}", category=category)
        row.capabilities = {"dc_voltage": parse_offer("1500 V").stored()}
    db.session.commit()


def test_needs_that_several_facilities_could_meet_are_met_where_they_are_first(anna: Desk) -> None:
    another_lab_with("dc-source", "oscilloscope")
    busy = needs(need_category=["dc-source"], need_capabilities=["dc voltage: 800 V"], need_places=["1"])
    here = anna.post("/book/find", find="1", facility="cie", **busy)
    made = anna.post("/book/find", slot=buttons(here)[0], facility="cie", **busy)
    assert made.status == 303, made.text
    page = anna.post("/book/find", find="1", **needs())
    assert "All of it at The hall." in page.text
    assert "At Centre for Industrial Electronics from Tue 24 Mar, 12:00." in page.text
    assert "facility=hall" in page.html  # of the recipe that these needs are saved as
    made = anna.post("/book/find", slot=buttons(page)[0], **needs(once="two"))
    assert made.status == 303, made.text


def test_what_only_one_facility_has_altogether_is_looked_for_there(anna: Desk) -> None:
    another_lab_with("dc-source")
    page = anna.post("/book/find", find="1", **needs())
    assert "Source · Scope" in page.text


def test_a_recipe_is_found_by_a_link_and_lends_its_name(anna: Desk) -> None:
    page = anna.get("/book/find", environment="ripple", duration="4 h")
    assert page.status == 200
    assert page.value("title") == "Output ripple"
    # Half an hour of set-up comes first, so that nine o'clock sharp is too early.
    assert "Mon 23 Mar, 09:30–13:30" in page.text
    made = anna.post(
        "/book/find", environment="ripple", duration="4 h", title="R", slot=buttons(page)[0], once="a"
    )
    assert made.status == 303, made.text


def test_everything_that_cannot_be_read_is_said_beside_its_field(anna: Desk) -> None:
    asked = needs(
        duration="a while", earliest_time="25 o'clock", need_capabilities=["dc voltage: 5 moons", ""]
    )
    page = anna.post("/book/find", find="1", **asked)
    assert page.status == 200
    for words in ("is not a length of time", "is not a time", "moons"):
        assert words in page.text
    assert page.value("duration") == "a while"
    assert count() == 0


def test_days_without_a_time_are_whole_days(anna: Desk) -> None:
    whole = needs(earliest_date="2026-03-24", earliest_time="", latest_date="2026-03-25", latest_time="")
    page = anna.post("/book/find", find="1", **(whole | {"duration": "48 h"}))
    assert "Tue 24 Mar, 00:00 – Thu 26 Mar, 00:00 (2 d)" in page.text
    page = anna.post("/book/find", find="1", **(whole | {"duration": "48:15"}))
    assert "must be as much time as you ask for" in page.text
    assert buttons(page) == []


def test_a_quantity_needs_no_name_where_the_category_leaves_no_doubt(anna: Desk) -> None:
    page = anna.post("/book/find", find="1", **needs(need_capabilities=["0.8 kV", ""]))
    assert "Source · Scope" in page.text
    assert 'value="dc voltage: 0.8 kV"' in page.html
    made = anna.post("/book/find", slot=buttons(page)[0], **needs(need_capabilities=["0.8 kV", ""]))
    assert made.status == 303, made.text
    page = anna.post("/book/find", find="1", **needs(need_capabilities=["5 kg", ""]))
    assert "Write a capability as" in page.text


def test_what_nothing_meets_is_said(anna: Desk) -> None:
    page = anna.post("/book/find", find="1", **needs(need_capabilities=["dc voltage: 3 kV", ""]))
    assert "No time works" in page.text
    assert buttons(page) == []


def test_a_title_is_asked_for_before_anything_is_booked(anna: Desk) -> None:
    first, *_others = buttons(anna.post("/book/find", find="1", **needs()))
    page = anna.post("/book/find", slot=first, **needs(title=""))
    assert page.status == 422
    assert count() == 0


def test_a_button_that_nobody_drew_books_nothing(anna: Desk) -> None:
    for value in ("", "x", "2026-03-24T10:00:00+00:00|2026-03-24T09:00:00+00:00|scope:1", "a|b|c:\0"):
        assert anna.post("/book/find", slot=value, **needs()).status == 422
    assert count() == 0


def test_the_pieces_of_a_slot_must_be_those_that_the_needs_ask_for(anna: Desk) -> None:
    first, *_others = buttons(anna.post("/book/find", find="1", **needs()))
    page = anna.post("/book/find", slot=first.replace("source:1", "hipot:1"), **needs())
    assert page.status == 422
    assert "does not fit the needs" in page.text


def test_another_need_is_added_and_taken_away_with_all_that_was_typed(anna: Desk) -> None:
    page = anna.post("/book/find", add="1", **needs())
    assert page.html.count('name="need_category"') == 3
    assert page.value("title") is None or page.value("title") == "Ripple"
    page = anna.post("/book/find", remove="0", **needs())
    assert page.html.count('name="need_category"') == 1


def test_a_thousand_needs_are_too_many_and_are_not_all_drawn_again(anna: Desk) -> None:
    many = {f"need_{name}": [value] * 300 for name, value in (("category", "oscilloscope"), ("places", "1"))}
    page = anna.post("/book/find", find="1", **needs(need_capabilities=[""] * 300, **many))
    assert "at most 20 pieces" in page.text
    assert page.html.count('name="need_category"') == 50
