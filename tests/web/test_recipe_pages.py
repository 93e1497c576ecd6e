"""The editor of recipes: rows come and go, all that is wrong at once, nothing typed lost, nobody else's."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from labbook.extensions import db
from labbook.models import Environment
from tests.cast import Cast
from tests.web.people import Clock, Desk, Page

WRITTEN: dict[str, Any] = {
    "facility": "cie",
    "name_en": "Soak",
    "slug": "soak",
    "need-0-what": "equipment:cycler",
    "need-0-count": "1",
    "need-0-places": "2",
    "need-4-what": "category:oscilloscope",
    "need-4-capabilities": "",
    "ambient": ["temperature: 85 °C", ""],
    "setup": "2 h",
    "run": "1000 h",
    "readouts": "168 h, 500 h",
    "draw-feeder-a": "2 kVA",
    "staffing": "",
    "note": "First",
}


@pytest.fixture(autouse=True)
def clock(app: Flask) -> Clock:
    return Clock(app)


@pytest.fixture
def mia(app: Flask, app_cast: Cast) -> Desk:
    return Desk(app, app_cast.mia)


def made(desk: Desk, **more: Any) -> Page:
    return desk.post("/environments/new", **WRITTEN | more)


def edited(desk: Desk, slug: str = "soak", **more: Any) -> Page:
    return desk.post(f"/environments/{slug}/edit", **WRITTEN | {"edited_from": "1"} | more)


def test_a_manager_writes_a_recipe_and_reads_it_on_its_page(mia: Desk) -> None:
    answer = made(mia)
    assert (answer.status, answer.location) == (303, "/environments/soak")
    text = mia.get("/environments/soak").text
    for said in ("Soak", "Cycler", "2 places", "85 °C", "1000 h", "168 h, 500 h", "2 kVA of Feeder A"):
        assert said in text
    assert "Scope, Scope 2" in text  # what would meet the second need today
    assert "/book/find?environment=soak&amp;duration=1000+h" in mia.get("/environments/soak").html
    page = mia.get("/environments/soak/edit")
    assert page.value("need-0-what") == "equipment:cycler"
    assert (page.value("setup"), page.value("run"), page.value("edited_from")) == ("2 h", "1000 h", "1")
    assert page.value("draw-feeder-a") == "2 kVA"
    assert "Soak" in mia.get("/manage/environments").text


def test_a_recipe_of_a_laboratory_that_is_not_there_is_nobodys(mia: Desk) -> None:
    answer = made(mia, facility="nowhere")
    assert answer.status == 422
    assert "nowhere" in answer.text


WRONG_ROW = {"what": "category:oscilloscope", "capabilities": "x\n" * 4000}


@pytest.mark.parametrize("field", ["ambient", "readouts", "more_qualifications", "need-0-capabilities"])
def test_what_is_too_long_is_told_once_and_not_line_by_line(mia: Desk, field: str) -> None:
    answer = made(mia, **{field: "x\n" * 6000})
    assert answer.status == 422
    assert answer.text.count("At most 10,000 characters") in (1, 2)  # above, and beside the field
    assert len(answer.html) < 100_000
    rows = {f"need-{row}-{name}": value for row in range(50) for name, value in WRONG_ROW.items()}
    answer = made(mia, **rows)
    assert "At most 100 of these" in answer.text
    assert len(answer.html) < 2_000_000


def test_what_is_saved_as_it_was_read_is_no_new_version(mia: Desk) -> None:
    made(mia)
    edited(mia, ambient="temperature: 85 °C")
    assert "Nothing was different" in mia.get("/environments/soak").text


def test_a_row_more_or_less_keeps_everything_that_was_typed(mia: Desk) -> None:
    more = made(mia, step="add", name_en="Half written", setup="soon")
    assert more.status == 200
    assert (more.value("name_en"), more.value("setup")) == ("Half written", "soon")
    assert 'name="need-5-what"' in more.html
    assert "This stands in the way" not in more.text
    less = made(mia, step="remove-0")
    assert 'name="need-0-what"' not in less.html
    assert less.value("need-4-what") == "category:oscilloscope"
    assert db.session.scalar(select(Environment.id)) is None


def test_everything_wrong_is_said_at_once_beside_its_field(mia: Desk) -> None:
    wrong = {
        "name_en": "",
        "slug": "So ak",
        "setup": "soon",
        "need-4-capabilities": ["bandwidth: 1 flurb", "nonsense"],
        "need-0-places": "9",
        "readouts": "later",
        "staffing": "unattended",
        "ambient": "85 °C",
        "draw-feeder-a": "2 L",
    }
    page = made(mia, **wrong)
    assert page.status == 422
    assert page.html.count('class="field-problem"') >= 9
    for row, said in (("0", "has 4 places"), ("4", "flurb")):
        fieldset = page.html.partition(f'name="need-{row}-what"')[2].partition("</fieldset>")[0]
        assert said in fieldset
    assert page.value("setup") == "soon"
    assert "nonsense" in page.html
    assert db.session.scalar(select(Environment.id)) is None


def test_a_check_says_what_would_meet_each_need_and_saves_nothing(mia: Desk) -> None:
    good = made(mia, step="check")
    assert "This can be saved." in good.text
    assert "Today: Scope, Scope 2" in good.text
    none = made(mia, **{"step": "check", "need-4-capabilities": "bandwidth: 1 GHz", "setup": "soon"})
    assert none.status == 200
    assert "Nothing in service meets this today." in none.text
    assert "soon" in none.text
    assert db.session.scalar(select(Environment.id)) is None


def test_somebody_elses_newer_version_is_told_and_what_was_typed_stays(
    app: Flask, app_cast: Cast, mia: Desk
) -> None:
    made(mia)
    edited(Desk(app, app_cast.max), permit="1", note="Energised")
    page = edited(mia, name_en="Soak, mine")
    assert page.status == 409
    assert "Somebody saved version 2" in page.text
    assert (page.value("name_en"), page.value("edited_from")) == ("Soak, mine", "2")
    again = edited(mia, name_en="Soak, mine", edited_from="2")
    assert again.status == 303
    text = mia.get("/environments/soak").text
    assert "Version 3" in text
    assert "Soak → Soak, mine" in text
    assert "Energised" in text
    assert "none needed → needed" in text


def test_of_needs_only_those_that_changed_are_told_and_a_reservation_says_its_version(
    app: Flask, app_cast: Cast, mia: Desk
) -> None:
    made(mia)
    anna = Desk(app, app_cast.anna)
    booked = anna.post(
        "/book", environment="soak", title="Batch 7", start_date="2026-03-24", start_time="12:00",
        end_date="2026-03-24", end_time="14:00",
    )  # fmt: skip
    edited(mia, **{"need-0-places": "3", "ambient": "temperature: 85 °C"})
    text = mia.get("/environments/soak").text
    assert "Cycler, 2 places → Cycler, 3 places" in text
    assert "Soak version 1" in anna.get(booked.location).text


def test_it_is_retired_and_taken_back(app: Flask, app_cast: Cast, mia: Desk) -> None:
    made(mia)
    assert mia.post("/environments/soak/retire").status == 303
    anna = Desk(app, app_cast.anna)
    assert "Soak" not in anna.get("/environments").text
    assert "retired" in anna.get("/environments/soak").text
    assert "Find a time" not in anna.get("/environments/soak").text
    assert mia.post("/environments/soak/restore").status == 303
    assert "Soak" in anna.get("/environments").text


@pytest.mark.parametrize("name", ["anna", "tom"])
def test_who_manages_nothing_neither_edits_the_laboratorys_nor_lists_what_managers_keep(
    app: Flask, app_cast: Cast, mia: Desk, name: str
) -> None:
    made(mia)
    desk = Desk(app, getattr(app_cast, name))
    assert desk.get("/manage/environments").status == 403
    assert desk.get("/environments/soak/edit").status == 403
    assert edited(desk).status == 403
    for step in ("retire", "publish", "take-over"):
        assert desk.post(f"/environments/soak/{step}").status == 403


# --- an engineer's own --------------------------------------------------------------------------------


@pytest.fixture
def own(app: Flask, app_cast: Cast) -> str:
    """The address of a recipe that Anna saved."""
    answer = made(Desk(app, app_cast.anna))
    assert answer.status == 303
    assert answer.location.startswith("/environments/soak-")
    return answer.location


def test_an_engineer_saves_what_they_need_for_their_organisation(
    app: Flask, app_cast: Cast, own: str
) -> None:
    for viewer in (app_cast.anna, app_cast.bo, app_cast.mia, app_cast.tom):
        assert "only for Alpha" in Desk(app, viewer).get(own).text
    anna = Desk(app, app_cast.anna)
    page = anna.get("/environments/new?need=oscilloscope;+bandwidth:+1+GHz&need=climate-chamber;+places:+2")
    assert page.value("need-0-what") == "category:oscilloscope"
    assert page.value("need-1-places") == "2"
    assert 'name="draw-feeder-a"' not in page.html
    assert 'value="unattended"' not in page.html
    like = anna.get(f"/environments/new?like={own.rpartition('/')[2]}")
    assert like.value("name_en") == "Soak, changed"


def test_a_competitor_finds_nothing_of_it(app: Flask, app_cast: Cast, own: str) -> None:
    carla = Desk(app, app_cast.carla)
    slug = own.rpartition("/")[2]
    assert carla.get(own).status == carla.get("/environments/never-was").status == 404
    assert carla.get(f"{own}/edit").status == 404
    assert edited(carla, slug).status == 404
    assert carla.get(f"/environments/new?like={slug}").status == 404
    for step in ("retire", "publish", "take-over", "restore"):
        assert carla.post(f"{own}/{step}").status == 404
    for page in ("/environments", "/equipment/cycler", "/book", "/book/form"):
        assert slug not in carla.get(page).html


def test_a_manager_publishes_it_and_everybody_sees_it(
    app: Flask, app_cast: Cast, own: str, mia: Desk
) -> None:
    assert "Alpha" in mia.get("/manage/environments").text
    assert mia.post(f"{own}/publish").status == 303
    text = Desk(app, app_cast.carla).get(own).text
    assert "Soak" in text
    assert "Anna" not in text
    assert "First" not in text
