"""How much of a utility is drawn when, read from its draws only as far ahead as somebody asks.

Instants are whole microseconds, amounts thousandths of the utility's unit.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate

from labbook.domain.free_starts import FOREVER

_DAY = 86_400_000_000
_BLOCK = 128
_NEAR = 7 * _DAY
LEAP = 64 * _DAY
"""How far ahead of others anybody should look: nobody then asks for what was forgotten."""


class Headroom:
    """``drawn``: (start, end, amount) in order of their starts; ``capacity``: what their sum may reach.

    From ``times[n]`` on the level is ``levels[n]``. ``tops`` has the highest of each block of levels, so that
    a look over months is one at a few hundred numbers.

    Whoever searches moves on, so that what lies well behind is forgotten, and what is jumped over is not laid
    out at all. To ask for what was forgotten begins anew.
    """

    def __init__(self, capacity: int, drawn: Sequence[tuple[int, int, int]]) -> None:
        self.capacity = capacity
        self._drawn = drawn
        self._begin()

    def _begin(self) -> None:
        self._read, self._batch = 0, 2 * _DAY
        self._ahead: defaultdict[int, int] = defaultdict(int)
        self._restart(-FOREVER, 0)

    def _restart(self, at: int, level: int) -> None:
        self._known_since = self._known_until = at
        self._times, self._levels, self._tops = [at], [level], [level]

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

    def highest(self, start: int, end: int) -> tuple[int, int]:
        """The same, and the first instant at which it is reached."""
        top = self.peak(start, end)
        low, high = self._range(start, end)
        return top, max(self._times[self._levels.index(top, low, high)], start)

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

    def next_relief(self, amount: int, at: int, last: int) -> int:
        """The first instant after ``at`` at which a level ends that would have had no room for ``amount``.

        Beyond ``last`` it may be any that is not too late.
        """
        level, low = self.capacity - amount, self._range(at, at + 1)[0]
        while True:
            for index in range(low, len(self._times) - 1):
                if self._levels[index] > level and self._times[index + 1] > at:
                    return self._times[index + 1]
            if self._known_until > last:
                return self._known_until
            at = max(at, self._times[-1])
            more = self._read < len(self._drawn)
            self._know(at, max(self._drawn[self._read][0], self._known_until) + 1 if more else FOREVER)
            low = bisect_right(self._times, at) - 1

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
        if start < self._known_since:
            self._begin()
        if end > self._known_until:
            self._know(start, end)
        return bisect_right(self._times, start) - 1, bisect_left(self._times, end)

    def _know(self, start: int, end: int) -> None:
        """Forget what ends well before ``start`` and read on, so that every level before ``end`` is known."""
        if start - _NEAR > self._known_until:
            self._skip(start - _NEAR)
        else:
            self._forget(start - 2 * LEAP)
        self._read_on(min(end + self._batch, FOREVER))
        self._batch = min(2 * self._batch, LEAP)

    def _skip(self, to: int) -> None:
        first, self._read = self._read, bisect_left(self._drawn, (to + 1,), self._read)
        for at in [at for at in self._ahead if at <= to]:
            del self._ahead[at]
        for _, end, amount in self._drawn[first : self._read]:
            if end > to:
                self._ahead[end] -= amount
        self._restart(to, -sum(self._ahead.values()))

    def _forget(self, before: int) -> None:
        blocks = max(bisect_left(self._times, before) - 1, 0) // _BLOCK
        if blocks:
            self._known_since = self._times[blocks * _BLOCK]
            del self._times[: blocks * _BLOCK], self._levels[: blocks * _BLOCK], self._tops[:blocks]

    def _read_on(self, until: int) -> None:
        """``ahead`` keeps what changes from ``until`` on: the ends of what has begun."""
        first, self._read = self._read, bisect_left(self._drawn, (until,), self._read)
        changes = self._ahead
        for start, end, amount in self._drawn[first : self._read]:
            changes[start] += amount
            changes[end] -= amount
        times = sorted([at for at in changes if at < until])
        levels = accumulate(map(changes.pop, times), initial=self._levels[-1])
        next(levels)
        whole = len(self._tops) - 1
        self._times += times
        self._levels += levels
        self._tops[whole:] = [
            max(self._levels[at : at + _BLOCK]) for at in range(whole * _BLOCK, len(self._levels), _BLOCK)
        ]
        self._known_until = until
