"""Random small cases against the naive search: a slot is found if, and only if, there is one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from random import Random
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from labbook.domain.slots import Ask, Budget, Closed, Piece, Span, Wish, search, ticks
from tests.domain.naive_slots import STEP, Naive
from tests.examples import examples

ZONE = ZoneInfo("Europe/Copenhagen")
MINUTE = 60_000_000
DAYS = [
    datetime(2026, 3, 28, 22, tzinfo=UTC),  # the clock jumps at 01:00 UTC
    datetime(2026, 10, 24, 21, tzinfo=UTC),  # and falls back at 01:00 UTC
    datetime(2026, 6, 9, 4, tzinfo=UTC),
]
GRIDS = [
    [15],
    [15],
    [5],
    [15, 30],
    [15, 30, 60],
    [30, 45],
    [10, 25],
    [60, 90],
    [420, 60],
    [240, 1440],
    [20, 15],
]
BEFORE = 600  # steps from the origin to the window


@dataclass(frozen=True)
class Case:
    """The sizes are what a failing case is made smaller by; the rest follows from the seed."""

    seed: int
    asks: int
    pieces: int
    places: int
    spans: int
    budgets: int

    @cached_property
    def random(self) -> Random:
        return Random(self.seed)

    @cached_property
    def origin(self) -> int:
        return ticks(self.random.choice(DAYS)) - BEFORE * STEP

    def minutes(self, *of: int) -> int:
        return self.random.choice(of) * MINUTE

    def at(self, low: int, high: int) -> int:
        return self.origin + (BEFORE + self.random.randint(low, high)) * STEP

    def maybe(self, low: int, high: int) -> int | None:
        return self.at(low, high) if self.random.random() < 0.08 else None

    def occupied(self) -> list[Span]:
        """In order and disjoint; some touch."""
        at, found = self.at(-50, 10), []
        for _ in range(self.random.randint(0, self.spans)):
            start = at + self.random.randint(0, 30) * STEP
            at = start + self.random.randint(1, 50) * STEP
            found.append((start, at))
        return found

    def piece(self, slug: str, grids: list[int]) -> Piece:
        random = self.random
        closed = [self.at(-30, 150) for _ in range(random.choice([0, 0, 1, 2]))]
        return Piece(
            slug=slug,
            places=[self.occupied() for _ in range(random.randint(1, self.places))],
            pool=random.random() < 0.4,
            setup=self.minutes(0, 0, 10, 30, 60),
            teardown=self.minutes(0, 0, 15, 45),
            grid=random.choice(grids) * MINUTE,
            shortest=self.minutes(0, 0, 0, 0, 0, 0, 0, 60),
            longest=self.minutes(*[10_000] * 8, 120),
            earliest=self.maybe(-10, 80),
            latest=self.maybe(20, 250),
            ends_by=self.maybe(20, 250),
            closed=[Closed("shutdown", (s, s + random.randint(1, 30) * STEP)) for s in closed],
            draws={u: random.randint(0, 3) for u in random.choice(["", "f", "f", "w", "fw"])},
        )

    def ask(self, slugs: str) -> Ask:
        random = self.random
        serving = random.sample(slugs, random.randint(1, len(slugs)))
        return Ask(
            random.choice([1, 1, 1, 1, 1, 2, None]), {s: random.choice([0, 0, 0.5, 1, 2.25]) for s in serving}
        )

    def budget(self) -> Budget:
        starts = sorted(self.at(-60, 150) for _ in range(self.random.randint(0, self.spans)))
        drawn = [(s, s + self.random.randint(1, 60) * STEP, self.random.randint(1, 4)) for s in starts]
        return Budget(self.random.randint(2, 9), drawn)

    def wish(self, asks: list[Ask]) -> Wish:
        random = self.random
        since = self.at(0, 0) + random.choice([0, 0, 7 * MINUTE, 1])
        recipe = random.random() < 0.6
        return Wish(
            asks=asks,
            duration=self.minutes(15, 30, 60, 60, 90, 120, 180, 240, 1380, 1440, 1500),
            since=since,
            until=since + self.minutes(240, 720, 1440, 2400, 3600),
            zone=ZONE,
            setup=random.choice([None, None, None, 0, 20 * MINUTE]),
            teardown=random.choice([None, None, None, 0, 35 * MINUTE]),
            recipe=recipe,
            draws={"f": random.randint(0, 5)} if random.random() < (0.3 if recipe else 0.1) else {},
        )

    @cached_property
    def built(self) -> tuple[Wish, dict[str, Piece], dict[str, Budget]]:
        grids, slugs = self.random.choice(GRIDS), "abcdef"[: max(self.pieces, self.asks)]
        pieces = {slug: self.piece(slug, grids) for slug in slugs}
        asks = [self.ask(slugs) for _ in range(self.asks)]
        wish = self.wish([asks[0]] * self.asks if self.random.random() < 0.2 else asks)
        return wish, pieces, {name: self.budget() for name in "fw"[: self.budgets]}


cases = st.builds(
    Case,
    seed=st.integers(0, 2**64),
    asks=st.integers(1, 4),
    pieces=st.integers(1, 6),
    places=st.integers(1, 3),
    spans=st.integers(0, 6),
    budgets=st.integers(0, 2),
)


@settings(max_examples=examples(300))
@given(case=cases, limit=st.sampled_from([1, 1, 3, 8]), apart=st.sampled_from([STEP, STEP, 25 * STEP]))
def test_the_earliest_starts_and_their_least_surplus_are_those_of_the_naive_search(
    case: Case, limit: int, apart: int
) -> None:
    wish, pieces, budgets = case.built
    naive = Naive(wish, pieces, budgets, case.origin)
    found = search(wish, pieces, budgets, limit=limit, apart=apart).slots
    assert [(slot.start, slot.surplus) for slot in found] == naive.best(limit, apart)
    for slot in found:
        assert naive.works(slot.start, slot.chosen)
        spans = naive.spans(slot.start, slot.chosen).values()
        assert slot.occupied == (min(s for s, _ in spans), max(e for _, e in spans))
        assert slot.surplus == naive.surplus(slot.chosen)
