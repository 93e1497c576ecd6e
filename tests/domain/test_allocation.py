from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from labbook.domain.allocation import choose, shortage
from labbook.domain.calibration import calibration_due
from labbook.domain.interval import Interval
from labbook.domain.utility import excess, peak

EPOCH = datetime(2026, 10, 25, tzinfo=UTC)


def span(start: int, end: int) -> Interval:
    return Interval(EPOCH + timedelta(hours=start), EPOCH + timedelta(hours=end))


spans = st.tuples(st.integers(0, 10), st.integers(1, 6)).map(lambda t: span(t[0], t[0] + t[1]))


def test_preferred_places_come_first_then_the_lowest() -> None:
    occupied = {1: [span(0, 2)]}
    assert choose([1, 2, 3, 4], occupied, span(1, 3), 2) == [2, 3]
    assert choose([1, 2, 3, 4], occupied, span(1, 3), 2, prefer=[4]) == [4, 2]
    assert choose([1, 2, 3, 4], occupied, span(1, 3), 4) == []


def test_a_shortage_is_named_where_it_is() -> None:
    assert shortage([1], {1: [span(2, 4)]}, span(0, 3), 1) == [span(2, 3)]


def test_where_only_re_packing_would_help_everything_occupied_is_named() -> None:
    occupied = {1: [span(0, 2)], 2: [span(2, 4)]}
    assert shortage([1, 2], occupied, span(0, 4), 1) == [span(0, 4)]


@given(st.dictionaries(st.integers(1, 4), st.lists(spans, max_size=3)), spans, st.integers(1, 4))
def test_places_are_found_or_a_shortage_is_named_never_neither(
    occupied: dict[int, list[Interval]], wanted: Interval, count: int
) -> None:
    chosen = choose([1, 2, 3, 4], occupied, wanted, count)
    assert bool(chosen) != bool(shortage([1, 2, 3, 4], occupied, wanted, count) and not chosen)
    assert all(not o.overlaps(wanted) for p in chosen for o in occupied.get(p, ()))


@given(st.lists(st.tuples(spans, st.integers(1, 9))), spans)
def test_the_peak_is_the_greatest_sum_at_any_hour(
    draws: list[tuple[Interval, int]], within: Interval
) -> None:
    hours = [h for h in (EPOCH + timedelta(hours=n) for n in range(20)) if within.has(h)]
    assert peak(draws, within)[0] == max(sum(a for i, a in draws if i.has(h)) for h in hours)


@given(st.lists(st.tuples(spans, st.integers(1, 9))), st.lists(st.tuples(spans, st.integers(1, 9))))
def test_old_plus_excess_is_the_greater_of_old_and_new(
    new: list[tuple[Interval, int]], old: list[tuple[Interval, int]]
) -> None:
    added = excess(new, old)
    for hour in (EPOCH + timedelta(hours=n) for n in range(20)):
        was, will, more = (sum(a for i, a in d if i.has(hour)) for d in (old, new, added))
        assert was + more == max(was, will)


def test_a_calibration_of_twelve_months_ends_on_the_same_day_a_year_later() -> None:
    day = datetime(2026, 3, 2).date
    assert calibration_due("P12M", day()) == datetime(2027, 3, 2).date()
    assert calibration_due("P1M", datetime(2026, 1, 31).date()) == datetime(2026, 2, 28).date()
    assert calibration_due(None, None) is None
