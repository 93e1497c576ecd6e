"""Several schedulers, several who wait, and somebody who gives back at that instant: one slot, one offer, and
it is the first in line's.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import StorageBusy
from labbook.models import Reservation, WaitlistEntry
from labbook.services import changes, decisions, due, reservations, verify, waiting
from labbook.services.commands import ChangeReservation, Decide, RequestReservation, Wanted
from labbook.services.waiting import JoinWaitlist
from labbook.services.waitlist_queue import QUEUE
from tests.cast import NOW, Cast
from tests.concurrency.test_races import deadlocks, race, slot

ROUNDS = 5
PASSES = 3


def by_scheduler_or_canceller(session: Session, task: tuple[Viewer, list[str]] | None, number: int) -> str:
    """One gives the slot of the round back; the others sweep meanwhile."""
    at = NOW + timedelta(minutes=number)
    if task is not None:
        actor, held = task
        if number % 2:
            decisions.cancel(session, Decide(held[number]), actor=actor, now=at)
        else:  # moved out of the way, with the equipment's locks
            later = slot(number + 1000)
            wish = ChangeReservation(start=later[0], end=later[1])
            changes.change(session, held[number], wish, revision=None, actor=actor, now=at)
        return "gave back"
    done: Counter[str] = Counter()
    for number_of_pass in range(PASSES):
        with contextlib.suppress(StorageBusy):  # on a slow machine SQLite's one writer; the next pass does it
            done += due.run(session, QUEUE, now=at + timedelta(seconds=number_of_pass))
    return f"failed: {done}" if done["failed"] else "swept"


@pytest.mark.parametrize("mode", ["offer", "book"])
def test_a_slot_given_back_is_the_first_ones_however_many_schedulers_run(
    session: Session, cast: Cast, database_url: str, mode: str
) -> None:
    held, entries = [], []
    for number in range(ROUNDS):
        start, end = slot(number)
        wish = RequestReservation((Wanted("scope"),), start, end, "Taken")
        held.append(reservations.request(session, wish, actor=cast.dorte, now=NOW).id)
        for who in (cast.anna, cast.carla, cast.bo):
            command = JoinWaitlist(("scope",), start, end, end - start, "I wait", mode=mode)
            entries.append(waiting.join(session, command, actor=who, now=NOW).id)
    session.rollback()
    before = deadlocks(session)
    tasks: list[Any] = [(cast.dorte, held), None, None]
    for answers in race(database_url, by_scheduler_or_canceller, tasks, ROUNDS):
        assert Counter(answer for answer, _ in answers) == {"gave back": 1, "swept": 2}
    for number in range(3):  # the last round's too, where giving back came after all the sweeps
        due.run(session, QUEUE, now=NOW + timedelta(hours=1, seconds=number))
    rows = session.scalars(select(WaitlistEntry).order_by(WaitlistEntry.id)).all()
    served = "offered" if mode == "offer" else "taken"
    assert [row.state for row in rows] == [served, "waiting", "waiting"] * ROUNDS
    assert len(session.scalars(select(Reservation)).all()) == 2 * ROUNDS
    assert deadlocks(session) == before
    assert verify.verify(session) == []
