"""Starts on a grid of wall time, for searches that jump: the next one in a step, however far it is.

Instants and lengths are whole microseconds (instants since the epoch). A start counts if the wall clock
stands on the grid (``wall_time.on_grid``) both then and at the end of the use. Between two changes of the
zone's offset that is a matter of remainders, so nothing is walked.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import lcm
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
SECOND = 1_000_000
DAY = 86_400 * SECOND


def ticks(instant: datetime) -> int:
    """Microseconds since the epoch."""
    return (instant - _EPOCH) // _TICK


def instant(at: int) -> datetime:
    """The aware instant, in UTC, of so many microseconds since the epoch."""
    return _EPOCH + _TICK * at


_END = ticks(datetime(9999, 12, 30, tzinfo=UTC))
"""Calendars end there, and so do changes of the clock."""


def common(one: int, other: int) -> int:
    """The grid whose points lie on both; a day or more asks for local midnight itself."""
    return min(lcm(min(one, DAY), min(other, DAY)), DAY)


def lies_on(finer: int, grid: int) -> bool:
    """Whether every point of ``grid`` is one of ``finer`` too."""
    return common(finer, grid) == min(grid, DAY)


def _offset(at: int, zone: ZoneInfo) -> int:
    return (instant(min(at, _END)).astimezone(zone).utcoffset() or timedelta(0)) // _TICK


@lru_cache(maxsize=512)
def _changes(zone: ZoneInfo, year: int) -> list[tuple[int, int]]:
    """The changes of the offset within a year of UTC: (from when, the new offset)."""
    at, end = ticks(datetime(year, 1, 1, tzinfo=UTC)), ticks(datetime(year, 12, 31, tzinfo=UTC)) + DAY
    found = []
    while at < end:
        if _offset(at, zone) != _offset(at + DAY, zone):
            before, after = at, at + DAY
            while after - before > SECOND:
                middle = (before + after) // 2 // SECOND * SECOND
                if _offset(middle, zone) == _offset(at, zone):
                    before = middle
                else:
                    after = middle
            found.append((after, _offset(after, zone)))
        at += DAY
    return found


class Grid:
    """The starts, from ``since`` to ``last``, of a use of ``duration`` that begins and ends on ``step``."""

    def __init__(self, zone: ZoneInfo, step: int, duration: int, since: int, last: int) -> None:
        self.step, self.duration, self.last = min(step, DAY), duration, last
        years = range(instant(since).year, instant(min(max(since, last) + duration, _END)).year + 1)
        changes = [change for year in years for change in _changes(zone, year)]
        changes = [change for change in changes if change[0] > since]
        self._offsets = [_offset(since, zone), *(offset for _, offset in changes)]
        self._edges = [at for at, _ in changes]
        self._remainders: dict[int, list[int]] = {}

    def next(self, at: int) -> int | None:
        """The first such start at ``at`` or later."""
        while at <= self.last:
            first = bisect_right(self._edges, at)
            second = bisect_right(self._edges, at + self.duration, first)
            offset = self._offsets[first]
            start = self._next_wall(at + offset, self.duration + self._offsets[second] - offset)
            until = self.last + 1
            if first < len(self._edges):
                until = min(until, self._edges[first])
            if second < len(self._edges):
                until = min(until, self._edges[second] - self.duration)
            if start is not None and start - offset < until:
                return start - offset
            at = until
        return None

    def _next_wall(self, wall: int, length: int) -> int | None:
        """The same in wall time, where the clock runs evenly and moves on by ``length`` during the use."""
        if DAY % self.step == 0:
            return None if length % self.step else -(-wall // self.step) * self.step
        remainders = self._of_the_day(length % DAY)
        if not remainders:
            return None
        day = wall // DAY
        index = bisect_left(remainders, wall - day * DAY)
        if index == len(remainders):
            day, index = day + 1, 0
        return day * DAY + remainders[index]

    def _of_the_day(self, length: int) -> list[int]:
        """Of a grid that does not divide the day, and begins anew at midnight: those points of a day."""
        if length not in self._remainders:
            self._remainders[length] = [
                at for at in range(0, DAY, self.step) if (at + length) % DAY % self.step == 0
            ]
        return self._remainders[length]
