"""A calendar file read: its events as intervals, and those that cannot be taken with the reason. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from icalendar import Calendar

from labbook.domain.wall_time import midnight
from labbook.domain.words import NOTES_LIMIT, TITLE_LIMIT

UNTITLED = "Imported"


@dataclass(frozen=True)
class Event:
    """``organiser`` is an e-mail address or empty. ``key`` is the same whenever the event is read."""

    uid: str
    key: str
    title: str
    notes: str
    start: datetime
    end: datetime
    organiser: str


@dataclass(frozen=True)
class Unread:
    """``code``: ``event_recurring``, ``event_floating``, ``event_cancelled`` or ``event_without_time``."""

    uid: str
    title: str
    code: str


class NoCalendar(ValueError):
    """The text is no iCalendar."""


def read(content: bytes, zone: ZoneInfo) -> Iterator[Event | Unread]:
    """Whole days are those of ``zone``; a time without a zone is not guessed. Raises ``NoCalendar``."""
    try:
        calendars: list[Any] = list(Calendar.from_ical(content, multiple=True))
    except (ValueError, IndexError, KeyError) as error:
        raise NoCalendar(str(error)) from error
    if not calendars or any(calendar.name != "VCALENDAR" for calendar in calendars):
        raise NoCalendar("no VCALENDAR")
    for calendar in calendars:
        for event in calendar.walk("VEVENT"):
            yield _event(event, zone)


def _event(event: Any, zone: ZoneInfo) -> Event | Unread:
    uid = str(event.get("UID", ""))
    title = _line(str(event.get("SUMMARY", "")))[:TITLE_LIMIT] or UNTITLED
    if str(event.get("STATUS", "")).upper() == "CANCELLED":
        return Unread(uid, title, "event_cancelled")
    if "RRULE" in event or "RDATE" in event:
        return Unread(uid, title, "event_recurring")
    try:
        begins = event.decoded("DTSTART")
        ends = _end(event, begins)
    except (KeyError, ValueError, TypeError, OverflowError):
        return Unread(uid, title, "event_without_time")
    start, end = _instant(begins, zone), _instant(ends, zone)
    if start is None or end is None:
        return Unread(uid, title, "event_floating")
    occurrence = str(event.get("RECURRENCE-ID") and event["RECURRENCE-ID"].to_ical())
    key = hashlib.sha256(f"{uid}\n{occurrence}\n{start}\n{end}".encode("utf-8", "replace")).hexdigest()
    organiser = str(event.get("ORGANIZER", "")).lower().removeprefix("mailto:").strip()
    return Event(uid, key, title, _notes(event), start, end, organiser)


def _end(event: Any, begins: Any) -> Any:
    if "DTEND" in event:
        return event.decoded("DTEND")
    if "DURATION" in event:
        return begins + event.decoded("DURATION")
    if isinstance(begins, datetime):
        raise ValueError("an instant is no reservation")
    return begins + timedelta(days=1)


def _instant(value: date | datetime, zone: ZoneInfo) -> datetime | None:
    if not isinstance(value, datetime):
        return midnight(value, zone)
    return None if value.tzinfo is None else value.astimezone(UTC)


def _notes(event: Any) -> str:
    kept = (_line(line) for line in str(event.get("DESCRIPTION", "")).splitlines())
    return "\n".join(kept)[:NOTES_LIMIT]


def _line(text: str) -> str:
    """Without control characters and lone surrogates, which no reservation may have."""
    return "".join(c if c.isprintable() else " " for c in text).strip()
