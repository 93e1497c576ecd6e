"""``flask catalogue``: the catalogue file into the database."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup

from labbook.domain.durations import written_duration, written_hours
from labbook.domain.errors import StorageTrouble
from labbook.extensions import db
from labbook.formats.catalogue_entries import CatalogueRefused, Fault
from labbook.formats.wording import sentence
from labbook.services import catalogue

group = AppGroup("catalogue", help="Facilities, utilities, equipment and test environments.")

_DURATIONS = ("setup", "run", "teardown", "slot_")


@group.command("load")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="say what would change, and change nothing")
def load(file: Path, dry_run: bool) -> None:
    """Upsert every entry of FILE by its slug; all of it or, where anything is wrong, nothing."""
    try:
        loaded = catalogue.load(db.session(), _text(file), now=datetime.now(UTC), dry_run=dry_run)
    except CatalogueRefused as refused:
        _complain(file, refused.faults)
        click.echo(f"Nothing was changed: {_count(len(refused.faults), 'error')}.", err=True)
        sys.exit(1)
    except StorageTrouble as error:
        raise click.ClickException(
            "the database is busy or cannot be written; nothing was changed"
        ) from error
    _complain(file, loaded.warnings, "warning: ")
    for change in loaded.changes:
        click.echo(_line(change))
    made = sum(change.created for change in loaded.changes)
    would = "Would have: " if dry_run else ""
    click.echo(f"{would}{made} created, {len(loaded.changes) - made} updated.")


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        raise CatalogueRefused([Fault(line, "", "not_utf_8")]) from None


def _complain(file: Path, faults: Iterable[Fault], weight: str = "") -> None:
    """``FILE:LINE: PATH: what is wrong``, as editors jump to it."""
    for fault in faults:
        path = f"{fault.path}: " if fault.path else ""
        click.echo(f"{file}:{fault.line}: {weight}{path}{sentence(fault.code, fault.params)}", err=True)


def _line(change: catalogue.EntryChange) -> str:
    if change.created:
        return f"created {change.kind} {change.slug}"
    what = "; ".join(
        f"{f.field}: {_written(f.field, f.old)} -> {_written(f.field, f.new)}" for f in change.fields
    )
    return f"updated {change.kind} {change.slug}: {what}"


def _written(field: str, value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and field.startswith(_DURATIONS):
        return written_duration(value)
    if field == "readouts":
        return "[" + ", ".join(written_hours(each) for each in value) + "]"
    if isinstance(value, dict):
        if "text" in value and "unit" in value:
            return str(value["text"])
        return "{" + ", ".join(f"{key} = {_written('', each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_written("", each) for each in value) + "]"
    return str(value)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
