"""Draws that fit alone and not together, by everybody at once: the budget holds at every instant, somebody
wins, and the losers are told by how much it would have been too much.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from labbook.domain.access import Role, Viewer
from labbook.domain.errors import Refused, WrongStatus
from labbook.models import Draw, EquipmentDraw, Facility, Reservation, Utility, guards
from labbook.services import changes, decisions, reservations, transaction, verify
from labbook.services.commands import ChangeReservation, Decide, RequestReservation, Wanted
from tests.cast import NOW, Cast, at, equipment
from tests.concurrency.racing import Answer, refused_by
from tests.concurrency.test_races import deadlocks, race

ROUNDS = 12
HOUR = timedelta(hours=1)
FIRST = at("2026-03-24 10:00")
FAR = at("2026-06-01 10:00")


def slot(number: int) -> datetime:
    """Rounds lie so far apart that nothing of one reaches into the next."""
    return FIRST + number * 4 * HOUR


def told(refused: Refused) -> str:
    """A loser knows the utility, how far it would have gone, and how far it may."""
    (problem,) = refused.problems
    known = problem.code == "over_budget" and problem.params["peak"] > problem.params["capacity"]
    return "refused" if known else f"unexplained: {refused}"


def by_request(session: Session, task: tuple[Viewer, str], number: int) -> None:
    actor, slug = task
    wish = RequestReservation((Wanted(slug),), slot(number), slot(number) + HOUR, "Asked")
    reservations.request(session, wish, actor=actor, now=NOW)


def by_move(session: Session, task: tuple[Viewer, list[str]], number: int) -> None:
    actor, ids = task
    wish = ChangeReservation(start=slot(number), end=slot(number) + HOUR)
    changes.change(session, ids[number], wish, revision=None, actor=actor, now=NOW)


def by_extension(session: Session, task: tuple[Viewer, list[str]], number: int) -> None:
    actor, ids = task
    wish = Decide(ids[number], until=slot(number) + HOUR)
    decisions.extend(session, wish, actor=actor, now=slot(number) - HOUR / 2)


def by_change_and_approval(session: Session, task: tuple[Viewer, Viewer, list[str]], number: int) -> None:
    holder, manager, ids = task
    by_move(session, (holder, ids), number)
    decisions.approve(session, Decide(ids[number]), actor=manager, now=NOW)


STEPS = {
    "request": by_request,
    "move": by_move,
    "extension": by_extension,
    "change": by_change_and_approval,
}


def by_one_step(session: Session, task: tuple[str, Any], number: int) -> str:
    step, given = task
    try:
        STEPS[step](session, given, number)
    except Refused as refused:
        return told(refused)
    return "booked"


@pytest.fixture
def hungry(session: Session, cast: Cast) -> Cast:
    """Four pieces besides the sources, each of which draws 6 of the feeder's 10 kVA."""
    session.connection(execution_options={"labbook_write": True})
    facility = session.get_one(Facility, cast.facility_id)
    feeder = session.scalars(select(Utility)).one()
    for slug, approval in (("mover", "automatic"), ("runner", "automatic"), ("asker", "manager")):
        row = equipment(session, facility, slug, approval=approval)
        session.add(EquipmentDraw(equipment_id=row.id, utility_id=feeder.id, amount=6_000))
    session.commit()
    return cast


def elsewhere(session: Session, slug: str, actor: Viewer, *, approver: Viewer | None = None) -> list[str]:
    """For every round a reservation that lies far away, where nothing else is."""
    found = []
    for number in range(ROUNDS):
        start = FAR + number * 4 * HOUR + (2 * HOUR if approver else timedelta(0))
        wish = RequestReservation((Wanted(slug),), start, start + HOUR, "Elsewhere")
        found.append(reservations.request(session, wish, actor=actor, now=NOW).id)
        if approver is not None:
            decisions.approve(session, Decide(found[-1]), actor=approver, now=NOW)
    return found


def running(session: Session, actor: Viewer) -> list[str]:
    """For every round one that is in use until its slot begins."""
    found = []
    for number in range(ROUNDS):
        start, end = slot(number) - HOUR, slot(number)
        wish = RequestReservation((Wanted("runner"),), start, end, "Runs", use_now=True)
        found.append(reservations.request(session, wish, actor=actor, now=start).id)
    return found


def tasks_of(session: Session, cast: Cast) -> list[tuple[str, Any]]:
    return [
        ("request", (cast.anna, "source")),
        ("move", (cast.carla, elsewhere(session, "mover", cast.carla))),
        ("extension", (cast.dorte, running(session, cast.dorte))),
        (
            "change",
            (cast.bo, cast.mia, elsewhere(session, "asker", cast.bo, approver=cast.mia)),
        ),
    ]


