"""Reading opening hours: ranges of wall time, ``"08:00-12:00"``. What they mean is ``domain.wall_time``'s."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

_RANGE = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*[-–]\s*([01]\d|2[0-3]|24):([0-5]\d)")


class HoursError(ValueError):
    """``code`` and ``params`` become a sentence in ``formats.wording``."""

    def __init__(self, code: str, **params: str) -> None:
        super().__init__(f"{code} {params}")
        self.code = code
        self.params = params


def parse_hours(ranges: Sequence[str]) -> list[list[str]]:
    """``["08:00-12:00", …]`` as ``[["08:00", "12:00"], …]`` in order; ``24:00`` is the end of the day.

    Raises ``HoursError`` for what is no range, is reversed or overlaps. Ranges may touch.
    """
    found = sorted(_parse(text) for text in ranges)
    for (_, end), (start, until) in pairwise(found):
        if start < end:
            raise HoursError("hours_overlap", text=f"{start}-{until}")
    return [[start, end] for start, end in found]


def _parse(text: str) -> tuple[str, str]:
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise HoursError("not_hours", text=text)
    hour, minute, until_hour, until_minute = match.groups()
    start, end = f"{hour}:{minute}", f"{until_hour}:{until_minute}"
    if end > "24:00":
        raise HoursError("not_hours", text=text)
    if end <= start:
        raise HoursError("hours_reversed", text=text)
    return start, end
