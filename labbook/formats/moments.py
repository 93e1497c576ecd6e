"""Times as a person says them: "Tue 24 Nov, 08:00–16:00 (8 h)", in the lab's zone and the reader's words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date as babel_date

from labbook.formats.words import word

_EN_DASH = "–"


@lru_cache(maxsize=8)
def _locale(code: str) -> Locale:
    # British English: day before month, as everywhere in Europe.
    return Locale.parse("en_GB" if code == "en" else code)


def clock(at: datetime, zone: ZoneInfo) -> str:
    """``"08:00"``; seconds only where there are any."""
    local = at.astimezone(zone)
    return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"


def day(at: datetime | date, zone: ZoneInfo, locale: str = "en", *, year: bool = False) -> str:
    """``"Tue 24 Nov"``, with the year where it matters."""
    on = at.astimezone(zone).date() if isinstance(at, datetime) else at
    pattern = {"de": "EEE d. MMM", "da": "EEE d. MMM"}.get(locale, "EEE d MMM")
    return babel_date(on, pattern + (" y" if year else ""), locale=_locale(locale))


def month(on: date, locale: str = "en") -> str:
    """``"November 2026"``."""
    return babel_date(on, "LLLL y", locale=_locale(locale))


def moment(at: datetime, zone: ZoneInfo, locale: str = "en", *, now: datetime | None = None) -> str:
    """``"Tue 24 Nov, 08:00"``; with the year when it is not that of ``now``."""
    year = now is not None and now.astimezone(zone).year != at.astimezone(zone).year
    return f"{day(at, zone, locale, year=year)}, {clock(at, zone)}{_fold(at, zone)}"


def span(
    start: datetime, end: datetime, zone: ZoneInfo, locale: str = "en", *, now: datetime | None = None
) -> str:
    """``"Tue 24 Nov, 08:00–16:00 (8 h)"``, or both days where it goes over midnight."""
    length = duration(end - start, locale)
    if start.astimezone(zone).date() == end.astimezone(zone).date():
        until = f"{clock(end, zone)}{_fold(end, zone)}"
        return f"{moment(start, zone, locale, now=now)}{_EN_DASH}{until} ({length})"
    return (
        f"{moment(start, zone, locale, now=now)} {_EN_DASH} {moment(end, zone, locale, now=now)} ({length})"
    )


def week(at: datetime, zone: ZoneInfo) -> int:
    """The ISO week."""
    return at.astimezone(zone).isocalendar().week


def duration(length: timedelta, locale: str = "en") -> str:
    """``"6 d 4 h"``, ``"1 h 30 min"``, ``"45 min"``; elapsed time, whatever the clocks were set to."""
    seconds = int(abs(length.total_seconds()))
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    units = ((days, word("d", locale)), (hours, word("h", locale)), (minutes, word("min", locale)))
    parts = [f"{count} {unit}" for count, unit in units if count]
    if left and not days and not hours:
        parts.append(f"{left} s")
    return " ".join(parts) or f"0 {word('min', locale)}"


def running(length: timedelta, locale: str = "en") -> str:
    """``"168 h"``, ``"412 h 30 min"``: hours of running, which a long test is spoken of by."""
    minutes = int(length.total_seconds()) // 60
    hours, left = divmod(minutes, 60)
    parts = [f"{hours} {word('h', locale)}"] if hours or not left else []
    return " ".join([*parts, f"{left} {word('min', locale)}"] if left else parts)


def ago(at: datetime, now: datetime, locale: str = "en") -> str:
    """The largest unit of how long it is between the two: ``"26 h"``, ``"3 d"``, ``"5 min"``."""
    seconds = int(abs((now - at).total_seconds()))
    if seconds < 3600:
        return f"{max(1, seconds // 60)} {word('min', locale)}"
    if seconds < 2 * 86400:
        return f"{seconds // 3600} {word('h', locale)}"
    return f"{seconds // 86400} {word('d', locale)}"


def zone_name(zone: ZoneInfo, at: datetime) -> str:
    """``"Europe/Copenhagen, UTC+1"``."""
    offset = at.astimezone(zone).utcoffset() or timedelta(0)
    hours = offset.total_seconds() / 3600
    return f"{zone.key}, UTC{hours:+g}"


def offset(local: datetime) -> str:
    """``"+01:00"``: what a clock in the zone of ``local`` is ahead of UTC then."""
    return local.isoformat()[-6:]


def exact(at: datetime) -> str:
    """RFC 3339 in UTC, for machines and tooltips."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _fold(at: datetime, zone: ZoneInfo) -> str:
    """The hour that happens twice in autumn says which of the two it is."""
    local = at.astimezone(zone)
    other = local.replace(fold=1 - local.fold)
    ambiguous = other.utcoffset() != local.utcoffset() and other.astimezone(UTC).astimezone(zone) == other
    return f" {local.tzname()}" if ambiguous else ""
