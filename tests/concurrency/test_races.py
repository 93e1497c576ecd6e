"""Sixteen processes race for the same slot: exactly one gets it, the others are told why, nobody waits long.

Through the service, over HTTP, and by raw SQL past both: then the guards alone decide.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Refused, StorageBusy, WrongStatus
from labbook.models import Allocation, Draw, Place, Reservation, User
from labbook.models.engine import prepare_engine
from labbook.services import changes, decisions, reservations, sweep, tokens
from labbook.services.commands import ChangeReservation, Decide, RequestReservation, Wanted
from labbook.services.verify import verify
from tests.cast import NOW, Cast, at
from tests.concurrency import racing
from tests.concurrency.racing import Answer, Attempt, over_http
from tests.crowd import Window, crowd
from tests.live import serving

CLIENTS = 16
BUSY_TRIES = 10
ROUNDS = 30
FIRST = at("2026-03-24 10:00")


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
        return racing.refused_by(error, "no_overlap")
    return "booked"


@contextlib.contextmanager
def with_database(task: tuple[str, Callable[[Session, Any, int], str], Any]) -> Iterator[Attempt]:
    """``task``: a database's URL, what to try there, and what that is given besides the round's number."""
    url, attempt, given = task
    engine = prepare_engine(create_engine(url))
    with Session(engine) as session:
        session.execute(text("SELECT 1"))
        session.rollback()
        yield lambda number: attempt(session, given, number)
    engine.dispose()


def race(
    url: str, attempt: Callable[[Session, Any, int], str], tasks: list[Any], rounds: int = ROUNDS
) -> list[list[Answer]]:
    return racing.race(with_database, [(url, attempt, task) for task in tasks], rounds)


def assert_one_each_round(rounds: list[list[Answer]]) -> None:
    for answers in rounds:
        assert Counter(answer for answer, _ in answers) == {"booked": 1, "refused": len(answers) - 1}
    # A second is the promise on a machine of two cores that runs all sixteen; the bench prints figures.
    assert max(took for answers in rounds for _, took in answers) < 5


@pytest.fixture
def racers(session: Session, cast: Cast, database_url: str) -> Cast:
    session.rollback()
    return cast


def test_one_slot_sixteen_clients_thirty_rounds_one_reservation_each(
    session: Session, racers: Cast, database_url: str
) -> None:
    people = (racers.anna, racers.bo, racers.carla, racers.dorte)
    rounds = race(database_url, by_service, [(people[n % 4], ("scope",)) for n in range(CLIENTS)])
    assert_one_each_round(rounds)
    assert session.scalar(select(func.count()).select_from(Reservation)) == ROUNDS


def test_sixteen_clients_over_http_leave_one_reservation_each_round(
    session: Session, racers: Cast, database_url: str, tmp_path: Path
) -> None:
    people = (racers.anna, racers.bo, racers.carla, racers.dorte)
    now = datetime.now(UTC)  # the server has a clock of its own
    keys = [tokens.create(session, "race", actor=who, now=now).secret for who in people]
    first = now.replace(hour=10, minute=0, second=0, microsecond=0) + timedelta(days=2)
    bodies = [
        {
            "equipment": [{"slug": "scope"}],
            "start": (first + timedelta(hours=n)).isoformat(),
            "end": (first + timedelta(hours=n + 1)).isoformat(),
            "title": "Race",
        }
        for n in range(8)
    ]
    with serving(database_url, tmp_path / "race") as server:
        tasks = [(server.url, keys[n % 4], bodies) for n in range(CLIENTS)]
        assert_one_each_round(racing.race(over_http, tasks, len(bodies)))
    session.rollback()
    assert session.scalar(select(func.count()).select_from(Reservation)) == len(bodies)


def by_the_same_key(session: Session, task: tuple[Viewer, str], number: int) -> str:
    actor, key = task
    start, end = slot(number)
    wish = RequestReservation(
        (Wanted("scope"),),
        start,
        end,
        "Double click",
        idempotency_key=f"{key}-{number}",
        fingerprint="same",
    )
    return reservations.request(session, wish, actor=actor, now=NOW).id


def test_one_request_sent_several_times_at_once_is_one_reservation_and_the_same_answer(
    session: Session, racers: Cast, database_url: str
) -> None:
    for answers in race(database_url, by_the_same_key, [(racers.anna, "once")] * 6, rounds=8):
        assert len({answer for answer, _ in answers}) == 1
    assert session.scalar(select(func.count()).select_from(Reservation)) == 8


def test_several_pieces_in_any_order_deadlock_nobody_and_are_booked_whole(
    session: Session, racers: Cast, database_url: str
) -> None:
    orders = (("scope", "scope-2", "cycler"), ("cycler", "scope-2", "scope"), ("scope-2", "scope"))
    tasks = [(racers.anna if n % 2 else racers.carla, orders[n % 3]) for n in range(8)]
    assert_one_each_round(race(database_url, by_service, tasks, rounds=10))


def test_a_budget_for_one_is_given_to_one(session: Session, racers: Cast, database_url: str) -> None:
    tasks = [(racers.anna, ("source",)) if n % 2 else (racers.carla, ("source-2",)) for n in range(8)]
    assert_one_each_round(race(database_url, by_service, tasks, rounds=10))
    assert session.scalar(select(func.count()).select_from(Draw)) == 10


def test_raw_sql_races_leave_one_row_each(session: Session, racers: Cast, database_url: str) -> None:
    far = at("2026-09-01 10:00")
    ids = []
    for n in range(8):
        wish = RequestReservation(
            (Wanted("scope-2"),), far + n * timedelta(hours=1), far + (n + 1) * timedelta(hours=1), "Own"
        )
        view = reservations.request(session, wish, actor=racers.anna, now=NOW)
        ids.append(session.scalar(select(Reservation.id).where(Reservation.public_id == view.id)))
    place_id = session.scalar(select(Allocation.place_id).limit(1))
    session.rollback()
    assert_one_each_round(race(database_url, by_raw_sql, [(i, place_id) for i in ids], rounds=10))


def by_raw_status(session: Session, task: tuple[str, list[int], int], number: int) -> str:
    """Past the service: one statement ends or revives all of them, while others add to each."""
    what, ids, place_id = task
    session.connection(execution_options={"labbook_write": True})
    if what == "status":
        status = "approved" if number % 2 else "cancelled"
        every = update(Reservation).where(Reservation.id.in_(ids)).values(status=status)
        session.execute(every, execution_options={"synchronize_session": False})
        session.commit()
        return "written"
    for n, reservation_id in enumerate(ids):
        start, end = slot(number * len(ids) + n)
        row = {"reservation_id": reservation_id, "place_id": place_id, "starts_at": start, "ends_at": end}
        session.execute(insert(Allocation).values(row | {"opaque_id": f"{number}-{n}", "changed_at": NOW}))
        session.commit()
        session.connection(execution_options={"labbook_write": True})
    session.rollback()
    return "written"


def test_what_blocks_follows_a_status_that_is_written_for_many_at_once(
    session: Session, racers: Cast, database_url: str
) -> None:
    far = at("2026-09-01 10:00")
    for n in range(8):
        start = far + n * timedelta(hours=1)
        wish = RequestReservation((Wanted("source"),), start, start + timedelta(hours=1), "Own")
        reservations.request(session, wish, actor=racers.anna, now=NOW)
    ids = list(session.scalars(select(Reservation.id).order_by(Reservation.id)))
    place_id = session.scalar(select(Allocation.place_id).limit(1))
    session.rollback()
    rounds = race(database_url, by_raw_status, [(what, ids, place_id) for what in ("status", "add")], 20)
    assert {answer for answers in rounds for answer, _ in answers} == {"written"}
    for table, rows in ((Allocation, 8 + 160), (Draw, 8)):
        of = select(Reservation.status, table.blocking).join(
            Reservation, table.reservation_id == Reservation.id
        )
        assert session.execute(of).all() == [("approved", True)] * rows


def by_one_who_moves_it(session: Session, task: tuple[Viewer, str, bool], number: int) -> str:
    """On a slow machine SQLite's one writer may keep the others waiting for too long: they ask again."""
    for _ in range(BUSY_TRIES):
        with contextlib.suppress(StorageBusy):
            return _moved_once(session, task, number)
    return "busy"


