"""Who asks: the holder of a token, else whoever is signed in with a browser."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NoReturn

from flask import Blueprint, g, request
from flask_login import current_user
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, NotFound
from labbook.extensions import csrf, db
from labbook.services import calendar, reservation_views, transaction, viewers
from labbook.services.viewers import Caller

READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Unauthenticated(Exception):
    """Nobody, or a token that is unknown, revoked or over."""


def guard(blueprint: Blueprint) -> None:
    """Ask before each view who it is for."""
    blueprint.before_request(_identify)


def viewer() -> Viewer:
    """Who asks; ``guard`` has seen to it that somebody does."""
    found: Viewer = g.api_viewer
    return found


def changes() -> int:
    """How many changes all calendars had seen when this was asked, for what stands still until the next."""
    if "api_changes" not in g:
        g.api_changes = calendar.changes(database())
    found: int = g.api_changes
    return found


def database() -> Session:
    return db.session()


def now() -> datetime:
    """One instant for the whole answer."""
    if "now" not in g:
        g.now = datetime.now(UTC)
    found: datetime = g.now
    return found


def _identify() -> None:
    """Only a request with an ``Authorization`` header is free of the guard against forged forms: so it must
    not fall back to the session, which another site's page could make a browser send.
    """
    if "\0" in request.path:
        raise NotFound("page")  # no name holds one, and PostgreSQL takes none
    transaction.read_apart(database())  # a write begins a transaction of its own
    if "Authorization" in request.headers:
        g.api_viewer, g.api_changes = _by_token(request.headers["Authorization"])
        if g.api_viewer.scope == "read" and request.method not in READING:
            _refuse_writing()
        return
    if not current_user.is_authenticated:
        raise Unauthenticated
    g.api_viewer = current_user.viewer
    if request.method not in READING:
        csrf.protect()


def _refuse_writing() -> NoReturn:
    """403 says that there is something: so what isn't there, or isn't theirs to know of, is 404 before."""
    if request.view_args and (public_id := request.view_args.get("public_id")) is not None:
        reservation_views.find(database(), public_id, viewer=viewer())
    raise Forbidden("write")


def _by_token(header: str) -> Caller:
    kind, _, token = header.partition(" ")
    found = viewers.by_token(database(), token.strip(), now()) if kind.lower() == "bearer" else None
    if found is None:
        raise Unauthenticated
    return found
