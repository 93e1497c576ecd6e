"""``flask scheduler``: the enforcement process; any number of them on PostgreSQL."""

from __future__ import annotations

import signal
import threading
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from labbook.cli.readiness import require_ready


@click.command("scheduler")
@with_appcontext
def scheduler() -> None:
    """Enforce slot windows and send mail, until Ctrl-C or SIGTERM."""
    require_ready()
    ended = threading.Event()

    def end(*_: Any) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    running = current_app.extensions["labbook_scheduler"]
    running.start()
    click.echo("The scheduler is running.")
    try:
        ended.wait()
    finally:
        running.stop()
