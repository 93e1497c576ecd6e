"""Booking by the form, as a person meets it: one pass, and everything that can be wrong with it at once."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests.cast import Cast
from tests.web.people import Clock, Desk


@pytest.fixture
def clock(app: Flask) -> Clock:
    return Clock(app)


@pytest.fixture
def anna(app: Flask, app_cast: Cast, clock: Clock) -> Desk:
    return Desk(app, app_cast.anna)


def form(**more: Any) -> dict[str, Any]:
    return {
        "once": "one",
        "equipment": "scope",
        "places": "1",
        "title": "Ripple",
        "start_date": "2026-03-24",
        "start_time": "10:00",
        "end_date": "2026-03-24",
        "end_time": "12:00",
    } | more


def test_the_form_shows(anna: Desk) -> None:
    assert anna.get("/book").status == 200


def test_a_booking_leads_to_its_page(anna: Desk) -> None:
    made = anna.post("/book", **form())
    assert made.status == 303, made.text
    page = anna.get(made.location)
    assert page.status == 200
    assert "Ripple" in page.text
