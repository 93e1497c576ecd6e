"""What one looks at first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from labbook.extensions import db
from labbook.models import Reservation
from labbook.services import home, transaction
from tests.cast import NOW, Cast, at
from tests.web.house import House, booked, step


@pytest.fixture
def house(app: Flask, app_cast: Cast) -> House:
    return House(app, app_cast)


def flag(title: str) -> None:
    """As the sweep does where nobody has checked in to something long."""
    session = db.session()
    flagged = update(Reservation).where(Reservation.title == title).values(flagged_at=NOW)
    transaction.write(session, lambda: session.execute(flagged))


def test_an_admin_sees_what_is_late_in_every_facility(house: House) -> None:
    booked(house.anna, title="Nobody came")
    flag("Nobody came")
    for desk in (house.mia, house.tom, house.ada):
        assert "Nobody came" in desk.get("/").text
    assert "Nobody came" not in house.carla.get("/").text


def test_what_is_mine_does_not_crowd_out_what_is_late(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "LIMIT", 2)
    for hour in range(6, 10):
        times = {"start_time": f"{hour:02}:00", "end_time": f"{hour + 1:02}:00"}
        booked(house.mia, "scope", title=f"Mine {hour}", **times)
    booked(house.anna, title="Nobody came", start_time="14:00", end_time="15:00")
    flag("Nobody came")
    page = house.mia.get("/")
    assert "Mine 6" in page.text
    assert "Nobody came" in page.text
    assert "All of them" in page.text
    found = home.read(db.session(), viewer=house.cast.mia, now=NOW + timedelta(minutes=1))
    assert (found.more, found.more_trouble) == (True, False)


def test_a_message_waits_for_whoever_has_the_next_word(house: House) -> None:
    path = booked(house.anna)
    step(house.anna, path, "message", text="When may I come?")
    assert "a message to answer" in house.tom.get("/").text
    assert "a message to answer" not in house.anna.get("/").text
    step(house.tom, path, "message", text="At ten")
    assert "a message to answer" not in house.tom.get("/").text
    assert "a message to answer" in house.anna.get("/").text


def test_a_set_up_that_waits_for_its_permit_waits_for_the_managers(house: House) -> None:
    path = booked(house.anna, title="Surge test")
    asks = update(Reservation).values(permit_required=True)
    transaction.write(db.session(), lambda: db.session.execute(asks))
    step(house.mia, path, "approve")
    assert "a permit to sign" not in house.mia.get("/").text
    house.clock.move_to(at("2026-03-24 09:30"))
    for name in ("mia", "max", "ada"):
        assert "a permit to sign" in getattr(house, name).get("/").text
    for name in ("tom", "anna", "carla"):
        assert "a permit to sign" not in getattr(house, name).get("/").text
    assert "it may be energised" in step(house.mia, path, "permit").text.lower()
    assert "a permit to sign" not in house.mia.get("/").text
