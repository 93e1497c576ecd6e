"""The clock of a long test and its read-outs, over both daylight-saving days of 2026 and Easter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from labbook.domain.interval import Interval
from labbook.domain.long_test import Pause, Run, announced_at, is_staffed, lay
from labbook.domain.wall_time import Hours

ZONE = ZoneInfo("Europe/Copenhagen")
WEEK = {day: [["08:00", "12:00"], ["12:30", "16:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
HALF_HOUR = timedelta(minutes=30)


def at(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE, fold=fold).astimezone(UTC)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def span(start: str, end: str) -> Interval:
    return Interval(at(start), at(end))


STAFFED = Hours(ZONE, WEEK, "DK")
SPRING = span("2026-03-23 08:00", "2026-05-04 08:00")


# --- the clock ----------------------------------------------------------------------------------------


def test_nothing_has_accrued_before_it_runs_nor_anything_after_it_ended() -> None:
    run = Run(at("2026-03-24 08:00"), until=at("2026-03-24 20:00"))
    assert run.accrued(at("2026-03-24 07:00")) == hours(0)
    assert run.accrued(at("2026-03-24 08:00")) == hours(0)
    assert run.accrued(at("2026-04-24 08:00")) == hours(12)


def test_a_pause_does_not_count_and_an_open_one_stops_the_clock() -> None:
    pauses = [Pause(at("2026-03-24 10:00"), at("2026-03-24 13:00")), Pause(at("2026-03-25 08:00"))]
    run = Run(at("2026-03-24 08:00"), pauses)
    assert run.accrued(at("2026-03-24 12:00")) == hours(2)
    assert run.accrued(at("2026-03-24 14:00")) == hours(3)
    assert run.accrued(at("2026-03-29 14:00")) == hours(21)
    assert run.paused_since == at("2026-03-25 08:00")


def test_hours_are_elapsed_ones_on_the_day_that_has_23_and_on_the_day_that_has_25() -> None:
    assert Run(at("2026-03-28 12:00")).accrued(at("2026-03-29 12:00")) == hours(23)
    assert Run(at("2026-10-24 12:00")).accrued(at("2026-10-25 12:00")) == hours(25)
    assert Run(at("2026-03-28 12:00")).instant_of(hours(24)) == at("2026-03-29 13:00")


def test_what_will_have_accrued_is_known_while_it_runs_and_not_while_it_stands_still() -> None:
    since, stop = at("2026-03-24 08:00"), at("2026-03-24 20:00")
    assert Run(since).instant_of(hours(168)) == at("2026-03-31 09:00")  # summer time began
    assert Run(since, [Pause(stop)]).instant_of(hours(168)) is None
    assert Run(since, [Pause(stop)]).instant_of(hours(12)) == stop
    assert Run(since, [Pause(stop, at("2026-03-25 08:00"))]).instant_of(hours(12)) == stop
    assert Run(since, [Pause(stop, at("2026-03-25 08:00"))]).instant_of(hours(13)) == at("2026-03-25 09:00")


def test_what_ended_will_accrue_no_more() -> None:
    run = Run(at("2026-03-24 08:00"), until=at("2026-03-24 20:00"))
    assert run.instant_of(hours(12)) == run.until
    assert run.instant_of(hours(12) + timedelta(seconds=1)) is None
    assert Run(run.since, [Pause(at("2026-03-24 10:00"))], until=run.until).paused_since is None


_START = at("2026-03-20 08:00")
_minutes = st.integers(0, 60 * 24 * 40).map(lambda n: timedelta(minutes=n))


@st.composite
def runs(draw: st.DrawFn) -> Run:
    edges = sorted(draw(st.sets(_minutes, max_size=9)))
    stops = [Pause(_START + a, _START + b) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    if len(edges) % 2:
        stops.append(Pause(_START + edges[-1]))
    return Run(_START, draw(st.permutations(stops)))


@given(runs(), _minutes, _minutes)
def test_the_hours_never_go_back_and_never_outrun_the_clock(
    run: Run, one: timedelta, more: timedelta
) -> None:
    earlier, later = run.accrued(_START + one), run.accrued(_START + one + more)
    assert timedelta(0) <= later - earlier <= more


@given(runs(), _minutes)
def test_the_instant_of_so_many_hours_is_the_first_that_has_them(run: Run, running: timedelta) -> None:
    found = run.instant_of(running)
    if found is None:
        assert run.accrued(_START + timedelta(days=400)) < running
        return
    assert run.accrued(found) == running
    assert running == timedelta(0) or run.accrued(found - timedelta(seconds=1)) < running


@given(runs(), _minutes)
def test_what_has_accrued_by_now_had_accrued_by_now_at_the_latest(run: Run, passed: timedelta) -> None:
    found = run.instant_of(run.accrued(_START + passed))
    assert found is not None
    assert found <= _START + passed


# --- laid into staffed time ---------------------------------------------------------------------------


def test_a_read_out_is_exactly_when_it_is_due_where_somebody_is_there() -> None:
    due = at("2026-03-24 10:07")
    assert lay(due, HALF_HOUR, STAFFED, SPRING) == Interval(due, due + HALF_HOUR)


@pytest.mark.parametrize(
    ("due", "laid"),
    [
        ("2026-03-24 11:30", "2026-03-24 11:30"),  # it ends as the break begins
        ("2026-03-24 11:31", "2026-03-24 12:30"),  # it would run into the break
        ("2026-03-24 16:00", "2026-03-25 08:00"),  # closing time is no staffed instant
        ("2026-03-24 03:00", "2026-03-24 08:00"),
        ("2026-03-28 10:00", "2026-03-30 08:00"),  # over the weekend on which summer time begins
        ("2026-04-02 09:00", "2026-04-07 08:00"),  # Maundy Thursday to Easter Monday are holidays
    ],
)
def test_else_it_is_in_the_first_staffed_time_that_holds_it_whole(due: str, laid: str) -> None:
    found = lay(at(due), HALF_HOUR, STAFFED, SPRING)
    assert found is not None
    assert found.start == at(laid)


def test_over_the_end_of_summer_time_too() -> None:
    autumn = span("2026-10-12 08:00", "2026-11-20 08:00")
    found = lay(at("2026-10-25 02:30", fold=1), HALF_HOUR, STAFFED, autumn)
    assert found == Interval(datetime(2026, 10, 26, 7, tzinfo=UTC), datetime(2026, 10, 26, 7, 30, tzinfo=UTC))


def test_neither_on_a_day_without_people_nor_in_a_shutdown() -> None:
    closed = Hours(
        ZONE,
        WEEK,
        "DK",
        unstaffed=[span("2026-03-24 00:00", "2026-03-25 00:00")],
        shutdowns=[span("2026-03-25 07:00", "2026-03-25 10:15")],
    )
    found = lay(at("2026-03-24 09:00"), HALF_HOUR, closed, SPRING)
    assert found is not None
    assert found.start == at("2026-03-25 10:15")
    assert not is_staffed(span("2026-03-25 10:00", "2026-03-25 10:30"), closed)
    assert is_staffed(found, closed)


def test_it_ends_with_the_use_and_does_not_begin_before_it() -> None:
    use = span("2026-03-24 10:00", "2026-03-24 15:00")
    assert lay(at("2026-03-24 08:00"), HALF_HOUR, STAFFED, use) == span(
        "2026-03-24 10:00", "2026-03-24 10:30"
    )
    assert lay(at("2026-03-24 14:30"), HALF_HOUR, STAFFED, use) == span(
        "2026-03-24 14:30", "2026-03-24 15:00"
    )
    assert lay(at("2026-03-24 14:31"), HALF_HOUR, STAFFED, use) is None
    assert lay(at("2026-03-24 15:00"), HALF_HOUR, STAFFED, use) is None
    assert lay(at("2026-03-24 10:00"), hours(4), STAFFED, use) is None  # the break comes between


def test_where_nobody_is_ever_there_nothing_is_laid() -> None:
    assert lay(at("2026-03-24 08:00"), HALF_HOUR, Hours(ZONE), SPRING) is None


def test_what_takes_longer_than_a_fortnight_is_found_where_somebody_is_always_there() -> None:
    always = Hours(ZONE, {day: [["00:00", "24:00"]] for day in (*WEEK, "sat", "sun")})
    found = lay(SPRING.start, timedelta(days=30), always, SPRING)
    assert found == Interval(SPRING.start, SPRING.start + timedelta(days=30))


@given(
    due=st.integers(-60 * 24, 60 * 24 * 45),
    length=st.integers(1, 60 * 9),
    end=st.integers(1, 60 * 24 * 45),
    gone=st.integers(0, 60 * 24 * 45),
)
def test_what_is_laid_is_staffed_within_the_use_and_never_early(
    due: int, length: int, end: int, gone: int
) -> None:
    start = at("2026-03-23 08:00")
    off = Interval(start + timedelta(minutes=gone), start + timedelta(minutes=gone, days=2))
    known = Hours(ZONE, WEEK, "DK", unstaffed=[off], shutdowns=[Interval(off.end, off.end + hours(5))])
    use, nominal = Interval(start, start + timedelta(minutes=end)), start + timedelta(minutes=due)
    found = lay(nominal, timedelta(minutes=length), known, use)
    earliest = max(nominal, use.start)
    if found is None:
        earlier = Interval(earliest, earliest + timedelta(minutes=length))
        assert not (use.contains(earlier) and is_staffed(earlier, known))
        return
    assert found.duration == timedelta(minutes=length)
    assert found.start >= earliest
    assert use.contains(found)
    assert is_staffed(found, known)
    minute_before = Interval(found.start - timedelta(minutes=1), found.end - timedelta(minutes=1))
    assume(minute_before.start >= earliest)
    assert not is_staffed(minute_before, known)


# --- told the working day before ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("visit", "told"),
    [
        ("2026-03-24 10:00", "2026-03-23 08:00"),
        ("2026-03-30 08:00", "2026-03-27 08:00"),  # a Monday's on Friday
        ("2026-04-07 08:00", "2026-04-01 08:00"),  # after Easter on the Wednesday before it
    ],
)
def test_those_who_come_are_told_as_the_working_day_before_begins(visit: str, told: str) -> None:
    assert announced_at(at(visit), STAFFED) == at(told)


def test_a_day_ahead_where_there_is_no_working_day() -> None:
    assert announced_at(at("2026-03-30 10:00"), Hours(ZONE)) == at("2026-03-30 10:00") - timedelta(days=1)
