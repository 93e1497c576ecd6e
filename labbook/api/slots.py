"""The earliest slots that work, and what stood in the way of anything earlier."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, request

from labbook.api.answers import json_answer
from labbook.api.asking import database, now, viewer
from labbook.api.problems import locale
from labbook.api.reading import Query
from labbook.domain.durations import DurationError, parse_duration
from labbook.domain.errors import Problem
from labbook.domain.matching import Need
from labbook.formats import reasons
from labbook.formats.needs import read_ambient, read_need
from labbook.services import slot_search
from labbook.services.commands import Wanted
from labbook.services.slot_search import FindSlots, FoundSlot, FoundSlots, InTheWay

KNOWN = ("environment", "equipment", "need", "ambient", "facility", "duration", "from", "to", "limit")


def register(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/slots", "slots", show)


def show() -> Response:
    query = Query(request.args, KNOWN)
    since, until = query.window(required=False)
    asked = {
        "environment": query.text("environment"),
        "equipment": _equipment(query),
        "needs": _needs(query),
        "ambient": read_ambient(query.text("ambient", limit=1000) or "", "ambient", query.problems),
        "facility": query.text("facility"),
        "limit": query.whole("limit", 5, most=slot_search.LIMIT),
    }
    duration = _duration(query)
    query.settle()
    assert duration is not None
    found = slot_search.find(
        database(),
        FindSlots(duration, since or now(), until, **asked),  # type: ignore[arg-type]
        viewer=viewer(),
        now=now(),
    )
    return json_answer(
        {
            "items": [_slot(each) for each in found.slots],
            "because": [_because(each, found) for each in found.because],
        }
    )


def _equipment(query: Query) -> tuple[Wanted, ...]:
    """``a,b`` or, with how many places of each, ``a:2,b``."""
    found = []
    for part in query.listed("equipment"):
        slug, colon, places = part.partition(":")
        if colon and not (places.isascii() and places.isdecimal() and 0 < int(places[:6]) < 100_000):
            query.problems.append(Problem("bad_number", "equipment", params={"value": places[:40]}))
            continue
        found.append(Wanted(slug, int(places) if colon else 1))
    return tuple(found)


def _needs(query: Query) -> tuple[Need, ...]:
    found: list[Need] = []
    for text in query.args.getlist("need")[: slot_search.NEEDS_LIMIT + 1]:  # one more is too many
        found += read_need(text, "need", query.problems)
    return tuple(found)


def _duration(query: Query) -> timedelta | None:
    text = query.text("duration")
    if text is None:
        if not any(p.field == "duration" for p in query.problems):
            query.problems.append(Problem("missing", "duration"))
        return None
    try:
        return parse_duration(text)
    except DurationError as error:
        params = {"text": error.params["text"][:80]}
        query.problems.append(Problem(error.code, "duration", params=params))
        return None


def _slot(slot: FoundSlot) -> dict[str, Any]:
    return {
        "start": slot.use.start,
        "end": slot.use.end,
        "occupied": {"start": slot.occupied.start, "end": slot.occupied.end},
        "equipment": [{"slug": piece.slug, "places": piece.places} for piece in slot.pieces],
    }


def _because(each: InTheWay, found: FoundSlots) -> dict[str, Any]:
    return {
        "reason": each.reason,
        "equipment": each.equipment,
        "utility": each.utility,
        "need": each.need,
        "until": each.until,
        "message": reasons.sentence(each, found.names, locale(), ZoneInfo(found.zone)),
    }
