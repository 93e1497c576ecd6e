"""How much of a utility is drawn when, read from its draws only as far ahead as somebody asks.

Instants are whole microseconds, amounts thousandths of the utility's unit.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from labbook.domain.free_starts import FOREVER

_BATCH = 28 * 86_400_000_000
_BLOCK = 128


class Headroom:
    """``drawn``: (start, end, amount) in order of their starts; ``capacity``: what their sum may reach.

    The level from ``times[n]`` on is ``levels[n]``. Where several draws begin or end at one instant there are
    levels of no duration; none of them exceeds both of its neighbours. ``tops`` has the highest of each
    block, so that a look over months is a look at a few hundred numbers.
    """

    def __init__(self, capacity: int, drawn: Sequence[tuple[int, int, int]]) -> None:
        self.capacity = capacity
        self._drawn = drawn
        self._read = 0
        self._known_until = -FOREVER
        self._pending: list[tuple[int, int]] = []
        self._times, self._levels, self._tops = [-FOREVER], [0], [0]

    def peak(self, start: int, end: int) -> int:
        """The greatest level at any instant from ``start`` to before ``end``."""
        low, high = self._range(start, end)
        first, last = -(-low // _BLOCK), high // _BLOCK
        if first >= last:
            return max(self._levels[low:high])
        return max(
            max(self._levels[low : first * _BLOCK], default=0),
            max(self._tops[first:last]),
            max(self._levels[last * _BLOCK : high], default=0),
        )

    def next_within(self, amount: int, at: int, before: int, after: int, last: int) -> int:
        """The first start, at ``at`` or later, at which ``amount`` more is to be had throughout.

        That is from ``before`` before it until ``after`` after it. Beyond ``last`` it may be any.
        """
        while at <= last:
            end = self._last_above(self.capacity - amount, at - before, at + after)
            if end is None:
                break
            at = end + before
        return at

    def next_relief(self, amount: int, at: int) -> int:
        """The first instant after ``at`` at which a level ends that would have had no room for ``amount``."""
        level = self.capacity - amount
        low = bisect_right(self._times, at) - 1
        while True:
            low, high = max(low, 0), len(self._times) - 1
            for index in range(low, high):
                if self._levels[index] > level and self._times[index + 1] > at:
                    return self._times[index + 1]
            if self._known_until >= FOREVER:
                return FOREVER
            low = high
            self._know(self._next_batch())

    def _next_batch(self) -> int:
        if self._read < len(self._drawn):
            return max(self._drawn[self._read][0], self._known_until) + _BATCH
        return FOREVER

    def _last_above(self, level: int, start: int, end: int) -> int | None:
        """When the last stretch above ``level`` ends of those between ``start`` and ``end``."""
        low, high = self._range(start, end)
        while high > low:
            block = (high - 1) // _BLOCK
            bottom = max(block * _BLOCK, low)
            if self._tops[block] > level:
                for index in range(high - 1, bottom - 1, -1):
                    if self._levels[index] > level:
                        return self._times[index + 1] if index + 1 < len(self._times) else end
            high = bottom
        return None

    def _range(self, start: int, end: int) -> tuple[int, int]:
        """The numbers of the levels that there are between two instants."""
        if end > self._known_until:
            self._know(end + _BATCH)
        return bisect_right(self._times, start) - 1, bisect_left(self._times, end)

    def _know(self, until: int) -> None:
        """Read on, so that every level before ``until`` is known."""
        first, last = self._read, bisect_left(self._drawn, (until,), self._read)
        batch = self._drawn[first:last]
        edges = self._pending
        edges += [(start, amount) for start, _, amount in batch]
        edges += [(end, -amount) for _, end, amount in batch]
        edges.sort()
        known = bisect_left(edges, (until,))
        self._pending = edges[known:]
        self._times += [at for at, _ in edges[:known]]
        levels = accumulate((step for _, step in edges[:known]), initial=self._levels[-1])
        next(levels)
        self._levels += levels
        whole = len(self._tops) - 1
        self._tops[whole:] = [
            max(self._levels[at : at + _BLOCK]) for at in range(whole * _BLOCK, len(self._levels), _BLOCK)
        ]
        self._read, self._known_until = last, until
