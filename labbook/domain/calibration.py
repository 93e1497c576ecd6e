"""When a calibration is due again."""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta

_INTERVAL = re.compile(r"P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?")


def calibration_due(interval: str | None, performed: date | None) -> date | None:
    """The last day on which it holds; None where none is needed, ``date.min`` where none was ever made.

    ``interval`` is an ISO 8601 duration of calendar years, months, weeks and days. The 31st plus a
    month is the last day of that month. Raises ``ValueError`` for anything else.
    """
    if interval is None:
        return None
    if performed is None:
        return date.min
    match = _INTERVAL.fullmatch(interval)
    if match is None:
        raise ValueError(f"not a calendar duration: {interval!r}")
    years, months, weeks, days = (int(part or 0) for part in match.groups())
    month = performed.month - 1 + months + 12 * years
    year, month = performed.year + month // 12, month % 12 + 1
    day = min(performed.day, calendar.monthrange(year, month)[1])
    return date(year, month, day) + timedelta(weeks=weeks, days=days)
