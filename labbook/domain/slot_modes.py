"""The field of a slot search: what would do for each need, and how far from one start the next can be.

What pieces occupy may depend on which are chosen together (the longest set-up and tear-down of a recipe's
parts), and so does the grid. Each such combination is a ``Mode``: only pieces within it are allowed, and all
of them are taken for as long as it says. Whoever needs less room fits wherever more was free, so that
together the modes miss nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise, product
from operator import le
from typing import NamedTuple

from labbook.domain.choosing import Choice, cheapest, undominated
from labbook.domain.free_starts import FOREVER, FreeStarts, Span, merged
from labbook.domain.headroom import LEAP, Headroom
from labbook.domain.slot_terms import Budget, Closed, Piece, Wish
from labbook.domain.wall_grid import Grid, common, lies_on


class Candidate(NamedTuple):
    """A piece that would do for a need, whenever it is to be had."""

    piece: Piece
    places: int
    surplus: float


class Option(NamedTuple):
    """A candidate within a mode; ``weights``: what it draws in each of the mode's ``Part``."""

    candidate: Candidate
    starts: FreeStarts
    weights: tuple[int, ...]


class Part(NamedTuple):
    """A stretch of what is occupied, from and to so long after the start, and a utility drawn in it."""

    utility: str
    since: int
    until: int


class Step(NamedTuple):
    """``works``: there is a choice at this start. Otherwise there is none in the mode before ``at``.

    In the way stood that ``asks`` (their indices) could not be met together, or what is drawn of
    ``utilities``.
    """

    mode: Mode
    at: int
    works: bool = False
    asks: frozenset[int] = frozenset()
    utilities: tuple[str, ...] = ()


class Field:
    """Everything that is asked of all modes alike."""

    def __init__(self, wish: Wish, pieces: Mapping[str, Piece], budgets: Mapping[str, Budget]) -> None:
        self.wish, self.pieces = wish, pieces
        self.last = wish.until - wish.duration
        self.candidates = [
            [
                Candidate(pieces[slug], ask.takes(pieces[slug]), surplus)
                for slug, surplus in ask.serves.items()
                if slug in pieces and not unfit(pieces[slug], ask.takes(pieces[slug]), wish.duration)
            ]
            for ask in wish.asks
        ]
        drawn = {u for each in self.candidates for c in each for u, a in c.piece.draws.items() if a > 0}
        self.named = {u: amount for u, amount in wish.draws.items() if u in budgets and amount > 0}
        self.shared = sorted(drawn & set(budgets) - set(wish.draws))
        self.headrooms = {
            u: Headroom(budgets[u].capacity, budgets[u].drawn) for u in (*self.named, *self.shared)
        }
        self._closed: dict[int, list[Span]] = {}
        self._starts: dict[tuple[str, int, int, int], FreeStarts] = {}

    def relaxed(self) -> Mode:
        """All pieces, each for as long as it takes at the least: where this fails, no mode works."""
        setup = max(min(c.piece.setup for c in each) for each in self.candidates)
        teardown = max(min(c.piece.teardown for c in each) for each in self.candidates)
        before = setup if self.wish.setup is None else self.wish.setup
        after = teardown if self.wish.teardown is None else self.wish.teardown
        return Mode(self, self.candidates, before, after, 1)

    def modes(self) -> Iterator[Mode]:
        """Every set-up, tear-down and grid that a choice can have together."""
        wish, seen = self.wish, set()
        every = [candidate.piece for each in self.candidates for candidate in each]
        hull = wish.recipe or bool(self.named)
        setups = {p.setup for p in every} if hull and wish.setup is None else {FOREVER}
        teardowns = {p.teardown for p in every} if hull and wish.teardown is None else {FOREVER}
        for setup, teardown, grid in product(sorted(setups), sorted(teardowns), _grids(every)):
            allowed = [
                [
                    c
                    for c in each
                    if c.piece.setup <= setup and c.piece.teardown <= teardown and lies_on(c.piece.grid, grid)
                ]
                for each in self.candidates
            ]
            if not all(allowed):
                continue
            within = [candidate.piece for each in allowed for candidate in each]
            longest = (max(p.setup for p in within), max(p.teardown for p in within))
            before = longest[0] if wish.setup is None else wish.setup
            after = longest[1] if wish.teardown is None else wish.teardown
            if (before, after, grid) not in seen:
                seen.add((before, after, grid))
                yield Mode(self, allowed, before, after, grid)

    def on_grid_of(self, piece: Piece) -> bool:
        """Whether there is any start at which such a use would be on the piece's grid."""
        wish = self.wish
        grid = Grid(wish.zone, piece.grid, wish.duration, wish.since, self.last)
        return grid.next(wish.since) is not None

    def starts(self, candidate: Candidate, before: int, after: int) -> FreeStarts:
        """When so many places of the piece are free and open, shared by all who ask for the same."""
        piece, wish = candidate.piece, self.wish
        key = (piece.slug, candidate.places, before, after)
        if key not in self._starts:
            ends_by = wish.until if piece.ends_by is None else min(wish.until, piece.ends_by)
            last = ends_by - wish.duration
            self._starts[key] = FreeStarts(
                piece.places,
                candidate.places,
                pool=piece.pool,
                closed=self._merged(piece.closed),
                before=before,
                after=wish.duration + after,
                first=wish.since if piece.earliest is None else max(wish.since, piece.earliest),
                last=last if piece.latest is None else min(last, piece.latest),
            )
        return self._starts[key]

    def _merged(self, closed: Sequence[Closed]) -> list[Span]:
        if id(closed) not in self._closed:
            self._closed[id(closed)] = merged(each.span for each in closed)
        return self._closed[id(closed)]


