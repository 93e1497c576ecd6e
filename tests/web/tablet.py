"""A tablet beside the equipment: a browser with nobody signed in, paired by its address."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from labbook.domain.access import Viewer
from labbook.extensions import db
from labbook.services import kiosk_codes
from tests.signing import form_token
from tests.web.people import Desk, Page


class Tablet:
    def __init__(self, app: Flask, maker: Desk, equipment: str = "chamber", name: str = "door") -> None:
        made = maker.post("/manage/kiosks", equipment=equipment, name=name)
        assert made.status == 200, made.text
        found = re.search(r"(/kiosk-key/[\w-]+)<", made.html)
        assert found is not None
        self.address = found[1]
        self.path = f"/kiosk/{equipment}"
        self.client: FlaskClient = app.test_client()
        self.token = form_token(app)
        paired = self.client.get(self.address)
        assert (paired.status_code, paired.location) == (302, self.path)
        with self.client.session_transaction() as session:
            session["csrf_token"] = "a test's"

    @property
    def secret(self) -> str:
        cookie = self.client.get_cookie("kiosk", path="/kiosk")
        assert cookie is not None
        return cookie.value

    def get(self, path: str = "", **query: Any) -> Page:
        return Page(self.client.get(path or self.path, query_string=query or None))

    def post(self, step: str, **form: Any) -> Page:
        return Page(self.client.post(f"{self.path}/{step}", data={"csrf_token": self.token, **form}))

    def step(self, step: str, **form: Any) -> Page:
        """Take a step and read where it leads."""
        done = self.post(step, **form)
        return self.get(done.location) if done.status == 303 else done


def code_of(who: Viewer) -> str:
    return kiosk_codes.make(db.session(), actor=who)
