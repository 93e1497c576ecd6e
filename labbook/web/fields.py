"""Form fields: wall time in the lab's zone, whole numbers, lists of addresses. What is wrong is collected."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from labbook.domain.errors import Problem
from labbook.formats import moments

_LISTED = re.compile(r"[,;\s]+")


class Fields:
    """Reads a posted form; ``problems`` grows with everything that cannot be read."""

    def __init__(self, form: MultiDict[str, str]) -> None:
        self.form = form
        self.problems: list[Problem] = []

    def text(self, name: str) -> str:
        """As typed, with the line breaks of a browser made plain."""
        return self.form.get(name, "").replace("\r\n", "\n")

    def line(self, name: str) -> str:
        return self.text(name).strip()

    def chosen(self, name: str) -> str | None:
        """A slug, an address or a code: what is looked up, and not kept."""
        return lookup(self.line(name)) or None

    def ticked(self, name: str) -> bool:
        return name in self.form

    def listed(self, name: str) -> tuple[str, ...]:
        """Addresses, whatever stands between them."""
        whole = lookup(" ".join(self.form.getlist(name)))
        return tuple(dict.fromkeys(part for part in _LISTED.split(whole) if part))

    def day(self, name: str, *, required: bool = False) -> date | None:
        text = self.line(name)
        if not text:
            if required:
                self.problems.append(Problem("missing", name))
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            self.problems.append(Problem("bad_date", name, params={"value": text[:40]}))
            return None

    def instant(
        self, name: str, zone: ZoneInfo, *, required: bool = True, whole_day: str = ""
    ) -> datetime | None:
        """``{name}_date`` and ``{name}_time`` on the wall clock of ``zone``; problems are ``name``'s.

        ``whole_day``: a day without a time is its ``"start"`` or its ``"end"``, the midnight after it.
        """
        typed_day, typed_time = self.line(f"{name}_date"), self.line(f"{name}_time")
        if not typed_day and not typed_time:
            if required:
                self.problems.append(Problem("missing", name))
            return None
        try:
            on = date.fromisoformat(typed_day)
        except ValueError:
            self.problems.append(Problem("bad_date", name, params={"value": typed_day[:40]}))
            return None
        at = time.min if whole_day and not typed_time else _clock(typed_time)
        if whole_day == "end" and not typed_time and on < date.max:
            on += timedelta(days=1)
        if at is None:
            self.problems.append(Problem("bad_time", name, params={"value": typed_time[:40]}))
            return None
        return self._resolved(name, on, at, zone)

    def _resolved(self, name: str, on: date, at: time, zone: ZoneInfo) -> datetime | None:
        wall = datetime.combine(on, at, tzinfo=zone)
        which = self.line(f"{name}_fold")
        if happens_twice(wall) and which not in ("1", "2"):
            self.problems.append(Problem("time_twice", name, params={"time": f"{at:%H:%M}"}))
            return None
        wall = wall.replace(fold=int(which == "2"))
        try:
            found = wall.astimezone(UTC)
            back = found.astimezone(zone)
        except (OverflowError, ValueError):
            self.problems.append(Problem("out_of_range", name))
            return None
        if back.replace(tzinfo=None) != wall.replace(tzinfo=None):
            before, after = _jump(wall, zone)
            params = {"time": f"{at:%H:%M}", "before": before, "after": after}
            self.problems.append(Problem("time_in_gap", name, params=params))
            return None
        return found

    def length(self, name: str) -> timedelta | None:
        """Elapsed time: ``"2"`` and ``"2 h"`` are hours; ``"90 min"``, ``"1:30"``, ``"6 d 4 h"``."""
        text = self.line(name)
        if not text:
            return None
        found = parse_length(text)
        if found is None:
            self.problems.append(Problem("bad_length", name, params={"value": text[:40]}))
        return found

    def number(self, name: str, *, default: int = 1) -> int:
        text = self.line(name)
        if not text:
            return default
        if not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) < 100_000):
            self.problems.append(Problem("bad_number", name, params={"value": text[:40]}))
            return default
        return int(text)


def lookup(text: str) -> str:
    """Something to look for: PostgreSQL takes no NUL, and nothing has one in its name."""
    return text.replace("\0", "\ufffd")


_PART = re.compile(r"(\d{1,6}(?:[.,]\d{1,3})?)\s*([a-zäöüåæø]*)", re.IGNORECASE | re.ASCII)
_UNITS = {"m": 60, "h": 3600, "s": 3600, "t": 3600, "d": 86400, "w": 604800, "u": 604800}
"""By first letter: minutes, hours (Stunden, timer), days (dage), weeks (Wochen, uger)."""


def parse_length(text: str) -> timedelta | None:
    """Elapsed time as people write it; None for what is none. A bare number is hours."""
    if clock := re.fullmatch(r"(\d{1,4}):([0-5]\d)", text.strip(), re.ASCII):
        found = timedelta(hours=int(clock[1]), minutes=int(clock[2]))
        return found or None
    if _PART.sub("", text).replace("+", "").strip():
        return None
    seconds = 0.0
    for number, unit in _PART.findall(text):
        letter = "d" if unit[:2].lower() == "ta" else (unit or "h")[0].lower()
        factor = _UNITS.get(letter)
        if factor is None:
            return None
        seconds += float(number.replace(",", ".")) * factor
    return timedelta(seconds=round(seconds)) if 0 < seconds < 400 * 86400 else None


def happens_twice(wall: datetime) -> bool:
    """Whether the clocks go back over this wall time."""
    first, second = wall.replace(fold=0).utcoffset(), wall.replace(fold=1).utcoffset()
    return (first or timedelta(0)) > (second or timedelta(0))


_CLOCK = re.compile(r"(\d{1,2})(?:[:.h]?([0-5]\d))?(?::([0-5]\d))?", re.ASCII)


def _clock(text: str) -> time | None:
    """``08:00``, and what people type for it: ``8``, ``8.00``, ``0800``."""
    found = _CLOCK.fullmatch(text)
    if found is None or int(found[1]) > 23:
        return None
    return time(int(found[1]), int(found[2] or 0), int(found[3] or 0))


def _jump(wall: datetime, zone: ZoneInfo) -> tuple[str, str]:
    """Where the clock jumps from and to, around a wall time that does not exist."""
    at = wall.astimezone(UTC) - timedelta(hours=3)
    offset = at.astimezone(zone).utcoffset()
    step = timedelta(minutes=15)
    while (at + step).astimezone(zone).utcoffset() == offset:
        at += step
    after = (at + step).astimezone(zone)
    before = ((at + step).replace(tzinfo=None) + (offset or timedelta(0))).time()
    return f"{before:%H:%M}", f"{after:%H:%M}"


def wall_fields(name: str, at: datetime, zone: ZoneInfo) -> dict[str, str]:
    """An instant as the fields it is typed into."""
    local = at.astimezone(zone)
    fields = {f"{name}_date": f"{local:%Y-%m-%d}", f"{name}_time": moments.clock(at, zone)}
    if happens_twice(local):
        fields[f"{name}_fold"] = "2" if local.fold else "1"
    return fields


def is_fold_day(day: str, zone: ZoneInfo) -> bool:
    """Whether the clocks go back on that day, so that one hour happens twice."""
    try:
        on = date.fromisoformat(day)
    except ValueError:
        return False
    noon = datetime.combine(on, time(12), tzinfo=zone)
    morning = datetime.combine(on, time.min, tzinfo=zone)
    return (noon.utcoffset() or timedelta(0)) < (morning.utcoffset() or timedelta(0))


def prefilled(
    args: MultiDict[str, str], zone: ZoneInfo, names: Sequence[str] = ("start", "end")
) -> dict[str, str]:
    """``?start=&end=`` as form fields: instants with an offset, or local wall time."""
    found: dict[str, str] = {}
    for name in names:
        text = args.get(name, "").strip().replace(" ", "+" if "T" in args.get(name, "") else " ")
        try:
            at = datetime.fromisoformat(text)
            if at.tzinfo is not None:
                found |= wall_fields(name, at, zone)
                continue
        except (ValueError, OverflowError):
            continue
        found |= {f"{name}_date": f"{at:%Y-%m-%d}", f"{name}_time": f"{at:%H:%M}"}
    return found