def _moved_once(session: Session, task: tuple[Viewer, str, bool], number: int) -> str:
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
    session: Session, racers: Cast, database_url: str
) -> None:
    start, end = slot(0)
    wish = RequestReservation((Wanted("scope"),), start, end, "Moved about")
    one = reservations.request(session, wish, actor=racers.anna, now=NOW).id
    before = deadlocks(session)
    tasks = [(racers.anna, one, True) if n % 2 else (racers.mia, one, False) for n in range(8)]
    rounds = race(database_url, by_one_who_moves_it, tasks, rounds=15)
    for answers in rounds:
        assert Counter(answer for answer, _ in answers) == {"done": 4, "not waiting": 4}
    assert deadlocks(session) == before


def by_one_who_leaves(session: Session, task: tuple[Viewer, list[list[str]]] | None, number: int) -> str:
    """Hand back all places of this round one after the other; or (without a task) sweep meanwhile."""
    now = changeover(number) + timedelta(minutes=1)
    if task is None:
        with contextlib.suppress(StorageBusy):  # SQLite has one writer, and is not asked to queue for long
            sweep.sweep(session, now=now)
        return "swept"
    actor, leaving = task
    for public_id in leaving[number]:
        decisions.check_out(session, Decide(public_id), actor=actor, now=now)
    return "left"


def changeover(number: int) -> datetime:
    return FIRST + timedelta(hours=3 * number)


def test_whoever_leaves_and_the_sweeps_that_keep_others_waiting_lock_in_the_same_order(
    session: Session, racers: Cast, database_url: str
) -> None:
    """What overruns grows and who comes next is displaced, while it is given back at the same moment."""
    rounds, places, hour = 6, 6, timedelta(hours=1)
    holder = session.get_one(User, racers.anna.id)
    windows = []
    for number in range(rounds):
        turn = changeover(number)
        for place in range(places):
            windows.append(Window(turn - hour, turn, NOW, "in_use", "required", place=place))
            windows.append(Window(turn, turn + hour, NOW, "approved", "required", 1800, place=place))
    ids = crowd(session, windows, facility_id=racers.facility_id, holder=holder, slug="changeover")
    known = dict(session.execute(select(Reservation.id, Reservation.public_id)).all())
    session.rollback()
    leaving = [known[row_id] for row_id in ids[::2]]
    each = [leaving[first : first + places] for first in range(0, len(leaving), places)]
    half = places // 2
    before = deadlocks(session)
    tasks = [(racers.anna, [ids_[:half] for ids_ in each]), (racers.anna, [ids_[half:] for ids_ in each])]
    race(database_url, by_one_who_leaves, [*tasks, None, None], rounds=rounds)
    assert deadlocks(session) == before
    waiting = select(Reservation.id).where(Reservation.displaced_since.is_not(None))
    assert session.scalars(waiting).all() == [], "who gave a place back let in whoever waited for it"
    assert verify(session) == []
