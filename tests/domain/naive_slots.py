"""The slot search told anew, as naively as can be: every start, every choice, every five minutes.

Time is cut into steps of five minutes and a set of steps is the bits of an integer. Nothing here is
shared with ``domain.slots`` but the words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import product

from labbook.domain.slots import Budget, Piece, Span, Wish, instant
from labbook.domain.wall_time import on_grid

STEP = 300_000_000


@dataclass(frozen=True)
class Naive:
    """``origin``: an instant before everything; all spans lie on whole steps from it."""

    wish: Wish
    pieces: Mapping[str, Piece]
    budgets: Mapping[str, Budget]
    origin: int

    def best(self, limit: int, apart: int = STEP) -> list[tuple[int, float]]:
        """The first feasible starts, at least so far apart, each with its least surplus."""
        found: list[tuple[int, float]] = []
        at = self.wish.since + (self.origin - self.wish.since) % STEP
        while at + self.wish.duration <= self.wish.until and len(found) < limit:
            surplus = [self.surplus(chosen) for chosen in self._choices(at) if self.works(at, chosen)]
            if surplus:
                found.append((at, min(surplus)))
            at += apart if surplus else STEP
        return found

    def surplus(self, chosen: Sequence[str]) -> float:
        return sum(ask.serves[slug] for ask, slug in zip(self.wish.asks, chosen, strict=True))

    def _choices(self, at: int) -> Iterator[tuple[str, ...]]:
        """Those of pieces that each would do alone; the rest could only be refused."""
        alone = [
            [slug for slug in ask.serves if slug in self.pieces and self._alone(slug, ask.places, at)]
            for ask in self.wish.asks
        ]
        return product(*alone)

    def _alone(self, slug: str, places: int | None, at: int) -> bool:
        piece, wish = self.pieces[slug], self.wish
        end = at + wish.duration
        return (
            all(on_grid(instant(t), timedelta(microseconds=piece.grid), wish.zone) for t in (at, end))
            and piece.shortest <= wish.duration <= piece.longest
            and not (piece.earliest is not None and at < piece.earliest)
            and not (piece.latest is not None and at > piece.latest)
            and not (piece.ends_by is not None and end > piece.ends_by)
            and self._room(piece, places, (at, end))
        )

    def works(self, at: int, chosen: Sequence[str]) -> bool:
        """Whether this choice is feasible at that start, by every rule."""
        if len(set(chosen)) < len(chosen):
            return False
        if not all(
            self._alone(slug, ask.places, at) for ask, slug in zip(self.wish.asks, chosen, strict=True)
        ):
            return False
        spans = self.spans(at, chosen)
        return all(
            self._room(self.pieces[slug], ask.places, spans[slug])
            for ask, slug in zip(self.wish.asks, chosen, strict=True)
        ) and all(self._affordable(name, chosen, spans) for name in self.budgets)

    def spans(self, at: int, chosen: Sequence[str]) -> dict[str, Span]:
        spans = {}
        for slug in chosen:
            before, after = self.pieces[slug].setup, self.pieces[slug].teardown
            if self.wish.recipe:
                before = max(self.pieces[s].setup for s in chosen)
                after = max(self.pieces[s].teardown for s in chosen)
            if self.wish.setup is not None:
                before = self.wish.setup
            if self.wish.teardown is not None:
                after = self.wish.teardown
            spans[slug] = (at - before, at + self.wish.duration + after)
        return spans

    def _steps(self, span: Span) -> int:
        start, end = ((t - self.origin) // STEP for t in span)
        return (1 << end) - (1 << start)

    def _many(self, slug: str, places: int | None) -> int:
        return len(self.pieces[slug].places) if places is None else places

    def _room(self, piece: Piece, places: int | None, span: Span) -> bool:
        places = self._many(piece.slug, places)
        wanted = self._steps(span)
        if any(self._steps(closed.span) & wanted for closed in piece.closed):
            return False
        taken = [sum(self._steps(each) for each in place) for place in piece.places]
        if not piece.pool:
            return sum(not each & wanted for each in taken) >= places
        steps = range((span[0] - self.origin) // STEP, (span[1] - self.origin) // STEP)
        return all(sum(each >> step & 1 for each in taken) + places <= len(taken) for step in steps)

    def _affordable(self, name: str, chosen: Sequence[str], spans: Mapping[str, Span]) -> bool:
        budget, wish = self.budgets[name], self.wish
        if name in wish.draws:
            hull = (min(s for s, _ in spans.values()), max(e for _, e in spans.values()))
            own = [(hull, wish.draws[name])]
        else:
            own = [
                (spans[slug], self.pieces[slug].draws.get(name, 0) * self._many(slug, ask.places))
                for ask, slug in zip(wish.asks, chosen, strict=True)
            ]
        first, last = min(s for (s, _), _ in own), max(e for (_, e), _ in own)
        for at in range(first, last, STEP):
            mine = sum(amount for (start, end), amount in own if start <= at < end)
            others = sum(amount for start, end, amount in budget.drawn if start <= at < end)
            if mine and mine + others > budget.capacity:
                return False
        return True
