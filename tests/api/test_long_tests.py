"""A long test through the API; the clock on the wall is today's, and the reservation is around it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from labbook.extensions import db
from tests.api.asking import Script, codes
from tests.cast import Cast
from tests.services import long_world


@pytest.fixture
def anna(app: Flask, app_cast: Cast) -> Script:
    return Script(app, app_cast.anna)


def soak(anna: Script, app_cast: Cast, **more: object) -> str:
    long_world.make_recipe(db.session(), app_cast)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=3)
    answer = anna.book("chamber", environment="soak", start=start, hours=24 * 30, **more)
    assert answer.status_code == 201
    return f"/reservations/{answer.json['id']}"


def test_a_reservation_says_its_read_outs_and_how_long_it_has_run(anna: Script, app_cast: Cast) -> None:
    test = anna.get(soak(anna, app_cast)).json["long_test"]
    assert (test["running_since"], test["accrued"], test["planned"]) == (None, "PT0H", "PT168H")
    assert [v["after"] for v in test["visits"]] == ["PT24H", "PT168H"]
    assert test["next_readout"] == test["visits"][0]["id"]
    assert all(v["laid"] and v["staffed"] for v in test["visits"])
    assert anna.book("scope").json["long_test"] is None


def test_a_read_out_is_planned_moved_and_dropped(anna: Script, app_cast: Cast) -> None:
    one = soak(anna, app_cast)
    made = anna.ask("POST", f"{one}/visits", {"after": "PT90H", "length": "PT1H", "note": "Leakage"})
    assert made.status_code == 201
    assert made.headers["Location"].endswith(one)
    visit = next(v for v in made.json["long_test"]["visits"] if v["after"] == "PT90H")
    assert (visit["kind"], visit["note"]) == ("readout", "Leakage")
    later = datetime.fromisoformat(visit["start"]) + timedelta(days=14)
    moved = anna.ask("POST", f"{one}/visits/{visit['id']}/move", {"at": later.isoformat()})
    assert moved.status_code == 200
    found = next(v for v in moved.json["long_test"]["visits"] if v["id"] == visit["id"])
    assert datetime.fromisoformat(found["start"]) == later
    assert found["revision"] == visit["revision"] + 1
    dropped = anna.ask("POST", f"{one}/visits/{visit['id']}/drop", {})
    assert next(v for v in dropped.json["long_test"]["visits"] if v["id"] == visit["id"])["dropped_at"]
    again = anna.ask("POST", f"{one}/visits/{visit['id']}/drop", {})
    assert again.status_code == 409
    assert anna.ask("POST", f"{one}/visits/nowhere/drop", {}).status_code == 404


def test_what_is_wrong_is_told_beside_its_field(anna: Script, app_cast: Cast) -> None:
    one = soak(anna, app_cast)
    both = {"after": "PT90H", "at": "2026-03-25T10:00:00Z"}
    assert codes(anna.ask("POST", f"{one}/visits", both)) == {"after_or_at"}
    assert codes(anna.ask("POST", f"{one}/visits", {"after": "P1M"})) == {"duration_calendar"}
    assert codes(anna.ask("POST", f"{one}/visits", {"after": "PT9000H"})) == {"readout_no_room"}
    assert codes(anna.ask("POST", f"{one}/visits", {"after": "PT90H", "x": 1})) == {"unknown_field"}
    assert codes(anna.ask("POST", f"{one}/visits/any/move", {})) == {"missing"}
    assert anna.ask("POST", f"{one}/pause", {}).status_code == 409
    assert anna.ask("POST", f"{one}/resume", {}).status_code == 409


def test_the_end_expected_is_said_and_taken_back(anna: Script, app_cast: Cast) -> None:
    one = soak(anna, app_cast)
    at = datetime.fromisoformat(anna.get(one).json["end"]) - timedelta(days=2)
    said = anna.ask("POST", f"{one}/expect", {"at": at.isoformat()}).json
    assert datetime.fromisoformat(said["expected_end"]) == at
    assert anna.ask("POST", f"{one}/expect", {}).json["expected_end"] is None


def test_a_competitor_learns_of_no_visit(app: Flask, anna: Script, app_cast: Cast) -> None:
    one = soak(anna, app_cast)
    visit = anna.get(one).json["long_test"]["visits"][0]["id"]
    carla = Script(app, app_cast.carla)
    for path in (f"{one}/visits", f"{one}/visits/{visit}/drop", f"{one}/pause"):
        assert carla.ask("POST", path, {}).status_code == 404
    start = datetime.fromisoformat(anna.get(one).json["start"])
    window = {"from": start.isoformat(), "to": (start + timedelta(days=40)).isoformat()}
    everything = carla.get("/calendar", **window).text + carla.get("/reservations").text
    assert visit not in everything
    assert "visits" not in everything


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
def test_a_visit_at_the_end_of_all_time_is_outside_the_use(anna: Script, app_cast: Cast, at: str) -> None:
    one = soak(anna, app_cast)
    assert codes(anna.ask("POST", f"{one}/visits", {"at": at})) == {"visit_outside"}
    first = anna.get(one).json["long_test"]["visits"][0]["id"]
    assert codes(anna.ask("POST", f"{one}/visits/{first}/move", {"at": at})) == {"visit_outside"}
