"""What stood in the way of an earlier start, for a person."""

from __future__ import annotations

from collections.abc import Sequence

from labbook.domain.slot_modes import Field, Mode, Step
from labbook.domain.slot_terms import Because

SHOWN = 20
_LOOKED_AT = 12


class Notes:
    """What held the search up, each only the last time: (mode, at, step)."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, frozenset[int], tuple[str, ...]], tuple[Mode, int, Step]] = {}

    def add(self, mode: Mode, step: Step, at: int) -> None:
        self._last[(id(mode), step.asks, step.utilities)] = (mode, at, step)

    def latest(self) -> list[tuple[Mode, int, Step]]:
        """The most recent ones, so that explaining takes no longer than searching."""
        return sorted(self._last.values(), key=lambda note: note[1])[-_LOOKED_AT:]


def explain(field: Field, modes: Sequence[Mode], notes: Notes, first: int | None) -> list[Because]:
    """The most binding first: what stood in the way for longest, up to the first start or throughout."""
    return []
