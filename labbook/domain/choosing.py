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
    order = sorted(range(len(tried)), key=lambda index: len(tried[index]))
    least_surplus = [0.0] * (len(order) + 1)
    least_weights = [(0,) * len(room)] * (len(order) + 1)
    for depth in range(len(order) - 1, -1, -1):
        rest = tried[order[depth]]
        least_surplus[depth] = least_surplus[depth + 1] + rest[0].surplus
        least = [min(weights) for weights in zip(*(choice.weights for choice in rest), strict=True)]
        least_weights[depth] = _sum(least_weights[depth + 1], least)
    best: tuple[float, tuple[str, ...]] | None = None
    chosen: dict[int, str] = {}

    def descend(depth: int, surplus: float, weights: tuple[int, ...]) -> None:
        nonlocal best
        if depth == len(order):
            slugs = tuple(chosen[index] for index in range(len(order)))
            best = (surplus, slugs)
            return
        index = order[depth]
        # Two needs that may have the same pieces are the same either way round.
        twin = depth > 0 and tried[index] == tried[order[depth - 1]]
        start = _place(tried[index], chosen[order[depth - 1]]) + 1 if twin else 0
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


def _sum(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(int.__add__, one, other))


def _place(choices: Sequence[Choice], slug: str) -> int:
    return next(place for place, choice in enumerate(choices) if choice.slug == slug)
