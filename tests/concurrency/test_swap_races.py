"""Two managers move the same reservation at the same instant, while somebody books what it would move to."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Refused, StaleRevision
from labbook.domain.interval import Interval
from labbook.models import HistoryEntry
from labbook.services import reservations, swaps, sweep, verify
from labbook.services.commands import RequestReservation, Wanted
from labbook.services.swaps import Choice, Move, Outage, Swap
from tests.cast import NOW, Cast, at
from tests.concurrency.test_races import deadlocks, race

ROUNDS = 12
FIRST = at("2026-03-24 10:00")


def slot(number: int) -> Interval:
    start = FIRST + number * timedelta(hours=3)
    return Interval(start, start + timedelta(hours=2))


def take(session: Session, actor: Viewer, slug: str, use: Interval) -> str:
    wish = RequestReservation((Wanted(slug),), use.start, use.end, "Ripple")
    return reservations.request(session, wish, actor=actor, now=NOW).id


def by_somebody(session: Session, task: tuple[Viewer, str, list[str]], number: int) -> str:
    actor, step, ids = task
    use = slot(number)
    try:
        if step == "book":
            take(session, actor, "scope-2", use)
        elif step == "swap":
            move = Move(ids[number], 1, Choice(use, (Wanted("scope-2"),)))
            swaps.swap(session, Swap(Outage("scope", use), (move,), "Broken"), actor=actor, now=NOW)
        else:
            sweep.sweep(session, now=NOW + timedelta(seconds=number))
    except StaleRevision:
        return "somebody was faster"
    except Refused as refused:
        return "taken" if refused.conflicts else f"unexplained: {refused}"
    return step


def test_it_is_moved_once_or_somebody_else_has_the_place(
    session: Session, cast: Cast, database_url: str
) -> None:
    ids = [take(session, cast.anna, "scope", slot(number)) for number in range(ROUNDS)]
    session.rollback()
    before = deadlocks(session)
    tasks: list[Any] = [
        (cast.mia, "swap", ids),
        (cast.max, "swap", ids),
        (cast.bo, "book", []),
        (cast.bo, "sweep", []),
    ]
    moved = 0
    for answers in race(database_url, by_somebody, tasks, ROUNDS):
        told = Counter(answer for answer, _ in answers)
        assert told in (
            {"swap": 1, "somebody was faster": 1, "taken": 1, "sweep": 1},
            {"taken": 2, "book": 1, "sweep": 1},
        )
        moved += told["swap"]
    assert deadlocks(session) == before
    assert verify.verify(session) == []
    moves = select(func.count()).where(HistoryEntry.action == "move")
    assert session.scalar(moves) == moved
