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
