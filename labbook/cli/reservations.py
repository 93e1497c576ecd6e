"""``flask reservations``: existing calendars into the database."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from flask.cli import AppGroup

from labbook.cli.refusals import Failed, refusals
from labbook.extensions import db
from labbook.formats.calendar_file import NoCalendar
from labbook.formats.wording import sentence
from labbook.services import imports
from labbook.services.imports import Untaken

group = AppGroup("reservations", help="Reservations that were kept elsewhere.")


@group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--equipment", required=True, metavar="SLUG")
@click.option("--dry-run", is_flag=True, help="say what would be taken, and take nothing")
def import_(file: Path, equipment: str, dry_run: bool) -> None:
    """Take the events of FILE.ics; each that could not be taken is reported with its UID and why.

    Doing it again takes only what is new. Exit code 1 when anything could not be taken.
    """
    with refusals():
        try:
            done = imports.take(
                db.session(), file.read_bytes(), equipment, now=datetime.now(UTC), dry_run=dry_run
            )
        except NoCalendar as error:
            raise Failed(f"{file} is no iCalendar file") from error
    for untaken in done.untaken:
        click.echo(_line(untaken), err=True)
    would = "Would be: " if dry_run else ""
    click.echo(f"{would}{done.taken} taken, {done.known} known already, {len(done.untaken)} not taken.")
    if done.untaken:
        sys.exit(1)


def _line(untaken: Untaken) -> str:
    why = [sentence(problem.code, problem.params) for problem in untaken.problems]
    why += [
        f"{c.equipment} is taken from {c.start.isoformat()} to {c.end.isoformat()}" for c in untaken.conflicts
    ]
    return f"{untaken.uid or 'without UID'}: {untaken.title}: {' '.join(why)}"
