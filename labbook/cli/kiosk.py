"""``flask kiosk``: tablets beside the equipment."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import click
from flask import current_app
from flask.cli import AppGroup

from labbook.cli.refusals import refusals
from labbook.extensions import db
from labbook.services import kiosks

group = AppGroup("kiosk", help="Tablets beside the equipment: make, list and revoke.")

_ADDRESS = re.compile(r"^.*/kiosk-key/(?P<secret>[A-Za-z0-9_-]{20,})$")


@group.command("create")
@click.argument("equipment")
@click.option("--name", required=True, help="what the tablet is called, such as where it hangs")
def create(equipment: str, name: str) -> None:
    """Print a pairing address for a tablet at EQUIPMENT, once, alone on the last line.

    It is made in the name of the facility's first manager, and shows in full what is of their organisation.
    """
    with refusals():
        made = kiosks.create_for_keeper(db.session(), equipment, name, now=datetime.now(UTC))
    click.echo(f"Kiosk {made.device.id} at {equipment}: {name}. Open this address once, on the tablet:")
    click.echo(f"{current_app.config['SETTINGS'].base_url}/kiosk-key/{made.secret}")


@group.command("list")
def list_() -> None:
    """List the tablets that aren't revoked."""
    for each in kiosks.list_all(db.session()):
        seen = each.last_seen_at.isoformat(timespec="minutes") if each.last_seen_at else "not paired yet"
        click.echo(f"{each.id}\t{each.equipment}\t{seen}\t{each.name}")


@group.command("revoke")
@click.argument("which", metavar="ID|EQUIPMENT|ADDRESS")
def revoke(which: str) -> None:
    """Revoke the tablet with this number, all those at EQUIPMENT, or the one of an unused ADDRESS."""
    now, address = datetime.now(UTC), _ADDRESS.match(which)
    with refusals():
        if address is not None:
            count = kiosks.revoke_secret(db.session(), address["secret"], now=now)
        elif which.isdecimal() and len(which) < 19:
            count = kiosks.revoke_by_id(db.session(), int(which), now=now)
        else:
            count = kiosks.revoke_at(db.session(), which, now=now)
    click.echo(f"Revoked: {count}")
