"""Days, weeks and months on a facility's wall clock: what a calendar page shows, and what is beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from labbook.domain.interval import Interval
from labbook.domain.wall_time import midnight

_YEARS = range(2000, 2190)


class Length(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class Period:
    """``length`` that holds ``day``; weeks begin on Monday."""

    length: Length
    day: date

    @property
    def first(self) -> date:
        match self.length:
            case Length.DAY:
                return self.day
            case Length.WEEK:
                return self.day - timedelta(days=self.day.weekday())
            case Length.MONTH:
                return self.day.replace(day=1)

    @property
    def after(self) -> date:
        """The first day of the next one."""
        match self.length:
            case Length.DAY:
                return self.first + timedelta(days=1)
            case Length.WEEK:
                return self.first + timedelta(days=7)
            case Length.MONTH:
                return (self.first + timedelta(days=31)).replace(day=1)

    @property
    def before(self) -> date:
        """A day of the one before."""
        return Period(self.length, self.first - timedelta(days=1)).first

    def days(self) -> list[date]:
        return [self.first + timedelta(days=n) for n in range((self.after - self.first).days)]

    def within(self, zone: ZoneInfo) -> Interval:
        """From midnight to midnight, 23 or 25 hours long on the days when the clocks change."""
        return Interval(midnight(self.first, zone), midnight(self.after, zone))


def read_day(text: str) -> date | None:
    """None for what is no date that a calendar shows."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found.year in _YEARS else None
