"""When people are reminded, warned and given up on: what a facility says, and each piece otherwise.

Stored as whole seconds under the names of the fields; 0 switches a reminder off. What nobody stated has a
default, and the short and simple is not reminded of: without check-in there is no reminder before the start
and no warning before the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import lru_cache
from typing import Any, Literal, cast

NoShow = Literal["auto", "release", "flag"]
NO_SHOWS: tuple[NoShow, ...] = ("auto", "release", "flag")

_OFF = timedelta(0)
_NUDGE = timedelta(days=1)
_REMIND = timedelta(days=1)
_WARN = timedelta(minutes=15)


@dataclass(frozen=True)
class Timing:
    """``nudge``: how long a request waits before managers are reminded of it, and twice that long before
    their deputies are. ``remind``: before the slot window opens. ``warn``: before the end of use.
    ``no_show``: a missed check-in releases the slot, flags it for a human, or ``auto``: by its length.

    None: not stated.
    """

    nudge: timedelta | None = None
    remind: timedelta | None = None
    warn: timedelta | None = None
    no_show: NoShow | None = None

    def stored(self) -> dict[str, Any]:
        """What was stated, as it is kept."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: int(value.total_seconds()) if isinstance(value, timedelta) else value
            for name, value in named.items()
            if value is not None
        }

    @lru_cache(maxsize=256)  # noqa: B019 - frozen and few
    def settled(self, *, guarded: bool) -> Settled:
        """With its defaults; ``guarded``: somebody has to check in."""
        return Settled(
            nudge=_NUDGE if self.nudge is None else self.nudge,
            remind=(_REMIND if guarded else _OFF) if self.remind is None else self.remind,
            warn=(_WARN if guarded else _OFF) if self.warn is None else self.warn,
            no_show=self.no_show or "auto",
        )


UNSTATED = Timing()


@dataclass(frozen=True)
class Settled:
    """The same where everything is stated; a length of nothing means never."""

    nudge: timedelta = _NUDGE
    remind: timedelta = _OFF
    warn: timedelta = _OFF
    no_show: NoShow = "auto"


def timing_from(stored: Mapping[str, Any]) -> Timing:
    """What ``stored`` says; names it doesn't have are not stated."""
    if not stored:
        return UNSTATED

    def length(name: str) -> timedelta | None:
        return None if stored.get(name) is None else timedelta(seconds=stored[name])

    no_show = stored.get("no_show")
    return Timing(length("nudge"), length("remind"), length("warn"), cast("NoShow | None", no_show))


def overlaid(general: Timing, own: Timing) -> Timing:
    """What the piece states, and else what its facility does."""
    return timing_from(general.stored() | own.stored())


def of_all(pieces: Iterable[Timing]) -> Timing:
    """One timing for a reservation of several pieces: who asks for more care has it."""
    found = list(pieces)

    def stated(name: str) -> list[Any]:
        return [value for value in (getattr(each, name) for each in found) if value is not None]

    no_shows = stated("no_show")
    return Timing(
        nudge=min(stated("nudge"), default=None),
        remind=max(stated("remind"), default=None),
        warn=max(stated("warn"), default=None),
        no_show=next((choice for choice in ("flag", "auto", "release") if choice in no_shows), None),
    )
