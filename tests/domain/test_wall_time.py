"""Both daylight-saving days of 2026 in Denmark: 03-29 has 23 hours, 10-25 has 25."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbook.domain.interval import Interval
from labbook.domain.wall_time import Hours, midnight, next_on_grid, on_grid, to_utc

ZONE = ZoneInfo("Europe/Copenhagen")
WEEK = {day: [["08:00", "12:00"], ["12:30", "16:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}


def at(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE, fold=fold).astimezone(UTC)


def test_a_wall_time_in_the_gap_is_read_after_it() -> None:
    assert to_utc(date(2026, 3, 29), time(2, 30), ZONE) == at("2026-03-29 03:30")


def test_a_wall_time_in_the_fold_is_the_first_of_the_two() -> None:
    assert to_utc(date(2026, 10, 25), time(2, 30), ZONE) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_the_daylight_saving_days_are_an_hour_short_and_an_hour_long() -> None:
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 3, 30), 24)):
        assert midnight(day + timedelta(days=1), ZONE) - midnight(day, ZONE) == timedelta(hours=hours)


@pytest.mark.parametrize("fold", [0, 1])
def test_both_hours_of_the_fold_are_on_the_grid(fold: int) -> None:
    assert on_grid(at("2026-10-25 02:00", fold), timedelta(hours=1), ZONE)


def test_the_second_hour_of_the_fold_has_its_next_grid_point_within_itself() -> None:
    second = at("2026-10-25 02:10", fold=1)
    assert next_on_grid(second, timedelta(minutes=15), ZONE) == at("2026-10-25 02:15", fold=1)


def test_there_is_a_grid_to_the_end_of_all_time() -> None:
    late = datetime(9999, 12, 31, 12, 7, tzinfo=UTC)
    assert next_on_grid(late, timedelta(hours=1), ZONE) == late.replace(hour=13, minute=0)


def test_the_grid_is_counted_on_the_wall_clock() -> None:
    # Four hours after midnight by the wall clock are three hours later in time on the short day.
    assert on_grid(at("2026-03-29 04:00"), timedelta(hours=4), ZONE)
    assert not on_grid(at("2026-03-29 05:00"), timedelta(hours=4), ZONE)
    assert not on_grid(at("2026-03-24 10:00") + timedelta(seconds=1), timedelta(minutes=15), ZONE)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),
    st.sampled_from([5, 15, 30, 60, 90, 240, 1440]),
)
def test_the_next_instant_on_the_grid_is_on_it_and_not_before(moment: datetime, minutes: int) -> None:
    instant, grid = moment.replace(tzinfo=UTC), timedelta(minutes=minutes)
    found = next_on_grid(instant, grid, ZONE)
    assert found >= instant
    assert on_grid(found, grid, ZONE)
    assert found - instant <= timedelta(days=1, hours=1)


def test_staffed_hours_follow_the_wall_clock_across_the_change() -> None:
    hours = Hours(ZONE, WEEK)
    friday_and_monday = hours.staffed_within(Interval(at("2026-03-27 00:00"), at("2026-03-31 00:00")))
    assert [(i.start, i.end) for i in friday_and_monday] == [
        (at("2026-03-27 08:00"), at("2026-03-27 12:00")),
        (at("2026-03-27 12:30"), at("2026-03-27 16:00")),
        (at("2026-03-30 08:00"), at("2026-03-30 12:00")),
        (at("2026-03-30 12:30"), at("2026-03-30 16:00")),
    ]


def test_lunch_a_holiday_and_an_unstaffed_stretch_are_not_staffed() -> None:
    hours = Hours(ZONE, WEEK, "DK", unstaffed=[Interval(at("2026-03-31 10:00"), at("2026-03-31 11:00"))])

    def staffed(day: str, start: str, end: str) -> bool:
        return hours.is_staffed_throughout(Interval(at(f"{day} {start}"), at(f"{day} {end}")))

    assert staffed("2026-03-30", "08:00", "12:00")
    assert not staffed("2026-03-30", "11:00", "13:00")
    assert not staffed("2026-03-31", "09:00", "12:00")
    assert not staffed("2026-04-03", "09:00", "10:00")  # Good Friday
    assert not staffed("2026-03-28", "09:00", "10:00")  # a Saturday


def test_staffed_until_midnight() -> None:
    hours = Hours(ZONE, {"sun": [["20:00", "24:00"]]})
    assert hours.is_staffed_throughout(Interval(at("2026-03-29 20:00"), at("2026-03-30 00:00")))
