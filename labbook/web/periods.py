"""Days, weeks and months on a facility's wall clock: what a calendar page shows, and what is beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from flask_babel import gettext as _

from labbook.domain.interval import Interval
from labbook.domain.wall_time import midnight
from labbook.formats import moments
from labbook.web.formatting import locale_code

_YEARS = range(2000, 2190)


class Length(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    FOUR_WEEKS = "weeks"


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
            case Length.WEEK | Length.FOUR_WEEKS:
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
            case Length.FOUR_WEEKS:
                return self.first + timedelta(days=28)
            case Length.MONTH:
                return (self.first + timedelta(days=31)).replace(day=1)

    @property
    def before(self) -> date:
        """A day of the one before."""
        if self.length is Length.FOUR_WEEKS:
            return self.first - timedelta(days=28)
        return Period(self.length, self.first - timedelta(days=1)).first

    def days(self) -> list[date]:
        return [self.first + timedelta(days=n) for n in range((self.after - self.first).days)]

    def within(self, zone: ZoneInfo) -> Interval:
        """From midnight to midnight, 23 or 25 hours long on the days when the clocks change."""
        return Interval(midnight(self.first, zone), midnight(self.after, zone))


def title_of(period: Period, zone: ZoneInfo) -> str:
    """``"Week 48, 2026"``."""
    locale = locale_code()
    first, last = period.first.isocalendar(), (period.after - timedelta(days=1)).isocalendar()
    match period.length:
        case Length.DAY:
            return moments.day(period.day, zone, locale, year=True)
        case Length.WEEK:
            return str(_("Week %(number)s, %(year)s", number=first.week, year=first.year))
        case Length.FOUR_WEEKS:
            weeks = {"first": first.week, "last": last.week, "year": last.year}
            return str(_("Weeks %(first)s to %(last)s, %(year)s", **weeks))
        case Length.MONTH:
            return moments.month(period.first, locale)


def read_day(text: str) -> date | None:
    """None for what is no date that a calendar shows."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found.year in _YEARS else None
