"""The whole way: a booking, the real app behind a real server, vdirsyncer fetching it, khal showing it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
import time_machine
import vobject
from flask import Flask
from werkzeug.serving import make_server

from labbook.domain.access import Viewer
from labbook.extensions import db
from labbook.services.commands import Decide
from labbook.services.decisions import approve, cancel
from tests.cast import NOW, Cast
from tests.feeds.booking import address, book
from tests.formats.calendar_cases import AWKWARD_TITLES
from tests.interop.clients import CalendarUser

Subscribe = Callable[[Viewer, str], CalendarUser]


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """The address of the app on the loopback, until the block ends."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def subscribed(app: Flask, tmp_path: Path) -> Iterator[Subscribe]:
    """Somebody's calendar program, subscribed to one of their scopes."""
    with serving(app) as base:

        def subscribe(who: Viewer, scope: str) -> CalendarUser:
            user = CalendarUser(
                tmp_path / f"{who.name}-{scope.replace(':', '-')}", base + address(who, scope)
            )
            user.sync()
            return user

        yield subscribe


MARCH = ("2026-03-23", "10d")


def test_holder_manager_and_competitor_each_see_a_booking_as_they_may(
    app_cast: Cast, subscribed: Subscribe
) -> None:
    booked = book(
        app_cast.anna, "Over the weekend", "chamber", start="2026-03-28 10:00", end="2026-03-30 10:00"
    )
    approve(db.session(), Decide(booked), actor=app_cast.mia, now=NOW)
    shown = {
        who.name: subscribed(who, "equipment:chamber").list(*MARCH, "{start} {end} {title}")
        for who in (app_cast.anna, app_cast.mia, app_cast.carla)
    }
    whole = "2026-03-28 10:00 2026-03-30 10:00 Over the weekend"
    assert whole in shown["Anna"]
    assert whole in shown["Mia"]
    assert set(shown["Carla"]) == {"2026-03-28 09:30 2026-03-30 10:30 Busy: Chamber"}


def test_a_cancellation_reaches_the_calendar_with_the_next_sync(
    app_cast: Cast, subscribed: Subscribe
) -> None:
    booked = book(app_cast.anna, "Called off", "scope")
    own = subscribed(app_cast.anna, "mine")
    stranger = subscribed(app_cast.carla, "facility:cie")
    cancel(db.session(), Decide(booked), actor=app_cast.anna, now=NOW)
    own.sync()
    stranger.sync()
    assert own.list(*MARCH, "{cancelled}{title}") == ["CANCELLED Called off"]
    assert stranger.files() == []


def test_awkward_titles_arrive_whole(app_cast: Cast, subscribed: Subscribe) -> None:
    titles = {title for name, title in AWKWARD_TITLES.items() if name not in ("newlines", "very-long")}
    for hour, title in enumerate(sorted(titles), start=8):
        book(app_cast.anna, title, "scope", start=f"2026-03-24 {hour:02}:00", end=f"2026-03-24 {hour:02}:30")
    files = subscribed(app_cast.anna, "mine").files()
    read = {vobject.readOne(file.decode("utf-8")).vevent.summary.value for file in files}
    assert read == titles
