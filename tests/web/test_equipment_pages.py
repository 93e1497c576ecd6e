"""The catalogue's pages: what there is, what it can do, and when it is free."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.cast import Cast
from tests.web.people import Clock, Desk


@pytest.fixture(autouse=True)
def clock(app: Flask) -> Clock:
    return Clock(app)


def test_equipment_is_found_by_words_and_category(app: Flask, app_cast: Cast) -> None:
    anna = Desk(app, app_cast.anna)
    assert "Chamber" in anna.get("/equipment").text
    assert "Chamber" not in anna.get("/equipment", category="oscilloscope").text.partition("Find")[2]
    assert "Scope 2" in anna.get("/equipment", q="scope 2").text
    assert "Nothing in the catalogue matches" in anna.get("/equipment", q="nothing of the kind").text


@pytest.mark.parametrize("query", [{"capability": "dc_voltage:lots"}, {"facility": "nowhere"}])
def test_a_filter_that_cannot_be_read_says_so_and_stays(
    app: Flask, app_cast: Cast, query: dict[str, str]
) -> None:
    page = Desk(app, app_cast.anna).get("/equipment", **query)
    assert page.status == 200
    assert 'role="alert"' in page.html


def test_a_piece_says_its_policy_hazards_and_draws(app: Flask, app_cast: Cast) -> None:
    anna = Desk(app, app_cast.anna)
    text = anna.get("/equipment/chamber").text
    for said in ("a manager decides", "hot surfaces", "30 min, 30 min", "needed within 30 min of the start"):
        assert said in text
    assert "6 kVA of Feeder A" in anna.get("/equipment/source").text
    assert anna.get("/equipment/nothing").status == 404


def test_its_week_shows_colleagues_titles_and_strangers_only_busy(app: Flask, app_cast: Cast) -> None:
    anna = Desk(app, app_cast.anna)
    made = anna.post(
        "/book",
        equipment="scope",
        title="Secret pulse",
        start_date="2026-03-24",
        start_time="10:00",
        end_date="2026-03-24",
        end_time="12:00",
    )
    assert made.status == 303
    path = "/equipment/scope?date=2026-03-24"
    assert "Secret pulse" in Desk(app, app_cast.bo).get(path).html
    others = Desk(app, app_cast.carla).get(path).html
    assert "Secret" not in others
    assert 'data-status="busy"' in others


def test_free_equipment_that_approves_by_itself_offers_to_be_used_now(app: Flask, app_cast: Cast) -> None:
    anna = Desk(app, app_cast.anna)
    assert "/equipment/scope/use-now" in anna.get("/equipment/scope").html
    assert "/use-now" not in anna.get("/equipment/chamber").html
