"""Reservations: listed, requested, read, changed, and taken a step further."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from flask import Blueprint, Response, request, url_for

from labbook.api.answers import json_answer, reservation, reservation_answer
from labbook.api.asking import database, now, viewer
from labbook.api.problems import Malformed
from labbook.api.reading import Query, Reader, parse
from labbook.domain.errors import Problem, Refused, RevisionRequired
from labbook.domain.matching import Need
from labbook.domain.reservation import Status
from labbook.formats.needs import read_ambient, read_need
from labbook.services import changes, decisions, opening, permits, reservation_views, reservations
from labbook.services.choices import BookingChoices
from labbook.services.commands import ChangeReservation, Decide, RequestReservation, Wanted
from labbook.services.reservation_views import ReservationView, Search
from labbook.services.slot_search import NEEDS_LIMIT

PAGE, PAGE_LIMIT = 100, 500
PEOPLE_LIMIT = 200
CODES_LIMIT = 50
DRAWS_LIMIT = 50
_LATER = ("recurrence",)
_NO_REVISION = -1

T = TypeVar("T")


def register(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/reservations", view_func=listed)
    blueprint.add_url_rule("/reservations", view_func=create, methods=["POST"])
    blueprint.add_url_rule("/reservations/<public_id>", "reservation", show)
    blueprint.add_url_rule("/reservations/<public_id>", view_func=change, methods=["PATCH"])
    for step in STEPS:
        blueprint.add_url_rule(
            f"/reservations/<public_id>/{step}",
            endpoint=step.replace("-", "_"),
            view_func=_view_of(step),
            methods=["POST"],
        )


# --- reading ------------------------------------------------------------------------------------------

_QUERY = ("from", "to", "facility", "equipment", "environment", "status", "mine", "cursor", "limit")


def listed() -> Response:
    query = Query(request.args, _QUERY)
    since, until = query.window(required=False)
    statuses = query.listed("status")
    if set(statuses) - set(Status):
        query.problems.append(Problem("not_one_of", "status", params={"choices": sorted(Status)}))
    wanted = Search(
        start=since,
        end=until,
        facility=query.text("facility"),
        equipment=query.listed("equipment"),
        environment=query.text("environment"),
        status=statuses,
        mine=query.flag("mine"),
        after=_cursor(query),
        limit=query.whole("limit", PAGE, most=PAGE_LIMIT),
    )
    query.settle()
    page = reservation_views.search(database(), wanted, viewer=viewer())
    return json_answer({"items": [reservation(view) for view in page.items], "next": _written(page.next)})


def _cursor(query: Query) -> tuple[datetime, str] | None:
    text = query.text("cursor")
    if text is None:
        return None
    found: datetime | None
    try:
        at, _, row = base64.urlsafe_b64decode(text.encode("ascii")).decode("ascii").partition(" ")
        found = datetime.fromisoformat(at)
    except (ValueError, binascii.Error):
        found = None
    if found is None or found.tzinfo is None or not re.fullmatch("[0-9a-f]{1,40}", row):
        query.problems.append(Problem("malformed_cursor", "cursor"))
        return None
    return found, row


def _written(after: tuple[datetime, str] | None) -> str | None:
    if after is None:
        return None
    return base64.urlsafe_b64encode(f"{after[0].isoformat()} {after[1]}".encode("ascii")).decode("ascii")


def show(public_id: str) -> Response:
    return reservation_answer(reservation_views.find(database(), public_id, viewer=viewer()))


# --- requesting ---------------------------------------------------------------------------------------


def create() -> Response:
    body = parse(request.get_data())
    read = Reader(body)
    command = _request(read)
    read.done()
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= 255 and key.isprintable()):
        read.problem("idempotency_key_malformed", "Idempotency-Key")
    if read.problems or command is None:
        raise Refused(read.problems)
    made = reservations.request(database(), command, actor=viewer(), now=now())
    if command.dry_run:
        return reservation_answer(made, 200)
    answer = reservation_answer(made, 201)
    answer.headers["Location"] = url_for("api.reservation", public_id=made.id)
    return answer


def _request(read: Reader) -> RequestReservation | None:
    """None when something that must be there is not; ``read.problems`` says what."""
    wanted = _equipment(read)
    environment = read.text("environment")
    needs = _needs(read)
    nothing = not wanted and environment is None and not needs
    if nothing and not any(p.field in ("equipment", "needs") for p in read.problems):
        read.problem("missing", "equipment")
    start, end = read.instant("start", required=True), read.instant("end", required=True)
    title = read.text("title")
    if title is None and not read.has("title"):
        read.problem("missing", "title")
    for name in _LATER:
        read.skip(name)
        if read.has(name):
            read.problem("not_available", name)
    key = request.headers.get("Idempotency-Key")
    values: dict[str, Any] = {
        "environment": environment,
        "project": read.text("project"),
        "activity": read.choice("activity", BookingChoices.activities),
        "notes": read.text("notes") or "",
        "holder": read.text("holder"),
        "participants": read.texts("participants", limit=PEOPLE_LIMIT) or (),
        "expected_end": read.instant("expected_end"),
        "traceable": read.flag("traceable"),
        "kind": read.choice("kind", ("booking", "block")) or "booking",
        "use_now": read.flag("use_now"),
        "override": read.texts("override", limit=CODES_LIMIT) or (),
        "reason": read.text("reason") or "",
        "draws": read.texts_by_name("draws", limit=DRAWS_LIMIT) or {},
        "dry_run": read.flag("dry_run"),
        "needs": needs,
        "ambient": read_ambient(read.text("ambient") or "", "ambient", read.problems),
        "idempotency_key": key,
        "fingerprint": hashlib.sha256(request.get_data()).hexdigest() if key else "",
    }
    if start is None or end is None or title is None:
        return None
    return RequestReservation(equipment=tuple(wanted or ()), start=start, end=end, title=title, **values)


def _equipment(read: Reader) -> list[Wanted] | None:
    return read.objects("equipment", _wanted, limit=reservations.PIECES_LIMIT)


def _needs(read: Reader) -> tuple[Need, ...]:
    found: list[Need] = []
    for text in read.texts("needs", limit=NEEDS_LIMIT) or ():
        found += read_need(text, "needs", read.problems)
    return tuple(found)


def _wanted(read: Reader) -> Wanted | None:
    slug, places, whole = read.text("slug"), read.whole("places", 1), read.flag("whole")
    if whole and read.has("places"):
        read.problem("places_or_whole", "places")
    if slug is None and not read.has("slug"):
        read.problem("missing", "slug")
    return None if slug is None else Wanted(slug, places, whole)


# --- changing -----------------------------------------------------------------------------------------


def change(public_id: str) -> Response:
    """What is not said stays as it is. 428 without ``If-Match``, 412 with an older one."""
    wish, revision = settled(public_id, "edit", _own_wish, revision_required=True)
    changed = changes.change(database(), public_id, wish, revision=revision, actor=viewer(), now=now())
    return reservation_answer(changed)


def _wish(read: Reader) -> ChangeReservation:
    read.choice("scope", ("one", "following", "all"))  # of a series; of one reservation they are the same
    wanted = _equipment(read)
    for name in ("start", "end", "equipment", "title"):
        if read.cleared(name):
            read.problem("missing", name)
    notes, project = read.text("notes"), read.text("project")
    participants = read.texts("participants", limit=PEOPLE_LIMIT)
    return ChangeReservation(
        start=read.instant("start"),
        end=read.instant("end"),
        equipment=None if wanted is None else tuple(wanted),
        title=read.text("title"),
        notes="" if read.cleared("notes") else notes,
        project="" if read.cleared("project") else project,
        participants=() if read.cleared("participants") else participants,
        expected_end=read.instant("expected_end"),
        without_expected_end=read.cleared("expected_end"),
        override=read.texts("override", limit=CODES_LIMIT) or (),
        reason=read.text("reason") or "",
        dry_run=read.flag("dry_run"),
    )


def _own_wish(read: Reader) -> ChangeReservation:
    """What a proposal does not say, besides."""
    return replace(_wish(read), draws=read.texts_by_name("draws", limit=DRAWS_LIMIT))


STEPS = (
    "approve",
    "decline",
    "cancel",
    "check-in",
    "check-out",
    "abort",
    "extend",
    "transfer",
    "message",
    "propose",
    "withdraw",
    "permit",
)

_DECISIONS: dict[str, Callable[..., ReservationView]] = {
    "approve": decisions.approve,
    "decline": decisions.decline,
    "cancel": decisions.cancel,
    "check-in": decisions.check_in,
    "check-out": decisions.check_out,
    "abort": decisions.abort,
    "extend": decisions.extend,
    "transfer": decisions.transfer,
    "message": decisions.message,
    "permit": permits.sign,
}


def _view_of(step: str) -> Callable[..., Response]:
    if step == "propose":
        return _propose
    if step == "withdraw":
        return _withdraw

    def take(public_id: str) -> Response:
        command, _ = settled(public_id, step.replace("-", "_"), lambda read: _decision(read, public_id))
        return reservation_answer(_DECISIONS[step](database(), command, actor=viewer(), now=now()))

    return take


def _decision(read: Reader, public_id: str) -> Decide:
    return Decide(
        public_id,
        revision=_revision(),
        reason=read.text("reason") or "",
        cause=read.text("cause"),
        until=read.instant("until"),
        to=read.text("to"),
        text=read.text("text") or "",
        draws=read.texts_by_name("draws", limit=DRAWS_LIMIT),
        override=read.texts("override", limit=CODES_LIMIT) or (),
    )


def _propose(public_id: str) -> Response:
    wish, revision = settled(public_id, "propose", _wish)
    return reservation_answer(
        changes.propose(database(), public_id, wish, revision=revision, actor=viewer(), now=now())
    )


def _withdraw(public_id: str) -> Response:
    _, revision = settled(public_id, "withdraw", lambda read: read.skip("reason"))
    return reservation_answer(
        changes.withdraw(database(), public_id, revision=revision, actor=viewer(), now=now())
    )


def settled(
    public_id: str, action: str, read_into: Callable[[Reader], T], *, revision_required: bool = False
) -> tuple[T, int | None]:
    """The command in the body, and the revision it was made on.

    Refusals come in the order 404, 403, 412 or 428, and then what is wrong with the body: so where the
    body is wrong or the revision missing, the reservation is looked at first.
    """
    revision = _revision()
    missing = revision_required and "If-Match" not in request.headers
    malformed: Malformed | None = None
    read = Reader({})
    try:
        read = Reader(parse(request.get_data()))
    except Malformed as error:
        malformed = error
    command = read_into(read)
    read.done()
    if missing or malformed or read.problems:
        opening.look(database(), public_id, action, actor=viewer(), revision=revision)
        if missing:
            raise RevisionRequired
        raise malformed or Refused(read.problems)
    return command, revision


def _revision() -> int | None:
    """The revision that ``If-Match`` names; None without the header, or for any (``*``).

    One that cannot be a revision of ours matches none.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    found = re.fullmatch(r'\s*"(\d{1,9})"\s*', header)
    return int(found[1]) if found else _NO_REVISION
