"""Somebody signed in at a desk: a test client that fills in forms as a browser does, at a fixed time."""

from __future__ import annotations

import re
from datetime import datetime
from html import unescape
from typing import Any

from flask import Flask, g
from sqlalchemy import select
from werkzeug.test import TestResponse

from labbook.domain.access import Viewer
from labbook.extensions import db
from labbook.models import User
from tests.cast import NOW
from tests.signing import client_of, form_token


class Clock:
    """The app's one clock, standing still until a test moves it."""

    def __init__(self, app: Flask) -> None:
        self.now = NOW
        app.before_request_funcs.setdefault(None, []).insert(0, self._set)

    def _set(self) -> None:
        g.now = self.now

    def move_to(self, now: datetime) -> None:
        self.now = now


class Desk:
    """One person's browser."""

    def __init__(self, app: Flask, who: Viewer) -> None:
        self.client = client_of(app, who)
        epoch = db.session.scalar(select(User.session_epoch).where(User.id == who.id))
        db.session.rollback()
        with self.client.session_transaction() as session:
            session["_user_id"] = f"{who.id}.{epoch}"
        self.token = form_token(app)

    def get(self, path: str, **query: Any) -> Page:
        return Page(self.client.get(path, query_string=query or None))

    def post(self, path: str, **form: Any) -> Page:
        return Page(self.client.post(path, data={"csrf_token": self.token, **form}))


class Page:
    """An answer: its status, where it leads, its text as one reads it."""

    def __init__(self, answer: TestResponse) -> None:
        self.status = answer.status_code
        self.location = answer.location
        self.html = answer.get_data(as_text=True)

    @property
    def text(self) -> str:
        """Without tags and attributes, white space folded."""
        body = self.html.partition("<main")[2].partition(">")[2] or self.html
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", body))).strip()

    def value(self, name: str) -> str | None:
        """What a field of the page holds."""
        for pattern in (
            rf'<input[^>]*\sname="{name}"[^>]*\svalue="([^"]*)"',
            rf'<textarea[^>]*\sname="{name}"[^>]*>\n?(.*?)</textarea>',
            rf'<select[^>]*\sname="{name}".*?<option value="([^"]*)" selected',
        ):
            if found := re.search(pattern, self.html, re.DOTALL):
                return unescape(found[1])
        return None

    def offers(self, step: str) -> bool:
        """Whether a form on the page posts to that step."""
        return bool(re.search(rf'action="/reservations/[0-9a-f]+/{step}"', self.html))
