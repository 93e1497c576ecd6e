"""What the timeline shows: in full what is yours to see, and nothing but busy blocks of the rest."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeAlias

from flask import Blueprint, Response, request

from labbook.api.answers import json_answer
from labbook.api.asking import changes, database, viewer
from labbook.api.reading import Query
from labbook.domain.access import Viewer
from labbook.domain.interval import Interval
from labbook.services import calendar
from labbook.services.calendar import Calendar, Window


def register(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/calendar", "calendar", show)


def show() -> Response:
    """304 costs one small query: who asks, and whether anything changed since they were last answered.

    The tag is of who asks and what the answer says: behind one cache nobody gets somebody else's, and what
    somebody may not see changes nothing in what they get.
    """
    query = Query(request.args, ("facility", "equipment", "from", "to"))
    since, until = query.window()
    window_of = {"facility": query.text("facility"), "equipment": query.listed("equipment")}
    query.settle()
    assert since is not None
    assert until is not None
    window = Window(Interval(since, until), **window_of)  # type: ignore[arg-type]
    return remembered(lambda: {"items": _items(calendar.read(database(), window, viewer=viewer()))})


def remembered(read: Callable[[], Any]) -> Response:
    """What ``read`` answers to this address, with its tag; 304 where nothing changed of it."""
    asked = (viewer(), request.full_path.encode())
    counted = changes()
    known = _tags.get(asked)
    if known is not None and known[0] == counted and request.if_none_match.contains(known[1]):
        return _tagged(Response(status=304), known[1])
    answer = json_answer(read())
    tag = hashlib.sha256(b"%d " % viewer().id + answer.get_data()).hexdigest()[:32]
    _tags.put(asked, (counted, tag))
    if request.if_none_match.contains(tag):
        return _tagged(Response(status=304), tag)
    return _tagged(answer, tag)


_Asked: TypeAlias = tuple[Viewer, bytes]


class _Tags:
    """The tag that an answer had, and the count of changes of which it is. Safe between threads."""

    LIMIT = 4096
    QUERY_LIMIT = 2000

    def __init__(self) -> None:
        self._kept: OrderedDict[_Asked, tuple[int, str]] = OrderedDict()
        self._lock = Lock()

    def get(self, asked: _Asked) -> tuple[int, str] | None:
        with self._lock:
            return self._kept.get(asked)

    def put(self, asked: _Asked, tag: tuple[int, str]) -> None:
        if len(asked[1]) > self.QUERY_LIMIT:
            return
        with self._lock:
            self._kept[asked] = tag
            self._kept.move_to_end(asked)
            if len(self._kept) > self.LIMIT:
                self._kept.popitem(last=False)


_tags = _Tags()


def _tagged(answer: Response, tag: str) -> Response:
    answer.set_etag(tag)
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.headers["Vary"] = "Authorization, Cookie"
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
            "occupied": {"start": taken_from, "end": taken_until},
            "equipment": equipment,
            "standing": standing,
        }
        for id_, status, kind, title, start, end, taken_from, taken_until, equipment, standing in found.full
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
