"""What whoever stands there has to say: something beeps, something is broken."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from labbook.extensions import db
from labbook.models import OutboxMessage
from tests.cast import Cast, at
from tests.web.house import House, booked, step
from tests.web.people import Page
from tests.web.tablet import Tablet


@pytest.fixture
def house(app: Flask, app_cast: Cast) -> House:
    found = House(app, app_cast)
    step(found.mia, booked(found.anna, project="joint"), "approve")
    found.clock.move_to(at("2026-03-24 10:30"))
    return found


def alike(page: Page) -> str:
    """A page without what differs from one look to the next."""
    return re.sub(r'(name="(?:csrf_token|typist)" value=|name="csrf-token" content=)"[^"]*"', "", page.html)


def test_it_is_passed_on_and_answered_without_names(house: House) -> None:
    sent = house.carla.post("/kiosk/chamber/relay", matter="alarm", words="Since ten.")
    assert sent.status == 303
    page = house.carla.get(sent.location)
    assert all(said in page.text for said in ("An alarm", "passed on", "Since ten."))
    assert not re.search("anna|alpha|joint|damp heat", page.html, re.IGNORECASE)
    asked = house.anna.get(sent.location)
    assert "Since ten." in asked.text
    assert not re.search("carla|beta", asked.html, re.IGNORECASE)
    assert house.anna.post(f"{sent.location}/answer", text="").status == 422
    assert house.anna.post(f"{sent.location}/answer", text="It may beep.").status == 303
    page = house.carla.get(sent.location)
    assert "It may beep." in page.text
    assert not re.search("anna|alpha|joint|damp heat", page.html, re.IGNORECASE)
    assert house.tom.post(f"{sent.location}/answer", text="Too late.").status == 422


def test_the_sender_cannot_tell_from_any_byte_whether_anything_stands_there(house: House) -> None:
    paths = [
        house.carla.post(f"/kiosk/{slug}/relay", matter="alarm").location for slug in ("chamber", "scope")
    ]
    house.carla.get("/")  # what was said of both is read
    pages = [house.carla.get(path) for path in paths]
    plain = [
        alike(page).replace(path.rpartition("/")[2], "ID").replace("Chamber", "X").replace("Scope", "X")
        for page, path in zip(pages, paths, strict=True)
    ]
    plain = [re.sub(r"/kiosk/\w+", "/kiosk/x", page) for page in plain]
    assert plain[0] == plain[1]


def test_what_was_passed_on_is_nobody_elses_to_read(house: House) -> None:
    path = house.carla.post("/kiosk/chamber/relay", matter="alarm").location
    readers = {
        who: getattr(house, who).get(path).status
        for who in ("carla", "anna", "bo", "dorte", "tom", "mia", "ada")
    }
    assert readers == dict.fromkeys(readers, 404) | dict.fromkeys(("carla", "anna", "tom", "mia"), 200)


def test_a_tablet_passes_on_and_shows_the_answer_to_whoever_stands_there(app: Flask, house: House) -> None:
    tablet = Tablet(app, house.mia, name="hall")
    page = tablet.step("relay", matter="alarm", words="Since ten.")
    assert "Passed on." in page.text
    assert "An alarm passed on" in page.text
    relay = db.session.query(OutboxMessage).filter_by(kind="relay").first().payload["path"]
    db.session.rollback()
    house.anna.post(f"{relay}/answer", text="It may beep.")
    page = tablet.get()
    assert "An alarm answered It may beep." in page.text
    assert not re.search("anna|alpha|joint", page.html.partition("<body")[2], re.IGNORECASE)


def test_nothing_chosen_is_said_and_what_was_typed_is_kept(house: House) -> None:
    page = house.carla.post("/kiosk/chamber/relay", words="Since ten.")
    assert (page.status, page.value("words")) == (422, "Since ten.")
    assert "What you notice: This is needed." in page.text
    page = house.carla.post("/kiosk/chamber/fault", text="It hums.")
    assert (page.status, page.value("text")) == (422, "It hums.")


def test_a_busy_block_leads_to_it(house: House) -> None:
    page = house.carla.get("/calendar", date="2026-03-24", **{"as": "list"})
    assert 'href="/kiosk/chamber?open=relay#relay"' in page.html
    assert '<details class="kiosk-fold" id="relay" name="kiosk-words" open>' in re.sub(
        r"\s+", " ", house.carla.get("/kiosk/chamber", open="relay").html
    )


def test_a_fault_from_a_tablet_reaches_the_staffs_pages(app: Flask, house: House) -> None:
    tablet = Tablet(app, house.mia, name="hall")
    assert "Reported." in tablet.step("fault", severity="impaired", text="The door sticks.").text
    for who in ("tom", "mia", "ada"):
        for path in ("/manage/faults", "/equipment/chamber"):
            page = getattr(house, who).get(path)
            assert "The door sticks." in page.text, (who, path)
            assert "at the tablet “hall”" in page.text
    for who in ("anna", "carla"):
        assert getattr(house, who).get("/manage/faults").status == 403
        assert "sticks" not in getattr(house, who).get("/equipment/chamber").text
    one = re.findall(r"/manage/faults/(\w+)/close", house.tom.get("/manage/faults").html)[0]
    assert house.anna.post(f"/manage/faults/{one}/close").status == 404
    assert house.tom.post(f"/manage/faults/{one}/close").location == "/equipment/chamber#faults"
    assert "sticks" not in house.mia.get("/manage/faults").text


def test_staff_who_report_it_unusable_are_asked_whether_to_take_it_out_of_service(house: House) -> None:
    reported = house.tom.post("/kiosk/chamber/fault", severity="unusable", text="The door is off.")
    assert reported.location == "/equipment/chamber#faults"
    page = house.tom.get("/equipment/chamber")
    assert "Take it out of service" in page.text
    assert "in service" in page.text
    assert house.carla.post("/equipment/chamber/state", state="out_of_service").status == 403
    assert house.tom.post("/equipment/chamber/state", state="out_of_service").status == 303
    assert "Out of service It cannot be used now." in house.carla.get("/kiosk/chamber").text
    assert "Back into service" in house.tom.get("/equipment/chamber").text
    assert (
        house.carla.post("/kiosk/chamber/fault", severity="unusable", text="x").location == "/kiosk/chamber"
    )
