"""``flask project``: what reservations are charged to."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from flask.cli import AppGroup

from labbook.cli.refusals import refusals
from labbook.extensions import db
from labbook.services import projects
from labbook.services.projects import KeepProject

group = AppGroup("project", help="What reservations are charged to, and who else may see them.")


@group.command("create")
@click.argument("slug")
@click.option("--name", required=True)
@click.option("--organisation", required=True, metavar="SLUG")
@click.option("--activity", required=True, metavar="economic|collaboration|research|teaching|maintenance")
@click.option("--member", "members", multiple=True, metavar="EMAIL", help="of any organisation; repeatable")
def create(slug: str, name: str, organisation: str, activity: str, members: tuple[str, ...]) -> None:
    """Make a project; its members see everything that is charged to it."""
    with refusals():
        command = KeepProject(slug, name, organisation=organisation, activity=activity, members=members)
        made = projects.create(db.session(), command, actor=None, now=datetime.now(UTC))
    click.echo(f"Project {made.slug}: {made.name}, {len(made.members)} members")
