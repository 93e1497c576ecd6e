"""The browser's session: who is signed in, for pages and for the API alike."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask, Request, g
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_login import UserMixin

from labbook.domain.access import Viewer
from labbook.extensions import db, login
from labbook.services import viewers


class SignedIn(UserMixin):  # type: ignore[misc]
    """What Flask-Login keeps of a viewer: the id, and the epoch that ends all sessions at once."""

    def __init__(self, viewer: Viewer, epoch: int) -> None:
        self.viewer = viewer
        self.epoch = epoch

    def get_id(self) -> str:
        return f"{self.viewer.id}.{self.epoch}"


@login.user_loader  # type: ignore[untyped-decorator]
def load(kept: str) -> SignedIn | None:
    """The session's user as stored now; None when the session is of an older epoch or malformed.

    None as well on the page that says that the database does not answer: it must not be asked again.
    """
    if g.get("unreachable"):
        return None
    user_id, _, epoch = kept.partition(".")
    if not (user_id.isdecimal() and epoch.isdecimal() and len(kept) < 32):
        return None
    viewer = viewers.by_user_id(db.session(), int(user_id), int(epoch), _now())
    return None if viewer is None else SignedIn(viewer, int(epoch))


def _now() -> datetime:
    """One instant for the whole answer."""
    if "now" not in g:
        g.now = datetime.now(UTC)
    found: datetime = g.now
    return found


class Sessions(SecureCookieSessionInterface):
    """A request that brings a token, or has one for its address, has no session: none is read or kept."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if "Authorization" in request.headers or request.path.startswith("/feeds/"):
            return None
        return super().open_session(app, request)
