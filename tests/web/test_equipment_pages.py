"""The catalogue's pages: what there is, what it can do, and when it is free."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from labbook.domain.capability import parse_need, parse_offer
from labbook.extensions import db
from labbook.models import Equipment
from labbook.services import transaction
from tests.cast import Cast
from tests.services.test_changes import SOAK, recipe
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


def test_a_recipe_says_what_it_needs_and_who_stands_by(app: Flask, app_cast: Cast) -> None:
    recipe(db.session, app_cast, "soak", hazards=["high_voltage"], **SOAK)
    text = Desk(app, app_cast.anna).get("/environments/soak").text
    for said in ("Bias is logged.", "all of it", "1000 h", "runs with nobody there", "Tom, 4711", "Bias off"):
        assert said in text
    for said in ("high voltage", "2 h", "2 kVA of Feeder A"):
        assert said in text


def test_equipment_is_found_by_what_it_can_do_with_what_nearly_can_below(app: Flask, app_cast: Cast) -> None:
    def able(slug: str, volts: str) -> None:
        row = db.session.scalars(select(Equipment).where(Equipment.slug == slug)).one()
        row.capabilities = {"dc_voltage": parse_offer(volts).stored()}

    transaction.write(db.session, lambda: (able("source", "1500 V"), able("source-2", "600 V")))
    anna = Desk(app, app_cast.anna)
    for query in ("can=DC+voltage&range=0.8+kV", "capability=dc_voltage:800V"):
        page = anna.get(f"/equipment?{query}")
        before, _near, after = page.text.partition("Nearly")
        assert "DC voltage 1500 V, " in before
        assert "Source 2" in after
        assert "DC voltage: 600 V of the " in after
        assert page.html.count('name="can"') == 2
    assert "0.7 kV more" in anna.get("/equipment?can=dc+voltage&range=0.8+kV").text
    half = anna.get("/equipment?can=dc+voltage&range=")
    assert 'role="alert"' in half.html
    assert 'value="dc voltage"' in half.html


def test_recipes_are_found_by_what_they_give(app: Flask, app_cast: Cast) -> None:
    hot = {"temperature": parse_need("85 degC").stored()}
    recipe(db.session, app_cast, "hot", ambient=hot)
    recipe(db.session, app_cast, "plain")
    anna = Desk(app, app_cast.anna)
    found = anna.get("/environments?can=temperature&range=85+°C").html
    assert "/environments/hot" in found
    assert "/environments/plain" not in found
    assert "No test environment gives that." in anna.get("/environments?can=temperature&range=90+°C").text
    assert 'role="alert"' in anna.get("/environments?can=temperature&range=warm").html
