"""One piece for each need, no two the same, within every budget: exactly the least surplus."""

from __future__ import annotations

from collections.abc import Sequence
from operator import le
from typing import NamedTuple


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
    no better than what was found.
    """
    tried = [undominated(each, len(choices)) for each in choices]
    if not all(tried):
        return None
    # Needs that may have the same pieces come after one another: they are the same either way round.
    order = sorted(range(len(tried)), key=lambda index: (len(tried[index]), tried[index]))
    twins = [depth > 0 and tried[order[depth]] == tried[order[depth - 1]] for depth in range(len(order))]
    least_surplus, least_weights = _least([tried[index] for index in order], twins, len(room))
    best: tuple[float, tuple[str, ...]] | None = None
    chosen: dict[int, str] = {}

    def descend(depth: int, surplus: float, weights: tuple[int, ...]) -> None:
        nonlocal best
        if depth == len(order):
            slugs = tuple(chosen[index] for index in range(len(order)))
            best = (surplus, slugs)
            return
        index = order[depth]
        start = _place(tried[index], chosen[order[depth - 1]]) + 1 if twins[depth] else 0
        for choice in tried[index][start:]:
            if best is not None and surplus + choice.surplus + least_surplus[depth + 1] >= best[0]:
                return
            if choice.slug in chosen.values():
                continue
            taken = _sum(weights, choice.weights)
            if all(map(le, _sum(taken, least_weights[depth + 1]), room)):
                chosen[index] = choice.slug
                descend(depth + 1, surplus + choice.surplus, taken)
                del chosen[index]

    descend(0, 0.0, (0,) * len(room))
    return best


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
