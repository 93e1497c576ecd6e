"""What Labbook does by itself: the timetable, and the scheduler that runs it."""

from flask import Flask

from labbook.jobs.scheduler import Scheduler

EXTENSION = "labbook_scheduler"


def register(app: Flask) -> None:
    """Give the app its scheduler, not started: the serving command and the scheduler's own do that."""
    app.extensions[EXTENSION] = Scheduler(app)
