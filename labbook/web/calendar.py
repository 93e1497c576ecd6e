"""The facility's timeline, and the same as a list that needs neither script nor mouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import g, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response

from labbook.domain.wall_time import local_date
from labbook.formats import moments
from labbook.formats.words import word
from labbook.services import calendar, timeline, utilities
from labbook.services.calendar import BusyEntry, FullEntry, Window
from labbook.services.timeline import Lab, Row, Timeline
from labbook.web.formatting import capitalised, locale_code, name_of
from labbook.web.page import database, now, page_blueprint, viewer
from labbook.web.periods import Length, Period, read_day, title_of
from labbook.web.strips import look_of

blueprint = page_blueprint("calendar")

TEXT_LIMIT = 100
SHOWN = (Length.DAY, Length.WEEK, Length.MONTH)


@dataclass(frozen=True)
class Asked:
    """What the address says; whatever it says wrongly falls back to today's week."""

    facility: str | None
    length: Length
    day: date | None
    category: str
    text: str
    as_list: bool


@blueprint.get("/calendar")
def show() -> str | Response:
    asked = _asked()
    found = timeline.read(database(), asked.facility, viewer=viewer())
    g.example = found.lab.example
    zone = ZoneInfo(found.lab.zone)
    period = Period(asked.length, asked.day or local_date(now(), zone))
    rows = [row for row in found.rows if _matches(row, asked)]
    page = {
        "timeline": found,
        "asked": asked,
        "period": period,
        "title": title_of(period, zone),
        "link": _Links(found.lab, asked, period, local_date(now(), zone)),
        "rows": rows,
        "utilities": utilities.of_facility(database(), found.lab.slug),
    }
    if asked.as_list:
        listed = calendar.read(
            database(), Window(period.within(zone), facility=found.lab.slug), viewer=viewer()
        )
        return render_template("calendar/list.html", rooms=_listed(rows, listed), **page)
    return render_template("calendar/show.html", given=_given(found, period), **page)


def _asked() -> Asked:
    args = request.args
    length = args.get("view", "")
    return Asked(
        facility=args.get("facility") or None,
        length=Length(length) if length in SHOWN else Length.WEEK,
        day=read_day(args.get("date", "")),
        category=args.get("category", ""),
        text=args.get("q", "").strip()[:TEXT_LIMIT],
        as_list=args.get("as") == "list",
    )


def _matches(row: Row, asked: Asked) -> bool:
    if asked.category and row.category != asked.category:
        return False
    words = " ".join((row.slug, row.category, row.room or "", *row.name.values())).casefold()
    return all(part in words for part in asked.text.casefold().split())


@dataclass(frozen=True)
class _Links:
    """Addresses of the same page a little different."""

    lab: Lab
    asked: Asked
    period: Period
    today: date

    def _to(self, **changed: Any) -> str:
        kept = {
            "facility": self.lab.slug,
            "view": str(self.period.length),
            "date": self.period.day.isoformat(),
            "category": self.asked.category or None,
            "q": self.asked.text or None,
            "as": "list" if self.asked.as_list else None,
        }
        values = {k: v for k, v in (kept | changed).items() if v is not None}
        return str(url_for("calendar.show", **values))

    @property
    def previous(self) -> str:
        return self._to(date=self.period.before.isoformat())

    @property
    def following(self) -> str:
        return self._to(date=self.period.after.isoformat())

    @property
    def now(self) -> str:
        return self._to(date=self.today.isoformat())

    def length(self, length: str) -> str:
        return self._to(view=length)

    def facility(self, slug: str) -> str:
        return self._to(facility=slug, category=None)

    @property
    def listed(self) -> str:
        return self._to(**{"as": "list"})

    @property
    def drawn(self) -> str:
        return self._to(**{"as": None})


@dataclass(frozen=True)
class Listed:
    """One line of the list: ``look`` is a state of the look; ``entry`` is there only when seen in full."""

    look: str
    start: datetime
    end: datetime
    entry: FullEntry | None = None
    hazards: Sequence[str] = ()


def _listed(
    rows: Sequence[Row], found: calendar.Calendar
) -> list[tuple[str | None, list[tuple[Row, list[Listed]]]]]:
    """Room -> piece -> what is there, in order of time."""
    by_slug: dict[str, list[Listed]] = {}
    for entry in found.full:
        for slug in entry.equipment:
            by_slug.setdefault(slug, []).append(_full(entry))
    for busy in found.busy:
        by_slug.setdefault(busy.equipment, []).append(_busy(busy))
    rooms: dict[str | None, list[tuple[Row, list[Listed]]]] = {}
    for row in rows:
        lines = sorted(by_slug.get(row.slug, ()), key=lambda line: (line.start, line.end))
        rooms.setdefault(row.room, []).append((row, lines))
    return list(rooms.items())


def _full(entry: FullEntry) -> Listed:
    return Listed(
        look_of(entry.status, kind=entry.kind, standing=entry.standing), entry.start, entry.end, entry
    )


def _busy(entry: BusyEntry) -> Listed:
    return Listed("busy", entry.start, entry.end, hazards=entry.hazards)


def _given(found: Timeline, period: Period) -> Mapping[str, Any]:
    """What the script needs to draw: rows by room, the lab's zone and offset, and every word it says."""
    zone = ZoneInfo(found.lab.zone)
    return {
        "facility": found.lab.slug,
        "zone": found.lab.zone,
        "offset": moments.offset(now().astimezone(zone)),
        "phone": found.lab.duty_phone,
        "locale": locale_code(),
        "view": str(period.length),
        "date": period.day.isoformat(),
        "rows": [
            {
                "slug": row.slug,
                "name": name_of(row.name),
                "room": row.room,
                "roomName": capitalised(row.room) if row.room else _("Elsewhere"),
                "category": row.category,
                "places": row.places,
                "placesName": ngettext("%(num)s place", "%(num)s places", row.places),
                "bookable": row.bookable,
                "automatic": row.automatic,
                "words": " ".join((row.slug, row.category, row.room or "", *row.name.values())).casefold(),
            }
            for row in found.rows
        ],
        "words": _words(),
    }


def _words() -> Mapping[str, str]:
    locale = locale_code()
    states = (
        "requested", "approved", "in_use", "completed", "aborted", "busy", "block", "overrun", "displaced"
    )  # fmt: skip
    return {state: word(state, locale) for state in states} | {
        "busyTitle": _("Busy"),
        "beeps": _("Something beeps here"),
        "othersBusy": _("Somebody else's. Do not open or switch off."),
        "phone": _("Duty phone"),
        "hazards": _("Beware of"),
        "open": _("Open"),
        "close": _("Close"),
        "book": _("Book"),
        "request": _("Request"),
        "more": _("More…"),
        "title": _("Title"),
        "move": _("Move it here"),
        "keep": _("Leave it where it was"),
        "moveTitle": _("Move this?"),
        "from": _("From"),
        "to": _("To"),
        "equipment": _("Equipment"),
        "time": _("Time"),
        "occupied": _("With set-up and tear-down"),
        "booked": _("Booked."),
        "requested_now": _("Requested. A manager will decide."),
        "moved": _("Moved."),
        "asked": _("A manager is asked for the change; until then it stays where it was."),
        "undo": _("Undo"),
        "undone": _("Undone."),
        "failed": _("The laboratory's server did not answer. Nothing was changed."),
        "loading": _("Loading…"),
        "none": _("No equipment matches."),
        "week": _("Week"),
        "d": word("d", locale),
        "h": word("h", locale),
        "min": word("min", locale),
    }
