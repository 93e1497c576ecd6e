"""Several managers save the same recipe at the same instant: one version each round, the others are told."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Refused
from labbook.models.engine import prepare_engine
from labbook.services import recipe_views, recipes
from labbook.services.recipes import KeepRecipe
from tests.cast import NOW, Cast
from tests.concurrency.racing import Attempt, race

MANAGERS, ROUNDS = 6, 8
VALUES: dict[str, Any] = {"name": {"en": "Soak"}, "needs": [{"equipment": "cycler"}]}


@contextlib.contextmanager
def saving(task: tuple[str, Viewer, int]) -> Iterator[Attempt]:
    url, actor, whose = task
    engine = prepare_engine(create_engine(url))
    with Session(engine) as session:

        def attempt(number: int) -> str:
            said = {"description": {"en": f"{whose} in round {number}"}}
            command = KeepRecipe("cie", VALUES | said, edited_from=number + 1)
            try:
                recipes.change(session, "soak", command, actor=actor, now=NOW)
            except Refused as refused:
                return ", ".join(problem.code for problem in refused.problems)
            return "saved"

        yield attempt
    engine.dispose()


def test_each_round_makes_one_version_and_nobody_overwrites_what_they_have_not_seen(
    session: Session, cast: Cast, database_url: str
) -> None:
    recipes.create(session, KeepRecipe("cie", VALUES, "soak"), actor=cast.mia, now=NOW)
    session.rollback()
    tasks = [(database_url, (cast.mia, cast.max)[whose % 2], whose) for whose in range(MANAGERS)]
    for answers in race(saving, tasks, ROUNDS):
        told = Counter(what for what, _ in answers)
        assert told == {"saved": 1, "changed_meanwhile": MANAGERS - 1}
    versions = recipe_views.history(session, "soak", viewer=cast.mia)
    assert [version.number for version in versions] == list(range(ROUNDS + 1, 0, -1))
