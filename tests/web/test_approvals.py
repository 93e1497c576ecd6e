"""The queue, home, and what both cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import event

from labbook.domain.access import Viewer
from labbook.extensions import db
from labbook.models import Equipment, Facility, StaffMembership
from labbook.services.sweep import sweep
from tests.cast import NOW, Cast, at, equipment
from tests.web.house import House, booked, step
from tests.web.people import Page


@pytest.fixture
def house(app: Flask, app_cast: Cast) -> House:
    return House(app, app_cast)


def manager_of_another_lab(cast: Cast) -> Viewer:
    """max, moved to a facility of his own."""
    session = db.session()
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    other = Facility(
        slug="elsewhere", name={"en": "Elsewhere"}, time_zone="Europe/Berlin", country="DE", staffed={}
    )
    session.add(other)
    session.flush()
    session.query(StaffMembership).filter_by(user_id=cast.max.id).update({"facility_id": other.id})
    equipment(session, other, "far-scope", approval="manager")
    session.commit()
    return cast.max


def test_the_queue_shows_what_lies_beside_a_request_and_what_speaks_against_it(house: House) -> None:
    step(house.mia, booked(house.carla, title="Before", start_time="06:00", end_time="08:00"), "approve")
    booked(house.anna, title="This one", notes="800 V")
    page = house.mia.get("/approvals")
    assert "1 waiting" in page.text
    for words in ("This one", "Alpha · Anna", "800 V", "before: until Tue 24 Mar", "1 h between"):
        assert words in page.text
    assert "nothing within two weeks after" in page.text


def test_a_request_is_decided_in_place(house: House) -> None:
    path = booked(house.anna)
    shown = house.mia.get("/approvals")
    assert all(shown.offers(name) for name in ("approve", "decline", "message", "propose"))
    answer = house.mia.post(f"{path}/approve", revision=shown.value("revision"), next="/approvals")
    assert answer.location == "/approvals"
    after = house.mia.get("/approvals")
    assert "Approved." in after.text
    assert "Nothing waits for you." in after.text


def test_a_question_leaves_it_in_the_queue(house: House) -> None:
    path = booked(house.anna)
    house.mia.post(f"{path}/message", text="How hot?", next="/approvals")
    assert "1 waiting" in house.mia.get("/approvals").text
    assert "How hot?" in house.anna.get(path).text


def test_what_was_proposed_waits_for_the_holder(house: House) -> None:
    path = booked(house.anna)
    wish = {"start_date": "2026-03-25", "start_time": "10:00", "end_date": "2026-03-25", "end_time": "12:00"}
    house.mia.post(f"{path}/propose", **wish, next="/approvals")
    page = house.mia.get("/approvals")
    assert "The holder has to answer." in page.text
    assert "waiting" not in page.text.partition("Damp heat")[0]


def test_a_change_of_what_is_approved_is_decided_in_the_queue(house: House) -> None:
    path = booked(house.anna)
    step(house.mia, path, "approve")
    step(house.anna, path, "change", end_date="2026-03-24", end_time="15:00")
    page = house.mia.get("/approvals")
    assert "instead of Tue 24 Mar" in page.text
    assert page.offers("accept")
    assert page.offers("refuse")
    assert not page.offers("decline")


def test_only_managers_have_a_queue(house: House) -> None:
    assert house.anna.get("/approvals").status == 403
    assert house.tom.get("/approvals").status == 403


def test_the_manager_of_another_lab_sees_and_decides_nothing_here(house: House, app_cast: Cast) -> None:
    path = booked(house.anna)
    manager_of_another_lab(app_cast)
    assert "Damp heat" not in house.max.get("/approvals").text
    assert house.max.get(path).status == 404
    assert house.max.post(f"{path}/approve").status == 404


def test_home_shows_what_is_mine_now_and_next_and_what_waits_for_me(house: House) -> None:
    house.anna.post("/equipment/scope/use-now", minutes="60")
    path = booked(house.anna)
    step(house.mia, path, "message", text="How hot?")
    home = house.anna.get("/")
    assert "until Mon 23 Mar" in home.text
    assert home.offers("check-out")
    assert "Damp heat Chamber" in home.text
    assert "a message to answer" in home.text
    managers = house.mia.get("/")
    assert "1 request to decide" in managers.text


def test_a_proposal_waits_on_the_holders_home(house: House) -> None:
    path = booked(house.anna)
    step(
        house.mia,
        path,
        "propose",
        start_date="2026-03-25",
        start_time="10:00",
        end_date="2026-03-25",
        end_time="12:00",
    )
    assert "another time is proposed" in house.anna.get("/").text


def test_home_offers_check_in_when_the_set_up_begins(house: House) -> None:
    path = booked(house.anna)
    step(house.mia, path, "approve")
    assert not house.anna.get("/").offers("check-in")
    house.clock.move_to(at("2026-03-24 09:30"))
    home = house.anna.get("/")
    assert "ready for check-in" in home.text
    assert home.offers("check-in")
    assert house.anna.post(f"{path}/check-in", next="/").location == "/"


def test_home_offers_only_what_one_may_take(house: House) -> None:
    free = house.anna.get("/").html
    assert "/equipment/scope/use-now" in free
    assert "/equipment/chamber/use-now" not in free  # a manager approves it
    assert "/equipment/hipot/use-now" not in free  # anna has no training for it
    assert "/equipment/hipot/use-now" in house.bo.get("/").html
    house.carla.post("/equipment/scope/use-now", minutes="60")
    assert "/equipment/scope/use-now" not in house.anna.get("/").html


def test_use_now_never_offers_more_than_is_free(house: House) -> None:
    booked(
        house.bo,
        "scope",
        start_date="2026-03-23",
        end_date="2026-03-23",
        start_time="09:45",
        end_time="12:00",
    )
    form = house.anna.get("/").html.partition("/equipment/scope/use-now")[2].partition("</form>")[0]
    assert 'value="30"' in form
    assert 'value="60"' not in form


def statements(ask: Callable[[], Page]) -> int:
    seen: list[str] = []

    def note(*given: object) -> None:
        seen.append(str(given[2]))

    ask()
    event.listen(db.engine, "before_cursor_execute", note)
    try:
        assert ask().status == 200
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return len(seen)


@pytest.mark.parametrize("path", ["/", "/approvals", "/reservations?of=all", "/book?equipment=scope"])
def test_more_reservations_cost_no_more_queries(house: House, path: str) -> None:
    where, _mark, query = path.partition("?")
    asked = dict(pair.split("=") for pair in query.split("&") if pair)
    booked(house.anna)
    step(house.mia, booked(house.anna, "scope", end_time="11:00"), "message", text="?")
    before = statements(lambda: house.mia.get(where, **asked))
    for n in range(6):
        day = f"2026-04-{n + 1:02}"
        booked(house.bo, start_date=day, end_date=day, title=f"Request {n}")
        booked(
            house.anna,
            "cycler",
            start_date=day,
            end_date=day,
            project="joint",
            participants="bo@alpha.example",
        )
    assert statements(lambda: house.mia.get(where, **asked)) <= before


def test_a_long_story_costs_no_more_queries_on_its_page(house: House) -> None:
    path = booked(house.anna)
    step(house.mia, path, "message", text="One")
    step(house.anna, path, "change", title="Another title")
    before = statements(lambda: house.anna.get(path))
    for n in range(5):
        house.clock.move_to(NOW + timedelta(minutes=n))
        step(house.anna, path, "message", text=f"Word {n}")
        step(house.anna, path, "change", title=f"Title {n}")
    assert statements(lambda: house.anna.get(path)) <= before


def test_what_became_wrong_since_the_request_is_said_at_the_approval(house: House) -> None:
    path = booked(house.anna)
    session = db.session()
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    session.query(Equipment).filter_by(slug="chamber").update({"state": "out_of_service"})
    session.commit()
    assert "Chamber is out of service." in house.mia.get("/approvals").text
    refused = house.mia.post(f"{path}/approve", next="/approvals")
    assert refused.status == 422
    assert "Chamber is out of service." in refused.text


def test_somebody_checks_in_late_while_the_place_is_still_free(house: House) -> None:
    path = booked(house.anna)
    step(house.mia, path, "approve")
    house.clock.move_to(at("2026-03-24 10:45"))
    sweep(db.session(), now=house.clock.now)
    missed = house.anna.get(path)
    assert "no-show" in missed.text
    assert "Check in late" in missed.text
    assert "Checked in." in step(house.tom, path, "check-in").text


def test_a_managers_own_request_is_for_another_manager(house: House) -> None:
    path = booked(house.mia)
    for page in (house.mia.get(path), house.mia.get("/approvals")):
        assert "another manager has to decide" in page.text
        assert not page.offers("approve")
    assert house.max.get(path).offers("approve")
    assert house.max.get("/approvals").offers("approve")
