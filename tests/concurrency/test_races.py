"""Sixteen processes race for the same slot: exactly one gets it, the others are told why, nobody waits long.

Through the service, and by raw SQL past it: then the guards alone decide.
"""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError
from typing import Any

import pytest
from sqlalchemy import create_engine, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Refused, WrongStatus
from labbook.models import Allocation, Draw, Place, Reservation
from labbook.models.engine import prepare_engine
from labbook.services import changes, decisions, reservations
from labbook.services.commands import ChangeReservation, Decide, RequestReservation, Wanted
from labbook.services.transaction import constraint_of
from tests.cast import NOW, Cast, at

CLIENTS = 16
ROUNDS = 30
FIRST = at("2026-03-24 10:00")

Attempt = Callable[[Session, Any, int], str]


def slot(number: int) -> tuple[datetime, datetime]:
    start = FIRST + timedelta(hours=number)
    return start, start + timedelta(hours=1)


def by_service(session: Session, task: tuple[Viewer, tuple[str, ...]], number: int) -> str:
    actor, slugs = task
    start, end = slot(number)
    wish = RequestReservation(tuple(Wanted(slug) for slug in slugs), start, end, "Race")
    try:
        reservations.request(session, wish, actor=actor, now=NOW)
    except Refused as refused:
        # The loser is told when it is taken, by an interval or by the budget's figure.
        explained = refused.conflicts or {p.code for p in refused.problems} == {"over_budget"}
        return "refused" if explained else f"unexplained: {refused}"
    return "booked"


def by_raw_sql(session: Session, task: tuple[int, int], number: int) -> str:
    reservation_id, place_id = task
    start, end = slot(number)
    row = {
        "reservation_id": reservation_id,
        "place_id": place_id,
        "starts_at": start,
        "ends_at": end,
        "opaque_id": f"{reservation_id}-{number}",
        "changed_at": NOW,
    }
    try:
        session.connection(execution_options={"labbook_write": True})
        # PostgreSQL: with the place's row locked first, writers queue instead of deadlocking.
        session.execute(select(Place.id).where(Place.id == place_id).with_for_update(key_share=True))
        session.execute(insert(Allocation).values(row))
        session.commit()
    except DBAPIError as error:
        session.rollback()
        return "refused" if "no_overlap" in constraint_of(error) else str(error)
    return "booked"


Answer = tuple[str, float]


def run_client(
    answers: Connection, url: str, barrier: Barrier, attempt: Attempt, task: Any, rounds: int
) -> None:
    """One process: in each round wait for the others, try once, note what came of it and how long it took."""
    try:
        answers.send(_attempts(url, barrier, attempt, task, rounds))
    except BrokenBarrierError:
        answers.send("another client failed")
    except BaseException:  # noqa: BLE001 - told to whoever started the race
        barrier.abort()
        answers.send(traceback.format_exc())


def _attempts(url: str, barrier: Barrier, attempt: Attempt, task: Any, rounds: int) -> list[Answer]:
    engine = prepare_engine(create_engine(url))
    found = []
    with Session(engine) as session:
        session.execute(text("SELECT 1"))
        session.rollback()
        for number in range(rounds):
            barrier.wait(timeout=60)
            began = time.perf_counter()
            found.append((attempt(session, task, number), time.perf_counter() - began))
    engine.dispose()
    return found


