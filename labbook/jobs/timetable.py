"""The timetable: everything that Labbook does by itself, and how often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from labbook.jobs import tasks
from labbook.jobs.tasks import Work


@dataclass(frozen=True)
class Job:
    """``task`` may answer when it wants to run next, if that is sooner than ``every``.

    ``waits_for_the_clock``: what it does or gives up cannot be taken back, so it waits while the clock may
    be wrong.
    """

    name: str
    every: timedelta
    task: Callable[[Work], datetime | None]
    waits_for_the_clock: bool = False


TIMETABLE = (
    Job("sweep", timedelta(seconds=1), tasks.sweep_due, waits_for_the_clock=True),
    Job("outbox", timedelta(seconds=5), tasks.send_mail, waits_for_the_clock=True),
    Job("rigs", timedelta(seconds=1), tasks.tell_rigs, waits_for_the_clock=True),
    Job("invitations", timedelta(seconds=5), tasks.invite),
    Job("calendars", timedelta(minutes=10), tasks.compare_calendars),
)
