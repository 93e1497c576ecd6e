"""Inside a long test: the hours it has run, and read-outs and visits laid into staffed time.

Running time is elapsed time, whatever the clocks were set to, so instants are in UTC here; staffed time is
wall time. A pause is half-open, ``[start, end)``: nothing accrues from its start on, and from its end on it
does again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from labbook.domain.interval import Interval, merge, subtract
from labbook.domain.wall_time import Hours, local_date, midnight

LONG_FROM = timedelta(days=1)
"""What is used for this long, or longer, is a long test."""

READOUT_LENGTH = timedelta(minutes=30)
"""How long a read-out takes where nobody said otherwise."""

_NOTHING = timedelta(0)
_STRETCH = timedelta(days=14)
_WORKING_DAY_WITHIN = timedelta(days=14)


@dataclass(frozen=True)
class Pause:
    """The test stands still over ``[start, end)``; without ``end`` it still does."""

    start: datetime
    end: datetime | None = None


@dataclass(frozen=True)
class Run:
    """A test that runs from ``since`` on, apart from its pauses, until it ended (None: it goes on)."""

    since: datetime
    pauses: Sequence[Pause] = ()
    until: datetime | None = None

    def accrued(self, now: datetime) -> timedelta:
        """How long it has run at ``now``."""
        end = now if self.until is None else min(now, self.until)
        return sum((stretch.duration for stretch in self._running(end)), _NOTHING)

    def instant_of(self, running: timedelta) -> datetime | None:
        """The first instant at which so much has accrued, given the pauses so far.

        None where that is not known, since it stands still now, and where it ended before.
        """
        at, left = self.since, running
        for pause in sorted(self.pauses, key=lambda pause: pause.start):
            ran = max(pause.start - at, _NOTHING)
            if ran >= left:
                break
            left -= ran
            if pause.end is None:
                return None
            at = max(at, pause.end)
        found = at + left
        return None if self.until is not None and found > self.until else found

    @property
    def paused_since(self) -> datetime | None:
        """Since when it stands still; None while it runs, and once it ended."""
        open_ones = [pause.start for pause in self.pauses if pause.end is None]
        return min(open_ones) if open_ones and self.until is None else None

    def _running(self, end: datetime) -> list[Interval]:
        if end <= self.since:
            return []
        holes = [Interval(p.start, p.end or max(end, p.start) + _STRETCH) for p in self.pauses]
        return subtract(Interval(self.since, end), holes)


def lay(nominal: datetime, length: timedelta, hours: Hours, use: Interval) -> Interval | None:
    """The first staffed time at or after ``nominal`` that holds ``length`` whole and lies within ``use``.

    Exactly at ``nominal`` where there is room; None where no staffed time is left.
    """
    for stretch in _staffed(hours, max(nominal, use.start), use.end):
        if stretch.duration >= length:
            return Interval(stretch.start, stretch.start + length)
    return None


def is_staffed(span: Interval, hours: Hours) -> bool:
    """Whether somebody is there throughout, and nothing is shut down."""
    return hours.is_staffed_throughout(span) and not hours.shutdowns_within(span)


def announced_at(start: datetime, hours: Hours) -> datetime:
    """When those who come are told: as the working day before begins, else a day ahead."""
    today = midnight(local_date(start, hours.zone), hours.zone)
    before = Interval(today - _WORKING_DAY_WITHIN, today)
    working = _open(hours, before)
    if not working:
        return start - timedelta(days=1)
    last = local_date(working[-1].start, hours.zone)
    return next(s.start for s in working if local_date(s.start, hours.zone) == last)


def _staffed(hours: Hours, since: datetime, until: datetime) -> Iterator[Interval]:
    """Staffed stretches that are no shutdown, in order. A fortnight is looked at at a time."""
    at, going_on = since, list[Interval]()
    while at < until:
        to = min(at + _STRETCH, until)
        found = merge([*going_on, *_open(hours, Interval(at, to))])
        going_on = [found.pop()] if found and found[-1].end == to else []
        yield from found
        at = to
    yield from going_on


def _open(hours: Hours, within: Interval) -> list[Interval]:
    return [left for whole in hours.staffed_within(within) for left in subtract(whole, hours.shutdowns)]
