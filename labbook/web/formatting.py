"""What templates call to say times, words and problems in the page's language: filters and globals.

The saying itself is in ``labbook.formats``; here it only learns the language, and the clock, of the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Flask, request
from flask_babel import get_locale

from labbook.domain.errors import Problem
from labbook.formats import moments, wording
from labbook.formats.words import localised, word

READER_ZONE_COOKIE = "zone"


def locale_code() -> str:
    """``"en"``, ``"da"`` or ``"de"``: the language of the page."""
    found = get_locale()
    return found.language if found else "en"


def _said(at: datetime) -> datetime:
    """Nobody says seconds; they stand in the title."""
    return at.replace(second=0, microsecond=0)


def span(start: datetime, end: datetime, zone: str) -> str:
    """``"Tue 24 Nov, 08:00–16:00 (8 h)"``."""
    return moments.span(_said(start), _said(end), ZoneInfo(zone), locale_code(), now=datetime.now(UTC))


def moment(at: datetime, zone: str) -> str:
    """``"Tue 24 Nov, 08:00"``."""
    return moments.moment(_said(at), ZoneInfo(zone), locale_code(), now=datetime.now(UTC))


def clock(at: datetime, zone: str) -> str:
    return moments.clock(_said(at), ZoneInfo(zone))


def day(at: datetime | date, zone: str) -> str:
    return moments.day(at, ZoneInfo(zone), locale_code())


def full_day(on: date) -> str:
    """A date with its year: of a calibration, of what is valid until then."""
    return moments.day(on, ZoneInfo("UTC"), locale_code(), year=True)


def week_of(at: datetime, zone: str) -> int:
    return moments.week(at, ZoneInfo(zone))


def duration(length: timedelta | int) -> str:
    """``"6 d 4 h"``, of as much time or as many seconds."""
    whole = length if isinstance(length, timedelta) else timedelta(seconds=length)
    return moments.duration(whole, locale_code())


def running(length: timedelta | int) -> str:
    """``"168 h"`` of running, of as much time or as many seconds."""
    whole = length if isinstance(length, timedelta) else timedelta(seconds=length)
    return moments.running(whole, locale_code())


def ago(at: datetime) -> str:
    return moments.ago(at, datetime.now(UTC), locale_code())


def sentence(problem: Problem, zone: str | None = None) -> str:
    """A problem in the reader's words; its instants on the facility's clock where the zone is given."""
    return wording.sentence(problem.code, problem.params, locale_code(), ZoneInfo(zone) if zone else UTC)


def in_words(code: str) -> str:
    return word(code, locale_code())


def capitalised(code: str) -> str:
    """One of the domain's words at the head of a line; abbreviations keep their capitals."""
    return upper_first(in_words(code))


def upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def name_of(names: Mapping[str, str] | str | None) -> str:
    """A catalogue name in the page's language."""
    if names is None or isinstance(names, str):
        return names or ""
    return localised(names, locale_code())


def zone_differs(zone: str, at: datetime | None = None) -> bool:
    """Whether the reader's own clock shows something else; their browser says its zone in a cookie."""
    own = _zone(request.cookies.get(READER_ZONE_COOKIE, ""))
    return own is not None and clocks_differ(own, ZoneInfo(zone), at or datetime.now(UTC))


def clocks_differ(one: ZoneInfo, other: ZoneInfo, at: datetime) -> bool:
    return at.astimezone(one).utcoffset() != at.astimezone(other).utcoffset()


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo | None:
    """None for what is no zone: a cookie may hold anything."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def zone_name(zone: str, at: datetime | None = None) -> str:
    return moments.zone_name(ZoneInfo(zone), at or datetime.now(UTC))


def register(app: Flask) -> None:
    """Make them known to every template, macros included."""
    app.jinja_env.globals.update(
        span=span,
        moment=moment,
        clock=clock,
        day=day,
        week_of=week_of,
        ago=ago,
        sentence=sentence,
        word=in_words,
        name_of=name_of,
        zone_differs=zone_differs,
        zone_name=zone_name,
    )
    app.jinja_env.filters.update(
        exact=moments.exact,
        full_day=full_day,
        duration=duration,
        running=running,
        localised=name_of,
        word=in_words,
        capitalize=upper_first,
    )
