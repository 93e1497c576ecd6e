"""Instants on the command line."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import click

from labbook.domain.durations import DurationError, parse_duration


class Instant(click.ParamType[datetime]):
    """RFC 3339 with an offset; a naive time is refused, and one from ``before`` on."""

    name = "instant"

    def __init__(self, before: datetime | None = None) -> None:
        self._before = before

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no instant; write it as in 2026-03-24T10:00:00+01:00", param, ctx)
        if found.tzinfo is None:
            self.fail(f"{value!r} names no zone; add Z or an offset such as +01:00", param, ctx)
        try:
            instant = found.astimezone(UTC)
        except OverflowError:
            self.fail(f"{value!r} is out of range", param, ctx)
        if self._before is not None and instant >= self._before:
            self.fail(f"{value!r} is out of range; name one before {self._before:%Y}", param, ctx)
        return instant


class Expiry(Instant):
    """An instant, a date (until its end in UTC), or how long from now on."""

    name = "expiry"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, str) and value.startswith("P"):
            try:
                return datetime.now(UTC) + parse_duration(value)
            except DurationError:
                self.fail(f"{value!r} is no duration; write it as in P90D", param, ctx)
        try:
            last = date.fromisoformat(value)
        except (ValueError, TypeError):
            return super().convert(value, param, ctx)
        return datetime.combine(last, time(), UTC) + timedelta(days=1)


INSTANT = Instant()
EXPIRY = Expiry()
