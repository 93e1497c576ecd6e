"""Random sequences of what people do, sweeps, crashes and jumps of the clock never leave the rules."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from tests.cast import at, make_cast
from tests.databases import ENGINES, Databases
from tests.examples import examples
from tests.services.engine_world import PIECES, Op, World, furnish

STARTS = (at("2026-03-28 08:00"), at("2026-10-24 08:00"))
"""The day before each change between summer and winter time."""

ops = st.builds(
    Op,
    chance=st.integers(0, 2**16),
    who=st.sampled_from(["anna", "carla", "dorte", "mia", "tom"]),
    which=st.integers(0, 7),
    piece=st.sampled_from([*PIECES, "chamber", "rig", "rig"]),
    hour=st.integers(0, 20),
    hours=st.sampled_from([1, 1, 2, 2, 3, 26]),
    crash=st.sampled_from([0] * 9 + [3, 8, 15, 30]),
)
EXAMPLES = {"sqlite": 16, "postgresql": 4}


@pytest.mark.parametrize("engine", ENGINES)
def test_whatever_happens_in_whatever_order_every_promise_is_kept(databases: Databases, engine: str) -> None:
    @settings(
        max_examples=examples(EXAMPLES[engine]),
        derandomize=True,
        database=None,
        phases=(Phase.generate, Phase.shrink),
    )
    @given(start=st.sampled_from(STARTS), day=st.lists(ops, min_size=30, max_size=60))
    def live(start: datetime, day: list[Op]) -> None:
        with databases.fresh(engine) as url, databases.engine(url) as found, Session(found) as session:
            cast = make_cast(session)
            furnish(session, cast)
            world = World(session, cast, start)
            for op in day:
                world.run(op)

    live()
