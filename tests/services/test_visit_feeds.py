"""Read-outs and visits in calendar feeds: for those who see the test in full, and for nobody else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from icalendar import Calendar, Event
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.services import decisions, feeds, long_tests
from labbook.services.commands import Decide, OnTest, OnVisit, PlanVisit
from labbook.services.feeds import CreateFeed
from labbook.services.reservation_views import ReservationView
from tests.cast import NOW, Cast, at
from tests.services import long_world
from tests.services.long_world import HOUR, clock_of

LATER = at("2026-03-26 12:00")


class Subscriber:
    """Somebody's calendar client."""

    def __init__(self, session: Session, viewer: Viewer, scope: str, **more: Any) -> None:
        self.session = session
        self.secret = feeds.create(session, CreateFeed(scope, **more), actor=viewer, now=NOW).secret

    def content(self, now: datetime = LATER) -> bytes:
        return feeds.read(self.session, self.secret, now=now, base_url="https://lab.example").content

    def events(self, now: datetime = LATER) -> dict[str, Event]:
        found = Calendar.from_ical(self.content(now)).walk("VEVENT")
        return {str(event["SUMMARY"]): event for event in found}


@pytest.fixture
def view(session: Session, cast: Cast) -> ReservationView:
    return long_world.running(session, cast)


def test_read_outs_are_appointments_of_their_own_and_the_test_makes_nobody_busy(
    session: Session, cast: Cast, view: ReservationView
) -> None:
    events = Subscriber(session, cast.anna, "mine").events()
    assert list(events) == [
        "Set-up: A test", "A test", "Read-out after 24 h: A test", "Read-out after 168 h: A test",
        "Tear-down: A test",
    ]  # fmt: skip
    readout = events["Read-out after 168 h: A test"]
    visit = clock_of(view).visits[1]
    assert readout["UID"] == f"{view.id}-{visit.id}@labbook"
    assert (readout["SEQUENCE"], readout["STATUS"], readout["TRANSP"]) == (
        visit.revision,
        "CONFIRMED",
        "OPAQUE",
    )
    assert (readout.start, readout.end) == (visit.start, visit.end)
    assert events["A test"]["TRANSP"] == "TRANSPARENT"


def test_each_change_of_a_visit_changes_the_feed_and_its_sequence(
    session: Session, cast: Cast, view: ReservationView
) -> None:
    anna = Subscriber(session, cast.anna, "mine")
    visit = clock_of(view).visits[1].id

    def readout() -> Event:
        return anna.events()["Read-out after 168 h: A test"]

    before = readout()
    long_tests.move(session, OnVisit(view.id, visit, at=at("2026-03-31 13:00")), actor=cast.tom, now=LATER)
    moved = readout()
    assert (moved.start, moved["SEQUENCE"]) == (at("2026-03-31 13:00"), before["SEQUENCE"] + 1)
    long_tests.pause(session, OnTest(view.id), actor=cast.tom, now=LATER)
    assert (readout()["STATUS"], readout()["SEQUENCE"]) == ("TENTATIVE", before["SEQUENCE"] + 2)
    long_tests.resume(session, OnTest(view.id), actor=cast.tom, now=LATER + HOUR)
    assert (readout()["STATUS"], readout()["SEQUENCE"]) == ("CONFIRMED", before["SEQUENCE"] + 3)
    long_tests.drop(session, OnVisit(view.id, visit), actor=cast.anna, now=LATER)
    assert (readout()["STATUS"], readout()["SEQUENCE"]) == ("CANCELLED", before["SEQUENCE"] + 4)
    assert "Read-out after 168 h: A test" not in anna.events(at("2026-04-30 12:00"))


def test_to_a_competitor_nothing_changes_however_often_it_is_visited(
    session: Session, cast: Cast, view: ReservationView
) -> None:
    carla = Subscriber(session, cast.carla, "equipment:chamber")
    before = carla.content()
    long_tests.plan(session, PlanVisit(view.id, after=90 * HOUR, note="Secret"), actor=cast.anna, now=LATER)
    long_tests.pause(session, OnTest(view.id), actor=cast.tom, now=LATER)
    long_tests.resume(session, OnTest(view.id), actor=cast.tom, now=LATER + HOUR)
    assert carla.content() == before
    assert list(carla.events()) == ["Busy: Chamber"]
    tom = Subscriber(session, cast.tom, "facility:cie")
    assert tom.events()["Read-out after 90 h: A test"]["DESCRIPTION"] == "Secret"


def test_a_feed_without_titles_says_what_is_to_be_done_and_not_of_what(
    session: Session, cast: Cast, view: ReservationView
) -> None:
    long_tests.plan(session, PlanVisit(view.id, after=90 * HOUR, note="Secret"), actor=cast.anna, now=LATER)
    anna = Subscriber(session, cast.anna, "mine", reference_only=True)
    assert f"Read-out after 90 h: Reservation {view.id}" in anna.events()
    assert b"Secret" not in anna.content()


def test_what_was_not_done_when_the_test_ended_is_gone_and_what_was_done_stays(
    session: Session, cast: Cast, view: ReservationView
) -> None:
    long_tests.done(session, OnVisit(view.id, clock_of(view).visits[0].id), actor=cast.tom, now=LATER)
    decisions.check_out(session, Decide(view.id), actor=cast.anna, now=LATER)
    events = Subscriber(session, cast.anna, "mine").events(LATER + HOUR)
    assert "Read-out after 24 h: A test" in events
    assert "Read-out after 168 h: A test" not in events


def test_of_a_request_they_are_tentative_and_managers_who_decide_have_them_not_in_their_queue(
    session: Session, cast: Cast
) -> None:
    long_world.make_recipe(session, cast)
    long_world.requested(session, cast)
    anna = Subscriber(session, cast.anna, "mine").events()
    assert anna["Read-out after 24 h: A test"]["STATUS"] == "TENTATIVE"
    assert not any("Read-out" in name for name in Subscriber(session, cast.mia, "approvals").events())
