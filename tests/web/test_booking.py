"""Booking by the form, as a person meets it: one pass, and everything that can be wrong with it at once."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from labbook.extensions import db
from labbook.models import Environment, EnvironmentVersion, Facility, Reservation
from labbook.services import accounts
from tests.cast import NOW, Cast, at
from tests.web.house import House, booked, step
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


def count() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Reservation)) or 0


def test_a_booking_leads_to_its_page(anna: Desk) -> None:
    made = anna.post("/book", **form(notes="Half bridge\r\n800 V", project="joint"))
    assert made.status == 303, made.text
    page = anna.get(made.location)
    assert page.status == 200
    for words in ("Ripple", "Booked.", "Tue 24 Mar", "10:00–12:00 (2 h)", "Joint inverter", "800 V"):
        assert words in page.text


def test_the_equipment_of_a_link_comes_with_its_next_free_hour(anna: Desk) -> None:
    page = anna.get("/book", equipment="scope")
    assert page.value("start_date") == "2026-03-23"
    assert (page.value("start_time"), page.value("end_time")) == ("09:00", "10:00")
    assert page.value("title") == "Measurement"


def test_a_link_with_an_instant_is_read_on_the_labs_clock(anna: Desk) -> None:
    page = anna.get("/book", equipment="scope", start="2026-03-30T08:00:00Z", end="2026-03-30T09:00:00Z")
    assert (page.value("start_date"), page.value("start_time")) == ("2026-03-30", "10:00")


def test_a_duration_stands_for_an_end(anna: Desk) -> None:
    made = anna.post("/book", **form(end_date="", end_time="", duration="90 min"))
    assert "10:00–11:30 (1 h 30 min)" in anna.get(made.location).text


def test_an_end_and_a_duration_that_disagree_are_not_guessed_at(anna: Desk) -> None:
    page = anna.post("/book", **form(duration="1 h"))
    assert page.status == 422
    assert "do not agree" in page.text


def test_sent_twice_it_is_booked_once(anna: Desk) -> None:
    first, second = anna.post("/book", **form()), anna.post("/book", **form())
    assert first.location == second.location
    assert count() == 1


def test_every_problem_is_shown_at_once_and_nothing_typed_is_lost(anna: Desk) -> None:
    page = anna.post("/book", **form(equipment="", title="", notes="Kept words", end_time="25:99"))
    assert page.status == 422
    assert page.text.count("This is needed.") >= 2
    assert "“25:99” is not a time" in page.text
    assert page.value("notes") == "Kept words"
    assert page.value("end_time") == "25:99"


def test_what_the_rules_refuse_stands_with_what_the_words_refuse(anna: Desk) -> None:
    page = anna.post("/book", **form(title=" ", start_date="2026-03-20", end_date="2026-03-20"))
    assert "The start lies in the past." in page.text
    assert "Title : This is needed." in page.text


def test_a_conflict_offers_the_next_times_and_one_can_be_taken(anna: Desk) -> None:
    anna.post("/book", **form())
    page = anna.post("/book", **form(once="two", title="Second"))
    assert page.status == 409
    assert "Scope is taken" in page.text
    assert "Tue 24 Mar, 12:00–14:00 (2 h)" in page.text
    taken = anna.post(
        "/book", **form(once="two", title="Second", take="2026-03-24T11:00:00Z/2026-03-24T13:00:00Z")
    )
    assert taken.status == 200
    assert (taken.value("start_time"), taken.value("end_time")) == ("12:00", "14:00")
    assert taken.value("title") == "Second"
    assert count() == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"end_time": "09:00"}, "The end must be after the start."),
        ({"end_time": "10:00"}, "The end must be after the start."),
        ({"start_date": "2026-03-29", "start_time": "02:30"}, "02:30 does not exist on this day"),
        ({"end_date": "2026-10-25", "end_time": "02:30"}, "02:30 happens twice on this day"),
        ({"start_date": "tomorrow"}, "“tomorrow” is not a date"),
        ({"start_date": "9999-12-31", "end_date": "9999-12-31", "end_time": "23:59"}, "out of range"),
        ({"start_date": "0001-01-01", "start_time": "00:00"}, "out of range"),
        ({"title": "x" * 100_000}, "At most 300 characters; there are 100,000."),
        ({"title": "bell \x07"}, "Control characters"),
        ({"notes": "null \x00"}, "Control characters"),
        ({"equipment": "unheard-of"}, "There is no equipment “unheard-of”."),
        ({"environment": "unheard-of"}, "There is no test environment “unheard-of”."),
        ({"project": "unheard-of"}, "There is no project “unheard-of”"),
        ({"holder": "carla@beta.example"}, "There is nobody with the address carla@beta.example"),
        ({"participants": "carla@beta.example"}, "is not somebody who could see this reservation"),
        ({"activity": "unheard-of"}, "There is no activity kind"),
        ({"places": "-1"}, "“-1” is not a whole number from 1."),
        ({"places": "9" * 5000}, "is not a whole number from 1."),
        ({"places": "2"}, "Scope has 1 places; 2 were asked for."),
        ({"equipment": "hipot"}, "The qualification “HV” is needed."),
    ],
)
def test_bad_input_is_answered_in_clear_words(anna: Desk, wrong: dict[str, str], words: str) -> None:
    page = anna.post("/book", **form(**wrong))
    assert page.status == 422
    assert words in page.text
    assert count() == 0


def test_an_hour_that_happens_twice_can_be_chosen(anna: Desk) -> None:
    day = {"start_date": "2026-10-25", "start_time": "02:30", "end_date": "2026-10-25", "end_time": "04:00"}
    asked = anna.post("/book", **form(**day))
    assert "second, winter time" in asked.text
    made = anna.post("/book", **form(**day, start_fold="2"))
    assert "02:30 CET–04:00 (1 h 30 min)" in anna.get(made.location).text


def test_a_line_is_added_without_script(anna: Desk) -> None:
    page = anna.post("/book", **form(add="1"))
    assert page.html.count('name="places"') == 2
    assert page.value("title") == "Ripple"


def test_a_line_is_taken_away_without_script(anna: Desk) -> None:
    page = anna.post("/book", **form(equipment=["scope", "chamber"], places=["1", "1"], remove="0"))
    assert page.html.count('name="places"') == 1
    assert '<option value="chamber" data-zone="Europe/Copenhagen" data-places="1" selected>' in page.html


def test_a_manager_books_for_somebody_else(app: Flask, app_cast: Cast, clock: Clock) -> None:
    mia = Desk(app, app_cast.mia)
    made = mia.post("/book", **form(holder="anna@alpha.example"))
    page = Desk(app, app_cast.anna).get(made.location)
    assert "Anna, Alpha requested by Mia" in page.text


def test_a_manager_sets_a_rule_aside_with_a_reason(app: Flask, app_cast: Cast, clock: Clock) -> None:
    mia = Desk(app, app_cast.mia)
    asked = form(equipment="hipot", holder="bo@alpha.example", start_time="18:00", end_time="19:00")
    refused = mia.post("/book", **asked)
    assert "only while the laboratory is staffed" in refused.text
    assert 'name="override" value="unstaffed"' in refused.html
    assert "Please give a reason." in mia.post("/book", **asked, override="unstaffed").text
    assert mia.post("/book", **asked, override="unstaffed", reason="He has a key").status == 303


def test_staff_make_a_block_and_nobody_else_does(app: Flask, app_cast: Cast, clock: Clock) -> None:
    tom, anna = Desk(app, app_cast.tom), Desk(app, app_cast.anna)
    made = tom.post("/book", **form(kind="block", title="Service"))
    assert made.status == 303
    assert "A block by staff, without a customer" in tom.get(made.location).text
    assert 'name="kind"' not in anna.get("/book").html
    assert (
        anna.post("/book", **form(kind="block", once="two", start_time="08:00", end_time="09:00")).status
        == 403
    )


def test_a_manager_enters_afterwards_what_happened(app: Flask, app_cast: Cast, clock: Clock) -> None:
    mia = Desk(app, app_cast.mia)
    past = {"start_date": "2026-03-20", "end_date": "2026-03-20", "holder": "anna@alpha.example"}
    page = mia.get(mia.post("/book", **form(**past)).location)
    assert "Entered afterwards." in page.text
    assert "completed" in page.text


def test_the_check_says_what_would_become_of_it_and_keeps_nothing(anna: Desk) -> None:
    free = anna.post("/book/check", **form(title=""))
    assert "It is yours as soon as you book it." in free.text
    asked = anna.post("/book/check", **form(equipment="chamber"))
    assert "A manager has to agree" in asked.text
    assert "With set-up and tear-down: Tue 24 Mar, 09:30–12:30 (3 h)" in asked.text
    assert count() == 0


def test_the_check_offers_other_times(anna: Desk) -> None:
    anna.post("/book", **form())
    found = anna.post("/book/check", **form())
    assert "Scope is taken" in found.text
    assert 'value="2026-03-24T11:00:00Z/2026-03-24T13:00:00Z"' in found.html


def test_use_now_takes_it_for_an_hour(anna: Desk) -> None:
    made = anna.post("/equipment/scope/use-now", minutes="60")
    page = anna.get(made.location)
    assert "in use" in page.text
    assert "Mon 23 Mar" in page.text
    assert "09:00–10:00 (1 h)" in page.text


def test_use_now_pressed_twice_is_one(anna: Desk) -> None:
    first = anna.post("/equipment/scope/use-now", minutes="60", once="x")
    assert anna.post("/equipment/scope/use-now", minutes="60", once="x").location == first.location
    assert count() == 1


def test_use_now_of_what_is_taken_leads_to_its_next_free_time(anna: Desk, app: Flask, app_cast: Cast) -> None:
    anna.post("/equipment/scope/use-now", minutes="60")
    carla = Desk(app, app_cast.carla)
    refused = carla.post("/equipment/scope/use-now", minutes="60")
    page = carla.get(refused.location)
    assert "Somebody else has it now." in page.text
    assert page.value("start_time") == "10:00"


@pytest.mark.parametrize("minutes", ["soon", "-5", "99999", "0"])
def test_use_now_for_no_length_of_time_is_refused(anna: Desk, minutes: str) -> None:
    assert anna.post("/equipment/scope/use-now", minutes=minutes).status in (303, 422)
    assert count() == 0


def test_what_was_typed_by_somebody_signed_out_comes_back(app: Flask, app_cast: Cast, clock: Clock) -> None:
    answer = app.test_client().get("/book?equipment=scope")
    assert answer.status_code == 302
    assert answer.location == "/sign-in?next=/book?equipment%3Dscope"


def test_a_form_of_another_site_does_nothing(anna: Desk) -> None:
    page = anna.post("/book", **form(csrf_token="forged"))
    assert page.status == 400
    assert page.value("title") == "Ripple"
    assert count() == 0


def test_the_lab_chooses_a_time_on_its_own_clock(anna: Desk) -> None:
    """Summer time begins between the two: a thousand hours are a thousand hours."""
    made = anna.post(
        "/book",
        **form(start_date="2026-03-28", start_time="12:00", end_date="", end_time="", duration="24 h"),
    )
    assert made.status == 303
    db.session.rollback()
    row = db.session.scalars(select(Reservation)).one()
    assert (row.starts_at, row.ends_at) == (at("2026-03-28 12:00"), at("2026-03-29 13:00"))


def damp_heat() -> None:
    """A recipe for any climate chamber and one oscilloscope, with half an hour of set-up."""
    session = db.session()
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    facility = session.scalars(select(Facility)).one()
    row = Environment(slug="damp-heat", facility_id=facility.id, version=1)
    session.add(row)
    session.flush()
    needs = [{"category": "climate-chamber"}, {"category": "oscilloscope"}]
    session.add(
        EnvironmentVersion(
            environment_id=row.id,
            number=1,
            name={"en": "Damp heat with bias"},
            setup=1800,
            teardown=0,
            ambient={},
            draws={},
            needs=needs,
        )
    )
    session.commit()


def test_an_environment_is_booked_whole_with_the_pieces_that_are_free(anna: Desk) -> None:
    damp_heat()
    anna.post("/book", **form())
    looked = anna.post("/book/check", **form(equipment="", environment="damp-heat"))
    assert "Uses Scope 2, Chamber" in looked.text
    made = anna.post("/book", **form(equipment="", environment="damp-heat", once="two"))
    page = anna.get(made.location)
    assert "Damp heat with bias" in page.text
    assert "Scope 2" in page.text


def test_a_budget_is_called_by_its_name(anna: Desk) -> None:
    anna.post("/book", **form(equipment="source"))
    assert "Feeder A would carry 12 kVA" in anna.post("/book", **form(equipment="source-2")).text


def test_an_environment_that_is_taken_is_offered_later(anna: Desk) -> None:
    damp_heat()
    anna.post("/book", **form(equipment="", environment="damp-heat"))
    page = anna.post("/book", **form(equipment="", environment="damp-heat", once="two"))
    assert page.status == 409
    assert "Chamber is taken" in page.text
    assert 'name="take"' in page.html


def test_what_was_typed_while_the_session_ended_comes_back_after_signing_in(
    app: Flask, app_cast: Cast, clock: Clock
) -> None:
    link = accounts.invitation_link(db.session(), app_cast.anna.email, now=NOW).rpartition("/")[2]
    accounts.redeem(db.session(), "invitation", link, "correct horse battery", now=NOW)
    anna = Desk(app, app_cast.anna)
    with anna.client.session_transaction() as session:
        del session["_user_id"]
    asked = anna.post("/book", **form(notes="Long typed"))
    assert asked.status == 401
    kept = asked.value("kept")
    back = anna.post("/sign-in", email=app_cast.anna.email, password="correct horse battery", kept=kept)
    assert back.status == 200
    assert (back.value("title"), back.value("notes")) == ("Ripple", "Long typed")
    assert count() == 0


def test_a_piece_is_taken_whole_with_a_tick_in_its_line(app: Flask, app_cast: Cast) -> None:
    house = House(app, app_cast)
    path = booked(house.anna, equipment=["scope", "cycler"], places=["1", "1"], whole="1")
    page = house.anna.get(path)
    assert "Cycler whole" in page.text
    step(house.anna, path, "change", title="Damp heat", equipment=["scope", "cycler"], places=["1", "2"])
    assert "Cycler × 2" in house.anna.get(path).text
