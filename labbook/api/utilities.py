"""What is drawn of a utility over time, against what there is."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from labbook.api.asking import database, viewer
from labbook.api.calendar import remembered
from labbook.api.reading import Query
from labbook.domain.interval import Interval
from labbook.services import utilities
from labbook.services.utilities import Load


def register(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/utilities/<slug>", "utility", show)


def show(slug: str) -> Response:
    """304 as for the calendar."""
    query = Query(request.args, ("from", "to"))
    since, until = query.window()
    if query.problems:
        utilities.find(database(), slug)  # what is not there is said before what is wrong with the question
    query.settle()
    assert since is not None
    assert until is not None
    within = Interval(since, until)
    return remembered(lambda: _load(utilities.read(database(), slug, within, viewer=viewer())))


def _load(load: Load) -> dict[str, Any]:
    utility = load.utility
    return {
        "slug": utility.slug,
        "name": utility.name,
        "facility": utility.facility,
        "capacity": utility.capacity / 1000,
        "unit": utility.unit,
        "exact": load.exact,
        "steps": [
            {"at": level.at, "drawn": level.drawn / 1000, "seen": level.seen / 1000} for level in load.levels
        ],
        "reservations": [
            {
                "id": each.id,
                "title": each.title,
                "start": each.start,
                "end": each.end,
                "drawn": each.amount / 1000,
            }
            for each in load.drawings
        ],
    }
