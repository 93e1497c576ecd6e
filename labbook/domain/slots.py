"""When it can be done: the earliest starts at which every need has a piece of its own, and why not before.

Instants and lengths are whole microseconds (instants since the epoch), because a year of a large laboratory
is hundreds of thousands of bookings. ``Span`` is half-open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

from labbook.domain.wall_time import next_on_grid, on_grid

Span = tuple[int, int]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def ticks(instant: datetime) -> int:
    """Microseconds since the epoch."""
    return (instant - _EPOCH) // _TICK


def instant(at: int) -> datetime:
    """The aware instant, in UTC, of so many microseconds since the epoch."""
    return _EPOCH + _TICK * at


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
    """One need: ``places`` of one piece, of which no other need has any.

    ``serves``: the slugs of the pieces that will do, each with its surplus: how much more than asked for it
    offers, from 0.
    """

    places: int
    serves: Mapping[str, float]


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
    """Something that stood in the way of earlier starts, the last of them before ``until``.

    ``subject``: a piece's slug, for ``over_budget`` the utility, for ``unmet`` the index of the need.
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


def search(wish: Wish, pieces: Mapping[str, Piece], budgets: Mapping[str, Budget], *, limit: int) -> Found:
    """The ``limit`` earliest feasible starts, each with the choice of least total surplus.

    Exact: a start is found if, and only if, some choice of pieces is free, open and within every budget.
    """
    found: list[Slot] = []
    for start in _starts(wish, pieces):
        best = min(_choices(wish, pieces, budgets, start), default=None)
        if best is not None:
            surplus, chosen = best
            parts = [pieces[slug] for slug in chosen]
            spans = _spans(wish, parts, start)
            hull = (min(s for s, _ in spans), max(e for _, e in spans))
            found.append(Slot(start, start + wish.duration, hull, chosen, surplus))
            if len(found) == limit:
                break
    return Found(found, [])


def _starts(wish: Wish, pieces: Mapping[str, Piece]) -> Iterator[int]:
    grids = {pieces[slug].grid for ask in wish.asks for slug in ask.serves if slug in pieces}
    at = wish.since
    while grids and at + wish.duration <= wish.until:
        at = min(ticks(next_on_grid(instant(at), _TICK * grid, wish.zone)) for grid in grids)
        if at + wish.duration <= wish.until:
            yield at
        at += 1


def _choices(
    wish: Wish, pieces: Mapping[str, Piece], budgets: Mapping[str, Budget], start: int
) -> Iterator[tuple[float, tuple[str, ...]]]:
    for chosen in product(*(sorted(ask.serves) for ask in wish.asks)):
        if len(set(chosen)) < len(chosen) or any(slug not in pieces for slug in chosen):
            continue
        parts = [pieces[slug] for slug in chosen]
        spans = _spans(wish, parts, start)
        if all(
            _may(wish, part, start) and _has_room(part, ask.places, span)
            for part, ask, span in zip(parts, wish.asks, spans, strict=True)
        ) and all(_within(wish, parts, spans, name, budget) for name, budget in budgets.items()):
            yield sum(ask.serves[slug] for ask, slug in zip(wish.asks, chosen, strict=True)), chosen


def _spans(wish: Wish, parts: Sequence[Piece], start: int) -> list[Span]:
    end = start + wish.duration
    before, after = max(p.setup for p in parts), max(p.teardown for p in parts)
    return [
        (
            start - (wish.setup if wish.setup is not None else before if wish.recipe else part.setup),
            end + (wish.teardown if wish.teardown is not None else after if wish.recipe else part.teardown),
        )
        for part in parts
    ]


def _may(wish: Wish, piece: Piece, start: int) -> bool:
    end = start + wish.duration
    return (
        piece.shortest <= wish.duration <= piece.longest
        and (piece.earliest is None or piece.earliest <= start)
        and (piece.latest is None or start <= piece.latest)
        and (piece.ends_by is None or end <= piece.ends_by)
        and all(on_grid(instant(at), _TICK * piece.grid, wish.zone) for at in (start, end))
    )


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _has_room(piece: Piece, places: int, span: Span) -> bool:
    if any(_overlap(closed.span, span) for closed in piece.closed):
        return False
    if not piece.pool:
        return sum(not any(_overlap(o, span) for o in place) for place in piece.places) >= places
    taken = [o for place in piece.places for o in place if _overlap(o, span)]
    instants = [span[0], *(max(start, span[0]) for start, _ in taken)]
    return all(sum(s <= at < e for s, e in taken) + places <= len(piece.places) for at in instants)


def _within(wish: Wish, parts: Sequence[Piece], spans: Sequence[Span], name: str, budget: Budget) -> bool:
    if name in wish.draws:
        own = [(min(s for s, _ in spans), max(e for _, e in spans), wish.draws[name])]
    else:
        own = [
            (*span, part.draws.get(name, 0) * ask.places)
            for part, span, ask in zip(parts, spans, wish.asks, strict=True)
        ]
    own = [each for each in own if each[2] > 0]
    instants = {max(start, d[0]) for start, end, _ in own for d in (*own, *budget.drawn) if d[0] < end}
    return all(
        not any(s <= at < e for s, e, _ in own)
        or sum(amount for s, e, amount in (*own, *budget.drawn) if s <= at < e) <= budget.capacity
        for at in instants
    )
