"""From when to when a use may start, so that what it occupies is free: found by jumps over what is taken.

Instants and lengths are whole microseconds. A use that starts at ``t`` occupies ``[t - before, t + after)``:
set-up, use and tear-down. Calendars are half-open spans in order and disjoint; none of them is copied.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

Span = tuple[int, int]
Stretch = tuple[int, int]
"""Starts from the first to the second, both included."""

FOREVER = 1 << 62
_LOOK = 86_400_000_000


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same instants in order and disjoint."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            if end > found[-1][1]:
                found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def gap(taken: Sequence[Span], at: int, before: int, after: int, last: int) -> Stretch:
    """The first stretch of starts, at ``at`` or later, in which ``taken`` leaves room; beyond ``last``, any.

    Of all that overlaps, only the end of the last counts: each round jumps a whole use ahead.
    """
    while True:
        index = bisect_left(taken, (at + after,))
        if index == 0 or taken[index - 1][1] <= at - before:
            return at, taken[index][0] - after if index < len(taken) else FOREVER
        at = taken[index - 1][1] + before
        if at > last:
            return at, at


def overfull(places: Sequence[Sequence[Span]], most: int, within: Span) -> list[Span]:
    """When, within the span, more than ``most`` places are taken at once."""
    edges: list[tuple[int, int]] = []
    for taken in places:
        index = bisect_left(taken, (within[1],)) - 1
        while index >= 0 and taken[index][1] > within[0]:
            edges += ((taken[index][0], 1), (taken[index][1], -1))
            index -= 1
    edges.sort()
    found: list[Span] = []
    count, since = 0, None
    for at, step in edges:
        count += step
        if count > most:
            since = at if since is None else since
        elif since is not None:
            found.append((since, at))
            since = None
    return found


class FreeStarts:
    """Where ``count`` places of one piece are to be had, among starts from ``first`` to ``last``.

    ``closed``: when the piece cannot be occupied at all. What was found last is kept, because whoever moves
    forward asks for the same stretch again and again.
    """

    def __init__(
        self,
        places: Sequence[Sequence[Span]],
        count: int,
        *,
        pool: bool,
        closed: Sequence[Span],
        before: int,
        after: int,
        first: int,
        last: int,
    ) -> None:
        self.places, self.count, self.closed = places, count, closed
        self.before, self.after, self.first, self.last = before, after, first, last
        if pool:
            self._room = self._of_pool
        else:
            self._room = self._of_one if len(places) == 1 else self._of_several
        self._asked = self._until = FOREVER
        self._found: Stretch | None = None

    def next(self, at: int) -> Stretch | None:
        """The first stretch that does not end before ``at``, from ``at`` on; None: there is none."""
        if self._asked <= at <= self._until:
            return self._found
        self._asked, self._found = at, self._next(max(at, self.first))
        self._until = FOREVER if self._found is None else self._found[1]
        return self._found

    def _next(self, at: int) -> Stretch | None:
        while at <= self.last:
            start, until = self._room(at)
            if self.closed and start <= self.last:
                at, opens_until = gap(self.closed, start, self.before, self.after, self.last)
                if at > until:
                    continue
                start, until = at, min(until, opens_until)
            return (start, min(until, self.last)) if start <= self.last else None
        return None

    def _of_one(self, at: int) -> Stretch:
        return gap(self.places[0], at, self.before, self.after, self.last)

    def _of_several(self, at: int) -> Stretch:
        """Each of so many places is free throughout."""
        while True:
            gaps = [gap(taken, at, self.before, self.after, self.last) for taken in self.places]
            at = sorted(start for start, _ in gaps)[self.count - 1]
            lasting = sorted((until for start, until in gaps if start <= at <= until), reverse=True)
            if len(lasting) >= self.count:
                return at, lasting[self.count - 1]
            if at > self.last:
                return at, at

    def _of_pool(self, at: int) -> Stretch:
        """At each instant so many places are left; which ones may change."""
        while at <= self.last:
            full = overfull(
                self.places, len(self.places) - self.count, (at - self.before, at + self.after + _LOOK)
            )
            full = [span for span in full if span[1] > at - self.before]
            hindering = [end for start, end in full if start < at + self.after]
            if not hindering:
                return at, full[0][0] - self.after if full else at + _LOOK
            at = hindering[-1] + self.before
        return at, at
