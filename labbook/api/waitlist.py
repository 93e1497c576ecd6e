"""Waiting for what is taken: mine, joined, withdrawn, and what is offered taken or let go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, request

from labbook.api.answers import json_answer
from labbook.api.asking import database, now, viewer
from labbook.api.problems import Malformed
from labbook.api.reading import Query, Reader, parse
from labbook.domain.durations import DurationError, parse_duration, written_duration
from labbook.domain.errors import Forbidden, Refused
from labbook.domain.waiting import MODES
from labbook.services import reservations, waiting, waitlist_views
from labbook.services.choices import BookingChoices
from labbook.services.waiting import JoinWaitlist
from labbook.services.waitlist_views import EntryView

STEPS: Mapping[str, Callable[..., EntryView]] = {
    "withdraw": waiting.withdraw,
    "take": waiting.take,
    "let-go": waiting.let_go,
}


def register(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/waitlist", "waitlist", listed)
    blueprint.add_url_rule("/waitlist", "join_waitlist", join, methods=["POST"])
    for step in STEPS:
        blueprint.add_url_rule(
            f"/waitlist/<public_id>/{step}",
            endpoint=f"waitlist_{step.replace('-', '_')}",
            view_func=_view_of(step),
            methods=["POST"],
        )


def listed() -> Response:
    Query(request.args, ()).settle()
    return json_answer({"items": [_entry(each) for each in waitlist_views.mine(database(), viewer=viewer())]})


def join() -> Response:
    read = Reader(parse(request.get_data()))
    command = _command(read)
    read.done()
    if read.problems or command is None:
        raise Refused(read.problems)
    return json_answer(_entry(waiting.join(database(), command, actor=viewer(), now=now())), 201)


def _command(read: Reader) -> JoinWaitlist | None:
    equipment = read.texts("equipment", limit=reservations.PIECES_LIMIT)
    if not equipment and not any(p.field == "equipment" for p in read.problems):
        read.problem("missing", "equipment")
    earliest, latest = read.instant("earliest", required=True), read.instant("latest", required=True)
    length, title = _duration(read), read.text("title")
    if title is None and not read.has("title"):
        read.problem("missing", "title")
    values: dict[str, Any] = {
        "mode": read.choice("mode", MODES) or "offer",
        "places": read.whole("places", 1),
        "project": read.text("project"),
        "activity": read.choice("activity", BookingChoices.activities),
    }
    if not equipment or earliest is None or latest is None or title is None:
        return None
    duration = latest - earliest if length is None else length
    return JoinWaitlist(tuple(equipment), earliest, latest, duration, title, **values)


def _duration(read: Reader) -> timedelta | None:
    """None: all of the time from ``earliest`` to ``latest``."""
    text = read.text("duration")
    if text is None:
        return None
    try:
        return parse_duration(text)
    except DurationError as error:
        read.problem(error.code, "duration", **error.params)
        return None


def _view_of(step: str) -> Callable[..., Response]:
    def act(public_id: str) -> Response:
        _look(public_id, step)
        return json_answer(_entry(STEPS[step](database(), public_id, actor=viewer(), now=now())))

    return act


def _look(public_id: str, step: str) -> None:
    """A step asks for nothing; whoever says something all the same is told so, after 404 and 403."""
    try:
        read = Reader(parse(request.get_data()))
        read.done()
        wrong: Exception | None = Refused(read.problems) if read.problems else None
    except Malformed as error:
        wrong = error
    if wrong is not None:
        entry = waitlist_views.find(database(), public_id, viewer=viewer())
        if entry.user.id != viewer().id:
            raise Forbidden(step)
        raise wrong


def _entry(view: EntryView) -> dict[str, Any]:
    offer = view.offer
    return {
        "id": view.id,
        "state": view.state,
        "mode": view.mode,
        "facility": view.facility,
        "equipment": [piece.slug for piece in view.equipment],
        "places": view.places,
        "earliest": view.earliest,
        "latest": view.latest,
        "duration": written_duration(int(view.duration.total_seconds())),
        "title": view.title,
        "project": view.project,
        "activity": view.activity,
        "created_at": view.created_at,
        "offered_at": view.offered_at,
        "closed_at": view.closed_at,
        "offer": None
        if offer is None
        else {
            "reservation": offer.reservation,
            "start": offer.start,
            "end": offer.end,
            "equipment": [{"slug": piece.slug, "places": piece.places} for piece in offer.equipment],
            "until": offer.until,
        },
        "allowed": sorted(view.allowed),
    }
