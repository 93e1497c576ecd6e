"""``/today`` as technicians walk round with it."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.cast import Cast, at
from tests.web.house import House, booked, step


@pytest.fixture
def house(app: Flask, app_cast: Cast) -> House:
    found = House(app, app_cast)
    step(found.mia, booked(found.anna, project="joint"), "approve")
    found.clock.move_to(at("2026-03-24 09:40"))
    return found


def test_a_technician_checks_in_from_the_list_and_comes_back_to_it(house: House) -> None:
    page = house.tom.get("/today")
    assert "09:30 Set-up Chamber Damp heat · Anna, Alpha" in page.text
    assert "Duty phone +45 00 00 00 00" in page.text
    assert '<input type="hidden" name="next" value="/today">' in page.html
    path = page.html.partition('action="/reservations/')[2].partition('"')[0]
    done = house.tom.post(f"/reservations/{path}", revision=page.value("revision") or "", next="/today")
    assert done.location == "/today"
    assert "✓" in house.tom.get("/today").text


def test_others_find_their_own_day_and_nobody_elses(house: House) -> None:
    assert "Damp heat" in house.anna.get("/today").text
    for who in ("carla", "dorte"):
        page = house.__getattr__(who).get("/today")
        assert page.status == 200
        assert "Nothing of yours begins" in page.text
        assert not any(said in page.html.lower() for said in ("anna", "alpha", "damp heat", "joint"))


def test_another_day_is_chosen_and_what_is_none_is_today(house: House) -> None:
    assert "Damp heat" not in house.tom.get("/today", date="2026-03-25").text
    assert "Damp heat" in house.tom.get("/today", date="2026-03-24").text
    assert "Damp heat" in house.tom.get("/today", date="yesterday").text
    assert house.tom.get("/today", facility="nowhere").status == 404


def test_everybody_is_led_there(house: House) -> None:
    for who in ("anna", "tom", "mia", "ada"):
        assert 'href="/today"' in getattr(house, who).get("/").html