def test_of_those_who_want_the_rest_of_a_budget_at_once_one_has_it(
    session: Session, hungry: Cast, database_url: str
) -> None:
    tasks = tasks_of(session, hungry)
    session.rollback()
    before = deadlocks(session)
    for answers in race(database_url, by_one_step, tasks, ROUNDS):
        assert Counter(answer for answer, _ in answers) == {"booked": 1, "refused": len(tasks) - 1}
    assert deadlocks(session) == before
    assert verify.verify(session) == []


# --- capacity lowered meanwhile ---------------------------------------------------------------------


def by_lowering(session: Session, task: tuple[Viewer | None, list[str]], number: int) -> str:
    """Without an actor the capacity of the round's utility is lowered; with one its piece is asked for."""
    actor, slugs = task
    try:
        if actor is not None:
            by_request(session, (actor, slugs[number]), number)
        else:
            lower = update(Utility).where(Utility.slug == slugs[number]).values(capacity=5_000)
            session.connection(execution_options={"labbook_write": True})
            session.execute(lower)
            session.commit()
    except Refused as refused:
        return told(refused)
    except DBAPIError as error:
        session.rollback()
        return refused_by(error, guards.WITHIN_BUDGET)
    return "booked"


def test_a_capacity_lowered_and_a_draw_on_it_never_both_pass(
    session: Session, cast: Cast, database_url: str
) -> None:
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    facility = session.get_one(Facility, cast.facility_id)
    for number in range(20):
        own = Utility(
            facility_id=facility.id, slug=f"air-{number}", name={"en": "Air"}, capacity=10_000, unit="kW"
        )
        session.add(own)
        session.flush()
        piece = equipment(session, facility, f"spindle-{number}", approval="automatic")
        session.add(EquipmentDraw(equipment_id=piece.id, utility_id=own.id, amount=6_000))
    session.commit()
    pieces, utilities = ([f"{kind}-{n}" for n in range(20)] for kind in ("spindle", "air"))
    for answers in race(database_url, by_lowering, [(cast.anna, pieces), (None, utilities)], 20):
        assert Counter(answer for answer, _ in answers) == {"booked": 1, "refused": 1}
    assert verify.verify(session) == []


# --- raw SQL: the guard alone decides ---------------------------------------------------------------


def by_raw_draw(session: Session, task: tuple[int, int, str, bool], number: int) -> str:
    """Several rows in one transaction, and one that is moved to where it must fit."""
    reservation_id, utility_id, isolation, moves = task
    start = slot(number)
    row = {"reservation_id": reservation_id, "utility_id": utility_id, "amount": 3_000}
    try:
        options = {"labbook_write": True}
        if session.get_bind().dialect.name == "postgresql":
            options["isolation_level"] = isolation  # type: ignore[assignment]
        session.connection(execution_options=options)
        if moves:
            there = {"starts_at": FAR + number * HOUR, "ends_at": FAR + (number + 1) * HOUR}
            ids = [session.scalar(insert(Draw).values(row | there).returning(Draw.id)) for _ in range(2)]
            moved = update(Draw).where(Draw.id.in_(ids)).values(starts_at=start, ends_at=start + HOUR)
            session.execute(moved, execution_options={"synchronize_session": False})
        else:
            here = row | {"starts_at": start, "ends_at": start + HOUR}
            session.execute(insert(Draw), [here, here])
        session.commit()
    except DBAPIError as error:
        session.rollback()
        return refused_by(error, guards.WITHIN_BUDGET)
    return "booked"


def test_whoever_writes_draws_past_the_service_meets_the_guard(
    session: Session, cast: Cast, database_url: str
) -> None:
    wish = RequestReservation((Wanted("scope"),), FIRST - 9 * HOUR, FIRST - 8 * HOUR, "Owner")
    reservations.request(session, wish, actor=cast.mia, now=NOW)
    owner, feeder = session.scalar(select(Reservation.id)), session.scalar(select(Utility.id))
    session.rollback()
    tasks = [(owner, feeder, "READ COMMITTED", moves) for moves in (False, True, True)]
    for answers in race(database_url, by_raw_draw, tasks, 20):
        assert Counter(answer for answer, _ in answers) == {"booked": 1, "refused": 2}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_snapshot_that_cannot_see_the_others_adds_no_draw(
    session: Session, cast: Cast, database_url: str
) -> None:
    """The lock is got after the others have committed, and what they wrote would not be in the sum."""
    wish = RequestReservation((Wanted("scope"),), FIRST - 9 * HOUR, FIRST - 8 * HOUR, "Owner")
    reservations.request(session, wish, actor=cast.mia, now=NOW)
    owner, feeder = session.scalar(select(Reservation.id)), session.scalar(select(Utility.id))
    session.rollback()
    levels = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
    tasks = [(owner, feeder, level, False) for level in levels]
    for answers in race(database_url, by_raw_draw, tasks, 10):
        assert [answer for answer, _ in answers] == ["booked", "refused", "refused"]


