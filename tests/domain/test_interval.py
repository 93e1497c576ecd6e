from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbook.domain.interval import Interval, covered, intersect, merge, subtract

EPOCH = datetime(2026, 3, 28, tzinfo=UTC)


def hour(number: int) -> datetime:
    return EPOCH + timedelta(hours=number)


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    start = draw(st.integers(0, 40))
    return Interval(hour(start), hour(start + draw(st.integers(1, 12))))


def hours_in(parts: list[Interval]) -> set[int]:
    return {n for n in range(60) if any(p.has(hour(n)) for p in parts)}


def test_neighbours_do_not_overlap() -> None:
    assert not Interval(hour(0), hour(1)).overlaps(Interval(hour(1), hour(2)))


def test_a_naive_or_empty_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        Interval(datetime(2026, 1, 1), hour(1))
    with pytest.raises(ValueError, match="ends after"):
        Interval(hour(1), hour(1))


@given(intervals(), intervals())
def test_overlap_is_having_an_instant_in_common(one: Interval, other: Interval) -> None:
    assert (
        one.overlaps(other)
        == bool(hours_in([one]) & hours_in([other]))
        == (intersect(one, other) is not None)
    )


@given(st.lists(intervals()))
def test_merging_keeps_every_instant_and_leaves_gaps_between(parts: list[Interval]) -> None:
    merged = merge(parts)
    assert hours_in(merged) == hours_in(parts)
    assert all(a.end < b.start for a, b in pairwise(merged))


@given(intervals(), st.lists(intervals()))
def test_subtracting_leaves_exactly_what_no_hole_has(whole: Interval, holes: list[Interval]) -> None:
    assert hours_in(subtract(whole, holes)) == hours_in([whole]) - hours_in(holes)
    assert covered(whole, holes) == (hours_in([whole]) <= hours_in(holes))
