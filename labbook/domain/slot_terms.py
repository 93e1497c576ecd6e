"""What the slot search is asked and what it answers.

Instants and lengths are whole microseconds (instants since the epoch), because a year of a large laboratory
is hundreds of thousands of bookings. ``Span`` is half-open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from labbook.domain.free_starts import Span


@dataclass(frozen=True)
class Closed:
    """A stretch in which a piece cannot be occupied at all, and why: ``unstaffed``, ``shutdown``, ..."""

    reason: str
    span: Span


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One piece of equipment as the search sees it.

    ``places``: for each place what occupies it, in order and disjoint. ``pool``: interchangeable and
    re-packed, so that there is room whenever the count says so at every instant. ``grid``: whole seconds, in
    microseconds, above 0. Use starts from ``earliest`` (lead time) to ``latest`` (horizon), both included,
    and is over at ``ends_by``; None: no such limit. ``closed`` counts for all that is occupied, set-up and
    tear-down included; the same object for several pieces is looked at once. ``draws``: utility -> amount
    per place.
    """

    slug: str
    places: Sequence[Sequence[Span]]
    pool: bool = False
    setup: int = 0
    teardown: int = 0
    grid: int = 900_000_000
    shortest: int = 0
    longest: int = 90 * 86_400_000_000
    earliest: int | None = None
    latest: int | None = None
    ends_by: int | None = None
    closed: Sequence[Closed] = ()
    draws: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """One need: ``places`` of one piece (None: every place that it has), of which no other need has any.

    ``serves``: the slugs of the pieces that will do, each with its surplus: how much more than asked for it
    offers, from 0.
    """

    places: int | None
    serves: Mapping[str, float]

    def takes(self, piece: Piece) -> int:
        """How many places it takes of this piece."""
        return len(piece.places) if self.places is None else self.places


@dataclass(frozen=True)
class Budget:
    """``drawn``: (start, end, amount) in order of their starts, overlapping as they like."""

    capacity: int
    drawn: Sequence[tuple[int, int, int]]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is looked for: use of ``duration`` that starts at ``since`` or later and is over at ``until``.

    ``setup`` and ``teardown`` replace those of every piece. Where a recipe has none of its own, every piece
    gets the longest of the chosen ones'; without a ``recipe`` each has its own. ``draws``: the utilities
    that the recipe names; that amount, from the first set-up to the last tear-down, replaces the sum of the
    parts'.
    """

    asks: Sequence[Ask]
    duration: int
    since: int
    until: int
    zone: ZoneInfo
    setup: int | None = None
    teardown: int | None = None
    recipe: bool = False
    draws: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Slot:
    """``start`` to ``end`` is the use, ``occupied`` the hull of all that is occupied.

    ``chosen``: the slug of each ask's piece, in the order of the asks. ``surplus``: the sum of theirs.
    """

    start: int
    end: int
    occupied: Span
    chosen: tuple[str, ...]
    surplus: float


@dataclass(frozen=True)
class Because:
    """Something that stood in the way of earlier starts: before ``until``, a start of use.

    ``reason`` and ``subject``: of a piece, by its slug, ``taken``, the reason of its ``Closed``,
    ``lead_time``, ``horizon``, ``ends_by``, ``too_short`` (params: shortest), ``too_long`` (longest),
    ``too_many_places`` (wanted, places), ``off_grid`` (grid: no use of that duration both starts and ends on
    it; without a subject: on those of all), ``too_few`` (needs, pieces: that many needs have no others). Of a
    utility ``over_budget`` (at ``at`` others draw ``peak``, of ``capacity``; this needs ``wanted`` at the
    least). Of a need, by its index, ``unmet``: no piece serves it. Of nothing, ``window``: it is shorter than
    the use.
    """

    reason: str
    subject: str
    until: int
    params: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Found:
    """The earliest starts, in order, and what stood in the way of the first, the most binding first."""

    slots: Sequence[Slot]
    because: Sequence[Because]
