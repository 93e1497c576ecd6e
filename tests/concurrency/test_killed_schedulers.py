"""Scheduler processes killed with -9 at any moment: every step is taken once, in order, and told of once."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from labbook.models import (
    Deputy,
    Equipment,
    HistoryEntry,
    OutboxMessage,
    Reservation,
    SchedulerHeartbeat,
    Visit,
    WaitlistEntry,
    WaitlistWant,
)
from labbook.services import sweep, verify
from tests.cast import Cast
from tests.crowd import Window, crowd
from tests.live import start_scheduler

OVER = ("start", "finish")
MISSED = ("miss",)
UNDECIDED = ("decision_reminder", "deputy", "expire")
OVERRAN = ("overrun",)
DISPLACED = ("displaced",)
TOLD: dict[tuple[str, ...], set[tuple[str, str]]] = {
    OVER: set(),
    MISSED: {("opened", "anna"), ("no_show", "anna"), ("no_show", "mia"), ("no_show", "max"),
             ("no_show", "dorte")},
    UNDECIDED: {("decision_reminder", "mia"), ("decision_reminder", "max"), ("deputy", "dorte"),
                ("expired", "anna"), ("expired", "mia"), ("expired", "max"), ("expired", "dorte")},
    OVERRAN: {("ending", "anna"), ("overrun", "anna"), ("overrun", "mia"), ("overrun", "max"),
              ("overrun", "dorte")},
    DISPLACED: {("displaced", "anna"), ("displaced", "mia"), ("displaced", "max"), ("displaced", "dorte")},
}  # fmt: skip
"""Dorte stands in for a manager."""
WAITING, VISITS = 6, 6


@pytest.fixture
def schedulers(database_url: str, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts real ones; none outlives the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        started.append(start_scheduler(database_url, tmp_path / "schedulers"))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(timeout=10)


def coming_due(session: Session, cast: Cast, size: int) -> dict[int, tuple[str, ...]]:
    """What is to happen to each reservation within the next seconds; who waits, and who is announced."""
    session.rollback()
    made = datetime.now(UTC)
    soon = made + timedelta(seconds=1)
    later = made + timedelta(days=2)
    chance = random.Random(size)

    def instant(longest: float = 3) -> datetime:
        return soon + timedelta(seconds=chance.uniform(0, longest))

    session.connection(execution_options={"labbook_write": True})
    session.add(
        Deputy(
            facility_id=cast.facility_id,
            manager_id=cast.mia.id,
            deputy_id=cast.dorte.id,
            starts_at=made - timedelta(days=1),
            ends_at=later,
            created_at=made,
        )
    )
    session.commit()
    windows: list[tuple[Window, tuple[str, ...]]] = []
    for _ in range(size):
        start = instant()
        windows.append((Window(start, start + timedelta(seconds=chance.uniform(0.1, 2)), made), OVER))
    for _ in range(size // 5):
        start = instant()
        missed = Window(start, start + timedelta(hours=2), made, check_in="required", grace=1)
        windows.append((missed, MISSED))
        start = soon + timedelta(seconds=chance.uniform(1, 4))
        windows.append((Window(start, start + timedelta(hours=1), made, status="requested"), UNDECIDED))
    for place in range(size // 10):
        end = instant(2)
        standing = Window(made - timedelta(hours=1), end, made, "in_use", "required", place=place)
        start = end + timedelta(seconds=chance.uniform(0.1, 1))
        following = Window(start, start + timedelta(hours=1), made, "approved", "required", 600, place)
        windows += [(standing, OVERRAN), (following, DISPLACED)]
    ids = crowd(
        session, [w for w, _ in windows], facility_id=cast.facility_id, holder=cast.anna, slug="crowd"
    )
    session.connection(execution_options={"labbook_write": True})
    scope = session.scalars(select(Equipment.id).where(Equipment.slug == "scope")).one()
    start = (made + timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
    for number in range(WAITING):
        session.add(
            WaitlistEntry(
                public_id=f"waits-{number}",
                user_id=(cast.bo.id, cast.carla.id)[number % 2],
                facility_id=cast.facility_id,
                mode=("book", "offer")[number % 2],
                earliest=start,
                latest=start + timedelta(hours=4),
                duration=3600,
                title="I wait",
                activity="research",
                created_at=made,
                due_at=instant(),
                wants=[WaitlistWant(equipment_id=scope)],
            )
        )
    session.commit()  # the crowd begins with a clean sheet
    (test,) = crowd(
        session,
        [Window(made - timedelta(hours=1), later, made, "in_use")],
        facility_id=cast.facility_id,
        holder=cast.anna,
        slug="long",
    )
    session.connection(execution_options={"labbook_write": True})
    for number in range(VISITS):
        session.add(
            Visit(
                public_id=f"visit-{number}",
                reservation_id=test,
                kind="visit",
                planned_at=start + timedelta(hours=number),
                length=1800,
                fixed=True,
                created_at=made,
                changed_at=made,
                due_at=instant(),
            )
        )
    session.commit()
    return dict(zip(ids, (steps for _, steps in windows), strict=True))


def certain(steps: Iterable[str]) -> tuple[str, ...]:
    """Without the reminders, which a scheduler that comes too late for them leaves out."""
    return tuple(step for step in steps if step not in ("decision_reminder", "deputy"))


def steps_done(session: Session) -> int:
    session.rollback()
    query = select(func.count()).select_from(HistoryEntry).where(HistoryEntry.rule == "scheduler")
    return session.scalar(query) or 0


def until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def heard(session: Session) -> int:
    session.rollback()
    return session.scalar(select(func.count()).select_from(SchedulerHeartbeat)) or 0


def settled(session: Session) -> bool:
    coming = sweep.next_due(session)
    return coming is None or coming > datetime.now(UTC) + timedelta(seconds=10)


def killing(
    session: Session,
    start: Callable[[], subprocess.Popen[bytes]],
    cast: Cast,
    size: int,
    kills: int,
    at_once: int,
) -> dict[int, tuple[str, ...]]:
    """Run ``at_once`` schedulers, kill one of them ``kills`` times meanwhile, and wait for the end."""
    chance = random.Random()
    running = [start() for _ in range(at_once)]
    until(lambda: heard(session) == at_once, 120)
    expected = coming_due(session, cast, size)
    total = sum(len(certain(steps)) for steps in expected.values())
    for share in sorted(chance.uniform(0.02, 0.8) for _ in range(kills)):
        until(lambda share=share: steps_done(session) >= share * total, 60)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 0.03))
        victim = running.pop(chance.randrange(len(running)))
        victim.kill()
        victim.wait(timeout=10)
        if len(running) < 2:
            running.append(start())
    until(lambda: settled(session) and steps_done(session) >= total, 120)
    return expected


def assert_each_once(session: Session, cast: Cast, expected: dict[int, tuple[str, ...]]) -> None:
    session.rollback()
    taken: dict[int, list[str]] = {}
    dues: dict[int, list[str]] = {}
    for entry in session.scalars(
        select(HistoryEntry).where(HistoryEntry.rule == "scheduler").order_by(HistoryEntry.id)
    ):
        taken.setdefault(entry.reservation_id, []).append(entry.action)
        dues.setdefault(entry.reservation_id, []).append(entry.new["due"])
    assert {key: certain(actions) for key, actions in taken.items()} == {
        key: certain(steps) for key, steps in expected.items()
    }
    assert all(Counter(taken[key]) <= Counter(steps) for key, steps in expected.items())
    assert all(each == sorted(each) for each in dues.values())
    names = {getattr(cast, name).id: name for name in ("anna", "bo", "carla", "dorte", "mia", "max", "tom")}
    told: dict[int | None, Counter[tuple[str, str]]] = defaultdict(Counter)
    for message in session.scalars(select(OutboxMessage)):
        told[message.reservation_id][message.kind, names[message.user_id]] += 1
    for key, steps in expected.items():
        found = told.pop(key, Counter())
        assert found <= Counter(TOLD[steps])
        left_out = set(TOLD[steps]) - set(found)
        late = {"opened", "ending", "decision_reminder", "deputy"} - set(taken[key])
        assert not {each for each in left_out if each[0] not in late}
    others = sum(told.values(), Counter())
    # Four hours of the oscilloscope: for the first four who wait for one, and nobody has two.
    entries = session.scalars(select(WaitlistEntry).order_by(WaitlistEntry.id)).all()
    served = [entry.reservation_id for entry in entries if entry.reservation_id is not None]
    assert len(served) == len(set(served)) == 4
    kept = session.scalars(select(Reservation.id).where(Reservation.title == "I wait")).all()
    assert sorted(kept) == sorted(served)
    assert others["visit", "tom"] == others["visit", "anna"] == VISITS
    assert others["waitlist_offer", "carla"] + others["waitlist_booked", "bo"] == 4
    assert verify.verify(session) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_of_several_schedulers_any_may_be_killed_at_any_moment(
    session: Session, cast: Cast, schedulers: Callable[[], subprocess.Popen[bytes]]
) -> None:
    expected = killing(session, schedulers, cast, size=200, kills=4, at_once=3)
    assert_each_once(session, cast, expected)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_one_scheduler_on_sqlite_may_be_killed_and_started_again(
    session: Session, cast: Cast, schedulers: Callable[[], subprocess.Popen[bytes]]
) -> None:
    expected = killing(session, schedulers, cast, size=60, kills=1, at_once=1)
    assert_each_once(session, cast, expected)
