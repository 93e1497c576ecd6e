"""Which places a piece takes, and where too few are free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from labbook.domain.interval import Interval, intersect, merge

Occupied = Mapping[int, Sequence[Interval]]
"""Place id -> what already occupies it."""


def choose(
    places: Sequence[int], occupied: Occupied, wanted: Interval, count: int, prefer: Sequence[int] = ()
) -> list[int]:
    """``count`` places free throughout ``wanted``, preferred ones first, else the lowest; [] if too few."""
    free = [p for p in places if not any(o.overlaps(wanted) for o in occupied.get(p, ()))]
    free.sort(key=lambda p: (p not in prefer, places.index(p)))
    return free[:count] if len(free) >= count else []


def shortage(places: Sequence[int], occupied: Occupied, wanted: Interval, count: int) -> list[Interval]:
    """When, within ``wanted``, fewer than ``count`` of ``places`` are free.

    Where at each instant enough are free but no set of places is free throughout (a gap that only
    re-packing would close), every occupied stretch is returned: that is what stands in the way.
    """
    clipped = [cut for p in places for o in occupied.get(p, ()) if (cut := intersect(o, wanted)) is not None]
    edges = sorted({wanted.start, wanted.end, *(t for c in clipped for t in (c.start, c.end))})
    short = [
        Interval(a, b)
        for a, b in pairwise(edges)
        if len(places) - sum(c.start <= a < c.end for c in clipped) < count
    ]
    return merge(short or clipped)
