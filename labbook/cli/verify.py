"""``flask verify``: every promise checked again on the stored data."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from labbook.extensions import db
from labbook.services import verify as promises

WORDS = {
    "guard_missing": "the database has lost its guard {guard}",
    "guard_altered": "the guard {guard} is not the one that belongs here",
    "reference_broken": "row {row} of {table} refers to nothing in {parent}",
    "file_damaged": "the database file is damaged: {found}",
    "overlap": "{equipment}, place {place} is taken twice from {start} to {end}: by {one} and {other}",
    "over_budget": "{utility} carries {drawn} at {at}, of {capacity} (thousandths of its unit)",
    "draws_differ": "{reservation} draws {drawn} of {utility}, where {stated} was stated (thousandths)",
    "other_ambient": "{equipment} runs {one} and {other} at {start}, whose ambient profiles differ",
    "blocking_differs": "row {row} of {table} does not follow the status {status} of {reservation}",
    "places_differ": "{reservation} should occupy {wanted} places of {equipment}, and occupies {taken}",
    "span_differs": "{reservation} does not occupy the time that it says",
    "change_outlives": "{reservation} has ended and has a change that is still open",
    "change_holds": "{reservation} holds places for a change that is no longer open",
    "history_differs": "the history of {reservation} leads to {told}, its status is {status}",
    "due_differs": "{reservation} is due at {due}; by its times it should be due at {expected}",
    "message_lost": "message {message} ({kind}) is neither waiting nor settled, or both",
}


@click.command("verify")
@with_appcontext
def verify() -> None:
    """Re-check every promise on the stored data; exit 1 and a line for each breach."""
    found = promises.verify(db.session())
    for breach in found:
        click.echo(f"{breach.code}: {WORDS[breach.code].format_map(breach.params)}")
    if found:
        raise SystemExit(1)
    click.echo("Every promise holds.", err=True)
