"""Which places a piece takes, where too few are free, and how the units of a pool are packed anew.

Units of a pool are the same to whoever books them, so what has not begun may go to another one. Given that
what has begun stays where it is, room is found exactly when at no instant more units are wanted than there
are: taken in the order of their starts, each finds a unit that is free, since whatever is in the way of all
of them at its start is as many as there are units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

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
    return merge(shortfall(places, occupied, wanted, count) or clipped)


def shortfall(places: Sequence[int], occupied: Occupied, wanted: Interval, count: int) -> list[Interval]:
    """The same by the count alone: what a pool is short of."""
    clipped = [cut for p in places for o in occupied.get(p, ()) if (cut := intersect(o, wanted)) is not None]
    edges = sorted({wanted.start, wanted.end, *(t for c in clipped for t in (c.start, c.end))})
    return merge(
        Interval(a, b)
        for a, b in pairwise(edges)
        if len(places) - sum(c.start <= a < c.end for c in clipped) < count
    )


def free_throughout(places: Sequence[int], occupied: Occupied, wanted: Interval, *, pool: bool) -> int:
    """How many places could be had throughout ``wanted``; of a ``pool``, after packing it anew."""
    if not pool:
        return sum(not any(o.overlaps(wanted) for o in occupied.get(p, ())) for p in places)
    clipped = [cut for p in places for o in occupied.get(p, ()) if (cut := intersect(o, wanted)) is not None]
    starts = {wanted.start, *(c.start for c in clipped)}
    return len(places) - max(sum(c.has(at) for c in clipped) for at in starts)


class Occupant(NamedTuple):
    """What occupies the unit ``place``; it ``stays`` there when it has begun."""

    key: int
    place: int
    span: Interval
    stays: bool


class Wish(NamedTuple):
    """One unit over ``span``: that very one (``place``), or whichever."""

    span: Interval
    place: int | None = None


class Packing(NamedTuple):
    """``moves``: occupant -> its other unit; ``taken``: the unit of each wish, in their order."""

    moves: Mapping[int, int]
    taken: Sequence[int]


class _Lane:
    """What is laid on one unit so far. Laid in the order of starts, only the latest end is looked at."""

    def __init__(self) -> None:
        self.spans: list[Interval] = []
        self.last_start = self.last_end = datetime.min.replace(tzinfo=UTC)

    def is_free(self, span: Interval) -> bool:
        if span.start >= self.last_start:
            return span.start >= self.last_end
        return not any(other.overlaps(span) for other in self.spans)

    def add(self, span: Interval) -> None:
        self.spans.append(span)
        self.last_start = max(self.last_start, span.start)
        self.last_end = max(self.last_end, span.end)


def pack(
    places: Sequence[int], occupants: Sequence[Occupant], wishes: Sequence[Wish], prefer: Sequence[int] = ()
) -> Packing | None:
    """A unit for each wish and each occupant, none of them twice at an instant; None where there is none.

    Exact as long as no wish for whichever unit begins before what stays has begun. What can stay does.
    """
    lanes = {place: _Lane() for place in places}
    taken: dict[int, int] = {}
    moves: dict[int, int] = {}
    bound = [(o.place, o.span) for o in occupants if o.stays]
    bound += [(w.place, w.span) for w in wishes if w.place is not None]
    for place, span in bound:
        if place not in lanes or not lanes[place].is_free(span):
            return None
        lanes[place].add(span)
    loose: list[tuple[Interval, int, int | None]] = [
        *((o.span, o.key, o.place) for o in occupants if not o.stays),
        *((w.span, number, None) for number, w in enumerate(wishes) if w.place is None),
    ]
    rank = {place: (place not in prefer, number) for number, place in enumerate(places)}
    for span, key, present in sorted(loose, key=lambda item: (item[0].start, item[2] is None, item[1])):
        free = [place for place in places if lanes[place].is_free(span)]
        if not free:
            return None
        chosen = present if present in free else min(free, key=lambda place: rank[place])
        assert chosen is not None
        lanes[chosen].add(span)
        if present is None:
            taken[key] = chosen
        elif chosen != present:
            moves[key] = chosen
    return Packing(moves, [w.place if w.place is not None else taken[n] for n, w in enumerate(wishes)])
