from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from labbook.extensions import db
from labbook.jobs import EXTENSION, tasks, timetable
from labbook.models import HistoryEntry, Reservation, SchedulerHeartbeat
from labbook.services import health, reservations
from labbook.services.commands import RequestReservation, Wanted
from tests.cast import Cast


def eventually(true: Callable[[], bool], within: float = 10) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False


def statuses() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Reservation.status).order_by(Reservation.id)))


def book_from(cast: Cast, start: datetime, end: datetime) -> None:
    wish = RequestReservation((Wanted("scope"),), start, end, title="A test")
    asked = replace(wish, holder=cast.anna.email)  # a manager is free of the grid
    reservations.request(db.session(), asked, actor=cast.mia, now=datetime.now(UTC))


def test_the_scheduler_opens_a_window_when_it_is_due_and_ends_cleanly(
    app: Flask, app_cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    rare = timedelta(hours=1)  # so that only having asked for it makes the sweep look again
    (sweeping,) = (job for job in timetable.TIMETABLE if job.name == "sweep")
    monkeypatch.setattr("labbook.jobs.scheduler.TIMETABLE", (replace(sweeping, every=rare),))
    soon = datetime.now(UTC) + timedelta(seconds=3)
    book_from(app_cast, soon, soon + timedelta(hours=2))
    scheduler = app.extensions[EXTENSION]
    scheduler.start()
    try:
        assert eventually(lambda: statuses() == ["in_use"])
        opened = db.session.scalars(select(HistoryEntry).where(HistoryEntry.action == "start")).one()
        assert datetime.fromisoformat(opened.new["due"]) == soon
        assert opened.at >= soon
        assert eventually(lambda: bool(db.session.scalars(select(SchedulerHeartbeat)).all()))
    finally:
        scheduler.stop()
    db.session.rollback()
    assert db.session.scalars(select(SchedulerHeartbeat)).all() == []


def test_a_sweep_that_fails_gives_no_sign_of_life(
    app: Flask, app_cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(session: object, *, now: datetime, watch: object) -> dict[str, int]:
        raise RuntimeError("broken")

    now = datetime.now(UTC)
    work = tasks.Work(db.session(), app.config["SETTINGS"], "one", now, now)
    with monkeypatch.context() as patch:
        patch.setattr("labbook.services.sweep.sweep", failing)
        with pytest.raises(RuntimeError):
            tasks.sweep_due(work)
    assert health.examine(db.session(), now=now).scheduler_silent(now)
    tasks.sweep_due(work)
    assert not health.examine(db.session(), now=now).scheduler_silent(now)


def test_a_job_that_fails_is_logged_and_runs_again(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runs = []

    def failing(work: tasks.Work) -> None:
        runs.append(work.now)
        raise RuntimeError("broken")

    job = timetable.Job("failing", timedelta(seconds=0.1), failing)
    monkeypatch.setattr("labbook.jobs.scheduler.TIMETABLE", (job,))
    scheduler = app.extensions[EXTENSION]
    scheduler.start()
    try:
        assert eventually(lambda: len(runs) > 2)
    finally:
        scheduler.stop()
    assert "failing failed" in caplog.text


def test_making_the_app_starts_no_scheduler(app: Flask) -> None:
    assert app.extensions[EXTENSION].name == ""


def test_a_job_that_ends_while_the_scheduler_stops_does_not_hold_it_up(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(work: tasks.Work) -> datetime:
        begun.set()
        may_end.wait(10)
        ended.set()
        return work.now  # wants to run again at once, which asks the scheduler that is being stopped

    job = timetable.Job("slow", timedelta(seconds=60), slow)
    monkeypatch.setattr("labbook.jobs.scheduler.TIMETABLE", (job,))
    scheduler = app.extensions[EXTENSION]
    scheduler.start()
    assert begun.wait(10)
    stopping = threading.Thread(target=scheduler.stop, daemon=True)
    stopping.start()
    stopping.join(0.2)
    assert stopping.is_alive()  # it waits for what runs
    may_end.set()
    stopping.join(10)
    assert not stopping.is_alive()
    assert ended.is_set()


def test_while_the_clock_may_be_wrong_nobody_loses_their_slot_and_the_scheduler_stays_awake(
    app: Flask, app_cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set back by an hour, APScheduler's next run would lie an hour ahead; set forward, all would be due."""
    book_from(app_cast, datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) + timedelta(hours=2))
    scheduler = app.extensions[EXTENSION]
    scheduler.start()
    try:
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=1, minutes=30)):
            assert eventually(lambda: not scheduler._steadiness.is_steady(time.monotonic()))
            time.sleep(1.5)  # the time of a sweep that would have been
            assert statuses() == ["approved"]
        monkeypatch.setattr(scheduler._steadiness, "is_steady", lambda counted: True)
        with time_machine.travel(datetime.now(UTC) - timedelta(hours=1)):
            before = scheduler._running.get_job("sweep").next_run_time
            assert eventually(lambda: scheduler._running.get_job("sweep").next_run_time < before)
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=1, minutes=30)):
            assert eventually(lambda: statuses() == ["in_use"]), "what is right after all is caught up with"
    finally:
        scheduler.stop()


@pytest.mark.parametrize("name", ["outbox", "rigs"])
def test_nothing_is_claimed_or_given_up_by_a_clock_that_may_be_wrong(
    app: Flask, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Set forward by a month, a mail that waits for its server would be given up."""
    runs = []
    (job,) = (job for job in timetable.TIMETABLE if job.name == name)
    job = replace(job, task=runs.append)
    scheduler = app.extensions[EXTENSION]
    for steady in (False, True):
        monkeypatch.setattr(scheduler._steadiness, "is_steady", lambda counted, steady=steady: steady)
        scheduler._run(job)
        assert bool(runs) is steady