def race(url: str, attempt: Attempt, tasks: list[Any], rounds: int = ROUNDS) -> list[list[Answer]]:
    """The answers round by round. No client outlives the race, whatever becomes of it."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(len(tasks))
    clients, pipes = [], []
    try:
        for task in tasks:
            ours, theirs = context.Pipe(duplex=False)
            client = context.Process(
                target=run_client, args=(theirs, url, barrier, attempt, task, rounds), daemon=True
            )
            client.start()
            theirs.close()
            clients.append(client)
            pipes.append(ours)
        found = [pipe.recv() if pipe.poll(timeout=200) else "no answer" for pipe in pipes]
    finally:
        for client in clients:
            client.join(timeout=5)
            client.kill()
    assert all(isinstance(each, list) for each in found), "\n".join(e for e in found if isinstance(e, str))
    return [list(each) for each in zip(*found, strict=True)]


def assert_one_each_round(rounds: list[list[Answer]]) -> None:
    for answers in rounds:
        assert Counter(answer for answer, _ in answers) == {"booked": 1, "refused": len(answers) - 1}
    # A second is the promise on a machine of two cores that runs all sixteen; the bench prints figures.
    assert max(took for answers in rounds for _, took in answers) < 5


@pytest.fixture
def racing(session: Session, cast: Cast, database_url: str) -> Cast:
    session.rollback()
    return cast


def test_one_slot_sixteen_clients_thirty_rounds_one_reservation_each(
    session: Session, racing: Cast, database_url: str
) -> None:
    people = (racing.anna, racing.bo, racing.carla, racing.dorte)
    rounds = race(database_url, by_service, [(people[n % 4], ("scope",)) for n in range(CLIENTS)])
    assert_one_each_round(rounds)
    assert session.scalar(select(func.count()).select_from(Reservation)) == ROUNDS


def test_several_pieces_in_any_order_deadlock_nobody_and_are_booked_whole(
    session: Session, racing: Cast, database_url: str
) -> None:
    orders = (("scope", "scope-2", "cycler"), ("cycler", "scope-2", "scope"), ("scope-2", "scope"))
    tasks = [(racing.anna if n % 2 else racing.carla, orders[n % 3]) for n in range(8)]
    assert_one_each_round(race(database_url, by_service, tasks, rounds=10))


def test_a_budget_for_one_is_given_to_one(session: Session, racing: Cast, database_url: str) -> None:
    tasks = [(racing.anna, ("source",)) if n % 2 else (racing.carla, ("source-2",)) for n in range(8)]
    assert_one_each_round(race(database_url, by_service, tasks, rounds=10))
    assert session.scalar(select(func.count()).select_from(Draw)) == 10


def test_raw_sql_races_leave_one_row_each(session: Session, racing: Cast, database_url: str) -> None:
    far = at("2026-09-01 10:00")
    ids = []
    for n in range(8):
        wish = RequestReservation(
            (Wanted("scope-2"),), far + n * timedelta(hours=1), far + (n + 1) * timedelta(hours=1), "Own"
        )
        view = reservations.request(session, wish, actor=racing.anna, now=NOW)
        ids.append(session.scalar(select(Reservation.id).where(Reservation.public_id == view.id)))
    place_id = session.scalar(select(Allocation.place_id).limit(1))
    session.rollback()
    assert_one_each_round(race(database_url, by_raw_sql, [(i, place_id) for i in ids], rounds=10))


def by_one_who_moves_it(session: Session, task: tuple[Viewer, str, bool], number: int) -> str:
    actor, public_id, moves = task
    try:
        if moves:
            wish = ChangeReservation(start=slot(number % 3)[0], end=slot(number % 3)[1])
            changes.change(session, public_id, wish, revision=None, actor=actor, now=NOW)
        else:
            decisions.approve(session, Decide(public_id), actor=actor, now=NOW)
    except WrongStatus:
        return "not waiting"
    return "done"


def deadlocks(session: Session) -> int:
    """How many the server has counted so far in this database; SQLite has one writer and none."""
    if session.get_bind().dialect.name != "postgresql":
        return 0
    query = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    found = session.scalar(query)
    session.rollback()
    return int(found or 0)


def test_moving_and_approving_one_reservation_at_once_lock_in_the_same_order(
    session: Session, racing: Cast, database_url: str
) -> None:
    start, end = slot(0)
    wish = RequestReservation((Wanted("scope"),), start, end, "Moved about")
    one = reservations.request(session, wish, actor=racing.anna, now=NOW).id
    before = deadlocks(session)
    tasks = [(racing.anna, one, True) if n % 2 else (racing.mia, one, False) for n in range(8)]
    rounds = race(database_url, by_one_who_moves_it, tasks, rounds=15)
    for answers in rounds:
        assert Counter(answer for answer, _ in answers) == {"done": 4, "not waiting": 4}
    assert deadlocks(session) == before
