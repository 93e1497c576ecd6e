"""``flask backup`` and ``flask restore``: a consistent copy while the service runs, and back."""

from __future__ import annotations

from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy.engine import URL, make_url

from labbook.extensions import db
from labbook.services import backup as copies
from labbook.services.backup import BackupError

SENTENCES = {
    "no_database": "there is no database at {detail} yet",
    "same_file": "{detail} is the database itself",
    "not_empty": "{detail} holds people or equipment already; --replace overwrites it",
    "no_copy": "this is no copy of a Labbook database",
    "damaged": "the copy is damaged: {detail}",
    "not_written": "it could not be read or written, and nothing was changed: {detail}",
}
_TOOLS = {
    "backup": "pg_dump --format=custom --file FILE DATABASE",
    "restore": "pg_restore --clean --if-exists --single-transaction --no-owner --dbname DATABASE FILE",
}


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@with_appcontext
def backup(file: Path) -> None:
    """Write a consistent copy of the database to FILE, while the service runs."""
    try:
        size = copies.backup(_url(), file)
    except BackupError as error:
        raise _said(error, "backup") from error
    click.echo(f"{file}: {size} bytes")


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="overwrite a database that holds people or equipment")
@with_appcontext
def restore(file: Path, replace: bool) -> None:
    """Put the copy in FILE back, whole or not at all. Stop the service before."""
    db.session.remove()
    db.engine.dispose()
    try:
        revision = copies.restore(_url(), file, replace=replace)
    except BackupError as error:
        raise _said(error, "restore") from error
    click.echo(f"restored (schema {revision}); now: flask --app wsgi db upgrade, and verify")


def _url() -> URL:
    return make_url(current_app.config["SETTINGS"].database_url)


def _said(error: BackupError, action: str) -> click.ClickException:
    if error.code == "not_embedded":
        return click.ClickException(f"PostgreSQL has its own tool: {_TOOLS[action]}")
    return click.ClickException(SENTENCES[error.code].format(detail=error.detail))
