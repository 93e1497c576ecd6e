"""Which equipment meets which need: a matching in which no two needs get the same place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labbook.domain.capability import in_parallel

Capabilities = Mapping[str, Any]


@dataclass(frozen=True)
class Need:
    """Named equipment, or any of a category that offers the capabilities.

    ``places`` of one piece, or the ``whole`` of it: every place that it has.
    """

    equipment: str | None = None
    category: str | None = None
    capabilities: Capabilities = dataclasses.field(default_factory=dict)
    places: int = 1
    whole: bool = False


@dataclass(frozen=True)
class Candidate:
    """A piece with ``places`` left of ``total`` (None: all of them are left).

    ``meets(offered, needed)`` compares one capability's ranges. ``parallel``: the places taken together offer
    the sum of their additive capabilities.
    """

    slug: str
    category: str
    places: int
    capabilities: Capabilities
    meets: Callable[[Any, Any], bool]
    parallel: bool = False
    total: int | None = None

    def with_places(self, places: int) -> Candidate:
        return replace(self, places=places, total=self.places if self.total is None else self.total)

    def takes(self, need: Need) -> int:
        """How many places the need takes of this piece."""
        if not need.whole:
            return need.places
        return self.places if self.total is None else self.total

    def serves(self, need: Need) -> bool:
        if self.places < self.takes(need):
            return False
        if need.equipment is not None:
            return self.slug == need.equipment
        return self.category == need.category and all(
            name in self.capabilities and self.meets(self.offer(name, self.takes(need)), asked)
            for name, asked in need.capabilities.items()
        )

    def offer(self, name: str, places: int) -> Any:
        """What ``places`` places of it offer of one capability."""
        one = self.capabilities[name]
        return in_parallel(one, places) if self.parallel else one


def match(needs: Sequence[Need], candidates: Sequence[Candidate]) -> dict[str, int] | None:
    """Slug -> places for an assignment in which each need has a piece of its own; None if there is none.

    Augmenting paths (Kuhn): exact, and earlier candidates are preferred.
    """
    holder: dict[str, int] = {}

    def assign(index: int, tried: set[str]) -> bool:
        for candidate in candidates:
            if candidate.slug in tried or not candidate.serves(needs[index]):
                continue
            tried.add(candidate.slug)
            if candidate.slug not in holder or assign(holder[candidate.slug], tried):
                holder[candidate.slug] = index
                return True
        return False

    if not all(assign(index, set()) for index in range(len(needs))):
        return None
    by_slug = {candidate.slug: candidate for candidate in candidates}
    return {slug: by_slug[slug].takes(needs[index]) for slug, index in holder.items()}
