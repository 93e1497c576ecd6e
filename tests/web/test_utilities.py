"""The page of a utility: steps beneath a line, in figures, and whose they are where that may be seen."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from tests.cast import Cast
from tests.web.house import House, booked


@pytest.fixture
def house(app: Flask, app_cast: Cast) -> House:
    return House(app, app_cast)


def test_the_staff_see_who_draws_what(house: House) -> None:
    booked(house.anna, "source", title="Secret inverter")
    page = house.mia.get("/utilities/feeder-a?date=2026-03-24")
    for words in ("Feeder A", "Week 13, 2026", "Secret inverter", "6 kVA", "4 kVA", "Who draws it"):
        assert words in page.text
    assert "round figures" not in page.text


def test_a_competitor_sees_what_is_left_and_not_whose_the_rest_is(house: House) -> None:
    booked(house.anna, "source", title="Secret inverter")
    page = house.carla.get("/utilities/feeder-a?date=2026-03-24&view=day")
    assert "Secret" not in page.html
    assert "/reservations/" not in page.html.split('id="drawings-title"')[1]
    assert "in round figures" in page.text
    for words in ("10:00–12:00", "6 kVA", "4 kVA"):
        assert words in page.text


def test_the_plot_is_steps_of_right_angles_that_end_on_the_ground(house: House) -> None:
    booked(house.anna, "source")
    page = house.anna.get("/utilities/feeder-a?date=2026-03-24&view=day")
    (drawn,) = re.findall(r'class="load-drawn" d="([^"]*)"', page.html)
    # 6 of 10 kVA from 10 to 12 o'clock, with an eighth of room above the line.
    assert drawn == "M0 100V100.00H416.67V46.43H500.00V100.00H1000V100Z"
    assert "style=" not in page.html


def test_a_day_a_week_and_four_weeks_and_what_nobody_understands_is_a_week(house: House) -> None:
    for view, words in (("day", "Tue 24 Mar 2026"), ("week", "Week 13, 2026"), ("x", "Week 13"),
                        ("month", "Week 13"), ("weeks", "Weeks 13 to 16, 2026")):  # fmt: skip
        assert words in house.bo.get(f"/utilities/feeder-a?view={view}&date=2026-03-24").text
    assert house.bo.get("/utilities/feeder-b").status == 404
    assert "Week 13" in house.bo.get("/utilities/feeder-a?date=yesterday").text


def test_all_of_them_are_listed_and_found_from_where_one_looks(house: House) -> None:
    path = booked(house.anna, "source")
    assert "at most 6 kVA of 10 kVA this week" in house.anna.get("/utilities").text
    assert house.anna.get("/utilities?facility=nowhere").status == 200
    for address in ("/calendar", "/calendar?as=list", "/equipment/source", path):
        assert "/utilities/feeder-a" in house.anna.get(address).html
