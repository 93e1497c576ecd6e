"""``flask feed``: subscription addresses."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import click
from flask import current_app
from flask.cli import AppGroup

from labbook.domain.errors import NotFound, Refused
from labbook.extensions import db
from labbook.formats.wording import sentence
from labbook.services import feeds

group = AppGroup("feed", help="Calendar subscriptions: make, list and revoke addresses.")

_ADDRESS = re.compile(r"^(?:.*/feeds/)?(?P<secret>[A-Za-z0-9_-]{20,})(?:\.ics)?$")


@group.command("create")
@click.argument("email")
@click.option(
    "--scope",
    required=True,
    help="mine, organisation, project:SLUG, equipment:SLUG, environment:SLUG, facility:SLUG or approvals",
)
@click.option("--name", default="", help="what its holder calls it")
@click.option("--reference-only", is_flag=True, help="leave out titles and all else that people wrote")
def create(email: str, scope: str, name: str, reference_only: bool) -> None:
    """Print a subscription address for EMAIL, once, alone on the last line."""
    command = feeds.CreateFeed(scope, name=name, reference_only=reference_only)
    try:
        created = feeds.create_for(db.session(), email, command, now=datetime.now(UTC))
    except NotFound as error:
        raise click.ClickException(f"no active user {email}") from error
    except Refused as error:
        sentences = [sentence(problem.code, problem.params) for problem in error.problems]
        raise click.ClickException("\n".join(sentences)) from error
    click.echo(f"Feed {created.feed.id} of {email}: {scope}. The address is shown this once:")
    click.echo(f"{current_app.config['SETTINGS'].base_url}/feeds/{created.secret}.ics")


@group.command("list")
@click.argument("email")
def list_(email: str) -> None:
    """List the feeds of EMAIL that aren't revoked."""
    for feed in feeds.list_of(db.session(), email):
        used = feed.last_used_at.isoformat(timespec="minutes") if feed.last_used_at else "never used"
        click.echo(f"{feed.id}\t{feed.scope}\t{used}\t{feed.name}".rstrip())


@group.command("revoke")
@click.argument("which", metavar="ADDRESS|EMAIL")
def revoke(which: str) -> None:
    """Revoke the feed at ADDRESS, or every feed of EMAIL."""
    now = datetime.now(UTC)
    address = _ADDRESS.match(which)
    try:
        if address is not None:
            feeds.revoke_address(db.session(), address["secret"], now=now)
            count = 1
        else:
            count = feeds.revoke_all_of(db.session(), which, now=now)
    except NotFound as error:
        raise click.ClickException("no such feed, or it is revoked already") from error
    click.echo(f"Revoked: {count}")
