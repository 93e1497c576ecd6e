"""Calendar programs that nobody here wrote read what we write."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import pytest
import vobject
from icalendar import Calendar

from labbook.formats.icalendar import render_calendar
from tests.formats.calendar_cases import AWKWARD_TITLES, CALENDARS, HEAD, daylight_saving
from tests.interop.clients import CalendarUser, served


def feed(name: str) -> bytes:
    return render_calendar(HEAD, CALENDARS[name]())


def as_read(title: str) -> str:
    return title.replace("\r\n", "\n")


@pytest.mark.parametrize("name", CALENDARS)
def test_icalendar_reads_every_calendar_without_errors(name: str) -> None:
    for event in Calendar.from_ical(feed(name)).walk("VEVENT"):
        assert event.errors == []


@pytest.mark.parametrize("name", CALENDARS)
def test_vobject_reads_and_validates_every_calendar(name: str) -> None:
    calendar = vobject.readOne(feed(name).decode("utf-8"))
    calendar.validate(raiseException=True)


def test_vobject_reads_awkward_titles_as_they_are() -> None:
    calendar = vobject.readOne(feed("awkward").decode("utf-8"))
    titles = {event.uid.value.split("@")[0]: event.summary.value for event in calendar.vevent_list}
    assert titles == {name: as_read(title) for name, title in AWKWARD_TITLES.items()}


def test_vobject_reads_both_daylight_saving_days_to_the_instant() -> None:
    calendar = vobject.readOne(feed("daylight_saving").decode("utf-8"))
    read = [(e.dtstart.value, e.dtend.value) for e in calendar.vevent_list]
    assert read == [(e.starts_at, e.ends_at) for e in daylight_saving()]


def test_vdirsyncer_fetches_every_entry_and_a_second_time_finds_nothing_new(tmp_path: Path) -> None:
    with served(feed("awkward")) as url:
        user = CalendarUser(tmp_path / "user", url)
        user.sync()
        first = user.files()
        user.sync()
    assert len(first) == len(AWKWARD_TITLES)
    assert user.files() == first


def test_khal_shows_awkward_titles_as_they_are(tmp_path: Path) -> None:
    with served(feed("awkward")) as url:
        user = CalendarUser(tmp_path / "user", url)
        user.sync()
    shown = unicodedata.normalize("NFC", "\n".join(user.list("2026-06-01", "30d", "{title}")))
    for title in AWKWARD_TITLES.values():
        for line in as_read(title).split("\n"):
            assert unicodedata.normalize("NFC", line) in shown


def test_khal_shows_both_daylight_saving_days_in_wall_time(tmp_path: Path) -> None:
    with served(feed("daylight_saving")) as url:
        user = CalendarUser(tmp_path / "user", url)
        user.sync()
    assert user.list("2026-03-29", "1d") == ["2026-03-29 01:30 2026-03-29 03:30 Over the gap"]
    assert user.list("2026-10-25", "1d") == [
        "2026-10-25 01:30 2026-10-25 03:30 Over the fold",
        "2026-10-25 02:15 2026-10-25 02:45 Second 02:15",
    ]


def test_khal_knows_a_cancelled_entry_and_an_unattended_test(tmp_path: Path) -> None:
    body = render_calendar(HEAD, [*CALENDARS["full"](), *CALENDARS["unattended"]()])
    with served(body) as url:
        user = CalendarUser(tmp_path / "user", url)
        user.sync()
    shown = user.list("2026-06-01", "10d", "{cancelled}{title}|{location}|{categories}")
    assert any(line.startswith("EMC précompliance|power-hall|emc-receiver") for line in shown)
    assert "CANCELLED Called off||" in shown
    assert "Set-up: Damp heat|climate|" in shown
    assert "Tear-down: Damp heat|climate|" in shown


def test_an_empty_calendar_is_read_as_empty(tmp_path: Path) -> None:
    with served(feed("empty")) as url:
        user = CalendarUser(tmp_path / "user", url)
        user.sync()
    assert user.files() == []
    assert user.list(datetime(2026, 1, 1, tzinfo=UTC).strftime("%Y-%m-%d"), "30d") == []
