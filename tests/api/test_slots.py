"""The earliest slots that work, over the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from labbook.domain.capability import parse_need, parse_offer
from labbook.domain.slots import Found
from labbook.extensions import db
from labbook.models import Environment, EnvironmentVersion, Equipment
from labbook.services import slot_search
from tests.api.asking import START, Script, codes
from tests.cast import Cast, at

FROM = {"from": START.isoformat()}


@pytest.fixture
def anna(app: Flask, app_cast: Cast) -> Script:
    return Script(app, app_cast.anna)


def slots(script: Script, **asked: Any) -> dict[str, Any]:
    answer = script.get("/slots", **(FROM | asked))
    assert answer.status_code == 200, answer.get_data(as_text=True)
    found: dict[str, Any] = answer.json
    return found


def starts(found: dict[str, Any]) -> list[str]:
    return [item["start"] for item in found["items"]]


def written(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def recipe(cast: Cast, slug: str, needs: list[dict[str, Any]], **more: Any) -> None:
    db.session.rollback()
    db.session.connection(execution_options={"labbook_write": True})
    row = Environment(slug=slug, facility_id=cast.facility_id)
    values: dict[str, Any] = {"name": {"en": slug}, "ambient": {}, "draws": {}}
    row.versions.append(EnvironmentVersion(number=1, needs=needs, **(values | more)))
    db.session.add(row)
    db.session.commit()


def test_a_free_piece_is_to_be_had_from_the_first_grid_point_on(anna: Script) -> None:
    found = slots(anna, equipment="scope", duration="PT2H", limit=2)
    assert starts(found) == [written(START), written(START + timedelta(minutes=15))]
    assert found["items"][0]["equipment"] == [{"slug": "scope", "places": 1}]
    assert found["because"] == []


def test_what_stands_in_the_way_is_said_with_until_when(app: Flask, app_cast: Cast, anna: Script) -> None:
    taken = Script(app, app_cast.carla).book("scope", hours=3)
    assert taken.status_code == 201
    found = slots(anna, equipment="scope", duration="PT2H", limit=1)
    assert starts(found) == [written(START + timedelta(hours=3))]
    (because,) = found["because"]
    assert because["reason"] == "taken"
    assert because["equipment"] == "scope"
    assert because["until"] == written(START + timedelta(hours=3))
    # A competitor's booking is a busy block here as everywhere.
    assert "beta" not in str(found).lower()
    assert "Double pulse" not in str(found)


def test_every_slot_that_is_offered_can_be_booked_as_it_is(app: Flask, app_cast: Cast, anna: Script) -> None:
    Script(app, app_cast.carla).book("source", hours=5)
    recipe(
        app_cast,
        "inverter",
        [{"category": "dc-source", "capabilities": {}}, {"category": "oscilloscope", "capabilities": {}}],
        setup=3600,
    )
    (slot,) = slots(anna, environment="inverter", duration="PT2H", limit=1)["items"]
    # Two sources at once are more than the feeder gives, so it is not source-2 meanwhile.
    assert slot["start"] == written(START + timedelta(hours=6))
    assert slot["occupied"]["start"] == written(START + timedelta(hours=5))
    body = {name: slot[name] for name in ("start", "end", "equipment")}
    made = anna.ask("POST", "/reservations", body | {"environment": "inverter", "title": "Efficiency"})
    assert made.status_code == 201, made.json


def test_what_the_feeder_cannot_carry_is_said_in_its_own_unit(
    app: Flask, app_cast: Cast, anna: Script
) -> None:
    Script(app, app_cast.carla).book("source", hours=3)
    found = slots(anna, equipment="source-2", duration="PT1H", limit=1)
    assert starts(found) == [written(START + timedelta(hours=3))]
    (because,) = found["because"]
    assert (because["reason"], because["utility"], because["equipment"]) == ("over_budget", "feeder-a", None)
    assert "at 6 of 10 kVA already, and this needs 6 kVA more" in because["message"]


def test_needs_are_stated_in_whatever_unit(app_cast: Cast, anna: Script) -> None:
    db.session.rollback()
    db.session.connection(execution_options={"labbook_write": True})
    for slug, most in (("source", "1500 V"), ("source-2", "600 V")):
        row = db.session.query(Equipment).filter_by(slug=slug).one()
        row.capabilities = {"dc_voltage": parse_offer(most).stored()}
    db.session.commit()
    chosen = slots(anna, need="dc-source; dc_voltage: 0.8 kV", duration="PT1H", limit=1)["items"][0]
    assert chosen["equipment"] == [{"slug": "source", "places": 1}]
    # Where the smaller one will do, the greater one is left to whoever needs it.
    chosen = slots(anna, need="dc-source; dc_voltage: 500 V", duration="PT1H", limit=1)["items"][0]
    assert chosen["equipment"] == [{"slug": "source-2", "places": 1}]
    none = slots(anna, need="dc-source; dc_voltage: 3 kV", duration="PT1H")
    assert none["items"] == []
    assert none["because"][0]["reason"] == "unmet"


def test_the_staffed_hours_and_the_clocks_going_forward_are_kept(app_cast: Cast, app: Flask) -> None:
    """Summer time begins on Sunday the 29th of March 2026."""
    bo = Script(app, app_cast.bo)
    found = slots(
        bo, equipment="hipot", duration="PT8H", limit=1, **{"from": at("2026-03-28 09:00").isoformat()}
    )
    assert starts(found) == [written(at("2026-03-30 08:00"))]
    assert found["because"][0]["reason"] == "unstaffed"


def test_a_question_that_is_none_is_refused_with_all_that_is_wrong(anna: Script) -> None:
    wrong: TestResponse = anna.get("/slots", duration="a while", **{"from": "yesterday"}, limit=1000)
    assert wrong.status_code == 422
    assert codes(wrong) == {"not_a_duration", "not_an_instant", "out_of_bounds"}
    assert codes(anna.get("/slots", duration="PT1H")) == {"missing"}
    assert codes(anna.get("/slots", duration="PT1H", equipment="nothing")) == {"unknown_equipment"}
    assert codes(anna.get("/slots", duration="PT1H", environment="nothing")) == {"unknown_environment"}
    assert codes(anna.get("/slots", duration="PT1H", need="a; b; c: 5 parsecs per moon")) >= {
        "malformed_capability"
    }


def test_a_window_shorter_than_the_use_is_refused(anna: Script) -> None:
    asked = FROM | {"to": (START + timedelta(hours=1)).isoformat()}
    assert codes(anna.get("/slots", equipment="scope", duration="PT2H", **asked)) == {"window_too_short"}


def test_needs_are_booked_without_naming_the_equipment(app_cast: Cast, anna: Script) -> None:
    body = {
        "needs": ["oscilloscope; count: 2"],
        "start": START.isoformat(),
        "end": (START + timedelta(hours=1)).isoformat(),
        "title": "Two channels each",
    }
    made = anna.ask("POST", "/reservations", body)
    assert made.status_code == 201, made.json
    assert [piece["slug"] for piece in made.json["equipment"]] == ["scope", "scope-2"]
    assert codes(anna.ask("POST", "/reservations", body)) == {"needs_unmet"}
    recipe(app_cast, "pair", [{"category": "oscilloscope", "capabilities": {}}])
    both = anna.ask("POST", "/reservations", body | {"environment": "pair"})
    assert "needs_and_environment" in codes(both)
    wrong = body | {"equipment": [{"slug": "hipot"}]}
    assert "needs_mismatch" in codes(anna.ask("POST", "/reservations", wrong))
    assert codes(anna.ask("POST", "/reservations", body | {"needs": ["scope; colour"]})) == {
        "malformed_capability"
    }
    off = body | {"start": (START + timedelta(days=1, minutes=7)).isoformat()}
    off["end"] = (START + timedelta(days=1, hours=1)).isoformat()
    assert codes(anna.ask("POST", "/reservations", off)) == {"off_grid"}
    # No more pieces than a search for slots takes, either, however few texts they are written in.
    many = body | {"needs": ["oscilloscope; count: 50"] * 20}
    for named in ({}, {"equipment": [{"slug": "scope"}]}):
        assert codes(anna.ask("POST", "/reservations", many | named)) == {"too_many_pieces"}


def test_a_shared_chamber_is_offered_to_those_who_run_the_same(app_cast: Cast, anna: Script) -> None:
    needs = [{"equipment": "cycler", "places": 1}]
    heat = parse_need("85 degC").stored()
    recipe(app_cast, "hot", needs, ambient={"temperature": heat})
    body = {"start": START.isoformat(), "end": (START + timedelta(hours=3)).isoformat(), "title": "Hot"}
    assert anna.ask("POST", "/reservations", body | {"environment": "hot"}).status_code == 201
    asked = {"need": "battery-cycler", "duration": "PT1H", "limit": 1}
    same = slots(anna, ambient="temperature: 358.15 K", **asked)
    other = slots(anna, ambient="temperature: 20 degC", **asked)
    assert starts(same) == [written(START)]
    assert starts(other) == [written(START + timedelta(hours=3))]
    assert other["because"][0]["reason"] == "other_ambient"


def test_a_time_beyond_all_calendars_is_refused_in_words(anna: Script) -> None:
    far = {"from": "9999-12-31T20:00:00Z"}
    assert codes(anna.get("/slots", equipment="scope", duration="PT2H", **far)) == {"out_of_range"}
    far = FROM | {"to": "9999-12-31T23:59:59Z"}
    assert codes(anna.get("/slots", equipment="chamber", duration="PT2H", **far)) == {"out_of_range"}


def test_a_window_of_a_hundred_years_is_read_no_further_than_the_horizon(
    anna: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = []
    within = slot_search._Looking._within

    def noted(self: slot_search._Looking, since: datetime, until: datetime, limit: int) -> Found:
        looked_at.append(until)
        return within(self, since, until, limit)

    monkeypatch.setattr(slot_search._Looking, "_within", noted)
    asked = {"equipment": "scope", "duration": "PT2H", "to": "2189-01-01T00:00:00Z"}
    assert len(slots(anna, **asked)["items"]) == 5
    found = slots(anna, **(asked | {"from": "2089-01-01T00:00:00Z"}))
    assert found["items"] == []
    assert [each["reason"] for each in found["because"]] == ["horizon"]
    assert max(looked_at) == datetime(2089, 1, 1, 2, tzinfo=UTC)
