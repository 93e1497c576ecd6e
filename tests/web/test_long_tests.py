"""The clock of a long test on its reservation's page, followed as people would."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from labbook.extensions import db
from tests.cast import Cast, at
from tests.services import long_world
from tests.web.house import House, step

LATE = {"at_date": "2026-05-01", "at_time": "09:07"}


@pytest.fixture
def house(app: Flask, app_cast: Cast) -> House:
    return House(app, app_cast)


@pytest.fixture
def path(app: Flask, app_cast: Cast, house: House) -> str:
    view = long_world.running(db.session(), app_cast)
    house.clock.move_to(at("2026-03-27 09:00"))
    return f"/reservations/{view.id}"


def test_the_page_says_how_long_it_has_run_and_what_is_next(house: House, path: str) -> None:
    page = house.anna.get(path)
    assert "71 h of 168 h · running since Tue 24 Mar, 10:00" in page.text
    assert "Next read-out: after 24 h , Wed 25 Mar, 10:00" in page.text
    assert "24 h Wed 25 Mar, 10:00–10:30 (30 min) overdue" in page.text
    assert "Expected end: Wed 1 Apr, 16:00 which is also the latest" in page.text
    assert "71 h of 168 h" in house.anna.get("/").text


def test_it_is_paused_and_goes_on_and_the_history_says_so(house: House, path: str) -> None:
    paused = step(house.tom, path, "pause", at_date="2026-03-27", at_time="02:00", reason="Water alarm")
    assert "64 h of 168 h paused since Fri 27 Mar, 02:00" in paused.text
    assert "168 h when it goes on" in paused.text
    assert "paused since Fri 27 Mar, 02:00" in house.anna.get("/").text
    on = step(house.anna, path, "resume")
    assert "64 h of 168 h · running since" in on.text
    assert "168 h Wed 1 Apr, 08:00–08:30" in on.text
    assert "went on · Anna · it stood still for 7 h" in on.text
    assert "read-outs laid anew · the clock of the test · Tue 31 Mar, 11:00 → Wed 1 Apr, 08:00" in on.text


def test_a_read_out_is_planned_done_moved_and_dropped_without_any_script(house: House, path: str) -> None:
    planned = step(house.anna, path, "visits", kind="readout", after="90 h", note="Leakage")
    assert "90 h Mon 30 Mar, 08:00–08:30 (30 min) Leakage" in planned.text
    visits = long_world.ids(db.session())
    done = step(house.tom, path, f"visits/{visits[0]}/done", note="Vth +2 %")
    assert "done Tom, Fri 27 Mar, 09:00 “Vth +2 %”" in done.text
    moved = step(house.tom, path, f"visits/{visits[1]}/move", at_date="2026-03-30", at_time="13:00")
    assert "90 h Mon 30 Mar, 13:00–13:30" in moved.text
    assert "read-out after 90 h, Mon 30 Mar, 08:00 → Mon 30 Mar, 13:00" in moved.text
    dropped = step(house.anna, path, f"visits/{visits[1]}/drop", note="Enough")
    assert "90 h Mon 30 Mar, 13:00–13:30 (30 min) dropped" in dropped.text


def test_a_visit_in_the_evening_is_planned_with_a_warning(house: House, path: str) -> None:
    form = {"kind": "visit", "at_date": "2026-03-28", "at_time": "18:00", "length": "2 h"}
    planned = step(house.anna, path, "visits", **form)
    assert "The laboratory is not staffed then" in planned.text
    assert "Visit Sat 28 Mar, 18:00–20:00 (2 h) unstaffed" in planned.text


@pytest.mark.parametrize(
    ("name", "form", "said", "kept"),
    [
        ("visits", {"kind": "readout", "after": "soon"}, "is not a length of time", ("after", "soon")),
        ("visits", {"kind": "readout", "after": "900"}, "finds no staffed time", ("after", "900")),
        ("visits", LATE | {"kind": "visit"}, "within the time of use", ("at_time", "09:07")),
        ("pause", LATE, "Say a time from", ("at_time", "09:07")),
        ("expect", LATE, "must lie within", ("at_time", "09:07")),
    ],
)
def test_what_is_refused_says_why_and_keeps_what_was_typed(
    house: House, path: str, name: str, form: dict[str, str], said: str, kept: tuple[str, str]
) -> None:
    page = step(house.anna, path, name, **form)
    assert page.status == 422
    assert said in page.text
    assert re.search(f'name="{kept[0]}" value="{kept[1]}"', page.html)


def test_a_participant_says_when_the_end_is_expected_and_the_page_what_is_occupied(
    house: House, path: str
) -> None:
    said = step(house.anna, path, "expect", at_date="2026-03-31", at_time="12:00")
    assert "Expected end: Tue 31 Mar, 12:00 at the latest Wed 1 Apr, 16:00" in said.text
    assert "for the tear-down until Wed 1 Apr, 16:30, the equipment is occupied" in said.text


def test_a_colleague_reads_and_a_competitor_finds_nothing(house: House, path: str) -> None:
    seen = house.bo.get(path)
    assert "71 h of 168 h" in seen.text
    assert "Plan a read-out" not in seen.text
    assert house.carla.get(path).status == 404
    assert house.carla.post(f"{path}/visits", kind="readout", after="x").status == 404


def test_home_costs_as_many_queries_with_a_running_test_as_without(house: House, path: str) -> None:
    from tests.api.test_queries import counted

    with counted() as seen:
        house.anna.get("/")
    with counted() as other:
        house.bo.get("/")
    assert len(seen) - len(other) <= 4
