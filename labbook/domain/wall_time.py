"""Local wall time and UTC: grids, opening hours, and what happens on the two daylight-saving days.

A wall time in the spring gap does not exist: it is read as the instant the clock jumps over it
(02:30 becomes 03:30 summer time). One in the autumn fold happens twice: the first is taken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from labbook.domain.interval import Interval, covered, merge, subtract
from labbook.domain.wall_grid import DAY, Grid, ticks
from labbook.domain.wall_grid import instant as from_ticks

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)


def to_utc(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The instant of a wall time; see the module for the gap and the fold."""
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return to_utc(day, time.min, zone)


def local_date(instant: datetime, zone: ZoneInfo) -> date:
    return instant.astimezone(zone).date()


def seconds_of_day(instant: datetime, zone: ZoneInfo) -> float:
    """Seconds on the wall clock since local midnight, fractions included."""
    local = instant.astimezone(zone)
    return local.hour * 3600 + local.minute * 60 + local.second + local.microsecond / 1e6


def on_grid(instant: datetime, grid: timedelta, zone: ZoneInfo) -> bool:
    """Whether the wall clock stands on a multiple of ``grid`` from local midnight.

    A grid of a day or more asks for local midnight itself.
    """
    step = grid.total_seconds()
    if step <= 0:
        return True
    return seconds_of_day(instant, zone) % min(step, 86400.0) == 0


def next_on_grid(instant: datetime, grid: timedelta, zone: ZoneInfo) -> datetime:
    """The first instant at or after ``instant`` whose wall time is on the grid."""
    if on_grid(instant, grid, zone):
        return instant
    at = ticks(instant)
    found = Grid(zone, grid // _TICK, 0, at, at + 3 * DAY).next(at)
    assert found is not None, "some midnight comes within three days, even where the clock jumps over one"
    return from_ticks(found)


def parse_clock(text: str) -> time:
    """``"08:00"`` as a time; ``"24:00"`` as ``time.max``, which stands for the next midnight."""
    if text == "24:00":
        return time.max
    return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - a wall time has no zone


@lru_cache(maxsize=64)
def _holidays(country: str, year: int) -> frozenset[date]:
    import holidays  # here, because it takes 0.2 s and few commands need it

    return frozenset(holidays.country_holidays(country, years=year))


def is_public_holiday(country: str | None, day: date) -> bool:
    """Source: the ``holidays`` package, by ISO 3166 country."""
    return bool(country) and day in _holidays(country or "", day.year)


@dataclass(frozen=True)
class Hours:
    """When a facility is staffed and when it is shut down.

    ``staffed`` maps a weekday to ``(from, to)`` pairs of wall time. Public holidays of ``country`` and
    ``unstaffed`` stretches hinder attended use only; ``shutdowns`` refuse everything.
    """

    zone: ZoneInfo
    staffed: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    country: str | None = None
    unstaffed: Collection[Interval] = ()
    shutdowns: Collection[Interval] = ()

    def staffed_within(self, span: Interval) -> list[Interval]:
        """The staffed intervals that touch ``span``, merged, in order and cut to it."""
        ranges = [r for day in self._days(span) for r in self._staffed_on(day)]
        clipped = [
            Interval(max(r.start, span.start), min(r.end, span.end)) for r in ranges if r.overlaps(span)
        ]
        return [left for whole in merge(clipped) for left in subtract(whole, self.unstaffed)]

    def is_staffed_throughout(self, span: Interval) -> bool:
        return covered(span, self.staffed_within(span))

    def shutdowns_within(self, span: Interval) -> list[Interval]:
        return [each for each in self.shutdowns if each.overlaps(span)]

    def _days(self, span: Interval) -> Iterator[date]:
        day = local_date(span.start, self.zone)
        last = local_date(span.end, self.zone)
        while day <= last:
            yield day
            day += _DAY

    def _staffed_on(self, day: date) -> Iterator[Interval]:
        if is_public_holiday(self.country, day):
            return
        for start, end in self.staffed.get(WEEKDAYS[day.weekday()], ()):
            closes = parse_clock(end)
            until = midnight(day + _DAY, self.zone) if closes == time.max else to_utc(day, closes, self.zone)
            since = to_utc(day, parse_clock(start), self.zone)
            if since < until:
                yield Interval(since, until)