# --- everything at once -----------------------------------------------------------------------------

_PEAKS = text(
    """
    SELECT count(*) FROM draws AS peak JOIN utilities ON utilities.id = peak.utility_id
    WHERE peak.blocking AND (
        SELECT sum(amount) FROM draws
        WHERE utility_id = peak.utility_id AND blocking
          AND starts_at <= peak.starts_at AND ends_at > peak.starts_at
    ) > utilities.capacity
    """
)


def by_anything(session: Session, task: tuple[Viewer | None, int], number: int) -> str:
    """One watches, one lowers and raises the capacity, the others ask, move, hand back, state anew."""
    actor, seed = task
    chance = random.Random(f"{seed} {number}")
    if actor is None and seed == 0:
        over = 0
        for _ in range(15):
            over += session.scalar(_PEAKS) or 0
            session.rollback()
        return "over" if over else "watched"
    try:
        if actor is None:
            transaction.write(
                session,
                lambda: session.execute(update(Utility).values(capacity=chance.choice((7_000, 10_000)))),
            )
            return "took"
        return _one_of_many(session, actor, chance)
    except Refused:
        return "refused"


def _one_of_many(session: Session, actor: Viewer, chance: random.Random) -> str:
    if actor.role == Role.MANAGER:
        return _restated(session, actor, chance)
    start = FIRST + chance.randrange(12) * HOUR / 4
    end = start + chance.randint(1, 6) * HOUR / 4
    mine = session.scalars(
        select(Reservation.public_id)
        .where(Reservation.holder_id == actor.id, Reservation.status == "approved")
        .order_by(Reservation.id)
    ).all()
    if not mine or chance.random() < 0.5:
        slugs = chance.sample(("low-1", "low-2", "low-3", "high-1", "high-2"), chance.randint(1, 2))
        wish = RequestReservation(tuple(Wanted(slug) for slug in slugs), start, end, "Storm")
        reservations.request(session, wish, actor=actor, now=NOW)
    elif chance.random() < 0.7:
        wished = ChangeReservation(start=start, end=end)
        changes.change(session, chance.choice(mine), wished, revision=None, actor=actor, now=NOW)
    else:
        decisions.cancel(session, Decide(chance.choice(mine)), actor=actor, now=NOW)
    return "took"


def _restated(session: Session, actor: Viewer, chance: random.Random) -> str:
    """Somebody's draws are stated anew, with more or with less."""
    query = select(Reservation.public_id).where(Reservation.status == "approved")
    theirs = session.scalars(query.order_by(Reservation.id)).all()
    if not theirs:
        return "took"
    figure = f"{chance.randint(0, 8)} kVA"
    wish = ChangeReservation(draws={"feeder-a": figure}, reason="Measured")
    try:
        changes.change(session, chance.choice(theirs), wish, revision=None, actor=actor, now=NOW)
    except WrongStatus:  # given back meanwhile
        return "took"
    return "took"


def test_whatever_everybody_does_at_once_no_instant_is_over_budget(
    session: Session, cast: Cast, database_url: str
) -> None:
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    facility = session.get_one(Facility, cast.facility_id)
    feeder = session.scalars(select(Utility)).one()
    for slug, amount in (("low-1", 2), ("low-2", 2), ("low-3", 3), ("high-1", 5), ("high-2", 6)):
        row = equipment(session, facility, slug, approval="automatic")
        session.add(EquipmentDraw(equipment_id=row.id, utility_id=feeder.id, amount=amount * 1_000))
    session.commit()
    tasks = [(None, 0), (None, 1), (cast.anna, 2), (cast.carla, 3), (cast.dorte, 4), (cast.mia, 5)]
    rounds: list[list[Answer]] = race(database_url, by_anything, tasks, 30)
    found = Counter(answer for answers in rounds for answer, _ in answers)
    assert set(found) == {"watched", "took", "refused"}
    assert found["took"] > 20
    assert verify.verify(session) == []
