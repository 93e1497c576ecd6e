"""A test's client as somebody who has signed in, and the token that its forms carry."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer

from labbook.domain.access import Viewer


class Client(FlaskClient):
    """Each request in a context of its own, as in life.

    The test's own context is pushed already, and Flask would share its ``g``: with it who is signed in.
    """

    def open(self, *args: Any, **kwargs: Any) -> Any:
        with self.application.app_context():
            return super().open(*args, **kwargs)


def client_of(app: Flask, viewer: Viewer) -> FlaskClient:
    client = app.test_client()
    with client.session_transaction() as session:
        session["_user_id"] = f"{viewer.id}.0"
        session["_fresh"] = True
        session["csrf_token"] = "a test's"
    return client


def form_token(app: Flask) -> str:
    """What a form of ``client_of`` sends as ``csrf_token``."""
    return str(URLSafeTimedSerializer(app.secret_key or "", salt="wtf-csrf-token").dumps("a test's"))


def session_cookie(app: Flask, viewer: Viewer) -> str:
    """The value of the session's cookie, for a real browser."""
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    return str(serializer.dumps({"_user_id": f"{viewer.id}.0", "_fresh": True}))
