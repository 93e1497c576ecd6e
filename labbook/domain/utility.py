"""Sums of draws over time against a budget. Amounts are thousandths of the utility's unit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from labbook.domain.interval import Interval


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
