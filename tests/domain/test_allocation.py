from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise, product

from hypothesis import given, settings
from hypothesis import strategies as st

from labbook.domain.allocation import (
    Occupant,
    Packing,
    Wish,
    choose,
    free_throughout,
    pack,
    shortage,
    shortfall,
)
from labbook.domain.calibration import calibration_due
from labbook.domain.interval import Interval
from labbook.domain.utility import coarse, excess, levels, peak

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


# --- pools: packed anew -----------------------------------------------------------------------------

NOW = EPOCH + timedelta(hours=3)


@st.composite
def pools(draw: st.DrawFn) -> tuple[list[int], list[Occupant], list[Wish]]:
    """A pool as it can be: nothing overlaps on a unit, and what has begun stays; some more is wanted."""
    places = list(range(1, draw(st.integers(1, 3)) + 1))
    occupants: list[Occupant] = []
    for place in places:
        at = 0
        for gap, length in draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=3)):
            where = span(at + gap, at + gap + length)
            at += gap + length
            occupants.append(Occupant(len(occupants), place, where, where.start <= NOW))
    start = draw(st.integers(3, 9))
    wanted = span(start, start + draw(st.integers(1, 5)))
    return places, occupants, [Wish(wanted)] * draw(st.integers(1, 3))


def is_sound(
    places: Sequence[int], occupants: Sequence[Occupant], wishes: Sequence[Wish], found: Packing
) -> bool:
    """Written anew: everything on a unit of the pool, what stays where it was, and nothing twice."""
    laid = [(found.moves.get(o.key, o.place), o.span) for o in occupants]
    laid += [(place, w.span) for place, w in zip(found.taken, wishes, strict=True)]
    stayed = all(o.key not in found.moves for o in occupants if o.stays)
    return (
        stayed
        and all(place in places for place, _ in laid)
        and not any(a == b and one.overlaps(other) for (a, one), (b, other) in combinations(laid, 2))
    )


def exists(places: Sequence[int], occupants: Sequence[Occupant], wishes: Sequence[Wish]) -> bool:
    """Every way there is, tried."""
    choices = [[o.place] if o.stays else places for o in occupants] + [places for _ in wishes]
    spans = [o.span for o in occupants] + [w.span for w in wishes]
    pairs = [(a, b) for a, b in combinations(range(len(spans)), 2) if spans[a].overlaps(spans[b])]
    return any(all(way[a] != way[b] for a, b in pairs) for way in product(*choices))


@settings(max_examples=300)
@given(pools())
def test_a_pool_has_room_exactly_when_at_every_instant_the_count_says_so(
    pool: tuple[list[int], list[Occupant], list[Wish]],
) -> None:
    places, occupants, wishes = pool
    found = pack(places, occupants, wishes)
    occupied = {p: [o.span for o in occupants if o.place == p] for p in places}
    by_count = not shortfall(places, occupied, wishes[0].span, len(wishes))
    assert (found is not None) == by_count == exists(places, occupants, wishes)
    assert by_count == (free_throughout(places, occupied, wishes[0].span, pool=True) >= len(wishes))
    if found is not None:
        assert is_sound(places, occupants, wishes, found)


@settings(max_examples=100)
@given(pools(), st.integers(1, 6))
def test_what_runs_is_lengthened_on_its_own_unit_and_the_others_give_way(
    pool: tuple[list[int], list[Occupant], list[Wish]], longer: int
) -> None:
    places, occupants, _ = pool
    running = next((o for o in occupants if o.stays and o.span.end > NOW), None)
    if running is None:
        return
    others = [o for o in occupants if o is not running]
    wish = Wish(Interval(running.span.start, running.span.end + timedelta(hours=longer)), running.place)
    found = pack(places, others, [wish])
    occupied = {p: [o.span for o in others if o.place == p] for p in places}
    added = Interval(running.span.end, wish.span.end)
    assert (found is not None) == (not shortfall(places, occupied, added, 1))
    if found is not None:
        assert found.taken == [running.place]
        assert is_sound(places, others, [wish], found)


def test_only_what_is_in_the_way_moves() -> None:
    far = Occupant(3, 2, span(20, 24), stays=False)
    occupants = [Occupant(1, 1, span(4, 6), stays=False), Occupant(2, 2, span(6, 8), stays=False), far]
    found = pack([1, 2], occupants, [Wish(span(4, 8))])
    assert found is not None
    assert found.moves == {2: 1}
    assert found.taken == [2]


def test_what_was_there_before_is_not_moved_for_what_is_entered_afterwards() -> None:
    occupants = [Occupant(1, 1, span(0, 2), stays=True), Occupant(2, 2, span(2, 4), stays=True)]
    assert pack([1, 2], occupants, [Wish(span(1, 3))]) is None
    assert pack([1, 2], occupants, [Wish(span(4, 5), place=3)]) is None


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_coarse_figure_is_never_less_and_a_tenth_of_the_capacity_more_at_most(
    amount: int, capacity: int
) -> None:
    told = coarse(min(amount, capacity), capacity)
    assert min(amount, capacity) <= told <= capacity
    assert told - min(amount, capacity) <= max(1, capacity // 8)


@given(st.lists(st.tuples(spans, st.integers(1, 5)), max_size=6))
def test_levels_say_at_every_instant_what_the_sum_is(draws: list[tuple[Interval, int]]) -> None:
    within = span(2, 12)
    found = levels(draws, within)
    assert found[0][0] == within.start
    for hour in range(2, 12):
        at = EPOCH + timedelta(hours=hour)
        told = [amount for since, amount in found if since <= at][-1]
        assert told == sum(amount for interval, amount in draws if interval.has(at))
    assert all(one[1] != other[1] for one, other in pairwise(found))


def test_round_figures_are_those_that_people_use() -> None:
    assert [coarse(amount, 250_000) for amount in (0, 1, 20_000, 20_001, 231_000)] == [
        0,
        20_000,
        20_000,
        40_000,
        240_000,
    ]
    assert coarse(1_000, 3_000) == 1_000
