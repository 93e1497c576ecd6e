"""Pools and shared pieces, by everybody at once: as many as there are units and no more, and one profile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Refused
from labbook.models import Allocation, Facility, Place, Reservation
from labbook.services import changes, decisions, reservations, sweep, verify
from labbook.services.commands import ChangeReservation, Decide, RequestReservation, Wanted
from tests.cast import NOW, Cast, at, equipment
from tests.concurrency.test_races import deadlocks, race
from tests.services.test_sharing import COLD, HOT, RANGE

ROUNDS = 10
HOUR = timedelta(hours=1)
FIRST = at("2026-03-24 10:00")


def slot(number: int) -> datetime:
    return FIRST + number * 8 * HOUR


# --- pools ------------------------------------------------------------------------------------------


@pytest.fixture
def probes(session: Session, cast: Cast) -> Cast:
    """A pool of three."""
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    lab = session.get_one(Facility, cast.facility_id)
    equipment(session, lab, "probes", places=3, pool=True, approval="automatic")
    session.commit()
    return cast


def take(session: Session, actor: Viewer, start: datetime, end: datetime) -> str:
    wish = RequestReservation((Wanted("probes"),), start, end, "Probing")
    return reservations.request(session, wish, actor=actor, now=NOW).id


def by_pool_user(session: Session, task: tuple[Viewer, str, list[str]], number: int) -> str:
    """One of two units left is asked for over the whole slot, moved there, or given back meanwhile."""
    actor, step, ids = task
    start, end = slot(number), slot(number) + 4 * HOUR
    try:
        if step == "request":
            take(session, actor, start, end)
        elif step == "move":
            wish = ChangeReservation(start=start, end=end)
            changes.change(session, ids[number], wish, revision=None, actor=actor, now=NOW)
        else:
            decisions.cancel(session, Decide(ids[number]), actor=actor, now=NOW)
            return "gave back"
    except Refused as refused:
        return "refused" if refused.conflicts else f"unexplained: {refused}"
    return "booked"


def test_of_a_pool_as_many_are_had_as_the_count_says_however_it_lies(
    session: Session, probes: Cast, database_url: str
) -> None:
    """In each round a unit is taken piece by piece on all three, so that none is free throughout: two are
    left by the count, three want one, and somebody gives back a piece that is in nobody's way.
    """
    far = [take(session, probes.carla, slot(n + 50), slot(n + 50) + 4 * HOUR) for n in range(ROUNDS)]
    apart = [take(session, probes.bo, slot(n) - HOUR, slot(n)) for n in range(ROUNDS)]
    for number in range(ROUNDS):
        start = slot(number)
        pieces = [(0, 1), (1, 2), (2, 4)]  # on the first, the second and the third unit
        held: list[str] = []
        for unit, (since, until) in enumerate(pieces):
            others = [take(session, probes.dorte, start + since * HOUR, start + until * HOUR)
                      for _ in range(unit)]  # fmt: skip
            take(session, probes.dorte, start + since * HOUR, start + until * HOUR)
            held += others
        for each in held:
            decisions.cancel(session, Decide(each), actor=probes.dorte, now=NOW)
    on = session.scalars(
        select(Place.number).join(Allocation, Allocation.place_id == Place.id)
        .join(Reservation, Allocation.reservation_id == Reservation.id)
        .where(Allocation.blocking, Reservation.holder_id == probes.dorte.id).distinct()
    ).all()  # fmt: skip
    assert sorted(on) == [1, 2, 3], "no unit is free throughout"
    session.rollback()
    before = deadlocks(session)
    tasks: list[Any] = [
        (probes.anna, "request", []),
        (probes.mia, "request", []),
        (probes.carla, "move", far),
        (probes.bo, "give back", apart),
    ]
    for answers in race(database_url, by_pool_user, tasks, ROUNDS):
        assert Counter(answer for answer, _ in answers) == {"booked": 2, "refused": 1, "gave back": 1}
    assert deadlocks(session) == before
    assert verify.verify(session) == []


# --- profiles ---------------------------------------------------------------------------------------


@pytest.fixture
def shelves(session: Session, cast: Cast) -> Cast:
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    lab = session.get_one(Facility, cast.facility_id)
    chamber = {"places": 6, "capabilities": {"temperature": RANGE}}
    equipment(session, lab, "shelves", approval="automatic", **chamber)
    session.commit()
    return cast


def ask(
    session: Session,
    actor: Viewer,
    slug: str,
    start: datetime,
    ambient: Mapping[str, Any],
    now: datetime = NOW,
) -> str:
    wish = RequestReservation((Wanted(slug),), start, start + HOUR, "Soak", ambient=ambient)
    return reservations.request(session, wish, actor=actor, now=now).id


def by_profile(session: Session, task: tuple[Viewer, str, Any, list[str]], number: int) -> str:
    actor, step, ambient, ids = task
    start = slot(number)
    wish = ChangeReservation(start=start, end=start + HOUR, reason="There")
    try:
        if step == "request":
            ask(session, actor, "shelves", start, ambient)
        elif step == "move":
            changes.change(session, ids[number], wish, revision=None, actor=actor, now=NOW)
        else:
            changes.propose(session, ids[number], wish, revision=None, actor=actor, now=NOW)
            decisions.approve(session, Decide(ids[number]), actor=task[3][-1], now=NOW)  # type: ignore[arg-type]
    except Refused as refused:
        codes = {problem.code for problem in refused.problems}
        return (
            f"{'hot' if ambient == HOT else 'cold'} refused" if codes == {"other_ambient"} else str(refused)
        )
    return "hot" if ambient == HOT else "cold"


def test_hot_and_cold_tests_that_come_at_once_never_share_a_chamber(
    session: Session, shelves: Cast, database_url: str
) -> None:
    far = [ask(session, shelves.carla, "shelves", slot(n + 50), COLD) for n in range(ROUNDS)]
    other = [ask(session, shelves.dorte, "shelves", slot(n + 100), HOT) for n in range(ROUNDS)]
    session.rollback()
    tasks: list[Any] = [
        (shelves.anna, "request", HOT, []),
        (shelves.bo, "request", COLD, []),
        (shelves.carla, "move", COLD, far),
        (shelves.mia, "propose", HOT, [*other, shelves.dorte]),
    ]
    for answers in race(database_url, by_profile, tasks, ROUNDS):
        found = Counter(answer for answer, _ in answers)
        assert found in ({"hot": 2, "cold refused": 2}, {"cold": 2, "hot refused": 2})
    assert verify.verify(session) == []


def by_latecomer(session: Session, task: tuple[Viewer, list[str]], number: int) -> str:
    """Hot ones missed their check-in and come late; cold ones take the time that was given back."""
    actor, ids = task
    now = slot(number) + 0.75 * HOUR
    try:
        if ids:
            decisions.check_in(session, Decide(ids[number]), actor=actor, now=now)
            return "hot"
        ask(session, actor, f"late-{number}", now, COLD, now=now)
    except Refused as refused:
        return "refused" if {p.code for p in refused.problems} == {"other_ambient"} else str(refused)
    return "cold"


def test_who_comes_late_and_who_took_the_time_since_are_not_both_there(
    session: Session, cast: Cast, database_url: str
) -> None:
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    lab = session.get_one(Facility, cast.facility_id)
    for number in range(ROUNDS):
        equipment(
            session, lab, f"late-{number}", places=6, approval="automatic", check_in="required",
            capabilities={"temperature": RANGE},
        )  # fmt: skip
    session.commit()
    late = []
    for number in range(ROUNDS):
        # On another place than the first that is free by then: else the two would meet on it anyway.
        block = RequestReservation(
            (Wanted(f"late-{number}"),), slot(number), slot(number) + 2 * HOUR, "Service", kind="block"
        )
        first = reservations.request(session, block, actor=cast.tom, now=NOW).id
        wish = RequestReservation(
            (Wanted(f"late-{number}"),), slot(number), slot(number) + 2 * HOUR, "Late", ambient=HOT
        )
        late.append(reservations.request(session, wish, actor=cast.anna, now=NOW).id)
        decisions.cancel(session, Decide(first), actor=cast.tom, now=NOW)
    for number in range(ROUNDS):
        sweep.sweep(session, now=slot(number) + HOUR / 2)
    session.rollback()
    tasks: list[Any] = [(cast.anna, late), (cast.carla, [])]
    for answers in race(database_url, by_latecomer, tasks, ROUNDS):
        said = sorted(answer for answer, _ in answers)
        assert said in (["hot", "refused"], ["cold", "refused"])
    assert verify.verify(session) == []
