"""APScheduler's wiring. The truth is in the rows (``due_at``); the scheduler only says when to look.

Its memory store forgets everything with the process, and that is all right: a persistent store would lose
a job that a crash interrupts, and two schedulers on one store run jobs twice. ``misfire_grace_time=None``:
by default a run that is a second late is dropped.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.executors.pool import BasePoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from labbook.config import Settings
from labbook.domain.errors import StorageTrouble
from labbook.extensions import db
from labbook.jobs.steadiness import QUIET, Steadiness
from labbook.jobs.tasks import Work
from labbook.jobs.timetable import TIMETABLE, Job
from labbook.services import heartbeats
from labbook.services.heartbeats import Tally

log = logging.getLogger(__name__)

_LOOK_EVERY = 0.5  # seconds
_BREATH = timedelta(milliseconds=5)


class _Executor(BasePoolExecutor):  # type: ignore[misc]
    """Runs jobs in threads that we may wait for ourselves."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        super().__init__(pool)


class Scheduler:
    """Runs the timetable in threads of this process, from ``start`` to ``stop``."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._running: BackgroundScheduler | None = None
        self._threads = ThreadPoolExecutor(1)
        self.name = ""
        self.started_at = datetime.min.replace(tzinfo=UTC)
        self._tally = Tally()
        self._steadiness = Steadiness(self.started_at, 0.0)
        self._looking = threading.Lock()
        self._ended = threading.Event()
        self._watch = threading.Thread()

    def start(self) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self.started_at = datetime.now(UTC)
        self._tally = Tally()
        self._threads = ThreadPoolExecutor(len(TIMETABLE))
        scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": _Executor(self._threads)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for job in TIMETABLE:
            scheduler.add_job(
                self._run,
                "interval",
                args=[job],
                id=job.name,
                seconds=job.every.total_seconds(),
                next_run_time=self.started_at,
            )
        scheduler.add_listener(self._wake, EVENT_JOB_EXECUTED)
        self._running = scheduler
        self._steadiness = Steadiness(self.started_at, time.monotonic())
        scheduler.start()
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._watch_clock, args=[self._ended], daemon=True)
        self._watch.start()

    def stop(self) -> None:
        """Wait for what runs, and take back the sign of life.

        APScheduler's own waiting holds the locks that a job which ends meanwhile needs, for good.
        """
        scheduler, self._running = self._running, None
        if scheduler is None:
            return
        self._ended.set()
        self._watch.join()
        scheduler.shutdown(wait=False)
        self._threads.shutdown(wait=True)
        try:
            with self._app.app_context(), Session(db.engine) as session:
                heartbeats.forget(session, self.name)
        except (StorageTrouble, OperationalError):
            log.warning("the scheduler ended without saying so: the database takes no writes")

    def _watch_clock(self, ended: threading.Event) -> None:
        """APScheduler plans by the wall clock: set back by an hour, it would not run anything for an hour."""
        while not ended.wait(_LOOK_EVERY):
            self._look(datetime.now(UTC))

    def _look(self, wall: datetime) -> bool:
        """Whether the wall clock can be trusted; when it was just set, every job looks at it anew."""
        with self._looking:
            counted = time.monotonic()
            jump, steady = self._steadiness.look(wall, counted), self._steadiness.is_steady(counted)
        scheduler = self._running
        if jump is not None and scheduler is not None:
            log.warning(
                "the clock was set by %s; enforcement waits until it has kept pace for %s", jump, QUIET
            )
            for job in scheduler.get_jobs():
                scheduler.modify_job(job.id, next_run_time=wall)
        return steady

    def _run(self, job: Job) -> datetime | None:
        """One run of one job; whatever fails is logged and tried again at the next."""
        now = datetime.now(UTC)
        if not self._look(now) and job.waits_for_the_clock:
            return None
        settings: Settings = self._app.config["SETTINGS"]
        try:
            with self._app.app_context(), Session(db.engine) as session:
                work = Work(session, settings, self.name, self.started_at, now, self._tally)
                return job.task(work)
        except (StorageTrouble, OperationalError) as error:
            log.warning("%s: the database is not available: %s", job.name, type(error).__name__)
        except Exception:  # the loop outlives every job
            log.exception("%s failed", job.name)
        return None

    def _wake(self, event: Any) -> None:
        """Run a job earlier than its interval says, where it asked for that.

        In the listener and not in the job: there it would still count as running, and be skipped.
        """
        wanted: datetime | None = event.retval
        scheduler = self._running
        job = scheduler.get_job(event.job_id) if scheduler is not None else None
        if scheduler is None or job is None or wanted is None or job.next_run_time is None:
            return
        # A step that another process holds stays due for a moment: without a floor this would spin.
        soonest = max(wanted, datetime.now(UTC) + _BREATH)
        if soonest < job.next_run_time:
            scheduler.modify_job(event.job_id, next_run_time=soonest)
