"""What people type into fields of time, and what is said when it cannot be."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from werkzeug.datastructures import MultiDict

from labbook.web.fields import Fields, parse_length, wall_fields
from tests.cast import at

ZONE = ZoneInfo("Europe/Copenhagen")


def read(day: str, clock: str, **more: str) -> tuple[Fields, object]:
    fields = Fields(MultiDict({"start_date": day, "start_time": clock} | more))
    return fields, fields.instant("start", ZONE)


@pytest.mark.parametrize("typed", ["08:00", "8:00", "8", "0800", "8.00", "8h00", "08:00:00"])
def test_a_time_is_understood_as_people_type_it(typed: str) -> None:
    assert read("2026-03-24", typed)[1] == at("2026-03-24 08:00")


@pytest.mark.parametrize("typed", ["24:00", "8 am", "-1", "08:60", "", "x" * 1000, "٠٨:٠٠"])
def test_what_is_no_time_is_said_to_be_none(typed: str) -> None:
    fields, instant = read("2026-03-24", typed)
    assert instant is None
    assert [p.code for p in fields.problems] == ["bad_time"]


def test_an_hour_that_the_clocks_skip_does_not_exist() -> None:
    fields, instant = read("2026-03-29", "02:30")
    assert instant is None
    assert fields.problems[0].code == "time_in_gap"
    assert fields.problems[0].params == {"time": "02:30", "before": "02:00", "after": "03:00"}


def test_an_hour_that_happens_twice_asks_which() -> None:
    fields, instant = read("2026-10-25", "02:30")
    assert instant is None
    assert [p.code for p in fields.problems] == ["time_twice"]


def test_the_two_are_an_hour_apart_once_said() -> None:
    first = read("2026-10-25", "02:30", start_fold="1")[1]
    second = read("2026-10-25", "02:30", start_fold="2")[1]
    assert first == at("2026-10-25 02:30")
    assert second == at("2026-10-25 02:30") + timedelta(hours=1)


def test_which_of_the_two_goes_back_into_the_form() -> None:
    first = at("2026-10-25 02:30")
    assert wall_fields("end", first, ZONE)["end_fold"] == "1"
    assert wall_fields("end", first + timedelta(hours=1), ZONE)["end_fold"] == "2"
    assert "end_fold" not in wall_fields("end", first + timedelta(hours=2), ZONE)


@pytest.mark.parametrize(
    ("typed", "length"),
    [
        ("2", timedelta(hours=2)),
        ("2 h", timedelta(hours=2)),
        ("90 min", timedelta(minutes=90)),
        ("1:30", timedelta(minutes=90)),
        ("6 d 4 h", timedelta(days=6, hours=4)),
        ("1,5 timer", timedelta(minutes=90)),
        ("3 Tage", timedelta(days=3)),
        ("6 weeks", timedelta(weeks=6)),
    ],
)
def test_a_duration_is_understood_as_people_type_it(typed: str, length: timedelta) -> None:
    assert parse_length(typed) == length


@pytest.mark.parametrize("typed", ["", "0", "soon", "2 parsecs", "-1", "1e9", "99999999999", "999 weeks"])
def test_what_is_no_duration_is_none(typed: str) -> None:
    assert parse_length(typed) is None
