"""Whether the wall clock can be trusted: a clock that was just set must not cost anybody their slot.

The clock that only counts seconds since the machine started cannot be set. While the wall clock keeps pace
with it all is well; when the two part by more than drift explains, the wall clock was set, or the machine
slept. Enforcement then waits until it has kept pace for a minute: a mistake that is mended within that time
does no harm, and what is right after all is caught up with, in order, from the rows.
"""

from __future__ import annotations

from datetime import datetime, timedelta

TOLERANCE = timedelta(seconds=10)
"""Clocks are steered by less than this between two looks."""

QUIET = timedelta(seconds=60)
"""How long the clock must have kept pace after it was set."""


class Steadiness:
    """Compares the two clocks at each look; a law over numbers, and no clock of its own."""

    def __init__(self, wall: datetime, counted: float) -> None:
        self._wall, self._counted = wall, counted
        self._set_at: float | None = None

    def look(self, wall: datetime, counted: float) -> timedelta | None:
        """How far the wall clock was set since the last look, forward or back; None when it was not.

        ``counted`` is in seconds, from any start.
        """
        jump = (wall - self._wall) - timedelta(seconds=counted - self._counted)
        self._wall, self._counted = wall, counted
        if abs(jump) <= TOLERANCE:
            return None
        self._set_at = counted
        return jump

    def is_steady(self, counted: float) -> bool:
        return self._set_at is None or counted - self._set_at >= QUIET.total_seconds()
