"""``flask organisation``: whose people book."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from flask.cli import AppGroup

from labbook.cli.refusals import refusals
from labbook.extensions import db
from labbook.services import organisations
from labbook.services.organisations import KeepOrganisation

group = AppGroup("organisation", help="Companies, universities, institutes, public bodies.")


@group.command("create")
@click.argument("slug")
@click.option("--name", required=True)
@click.option("--kind", required=True, metavar="company|university|institute|public")
def create(slug: str, name: str, kind: str) -> None:
    """Make an organisation."""
    with refusals():
        command = KeepOrganisation(slug, name, kind)
        made = organisations.create(db.session(), command, actor=None, now=datetime.now(UTC))
    click.echo(f"Organisation {made.slug}: {made.name}")
