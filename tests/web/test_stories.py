"""Two stories of slot windows from end to end: in the pages, at the tablet beside it, and in the mail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from labbook.extensions import db
from labbook.services import outbox, sweep
from labbook.services.outbox import Office
from labbook.services.post import carrier
from labbook.services.verify import verify
from tests.cast import Cast, at
from tests.mailbox import Mailbox
from tests.web.house import House, booked, step
from tests.web.people import Page
from tests.web.tablet import Tablet, code_of

OFFICE = Office("https://lab.example", "labbook@lab.example")


class Day:
    """The clock, the scheduler and the mail go on together."""

    def __init__(self, app: Flask, cast: Cast, box: Mailbox) -> None:
        self.house = House(app, cast)
        self.box = box

    def comes_to(self, when: str) -> list[str]:
        """What the scheduler did; whatever it had to say is in the mailbox afterwards."""
        now = at(when)
        self.house.clock.move_to(now)
        done = sweep.sweep(db.session(), now=now)
        self.post(now)
        assert verify(db.session()) == []
        return sorted(done)

    def post(self, now: datetime) -> None:
        with Session(db.engine) as session, carrier(self.box.url, Path()) as way:
            outbox.send_due(session, way, OFFICE, now=now)

    def newest_to(self, name: str) -> str:
        """The subject of the newest mail to somebody."""
        to = [m for m in self.box.messages if m["To"].addresses[0].username == name]
        return str(to[-1]["Subject"]) if to else ""


@pytest.fixture
def day(app: Flask, app_cast: Cast) -> Iterator[Day]:
    with Mailbox().open() as box:
        yield Day(app, app_cast, box)


def chamber_from(day: Day, who: str, start: str, end: str, title: str) -> str:
    desk = getattr(day.house, who)
    on = {"start_date": "2026-03-25", "end_date": "2026-03-25", "title": title}
    return booked(desk, start_time=start, end_time=end, **on)


def status_of(page: Page) -> str:
    found = re.search(r'class="status" data-status="(\w+)"', page.html.partition("<main")[2])
    assert found is not None
    return found[1]


def test_from_the_request_to_the_overrun_that_displaces_the_next_and_its_end(app: Flask, day: Day) -> None:
    house = day.house
    tablet = Tablet(app, house.mia)
    anna, carla = code_of(house.cast.anna), code_of(house.cast.carla)

    mine = chamber_from(day, "anna", "10:00", "12:00", "Damp heat")
    theirs = chamber_from(day, "carla", "13:00", "16:00", "Secret charger")
    day.comes_to("2026-03-23 09:05")
    assert day.newest_to("mia") == "To decide: Secret charger"
    assert "Damp heat" in house.mia.get("/approvals").text

    for path in (mine, theirs):
        step(house.mia, path, "approve")
    day.comes_to("2026-03-23 09:10")
    assert day.newest_to("anna") == "Approved: Damp heat"

    assert day.comes_to("2026-03-24 09:30") == ["reminder"]
    assert day.newest_to("anna") == "Coming up: Damp heat"
    day.comes_to("2026-03-24 13:00")

    assert day.comes_to("2026-03-25 09:30") == ["opened"]
    assert day.newest_to("anna") == "You may come: Damp heat"
    house.clock.move_to(at("2026-03-25 09:45"))
    inside = tablet.step("check-in", kiosk_code=anna)
    assert inside.status == 200, inside.text
    assert status_of(house.anna.get(mine)) == "in_use"

    assert day.comes_to("2026-03-25 11:45") == ["ending"]
    assert day.newest_to("anna") == "Ends soon: Damp heat"
    assert day.comes_to("2026-03-25 12:00") == ["overrun"]
    assert day.newest_to("anna") == "Over its end: Damp heat"
    assert status_of(house.anna.get(mine)) == "overrun"

    assert day.comes_to("2026-03-25 12:30") == ["displaced", "grown"]
    assert day.newest_to("carla") == "Still occupied: Secret charger"
    waiting = house.carla.get(theirs)
    assert status_of(waiting) == "displaced"
    assert "Free instead" in waiting.text
    assert not waiting.offers("check-in")
    assert not re.search("anna|alpha|damp heat", waiting.html, re.IGNORECASE), "not who it is"
    assert "Secret charger" not in tablet.get().text

    house.clock.move_to(at("2026-03-25 13:20"))
    left = tablet.step("check-out", kiosk_code=anna)
    assert left.status == 200, left.text
    assert status_of(house.anna.get(mine)) == "completed"
    assert day.comes_to("2026-03-25 13:21") == ["opened"]
    assert "Free at last: Secret charger" in {m["Subject"] for m in day.box.messages}
    house.clock.move_to(at("2026-03-25 13:30"))
    tablet.step("check-in", kiosk_code=carla)
    assert status_of(house.carla.get(theirs)) == "in_use"


def test_from_the_request_to_the_no_show_and_whoever_waited_for_it(day: Day) -> None:
    house = day.house
    missed = chamber_from(day, "anna", "10:00", "14:00", "Damp heat")
    step(house.mia, missed, "approve")
    wish = {
        "equipment": "chamber", "title": "Two hours of heat", "duration": "2 h", "mode": "offer",
        "places": "1", "earliest_date": "2026-03-25", "earliest_time": "10:00",
        "latest_date": "2026-03-25", "latest_time": "16:00",
    }  # fmt: skip
    chamber_from(day, "mia", "15:00", "18:00", "The lab's own")
    assert house.carla.post("/waitlist", **wish).status == 303
    day.comes_to("2026-03-25 08:45")

    assert day.comes_to("2026-03-25 09:40") == ["opened"]
    done = day.comes_to("2026-03-25 10:30")
    assert {"no_show", "waitlist_offer"} <= set(done)
    assert day.newest_to("anna") == "No-show: Damp heat"
    assert status_of(house.anna.get(missed)) == "no_show"
    assert "Two hours of heat" in day.newest_to("carla")

    page = house.carla.get("/waitlist")
    [action] = set(re.findall(r'action="(/waitlist/[0-9a-f]+)/take"', page.html))
    assert house.carla.post(f"{action}/take").status == 303
    day.comes_to("2026-03-25 10:31")
    [path] = re.findall(r'href="(/reservations/[0-9a-f]+)"', house.carla.get("/waitlist").html)
    taken = house.carla.get(path)
    assert status_of(taken) == "requested"
    step(house.mia, path, "approve")
    day.post(at("2026-03-25 10:31") + timedelta(minutes=1))
    assert day.newest_to("carla") == "Approved: Two hours of heat"
    assert not re.search(
        "carla|beta|two hours", house.anna.get("/calendar?date=2026-03-25").html, re.IGNORECASE
    )


def test_an_hour_more_of_what_is_over_its_end_counts_from_now_on(day: Day) -> None:
    house = day.house
    path = chamber_from(day, "anna", "10:00", "12:00", "Damp heat")
    step(house.mia, path, "approve")
    house.clock.move_to(at("2026-03-25 10:00"))
    step(house.anna, path, "check-in")
    day.comes_to("2026-03-25 13:20")
    page = step(house.anna, path, "extend", minutes="60")
    assert "10:00–14:30" in page.text
    assert status_of(page) == "in_use"
