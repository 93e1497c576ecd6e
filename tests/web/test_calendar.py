"""The facility's calendar page and its list."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from labbook.domain.access import Viewer
from labbook.extensions import db
from labbook.models import Facility
from labbook.services import reservations
from labbook.services.commands import RequestReservation, Wanted
from labbook.web.periods import Length, Period, read_day
from tests.cast import NOW, Cast, at, equipment
from tests.signing import client_of

ZONE = ZoneInfo("Europe/Copenhagen")
WEEK = "/calendar?as=list&view=week&date=2026-03-24"


def page(app: Flask, viewer: Viewer, address: str) -> str:
    answer = client_of(app, viewer).get(address)
    assert answer.status_code == 200, answer.status_code
    return answer.get_data(as_text=True)


def booked(cast: Cast, by: Viewer, slug: str, title: str, **more: Any) -> str:
    start = at("2026-03-24 10:00")
    wish = RequestReservation((Wanted(slug),), start, start + timedelta(hours=2), title, **more)
    return reservations.request(db.session(), wish, actor=by, now=NOW).id


@contextmanager
def counted() -> Iterator[list[str]]:
    said: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def test_colleagues_read_the_title_and_others_only_that_it_is_busy(app: Flask, app_cast: Cast) -> None:
    booked(app_cast, app_cast.anna, "chamber", "Secret inverter")
    assert "Secret inverter" in page(app, app_cast.bo, WEEK)
    others = page(app, app_cast.carla, WEEK)
    assert "Secret" not in others
    assert not {"Alpha", "Anna"} & set(re.findall(r"\w+", others))
    assert "hot surfaces" in others
    assert "/reservations/" not in others


def test_the_list_says_the_time_of_use_to_colleagues_and_the_occupied_time_to_others(
    app: Flask, app_cast: Cast
) -> None:
    booked(app_cast, app_cast.anna, "chamber", "Damp heat")
    assert "10:00–12:00 (2 h)" in page(app, app_cast.anna, WEEK)
    assert "09:30–12:30 (3 h)" in page(app, app_cast.carla, WEEK)


def test_the_timeline_tells_its_script_the_labs_zone_and_the_rows_by_room(app: Flask, app_cast: Cast) -> None:
    text = page(app, app_cast.anna, "/calendar?date=2026-03-24")
    found = re.search(r'<script type="application/json" id="calendar-given">(.*?)</script>', text, re.DOTALL)
    assert found
    given = json.loads(found[1])
    assert (given["facility"], given["zone"]) == ("cie", "Europe/Copenhagen")
    assert given["rows"][0]["slug"] == "chamber"
    assert given["rows"][0]["roomName"] == "Climate"
    assert '<noscript><meta http-equiv="refresh"' in text


def test_the_list_is_filtered_by_category_and_by_words(app: Flask, app_cast: Cast) -> None:
    assert "Chamber" not in page(app, app_cast.anna, WEEK + "&category=oscilloscope")
    assert "Scope 2" in page(app, app_cast.anna, WEEK + "&q=SCOPE+2")
    assert "No equipment matches" in page(app, app_cast.anna, WEEK + "&q=nothing+of+the+kind")


@pytest.mark.parametrize(
    "address",
    [
        "view=decade",
        "date=2026-02-30",
        "date=99999-01-01",
        "date=0001-01-01",
        "q=" + "x" * 5000,
        "category=%00",
    ],
)
def test_an_address_that_makes_no_sense_shows_this_week(app: Flask, app_cast: Cast, address: str) -> None:
    assert client_of(app, app_cast.anna).get(f"/calendar?as=list&{address}").status_code == 200


def test_a_facility_that_does_not_exist_is_not_found(app: Flask, app_cast: Cast) -> None:
    assert client_of(app, app_cast.anna).get("/calendar?facility=elsewhere").status_code == 404


def test_the_number_of_queries_does_not_grow_with_equipment_or_reservations(
    app: Flask, app_cast: Cast
) -> None:
    client = client_of(app, app_cast.anna)
    with counted() as few:
        client.get(WEEK)
    grow(app_cast)
    with counted() as many:
        client.get(WEEK)
    assert len(many) == len(few)


def grow(cast: Cast) -> None:
    session = db.session()
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    facility = session.get_one(Facility, cast.facility_id)
    for number in range(20):
        equipment(session, facility, f"analyser-{number}", approval="automatic")
    session.commit()
    for number in range(20):
        booked(cast, cast.anna, f"analyser-{number}", f"Number {number}")


def test_a_week_is_monday_to_sunday_and_the_days_of_the_clock_change_have_23_and_25_hours() -> None:
    week = Period(Length.WEEK, date(2026, 3, 29))
    assert (week.first, week.after) == (date(2026, 3, 23), date(2026, 3, 30))
    assert week.within(ZONE).duration == timedelta(hours=167)
    assert Period(Length.DAY, date(2026, 3, 29)).within(ZONE).duration == timedelta(hours=23)
    assert Period(Length.DAY, date(2026, 10, 25)).within(ZONE).duration == timedelta(hours=25)
    assert Period(Length.MONTH, date(2026, 12, 31)).after == date(2027, 1, 1)


@given(st.sampled_from(Length), st.dates(date(2000, 2, 1), date(2189, 11, 1)))
def test_periods_follow_each_other_without_gap_or_overlap(length: Length, day: date) -> None:
    period = Period(length, day)
    assert period.first <= day < period.after
    assert Period(length, period.before).after == period.first
    assert Period(length, period.after).first == period.after
    assert read_day(day.isoformat()) == day
