"""What the timeline shows: in full what is yours to see, and nothing but busy blocks of the rest."""

from __future__ import annotations

import hashlib

from flask import Blueprint, Response, request

from labbook.api.answers import json_answer
from labbook.api.asking import database, viewer
from labbook.api.reading import Query
from labbook.domain.interval import Interval
from labbook.services import calendar
from labbook.services.calendar import Calendar, Window


def register(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/calendar", "calendar", show)


def show() -> Response:
    """304 costs two small queries: who asks, and whether anything changed in the facilities asked for."""
    query = Query(request.args, ("facility", "equipment", "from", "to"))
    since, until = query.window()
    window_of = {"facility": query.text("facility"), "equipment": query.listed("equipment")}
    query.settle()
    assert since is not None
    assert until is not None
    tag = _tag(calendar.stamp(database(), viewer=viewer()))
    if request.if_none_match.contains(tag):
        return _tagged(Response(status=304), tag)
    window = Window(Interval(since, until), **window_of)  # type: ignore[arg-type]
    return _tagged(json_answer({"items": _items(calendar.read(database(), window, viewer=viewer()))}), tag)


def _tag(stamp: str) -> str:
    """Who asks is part of it: of two people behind one cache each sees something else."""
    return hashlib.sha256(f"{stamp} {request.query_string!r}".encode()).hexdigest()[:32]


def _tagged(answer: Response, tag: str) -> Response:
    answer.set_etag(tag)
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.vary.add("Authorization")
    answer.vary.add("Cookie")
    return answer


def _items(found: Calendar) -> list[dict[str, object]]:
    items: list[dict[str, object]] = [
        {
            "id": id_,
            "visibility": "full",
            "status": status,
            "kind": kind,
            "title": title,
            "start": start,
            "end": end,
            "occupied": {"start": occupied_start, "end": occupied_end},
            "equipment": equipment,
        }
        for id_, status, kind, title, start, end, occupied_start, occupied_end, equipment in found.full
    ]
    items += [
        {
            "id": id_,
            "visibility": "busy",
            "start": start,
            "end": end,
            "equipment": [equipment],
            "hazards": hazards,
        }
        for id_, start, end, equipment, hazards in found.busy
    ]
    return items
