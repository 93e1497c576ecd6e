"""When it can be done: the earliest starts at which every need has a piece of its own, and why not before.

Instants and lengths are whole microseconds (instants since the epoch). Nothing is walked in steps. A start
that does not work can only be followed by one that does where something changes for the better: a piece
becomes free, or a draw ends. So the search jumps from one such instant to the next, by bisection over what is
taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify, heapreplace

from labbook.domain.free_starts import Span
from labbook.domain.slot_modes import Field, Mode, Step
from labbook.domain.slot_reasons import Notes, explain
from labbook.domain.slot_terms import Ask, Because, Budget, Closed, Found, Piece, Slot, Wish
from labbook.domain.wall_grid import instant, ticks

__all__ = [
    "Ask",
    "Because",
    "Budget",
    "Closed",
    "Found",
    "Piece",
    "Slot",
    "Span",
    "Wish",
    "instant",
    "search",
    "ticks",
]


def search(
    wish: Wish, pieces: Mapping[str, Piece], budgets: Mapping[str, Budget], *, limit: int, apart: int = 1
) -> Found:
    """The ``limit`` earliest feasible starts, each with the choice of least total surplus.

    ``apart``: how much later than the one before each starts at the least.

    Exact: a start is found if, and only if, some choice of pieces is free, open and within every budget. The
    modes advance side by side, and the one that is furthest behind is next; where the relaxed one fails
    (``nowhere``), none of them need look.
    """
    field = Field(wish, pieces, budgets)
    modes = list(field.modes())
    relaxed = field.relaxed() if len(modes) > 1 else None
    nowhere: Step | None = None
    notes = Notes()
    slots: list[Slot] = []
    behind = [(mode.on_grid(wish.since), number) for number, mode in enumerate(modes)]
    heapify(behind)
    while behind and behind[0][0] <= field.last and len(slots) < limit:
        at, number = behind[0]
        mode = modes[number]
        if relaxed is not None and (nowhere is None or nowhere.at <= at):
            nowhere = relaxed.step(at)
        step = mode.step(at) if nowhere is None or nowhere.at <= at else nowhere
        if step.works:
            slots.append(_slot(field, modes, at))
            behind = [(modes[n].on_grid(max(position, at + apart)), n) for position, n in behind]
            heapify(behind)
        else:
            heapreplace(behind, (mode.on_grid(step.at), number))
            if not slots:
                notes.add(step, at)
    return Found(slots, explain(field, modes, notes, slots[0].start if slots else None))


def _slot(field: Field, modes: list[Mode], at: int) -> Slot:
    """The choice of least surplus at a start that some of the modes have."""
    _, chosen = min(best for mode in modes if (best := mode.best(at)) is not None)
    wish = field.wish
    parts = {c.piece.slug: c.piece for each in field.candidates for c in each if c.piece.slug in chosen}
    setup = max(piece.setup for piece in parts.values()) if wish.setup is None else wish.setup
    teardown = max(piece.teardown for piece in parts.values()) if wish.teardown is None else wish.teardown
    return Slot(
        at,
        at + wish.duration,
        (at - setup, at + wish.duration + teardown),
        chosen,
        sum(ask.serves[slug] for ask, slug in zip(wish.asks, chosen, strict=True)),
    )
