"""Sums of draws over time against a budget. Amounts are thousandths of the utility's unit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise

from labbook.domain.interval import Interval


def written(amount: int, unit: str) -> str:
    """``"250 kVA"``."""
    return f"{amount / 1000:.12g} {unit}".strip()


def peak(draws: Iterable[tuple[Interval, int]], within: Interval) -> tuple[int, datetime]:
    """The greatest sum at any instant of ``within``, and the first instant it is reached.

    A sum over time peaks only at the start of one of its intervals: testing those is exact.
    """
    touching = [(i, amount) for i, amount in draws if i.overlaps(within)]
    starts = sorted({within.start, *(i.start for i, _ in touching if i.start > within.start)})
    return max(
        ((sum(a for i, a in touching if i.has(at)), at) for at in starts),
        key=lambda found: (found[0], -found[1].timestamp()),
    )


def levels(draws: Iterable[tuple[Interval, int]], within: Interval) -> list[tuple[datetime, int]]:
    """The sum from each instant on until the next, beginning with ``within``; only where it changes."""
    changes: dict[datetime, int] = {within.start: 0}
    for interval, amount in draws:
        if interval.overlaps(within):
            start = max(interval.start, within.start)
            changes[start] = changes.get(start, 0) + amount
            if interval.end < within.end:
                changes[interval.end] = changes.get(interval.end, 0) - amount
    found: list[tuple[datetime, int]] = []
    total = 0
    for at in sorted(changes):
        total += changes[at]
        if not found or found[-1][1] != total:
            found.append((at, total))
    return found


_ROUND = (1, 2, 5, 10)


def coarse(amount: int, capacity: int) -> int:
    """What strangers draw as others are told it: rounded up, and never to more than there is.

    In round figures of a twentieth of the capacity or a little more: 0, 20, 40 … of 250 kVA. Enough to plan
    by, and too little to weigh a single test by.
    """
    least = max(1, -(-capacity // 20))
    power = int("1" + "0" * (len(str(least)) - 1))
    step = next(power * each for each in _ROUND if power * each >= least)
    return min(-(-amount // step) * step, max(capacity, amount))


def excess(
    new: Iterable[tuple[Interval, int]], old: Iterable[tuple[Interval, int]]
) -> list[tuple[Interval, int]]:
    """By how much ``new`` exceeds ``old``, as disjoint stretches in order: what a change adds.

    Where both budgets hold, the greater of the two at each instant holds too.
    """
    wanted, present = list(new), list(old)
    edges = sorted({t for i, _ in (*wanted, *present) for t in (i.start, i.end)})
    found = []
    for start, end in pairwise(edges):
        more = sum(a for i, a in wanted if i.has(start)) - sum(a for i, a in present if i.has(start))
        if more > 0:
            found.append((Interval(start, end), more))
    return found
