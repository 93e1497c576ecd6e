"""Starts on a grid, found in a step, against asking the wall clock at every five minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from labbook.domain.wall_grid import DAY, Grid, common, instant, ticks
from labbook.domain.wall_time import on_grid

MINUTE = 60_000_000
ZONES = ["Europe/Copenhagen", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu", "UTC"]
DAYS = [(2026, 3, 28), (2026, 10, 24), (2026, 4, 4), (2026, 10, 3), (2026, 12, 31), (2027, 2, 6)]


@given(
    st.sampled_from(ZONES),
    st.sampled_from(DAYS),
    st.integers(0, 24 * 60),
    st.sampled_from([5, 15, 25, 45, 60, 90, 240, 420, 1440, 2880]),
    st.sampled_from([15, 60, 420, 1380, 1440, 1500]),
)
def test_every_start_that_begins_and_ends_on_the_grid_is_found_and_no_other(
    name: str, day: tuple[int, int, int], since: int, step: int, length: int
) -> None:
    zone, first = ZoneInfo(name), ticks(datetime(*day, tzinfo=UTC)) + since * MINUTE
    last, duration, found = first + DAY, length * MINUTE, []
    grid = Grid(zone, step * MINUTE, duration, first, last)
    at = grid.next(first)
    while at is not None:
        found.append(at)
        at = grid.next(at + 1)
    assert found == [
        t
        for t in range(first - first % (5 * MINUTE), last + 1, 5 * MINUTE)
        if t >= first
        and all(on_grid(instant(edge), timedelta(minutes=step), zone) for edge in (t, t + duration))
    ]


def test_two_grids_meet_at_their_least_common_multiple_or_at_midnight_only() -> None:
    assert common(15 * MINUTE, 25 * MINUTE) == 75 * MINUTE
    assert common(7 * 60 * MINUTE, 240 * MINUTE) == DAY
