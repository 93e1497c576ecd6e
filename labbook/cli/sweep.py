"""``flask sweep``: one enforcement pass."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from flask.cli import with_appcontext

from labbook.cli.instants import INSTANT
from labbook.extensions import db
from labbook.services import sweep as enforcement


@click.command("sweep")
@click.option("--now", type=INSTANT, help="pretend that it is this instant, as in 2026-03-24T10:00:00Z")
@with_appcontext
def sweep(now: datetime | None) -> None:
    """Take every step that is due; a line for each kind with its count, nothing when nothing was due."""
    done = enforcement.sweep(db.session(), now=now or datetime.now(UTC))
    for step, count in sorted(done.items()):
        click.echo(f"{step} {count}")
