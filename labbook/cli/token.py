"""``flask token``: personal API tokens."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from flask.cli import AppGroup

from labbook.cli.instants import EXPIRY
from labbook.cli.refusals import Failed, refusals
from labbook.domain.access import Viewer
from labbook.extensions import db
from labbook.services import tokens, viewers

group = AppGroup("token", help="Personal API tokens: make, list and revoke.")


def _owner(email: str) -> Viewer:
    found = viewers.by_email(db.session(), email, datetime.now(UTC))
    if found is None:
        raise Failed(f"there is no active user {email}")
    return found


@group.command("create")
@click.argument("email")
@click.option("--name", required=True, help="what it is for")
@click.option("--scope", metavar="read", help="read: no writing; default: all that its user may")
@click.option(
    "--expires", type=EXPIRY, help="an instant, a date (until its end, UTC) or a duration such as P90D"
)
def create(email: str, name: str, scope: str | None, expires: datetime | None) -> None:
    """Print a token that acts for EMAIL, once, alone on the last line."""
    owner = _owner(email)
    with refusals():
        made = tokens.create(
            db.session(), name, actor=owner, now=datetime.now(UTC), scope=scope, expires_at=expires
        )
    until = f" until {made.token.expires_at.isoformat()}" if made.token.expires_at else ""
    click.echo(f"Token {made.token.id} of {owner.email}{until}. It is shown this once:")
    click.echo(made.secret)


@group.command("list")
@click.argument("email")
def list_(email: str) -> None:
    """List the tokens of EMAIL that aren't revoked."""
    for token in tokens.list_own(db.session(), viewer=_owner(email)):
        used = token.last_used_at.isoformat(timespec="minutes") if token.last_used_at else "never used"
        click.echo(f"{token.id}\t{token.scope or 'everything'}\t{used}\t{token.name}")


@group.command("revoke")
@click.argument("which", metavar="TOKEN|EMAIL")
@click.option("--name", help="only those of EMAIL with this name")
@click.option("--id", "token_id", type=int, help="only the one of EMAIL with this number")
def revoke(which: str, name: str | None, token_id: int | None) -> None:
    """Revoke a token itself, or those of EMAIL."""
    now = datetime.now(UTC)
    if "@" not in which:
        with refusals():
            tokens.revoke_secret(db.session(), which, now=now)
        click.echo("Revoked: 1")
        return
    owner = _owner(which)
    chosen = [
        token
        for token in tokens.list_own(db.session(), viewer=owner)
        if name in (None, token.name) and token_id in (None, token.id)
    ]
    if not chosen:
        raise Failed("there is no such token, or it is revoked already")
    with refusals():
        for token in chosen:
            tokens.revoke(db.session(), token.id, actor=owner, now=now)
    click.echo(f"Revoked: {len(chosen)}")
