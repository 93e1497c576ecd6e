"""Somebody's script: a token and a client, at a fixed time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from labbook.domain.access import Viewer
from labbook.extensions import db
from labbook.services import tokens
from tests.cast import NOW, at

START = at("2026-03-24 10:00")


class Script:
    """Calls the API as ``who``; None asks without any token."""

    def __init__(self, app: Flask, who: Viewer | None, *, scope: str | None = None) -> None:
        self.client = app.test_client()
        self.headers: dict[str, str] = {}
        if who is not None:
            made = tokens.create(db.session(), "Script", actor=who, now=NOW, scope=scope)
            self.headers["Authorization"] = f"Bearer {made.secret}"

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"json": body} if body is not None else {}
        return self.client.open(f"/api/v1{path}", method=method, headers=self.headers | named, **sent)

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.client.get(f"/api/v1{path}", query_string=query, headers=self.headers)

    def book(self, slug: str = "scope", **more: Any) -> TestResponse:
        return self.ask("POST", "/reservations", wish(slug, **more))


def wish(slug: str = "scope", *, start: datetime = START, hours: float = 2, **more: Any) -> dict[str, Any]:
    return {
        "equipment": [{"slug": slug}],
        "start": start.isoformat(),
        "end": (start + timedelta(hours=hours)).isoformat(),
        "title": "Double pulse",
        **more,
    }


def codes(answer: TestResponse) -> set[str]:
    assert answer.content_type == "application/problem+json"
    return {problem["code"] for problem in answer.json["problems"]}
