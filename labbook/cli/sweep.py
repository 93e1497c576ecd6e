"""``flask sweep``: one enforcement pass."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from flask.cli import with_appcontext

from labbook.cli.instants import Instant
from labbook.extensions import db
from labbook.services import sweep as enforcement

END = datetime(2200, 1, 1, tzinfo=UTC)
"""Nothing is booked for so late, and what overran then would grow beyond the calendar."""


@click.command("sweep")
@click.option(
    "--now", type=Instant(before=END), help="pretend that it is this instant, as in 2026-03-24T10:00:00Z"
)
@with_appcontext
def sweep(now: datetime | None) -> None:
    """Take every step that is due; a line for each kind with its count, nothing when nothing was due."""
    done = enforcement.sweep(db.session(), now=now or datetime.now(UTC))
    for step, count in sorted(done.items()):
        click.echo(f"{step} {count}")
