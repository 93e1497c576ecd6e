"""``flask demo``: a laboratory to look around in."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from flask import current_app
from flask.cli import with_appcontext

from labbook.cli.refusals import refusals
from labbook.extensions import db
from labbook.services import demo


@click.command("demo")
@with_appcontext
def command() -> None:
    """Load the example catalogue, accounts and a week of reservations. Doing it again adds nothing.

    Everybody's password is public: it is refused in production.
    """
    if current_app.config["SETTINGS"].is_production:
        raise click.ClickException("the example's passwords are public: it is not for production")
    with refusals():
        accounts = demo.fill(db.session(), now=datetime.now(UTC))
    click.echo("An example and no inventory. Everybody's password is: " + demo.PASSWORD)
    for account in accounts:
        click.echo(f"  {account.email:<26} {account.role:<11} {account.organisation}")
