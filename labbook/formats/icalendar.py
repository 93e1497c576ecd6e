"""Entries in, iCalendar (RFC 5545) bytes out: as a calendar to subscribe to, or as an invitation (RFC 5546).

Every instant is written in UTC, so that no VTIMEZONE is needed: the ones that clients and libraries
make up differ at the daylight-saving changes. An entry is rendered by the ``icalendar`` package, which
knows escaping and folding; since that is a pure function of the entry its bytes are remembered, and a
calendar is its head and its entries joined.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

from icalendar import Calendar, Event
from icalendar.prop import vCalAddress, vDuration, vText

MEDIA_TYPE = "text/calendar; charset=utf-8"
PRODUCT = "-//Labbook//Labbook//EN"

EntryStatus = Literal["TENTATIVE", "CONFIRMED", "CANCELLED"]
Method = Literal["REQUEST", "CANCEL"]

# Some twenty feeds of the size that a lab's busiest one has; an entry is about a kilobyte.
_REMEMBERED_ENTRIES = 40_000
_END_OF_CALENDAR = b"END:VCALENDAR\r\n"

# What RFC 5545 forbids in a TEXT (controls but the tab; line breaks are written as \n), and what breaks
# a line for parsers that split at Unicode's line ends rather than at CRLF.
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_FORBIDDEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff]")


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """One VEVENT. ``status`` None writes no STATUS, as for a busy block, which must not tell it.

    ``changed_at`` is both DTSTAMP and LAST-MODIFIED, which RFC 5545 says are the same where there is
    no METHOD. An entry that is ``transparent`` doesn't make its subscriber busy.
    """

    uid: str
    sequence: int
    changed_at: datetime
    starts_at: datetime
    ends_at: datetime
    summary: str
    status: EntryStatus | None = None
    transparent: bool = False
    description: str = ""
    location: str = ""
    categories: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True, slots=True)
class CalendarHead:
    """What a calendar says of itself; ``zone`` is the one to show it in, ``refresh`` how often to ask."""

    name: str
    zone: str
    refresh: timedelta


@dataclass(frozen=True, slots=True)
class Invitation:
    """An entry for one attendee's calendar, who is asked for no answer. ``optional``: they need not come.

    The ``changed_at`` of its entry is when the invitation was made, which is what DTSTAMP says where there is
    a METHOD.
    """

    method: Method
    entry: CalendarEntry
    organiser: str
    organiser_name: str
    attendee: str
    attendee_name: str
    optional: bool = False


def render_calendar(head: CalendarHead, entries: Iterable[CalendarEntry]) -> bytes:
    return b"".join((_opening(head), *map(render_entry, entries), _END_OF_CALENDAR))


def render_invitation(invitation: Invitation) -> bytes:
    """One VEVENT with its METHOD, its organiser and its one attendee."""
    calendar = Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", PRODUCT)
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", invitation.method)
    event = _event(invitation.entry)
    event.add("organizer", _person(invitation.organiser, invitation.organiser_name))
    attendee = _person(invitation.attendee, invitation.attendee_name)
    attendee.params["CUTYPE"] = "INDIVIDUAL"
    attendee.params["ROLE"] = "OPT-PARTICIPANT" if invitation.optional else "REQ-PARTICIPANT"
    attendee.params["PARTSTAT"] = "ACCEPTED"  # it is their own reservation
    attendee.params["RSVP"] = "FALSE"
    event.add("attendee", attendee)
    calendar.add_component(event)
    rendered: bytes = calendar.to_ical()
    return rendered


def _person(address: str, name: str) -> vCalAddress:
    found = vCalAddress(f"mailto:{address}")
    found.params["CN"] = " ".join(_text(name).replace('"', "'").split())  # a quote ends a parameter
    return found


@lru_cache(maxsize=_REMEMBERED_ENTRIES)
def render_entry(entry: CalendarEntry) -> bytes:
    """The entry as a VEVENT: UTF-8, folded at 75 octets between characters, lines ended by CRLF."""
    rendered: bytes = _event(entry).to_ical()
    return rendered


def _event(entry: CalendarEntry) -> Event:
    event = Event()
    event.add("uid", entry.uid)
    event.add("sequence", entry.sequence)
    event.add("dtstamp", _whole_second(entry.changed_at))
    event.add("last-modified", _whole_second(entry.changed_at))
    event.add("dtstart", _whole_second(entry.starts_at))
    event.add("dtend", _whole_second(entry.ends_at))
    event.add("summary", _text(entry.summary))
    event.add("transp", "TRANSPARENT" if entry.transparent else "OPAQUE")
    if entry.status is not None:
        event.add("status", entry.status)
    if entry.description:
        event.add("description", _text(entry.description))
    if entry.location:
        event.add("location", _text(entry.location))
    if entry.categories:
        event.add("categories", [_text(category) for category in entry.categories])
    if entry.url:
        event.add("url", entry.url)
    return event


def unattended(
    entry: CalendarEntry,
    *,
    occupied_from: datetime,
    occupied_until: datetime,
    setup_summary: str,
    teardown_summary: str,
    visits: Sequence[CalendarEntry] = (),
) -> tuple[CalendarEntry, ...]:
    """A test that runs by itself makes nobody busy; setting it up, visiting it and taking it down does.

    Answers the entry, transparent, with its visits between its set-up and its tear-down as entries of their
    own; the entry unchanged where it has none of them, since then its use is the work.
    """
    if occupied_from == entry.starts_at and occupied_until == entry.ends_at and not visits:
        return (entry,)
    entries = [replace(entry, transparent=True), *visits]
    if occupied_from < entry.starts_at:
        entries.insert(0, _phase(entry, "setup", setup_summary, occupied_from, entry.starts_at))
    if occupied_until > entry.ends_at:
        entries.append(_phase(entry, "teardown", teardown_summary, entry.ends_at, occupied_until))
    return tuple(entries)


def _phase(
    entry: CalendarEntry, name: str, summary: str, starts_at: datetime, ends_at: datetime
) -> CalendarEntry:
    local_part, at, domain = entry.uid.partition("@")
    return replace(
        entry, uid=f"{local_part}-{name}{at}{domain}", summary=summary, starts_at=starts_at, ends_at=ends_at
    )


@lru_cache(maxsize=256)
def _opening(head: CalendarHead) -> bytes:
    """``BEGIN:VCALENDAR`` and its properties. No METHOD: that would make a feed an invitation."""
    calendar = Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", PRODUCT)
    calendar.add("calscale", "GREGORIAN")
    calendar.add("name", vText(_text(head.name)))
    calendar.add("x-wr-calname", vText(_text(head.name)))
    calendar.add("x-wr-timezone", head.zone)
    calendar.add("refresh-interval", vDuration(head.refresh), parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", vDuration(head.refresh))
    rendered: bytes = calendar.to_ical()
    return rendered.removesuffix(_END_OF_CALENDAR)


def _whole_second(instant: datetime) -> datetime:
    """RFC 5545 knows no fractions; a naive time would be written as a floating one."""
    if instant.tzinfo is None:
        raise ValueError("a naive time has no place in a calendar")
    return instant.astimezone(UTC).replace(microsecond=0)


def _text(value: str) -> str:
    return _FORBIDDEN.sub("", _LINE_ENDS.sub("\n", value))
