"""Everybody of the cast at work, and the steps that stories are made of."""

from __future__ import annotations

from typing import Any

from flask import Flask

from tests.cast import Cast
from tests.web.people import Clock, Desk, Page


class House:
    """Everybody at a desk of their own."""

    def __init__(self, app: Flask, cast: Cast) -> None:
        self.clock = Clock(app)
        self.cast = cast
        self._app = app

    def __getattr__(self, name: str) -> Desk:
        desk = Desk(self._app, getattr(self.cast, name))
        setattr(self, name, desk)
        return desk


def booked(desk: Desk, equipment: str = "chamber", **more: Any) -> str:
    """The path of a reservation, two hours of tomorrow's morning unless said otherwise."""
    form = {
        "equipment": equipment,
        "title": "Damp heat",
        "start_date": "2026-03-24",
        "start_time": "10:00",
        "end_date": "2026-03-24",
        "end_time": "12:00",
    }
    made = desk.post("/book", **(form | more))
    assert made.status == 303, made.text
    return made.location


def step(desk: Desk, path: str, name: str, **form: Any) -> Page:
    """Take a step from the page as it stands now, and read where that leads."""
    shown = desk.get(path)
    given = {"revision": shown.value("revision") or "", "seen": shown.value("seen") or ""}
    done = desk.post(f"{path}/{name}", **(given | form))
    return desk.get(done.location) if done.status == 303 else done
