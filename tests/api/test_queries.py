"""What an answer costs does not grow with what there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import event

from labbook.extensions import db
from labbook.models import Facility
from tests.api.asking import START, Script
from tests.cast import Cast, equipment

WEEK = "from=2026-03-23T00:00:00Z&to=2026-03-30T00:00:00Z"
FEW, MORE, MANY = 1, 10, 50


@contextmanager
def counted() -> Iterator[list[str]]:
    """The questions put to the database meanwhile; what is written is as much as there is to write."""
    seen: list[str] = []

    def note(*given: object) -> None:
        if str(given[2]).startswith("SELECT"):
            seen.append(str(given[2]))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


@pytest.fixture
def pieces(app_cast: Cast) -> list[str]:
    db.session.rollback()
    db.session.connection(execution_options={"labbook_write": True})
    facility = db.session.get(Facility, app_cast.facility_id)
    assert facility is not None
    slugs = [f"meter-{n:02}" for n in range(MANY)]
    for slug in slugs:
        equipment(db.session(), facility, slug, approval="automatic", category="meter")
    db.session.commit()
    return slugs


def cost(script: Script, path: str) -> int:
    script.ask("GET", path)  # whatever is remembered is remembered now
    with counted() as seen:
        assert script.ask("GET", path).status_code == 200
    return len(seen)


def test_a_calendar_of_fifty_pieces_costs_as_many_queries_as_of_one(
    app: Flask, app_cast: Cast, pieces: list[str]
) -> None:
    anna, carla = Script(app, app_cast.anna), Script(app, app_cast.carla)
    for slug in pieces:
        assert anna.book(slug).status_code == 201
    for script in (anna, carla):
        costs = [
            cost(script, f"/calendar?equipment={','.join(pieces[:n])}&{WEEK}") for n in (FEW, MORE, MANY)
        ]
        assert len(set(costs)) == 1
        assert costs[0] <= 6
        assert cost(script, f"/calendar?facility=cie&{WEEK}") <= 6


def test_an_unchanged_calendar_costs_one_query(app: Flask, app_cast: Cast) -> None:
    anna = Script(app, app_cast.anna)
    anna.book()
    path = f"/calendar?facility=cie&{WEEK}"
    tag = anna.ask("GET", path).headers["ETag"]
    with counted() as seen:
        assert anna.ask("GET", path, If_None_Match=tag).status_code == 304
    assert len(seen) == 1


def test_a_reservation_of_fifty_pieces_costs_as_many_queries_as_of_one(
    app: Flask, app_cast: Cast, pieces: list[str]
) -> None:
    anna = Script(app, app_cast.anna)

    def made(day: int, count: int) -> int:
        start = START + timedelta(days=day)
        with counted() as seen:
            body = {"equipment": [{"slug": slug} for slug in pieces[:count]]}
            assert anna.book(start=start, **body).status_code == 201
        return len(seen)

    made(0, FEW)
    costs = [made(day, count) for day, count in ((1, FEW), (2, MORE), (3, MANY))]
    assert len(set(costs)) == 1
    assert costs[0] <= 12
