"""ISO 8601 durations and opening hours."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbook.domain.durations import (
    DurationError,
    parse_calendar_duration,
    parse_duration,
    written_duration,
    written_hours,
)
from labbook.domain.opening_hours import HoursError, parse_hours


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PT30M", timedelta(minutes=30)),
        ("PT0M", timedelta(0)),
        ("P90D", timedelta(days=90)),
        ("P2W", timedelta(weeks=2)),
        ("P1DT12H", timedelta(hours=36)),
        ("PT1000H", timedelta(hours=1000)),
        ("PT90S", timedelta(seconds=90)),
    ],
)
def test_exact_durations_are_read(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("P12M", "duration_calendar"),
        ("P1Y", "duration_calendar"),
        ("-PT30M", "duration_negative"),
        ("PT-30M", "not_a_duration"),
        ("30 min", "not_a_duration"),
        ("P", "not_a_duration"),
        ("PT", "not_a_duration"),
        ("P1DT", "not_a_duration"),
        ("", "not_a_duration"),
        ("P999999W", "duration_too_long"),
    ],
)
def test_other_durations_are_refused_with_their_reason(text: str, code: str) -> None:
    with pytest.raises(DurationError) as refused:
        parse_duration(text)
    assert refused.value.code == code


def test_calendar_durations_are_for_calibration() -> None:
    assert parse_calendar_duration("P12M") == "P12M"
    for text, code in [
        ("PT30M", "not_a_calendar_duration"),
        ("P0M", "duration_nothing"),
        ("-P1Y", "duration_negative"),
        ("P", "not_a_calendar_duration"),
    ]:
        with pytest.raises(DurationError) as refused:
            parse_calendar_duration(text)
        assert refused.value.code == code


@given(st.integers(0, 20_000 * 86_400))
def test_a_written_duration_is_read_back(seconds: int) -> None:
    assert parse_duration(written_duration(seconds)) == timedelta(seconds=seconds)


def test_hours_are_read_in_order_and_may_touch() -> None:
    assert parse_hours(["12:30-24:00", "08:00-12:00", "12:00-12:30"]) == [
        ["08:00", "12:00"],
        ["12:00", "12:30"],
        ["12:30", "24:00"],
    ]


@pytest.mark.parametrize(
    ("ranges", "code"),
    [
        (["08:00-12:00", "11:59-13:00"], "hours_overlap"),
        (["12:00-08:00"], "hours_reversed"),
        (["08:00-08:00"], "hours_reversed"),
        (["8-12"], "not_hours"),
        (["08:00-24:01"], "not_hours"),
        (["08:00-25:00"], "not_hours"),
    ],
)
def test_hours_that_make_no_sense_are_refused(ranges: list[str], code: str) -> None:
    with pytest.raises(HoursError) as refused:
        parse_hours(ranges)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("seconds", "written"), [(604_800, "PT168H"), (3_600_000, "PT1000H"), (5400, "PT1H30M"), (0, "PT0H")]
)
def test_running_is_written_in_hours(seconds: int, written: str) -> None:
    assert written_hours(seconds) == written
    assert parse_duration(written) == timedelta(seconds=seconds)
