"""Sums of draws, read ahead and forgotten behind, against adding them up at every start."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from labbook.domain.headroom import Headroom

HOUR = 3_600_000_000
YEAR = 365 * 24


def level(drawn: list[tuple[int, int, int]], start: int, end: int) -> int:
    instants = [start, *(s for s, _, _ in drawn if start < s < end)]
    return max(sum(a for s, e, a in drawn if s <= at < e) for at in instants)


@given(st.integers(0, 2**32), st.integers(0, 80))
def test_the_peak_is_what_adding_up_says_in_whatever_order_one_asks(seed: int, count: int) -> None:
    random = Random(seed)
    starts = sorted(random.randrange(YEAR) * HOUR for _ in range(count))
    drawn = [(s, s + random.choice([1, 30, 900]) * HOUR, random.randint(1, 9)) for s in starts]
    headroom = Headroom(20, drawn)
    for _ in range(12):
        start = random.randrange(-50, YEAR + 50) * HOUR
        end = start + random.choice([1, 24, 700]) * HOUR
        assert headroom.peak(start, end) == level(drawn, start, end)
        free = headroom.next_within(8, start, HOUR, 5 * HOUR, start + 100 * HOUR)
        hours = range(start, min(free, start + 100 * HOUR), HOUR)
        assert all(level(drawn, at - HOUR, at + 5 * HOUR) + 8 > 20 for at in hours)
