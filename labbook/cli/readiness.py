"""Whether the database is what this code needs; said in words before anything is served."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from alembic.script import ScriptDirectory
from flask import current_app

from labbook.extensions import db
from labbook.services import health
from labbook.services.health import Health


def known_revisions() -> tuple[str | None, set[str]]:
    """The newest Alembic revision that this code knows, and all of them."""
    folder = Path(current_app.extensions["migrate"].directory)
    scripts = ScriptDirectory(str(folder))
    return scripts.get_current_head(), {script.revision for script in scripts.walk_revisions()}


def examined() -> Health:
    """Raises in words when the database does not answer."""
    found = health.examine(db.session(), now=datetime.now(UTC))
    if not found.database:
        shown = db.engine.url.render_as_string(hide_password=True)
        raise click.ClickException(f"the database {shown} does not answer")
    return found


def require_ready() -> None:
    """Raises in words, all at once, when the database is not migrated or has lost its guards."""
    found = examined()
    newest, known = known_revisions()
    if found.schema is not None and found.schema not in known:
        raise click.ClickException(
            f"the database was migrated by a newer version of Labbook (revision {found.schema}); "
            "run that version, or restore a backup"
        )
    if found.schema != newest:
        raise click.ClickException("the database is not migrated; run: flask --app wsgi db upgrade")
    if found.missing_guards:
        raise click.ClickException(
            f"the database has lost its guards ({', '.join(found.missing_guards)}); put them back with: "
            "flask --app wsgi db upgrade, then look for damage with: flask --app wsgi verify"
        )
