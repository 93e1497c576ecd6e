from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from labbook.formats.moments import ago, duration, moment, running, span

ZONE = ZoneInfo("Europe/Copenhagen")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_span_within_a_day_names_the_day_once() -> None:
    assert span(utc("2026-11-24 07:00"), utc("2026-11-24 15:00"), ZONE) == "Tue 24 Nov, 08:00–16:00 (8 h)"


def test_a_span_over_midnight_names_both_days() -> None:
    assert (
        span(utc("2026-11-24 07:00"), utc("2026-11-30 11:00"), ZONE)
        == "Tue 24 Nov, 08:00 – Mon 30 Nov, 12:00 (6 d 4 h)"
    )


def test_the_hour_that_happens_twice_says_which_of_the_two_it_is() -> None:
    assert moment(utc("2026-10-25 00:30"), ZONE) == "Sun 25 Oct, 02:30 CEST"
    assert moment(utc("2026-10-25 01:30"), ZONE) == "Sun 25 Oct, 02:30 CET"
    assert moment(utc("2026-10-25 02:30"), ZONE) == "Sun 25 Oct, 03:30"


@pytest.mark.parametrize(
    ("minutes", "said"), [(0, "0 min"), (45, "45 min"), (90, "1 h 30 min"), (60, "1 h"), (8880, "6 d 4 h")]
)
def test_durations_are_said_in_their_units(minutes: int, said: str) -> None:
    assert duration(timedelta(minutes=minutes)) == said


def test_how_long_ago_is_one_unit() -> None:
    assert ago(utc("2026-11-24 07:00"), utc("2026-11-25 09:00")) == "26 h"


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(days=7), "168 h"),
        (timedelta(hours=1000), "1000 h"),
        (timedelta(hours=412, minutes=30, seconds=59), "412 h 30 min"),
        (timedelta(minutes=20), "20 min"),
        (timedelta(0), "0 h"),
    ],
)
def test_running_is_said_in_hours(length: timedelta, said: str) -> None:
    assert running(length) == said