def unfit(piece: Piece, places: int, duration: int) -> str | None:
    """Why a piece would never do, whenever it is asked."""
    if places > len(piece.places):
        return "too_many_places"
    if duration < piece.shortest:
        return "too_short"
    return "too_long" if duration > piece.longest else None


def _grids(pieces: Sequence[Piece]) -> list[int]:
    """Every grid that some of the pieces have in common."""
    found: set[int] = set()
    for grid in {piece.grid for piece in pieces}:
        found |= {common(grid, other) for other in found} | {common(grid, grid)}
    return sorted(found)


class Mode:
    """One set-up, tear-down and grid; ``options``: for each ask, the candidates that are within it."""

    def __init__(
        self, field: Field, allowed: Sequence[Sequence[Candidate]], before: int, after: int, grid: int
    ) -> None:
        self.field, self.before, self.after = field, before, after
        wish = field.wish
        self.grid = Grid(wish.zone, grid, wish.duration, wish.since, field.last)
        self.fronts = sorted({self._own(c.piece)[0] for each in allowed for c in each})
        backs = {self._own(c.piece)[1] for each in allowed for c in each}
        edges = sorted({*(-front for front in self.fronts), *(wish.duration + back for back in backs)})
        self.parts = [
            Part(utility, since, until) for utility in field.shared for since, until in pairwise(edges)
        ]
        self.options = [[self._option(candidate) for candidate in each] for each in allowed]
        self.most = self._sums(max)
        self.least = self._sums(min)
        self._order = sorted(range(len(allowed)), key=lambda index: len(allowed[index]))
        self._twins = [[twin for twin, other in enumerate(allowed) if _same(other, each)] for each in allowed]

    def _own(self, piece: Piece) -> tuple[int, int]:
        """The set-up and the tear-down that a piece has here."""
        wish = self.field.wish
        before, after = piece.setup, piece.teardown
        if wish.recipe:
            before, after = max(before, self.before), max(after, self.after)
        return (
            before if wish.setup is None else wish.setup,
            after if wish.teardown is None else wish.teardown,
        )

    def _option(self, candidate: Candidate) -> Option:
        piece, (before, after) = candidate.piece, self._own(candidate.piece)
        end = self.field.wish.duration + after
        weights = tuple(
            piece.draws.get(part.utility, 0) * candidate.places
            if -before <= part.since and part.until <= end
            else 0
            for part in self.parts
        )
        return Option(candidate, self.field.starts(candidate, before, after), weights)

    def on_grid(self, at: int) -> int:
        """The first start at ``at`` or later that is on the mode's grid."""
        start = self.grid.next(at)
        return FOREVER if start is None else start

    def step(self, at: int) -> Step:
        """Whether it works at a start that is on the grid, and if not, how far the next one can be."""
        lacking = self._lacking(at)
        if lacking:
            return Step(self, self.on_grid(self._arrival(lacking, at)), asks=lacking)
        for utility, amount, before, after in self._needed:
            clear = self.field.headrooms[utility].next_within(amount, at, before, after, at + LEAP)
            if clear > at:
                return Step(self, self.on_grid(clear), utilities=(utility,))
        tight, room = self._tight(at)
        if not tight or cheapest(self._choices(at, tight), room) is not None:
            return Step(self, at, works=True)
        utilities = tuple(dict.fromkeys(self.parts[index].utility for index in tight))
        return Step(self, self.on_grid(self._change(at)), utilities=utilities)

    def best(self, at: int) -> tuple[float, tuple[str, ...]] | None:
        """The least sum of surplus at a start, and the pieces in the order of the asks."""
        if self.on_grid(at) != at or any(
            self.field.headrooms[utility].next_within(amount, at, before, after, at) > at
            for utility, amount, before, after in self._needed
        ):
            return None
        tight, room = self._tight(at)
        return cheapest(self._choices(at, tight), room)

    def needed(self, utility: str) -> tuple[int, int, int]:
        """How much of a utility whatever is chosen, from how long before a start to how long after."""
        found = (each[1:] for each in self._needed if each[0] == utility)
        return next(found, (0, self.before, self.field.wish.duration + self.after))

    @cached_property
    def _needed(self) -> list[tuple[str, int, int, int]]:
        """The same of every utility that is needed whatever is chosen."""
        duration = self.field.wish.duration
        hull = [(u, amount, self.before, duration + self.after) for u, amount in self.field.named.items()]
        return hull + [(u, least, 0, duration) for u, least in self._in_use(self.least).items() if least]

    def _in_use(self, amounts: Sequence[int]) -> dict[str, int]:
        """By utility, of the amounts in each part, that of the use itself."""
        return {p.utility: a for p, a in zip(self.parts, amounts, strict=True) if p.since <= 0 < p.until}

    def _lacking(self, at: int) -> frozenset[int]:
        """Asks that have fewer pieces between them than they are; none if each can have its own.

        Augmenting paths (Kuhn), beginning with those that lacked something the last time.
        """
        holder: dict[str, int] = {}

        def assign(ask: int, tried: set[str], reached: set[int]) -> bool:
            reached.add(ask)
            for option in self.options[ask]:
                slug = option.candidate.piece.slug
                if slug in tried or not _is_free(option, at):
                    continue
                tried.add(slug)
                if slug not in holder or assign(holder[slug], tried, reached):
                    holder[slug] = ask
                    return True
            return False

        for ask in self._order:
            reached: set[int] = set()
            if not assign(ask, set(), reached):
                self._order.sort(key=lambda each: each not in reached)
                return frozenset(twin for each in reached for twin in self._twins[each])
        return frozenset()

    def _arrival(self, asks: Collection[int], at: int) -> int:
        """When as many more pieces can be there as the asks lack, of those that would do for one of them."""
        arrivals: dict[str, int] = {}
        present = set()
        for ask in {self._twins[ask][0] for ask in asks}:
            for option in self.options[ask]:
                stretch = option.starts.next(at)
                if stretch is not None:
                    slug, start = option.candidate.piece.slug, stretch[0]
                    if start <= at:
                        present.add(slug)
                    else:
                        arrivals[slug] = min(start, arrivals.get(slug, start))
        lacking = len(asks) - len(present)
        nearest = sorted(start for slug, start in arrivals.items() if slug not in present)
        return nearest[lacking - 1] if lacking <= len(nearest) else FOREVER

    def _tight(self, at: int) -> tuple[list[int], list[int]]:
        """The parts in which not every choice has room, and how much is left there."""
        tight, room = [], []
        for index, (part, most) in enumerate(zip(self.parts, self.most, strict=True)):
            if most:
                headroom = self.field.headrooms[part.utility]
                left = headroom.capacity - headroom.peak(at + part.since, at + part.until)
                if left < most:
                    tight.append(index)
                    # What draws nothing is no worse off where others draw too much.
                    room.append(max(left, 0))
        return tight, room

    def _choices(self, at: int, parts: Sequence[int]) -> list[list[Choice]]:
        return [
            [
                Choice(o.candidate.surplus, o.candidate.piece.slug, tuple(o.weights[part] for part in parts))
                for o in options
                if _is_free(o, at)
            ]
            for options in self.options
        ]

    def _change(self, at: int) -> int:
        """The next instant at which what is drawn could let something through that it does not at ``at``."""
        free = [
            undominated(
                [Choice(0, o.candidate.piece.slug, o.weights) for o in each if _is_free(o, at)],
                len(self.options),
            )
            for each in self.options
        ]
        arrivals = sorted(
            (stretch[0], ask, option.weights)
            for ask, options in enumerate(self.options)
            for option in options
            if (stretch := option.starts.next(at)) is not None and stretch[0] > at
        )
        welcome = (
            start
            for start, ask, weights in arrivals
            if sum(all(map(le, other.weights, weights)) for other in free[ask]) < len(self.options)
        )
        return self._relief(at, free, min(next(welcome, FOREVER), at + LEAP))

    def _relief(self, at: int, free: Sequence[Sequence[Choice]], before: int) -> int:
        """The same as far as what others draw goes, with the pieces that are free until ``before``."""
        least = [
            sum(amounts)
            for amounts in zip(
                *([min(column) for column in zip(*(c.weights for c in each), strict=True)] for each in free),
                strict=True,
            )
        ]
        field = self.field
        clear = [
            field.headrooms[utility].next_within(amount, at, 0, field.wish.duration, before)
            for utility, amount in self._in_use(least).items()
            if amount
        ]
        if max(clear, default=at) > at:
            return min(max(clear), before)
        reliefs = [
            field.headrooms[utility].next_relief(most, at - front, before) + front
            for utility, most in self._in_use(self.most).items()
            for front in self.fronts
        ]
        return min(*reliefs, before)

    def _sums(self, of: Callable[[Iterable[int]], int]) -> list[int]:
        """Over the asks, the greatest or the least that their options draw in each part."""
        each = [
            [of(column) for column in zip(*(o.weights for o in options), strict=True)]
            for options in self.options
        ]
        return [sum(amounts) for amounts in zip(*each, strict=True)]


def _same(one: Sequence[Candidate], other: Sequence[Candidate]) -> bool:
    """Whether the same pieces would do, for as many places."""
    return {(c.piece.slug, c.places) for c in one} == {(c.piece.slug, c.places) for c in other}


def _is_free(option: Option, at: int) -> bool:
    stretch = option.starts.next(at)
    return stretch is not None and stretch[0] <= at
