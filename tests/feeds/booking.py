"""A reservation made, decided and changed through the services, for tests of what a calendar shows of it."""

from __future__ import annotations

from labbook.domain.access import Viewer
from labbook.extensions import db
from labbook.services import feeds, reservations
from labbook.services.commands import RequestReservation, Wanted
from tests.cast import NOW, at


def book(
    holder: Viewer,
    title: str,
    *equipment: str,
    start: str = "2026-03-24 10:00",
    end: str = "2026-03-24 12:00",
    **more: object,
) -> str:
    wanted = tuple(Wanted(slug) for slug in equipment)
    command = RequestReservation(wanted, at(start), at(end), title, **more)  # type: ignore[arg-type]
    return reservations.request(db.session(), command, actor=holder, now=NOW).id


def address(holder: Viewer, scope: str) -> str:
    """The path of a new feed."""
    created = feeds.create(db.session(), feeds.CreateFeed(scope), actor=holder, now=NOW)
    return f"/feeds/{created.secret}.ics"
