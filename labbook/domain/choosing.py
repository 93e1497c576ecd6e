"""One piece for each need, no two the same, within every budget: exactly the least surplus.

Where nothing is short this is an assignment, and quick however many needs there are. With budgets it is not:
what is found by looking at the cheapest first is taken, and a question for which that is not enough is given
up (``TooIntricate``) rather than let one request occupy the machine for hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import le, mul
from typing import NamedTuple

_TRIES = 2_000
"""How many choices are looked at one by one, some milliseconds."""
_LAST_DIGITS = 1e-9
_FAR = float("inf")


class TooIntricate(Exception):
    """Whether there is any choice could not be found out in reasonable time."""


class Choice(NamedTuple):
    """A piece that would do for a need; ``weights``: what it takes of each of the things that are short."""

    surplus: float
    slug: str
    weights: tuple[int, ...]


def undominated(choices: Sequence[Choice], asks: int) -> list[Choice]:
    """Those worth a try, from the least surplus on.

    The other asks take ``asks - 1`` pieces at most. What is no better than ``asks`` others, in surplus and in
    every weight, can therefore always be replaced by one of them.
    """
    kept: list[Choice] = []
    for choice in sorted(choices):
        better = sum(all(map(le, other.weights, choice.weights)) for other in kept)
        if better < asks:
            kept.append(choice)
    return kept


def cheapest(
    choices: Sequence[Sequence[Choice]], room: Sequence[int]
) -> tuple[float, tuple[str, ...]] | None:
    """The least sum of surplus, and the pieces in the order of the needs; None: it cannot be.

    Branch and bound: a branch is left when even the least that the rest needs is too much of anything, or is
    no better than what was found. After so many tries the best assignments (``assigned``) decide: it is the
    least surplus still where they stay within every budget, and otherwise the least that was seen.
    """
    tried = [undominated(each, len(choices)) for each in choices]
    if not all(tried):
        return None
    tries = _Tries(tried, room)
    if not tries.exhausted:
        return tries.best
    found = assigned(tried, [[choice.surplus for choice in each] for each in tried])
    if found is None:
        return None
    if _fits(found, room):
        return _summed(found)
    seen = [tries.best] if tries.best is not None else []
    # One budget alone, or all of them by the share of what is left: what the least of it exceeds cannot be.
    shares = [[float(part == other) for other in range(len(room))] for part in range(len(room))]
    for share in [*shares, [1 / max(left, 1) for left in room]]:
        lightest = assigned(tried, [[_weighed(choice, share) for choice in each] for each in tried])
        most = sum(map(mul, room, share))
        if lightest is None or sum(_weighed(each, share) for each in lightest) > most * (1 + _LAST_DIGITS):
            return None
        if _fits(lightest, room):
            seen.append(_summed(lightest))
    if not seen:
        raise TooIntricate
    return min(seen)


class _Tries:
    """Choices one by one, from the least surplus on; ``exhausted``: there were more than can be looked at."""

    def __init__(self, tried: Sequence[Sequence[Choice]], room: Sequence[int]) -> None:
        # Needs that may have the same pieces come after one another: they are the same either way round.
        self.order = sorted(range(len(tried)), key=lambda index: (len(tried[index]), tried[index]))
        self.tried = [tried[index] for index in self.order]
        self.twins = [depth > 0 and each == self.tried[depth - 1] for depth, each in enumerate(self.tried)]
        self.room = room
        self.least_surplus, self.least_weights = _least(self.tried, self.twins, len(room))
        self.best: tuple[float, tuple[str, ...]] | None = None
        self.left = _TRIES
        self.chosen: dict[int, str] = {}
        self._descend(0, 0.0, (0,) * len(room))

    @property
    def exhausted(self) -> bool:
        return self.left <= 0

    def _descend(self, depth: int, surplus: float, weights: tuple[int, ...]) -> None:
        if depth == len(self.order):
            self.best = (surplus, tuple(self.chosen[index] for index in range(len(self.order))))
            return
        choices = self.tried[depth]
        start = _place(choices, self.chosen[self.order[depth - 1]]) + 1 if self.twins[depth] else 0
        for choice in choices[start:]:
            self.left -= 1
            if self.exhausted:
                return
            if self.best and surplus + choice.surplus + self.least_surplus[depth + 1] >= self.best[0]:
                return
            if choice.slug in self.chosen.values():
                continue
            taken = _sum(weights, choice.weights)
            if all(map(le, _sum(taken, self.least_weights[depth + 1]), self.room)):
                self.chosen[self.order[depth]] = choice.slug
                self._descend(depth + 1, surplus + choice.surplus, taken)
                del self.chosen[self.order[depth]]


def assigned(choices: Sequence[Sequence[Choice]], costs: Sequence[Sequence[float]]) -> list[Choice] | None:
    """The assignment of least cost, whatever it draws; None: there is none at all.

    Shortest augmenting paths with potentials (Kuhn and Munkres), at most needs x needs x pieces steps.
    """
    columns = {slug: column for column, slug in enumerate(sorted({c.slug for each in choices for c in each}))}
    offers = [
        {columns[choice.slug]: (float(cost), choice) for choice, cost in zip(each, of_each, strict=True)}
        for each, of_each in zip(choices, costs, strict=True)
    ]
    holder: dict[int, int] = {}
    of_row, of_column = [0.0] * len(offers), [0.0] * len(columns)
    for new in range(len(offers)):
        # Dijkstra over the columns: how much dearer it gets if this one is taken by whoever comes before it.
        distance, before, done = [_FAR] * len(columns), [-1] * len(columns), [False] * len(columns)
        row, reached, through = new, 0.0, -1
        while True:
            for column, (cost, _) in offers[row].items():
                dearer = reached + cost - of_row[row] - of_column[column]
                if not done[column] and dearer < distance[column]:
                    distance[column], before[column] = dearer, through
            nearest = min(
                (c for c in range(len(columns)) if not done[c]), key=distance.__getitem__, default=-1
            )
            if nearest < 0 or distance[nearest] == _FAR:
                return None
            done[nearest], reached, through = True, distance[nearest], nearest
            if nearest not in holder:
                break
            row = holder[nearest]
        of_row[new] += reached
        for column in range(len(columns)):
            if done[column] and column != through:
                of_row[holder[column]] += reached - distance[column]
                of_column[column] -= reached - distance[column]
        while through >= 0:
            earlier = before[through]
            holder[through] = holder[earlier] if earlier >= 0 else new
            through = earlier
    return [offers[row][column][1] for row, column in sorted((row, column) for column, row in holder.items())]


def _weighed(choice: Choice, share: Sequence[float]) -> float:
    return sum(amount * of_it for amount, of_it in zip(choice.weights, share, strict=True))


def _fits(found: Sequence[Choice], room: Sequence[int]) -> bool:
    return all(sum(choice.weights[part] for choice in found) <= left for part, left in enumerate(room))


def _summed(found: Sequence[Choice]) -> tuple[float, tuple[str, ...]]:
    return sum(choice.surplus for choice in found), tuple(choice.slug for choice in found)


def _least(
    tried: Sequence[Sequence[Choice]], twins: Sequence[bool], parts: int
) -> tuple[list[float], list[tuple[int, ...]]]:
    """From each depth on, what the rest needs at the least; so many twins have as many pieces."""
    surplus, weights = [0.0], [(0,) * parts]
    after, count = 0, 0
    for depth in range(len(tried) - 1, -1, -1):
        count += 1
        least = sorted(choice.surplus for choice in tried[depth])[:count]
        columns = zip(*(choice.weights for choice in tried[depth]), strict=True)
        surplus.append(surplus[after] + sum(least))
        weights.append(_sum(weights[after], [sum(sorted(column)[:count]) for column in columns]))
        if not twins[depth]:
            after, count = len(surplus) - 1, 0
    return surplus[::-1], weights[::-1]


def _sum(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(int.__add__, one, other))


def _place(choices: Sequence[Choice], slug: str) -> int:
    return next(place for place, choice in enumerate(choices) if choice.slug == slug)
