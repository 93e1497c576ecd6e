"""ISO 8601 durations: exact ones (``PT30M``, ``P90D``), and calendar ones for calibration (``P12M``)."""

from __future__ import annotations

import re
from datetime import timedelta

LONGEST = timedelta(days=20_000)  # some fifty years; its seconds fit a database integer

_EXACT = re.compile(
    r"P(?:(?P<weeks>\d{1,6})W)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?:(?P<hours>\d{1,7})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,10})S)?)?"
)
_CALENDAR = re.compile(r"P(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?")


class DurationError(ValueError):
    """``code`` and ``params`` become a sentence in ``formats.wording``."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.params = {"text": text}


def parse_duration(text: str) -> timedelta:
    """Weeks, days, hours, minutes and whole seconds. Raises ``DurationError``.

    Months and years are refused: how long they are depends on when they begin.
    """
    if text.startswith("-"):
        raise DurationError("duration_negative", text)
    match = _EXACT.fullmatch(text)
    if match is None or text.endswith(("P", "T")):
        calendar = _CALENDAR.fullmatch(text) is not None and text != "P"
        raise DurationError("duration_calendar" if calendar else "not_a_duration", text)
    found = timedelta(**{part: int(value or 0) for part, value in match.groupdict().items()})
    if found > LONGEST:
        raise DurationError("duration_too_long", text)
    return found


def parse_calendar_duration(text: str) -> str:
    """Years, months, weeks and days of the calendar, as written. Raises ``DurationError``."""
    if text.startswith("-"):
        raise DurationError("duration_negative", text)
    match = _CALENDAR.fullmatch(text)
    if match is None or text == "P":
        raise DurationError("not_a_calendar_duration", text)
    years, months, weeks, days = (int(part or 0) for part in match.groups())
    total = timedelta(days=years * 365 + months * 30 + weeks * 7 + days)
    if not total:
        raise DurationError("duration_nothing", text)
    if total > LONGEST:
        raise DurationError("duration_too_long", text)
    return text


def written_hours(seconds: int) -> str:
    """Seconds of running as the hours that a test is spoken of by: ``PT168H``, never ``P7D``."""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    parts = ((hours, "H"), (minutes, "M"), (rest, "S"))
    return "PT" + ("".join(f"{n}{sign}" for n, sign in parts if n) or "0H")


def written_duration(seconds: int) -> str:
    """Seconds as the shortest exact ISO 8601 duration."""
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    day = f"{days}D" if days else ""
    clock = "".join(f"{n}{sign}" for n, sign in ((hours, "H"), (minutes, "M"), (rest, "S")) if n)
    if not day and not clock:
        return "PT0M"
    return f"P{day}" + (f"T{clock}" if clock else "")
