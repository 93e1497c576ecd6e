"""``flask user``: accounts."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click
from flask import current_app
from flask.cli import AppGroup

from labbook.cli.refusals import refusals
from labbook.extensions import db
from labbook.services import accounts, users
from labbook.services.users import CreateUser

group = AppGroup("user", help="Accounts of people.")


@group.command("create")
@click.argument("email")
@click.option("--name", required=True)
@click.option("--organisation", required=True, metavar="SLUG")
@click.option("--role", default="engineer", show_default=True, metavar="engineer|technician|manager|admin")
@click.option("--facility", "facilities", multiple=True, metavar="SLUG", help="where staff work; repeatable")
@click.option("--password-stdin", is_flag=True, help="read the password from standard input")
def create(
    email: str, name: str, organisation: str, role: str, facilities: tuple[str, ...], password_stdin: bool
) -> None:
    """Make an account; without a password, print an invitation link alone on the last line."""
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    command = CreateUser(email, name, organisation, role, facilities, password)
    now = datetime.now(UTC)
    with refusals():
        made = users.create(db.session(), command, actor=None, now=now)
        click.echo(f"{made.role.capitalize()} {made.name} <{made.email}> of {made.organisation}")
        if password is None:
            path = accounts.invitation_link(db.session(), made.email, now=now)
            click.echo("The invitation, also sent by mail; it works once:")
            click.echo(current_app.config["SETTINGS"].base_url + path)
