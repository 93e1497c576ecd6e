"""The OpenAPI 3.1 description, written out: one entry for each address, schemas by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from labbook.api.reservations import PAGE_LIMIT, STEPS
from labbook.domain.reservation import Status
from labbook.domain.waiting import MODES
from labbook.domain.words import NOTES_LIMIT, TITLE_LIMIT
from labbook.services.calendar import DAYS_LIMIT
from labbook.services.choices import BookingChoices
from labbook.services.reservations import PIECES_LIMIT
from labbook.services.slot_search import LIMIT as SLOTS_LIMIT
from labbook.services.slot_search import NEEDS_LIMIT

Json = dict[str, Any]

VERSION = "1"


def _string(description: str = "", **more: Any) -> Json:
    return {"type": "string", **({"description": description} if description else {}), **more}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(items: Json, **more: Any) -> Json:
    return {"type": "array", "items": items, **more}


def _object(required: Sequence[str] = (), **properties: Json) -> Json:
    found: Json = {"type": "object", "properties": properties}
    return found | ({"required": list(required)} if required else {})


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


INSTANT = _string("RFC 3339 with an offset; answered in UTC with Z.", format="date-time")
SLUG = _string("Short name of a catalogue entry.", maxLength=200)
NAME: Json = {
    "type": "object",
    "description": "A text for each language: en, da, de.",
    "additionalProperties": {"type": "string"},
}
_ACTIVITY = {"type": "string", "enum": list(BookingChoices.activities)}
_STATUS = {"type": "string", "enum": list(Status)}

_PIECE = _object(
    ("slug",),
    slug=SLUG,
    places={"type": "integer", "minimum": 1, "default": 1, "maximum": 10_000},
    whole={
        "type": "boolean",
        "description": "Every place that it has now, instead of `places`. Answered where it is so of a piece "
        "that has several.",
    },
)
_SPAN = _object(("start", "end"), start=INSTANT, end=INSTANT)

_PROBLEM = _object(
    ("code", "message", "weight", "overridable"),
    code=_string("Stays the same whatever the language."),
    message=_string("A sentence in the reader's language."),
    field=_or_null({"type": "string"}),
    weight={"type": "string", "enum": ["blocking", "warning"]},
    overridable={"type": "boolean", "description": "Whether a manager may set it aside."},
)

_PROBLEMS = _object(
    ("type", "title", "status", "detail"),
    type=_string(),
    title=_string(),
    status={"type": "integer"},
    detail=_string(),
    problems=_list(_ref("Problem")),
    conflicts=_list(_object(("equipment", "start", "end"), equipment=SLUG, start=INSTANT, end=INSTANT)),
)

_HISTORY = _object(
    ("at", "action"),
    at=INSTANT,
    actor=_or_null(_string("Who did it; null for a rule or the clock.")),
    rule=_or_null({"type": "string"}),
    action=_string(),
    old={"type": "object"},
    new={"type": "object"},
    reason=_string(),
)

_CHANGE = _object(
    ("kind", "start", "end", "equipment"),
    kind={"type": "string", "enum": ["change", "proposal"]},
    proposed_by=_string(),
    start=INSTANT,
    end=INSTANT,
    equipment=_list(_ref("Piece")),
    created_at=INSTANT,
)

_VISIT = _object(
    ("id", "kind", "start", "end", "revision"),
    id=_string("Opaque."),
    kind={"type": "string", "enum": ["readout", "visit"]},
    after=_or_null(_string("ISO 8601, hours of running: `PT168H`.")),
    start=_or_null(INSTANT),
    end=_or_null(INSTANT),
    laid={"type": "boolean", "description": "There was room for it, within the use and in staffed time."},
    staffed={"type": "boolean", "description": "The laboratory has people there throughout."},
    overdue={"type": "boolean"},
    note=_string(),
    done_at=_or_null(INSTANT),
    done_by=_or_null({"type": "string"}),
    done_note=_string(),
    dropped_at=_or_null(INSTANT),
    revision={"type": "integer"},
)

_LONG_TEST = {
    **_object(
        ("accrued", "planned", "visits"),
        running_since=_or_null(INSTANT),
        accrued=_string("ISO 8601, hours: how long it has run, pauses not counted."),
        planned=_string("ISO 8601, hours: until its last read-out, or until the end expected."),
        paused_since=_or_null(INSTANT),
        expected_end=INSTANT,
        next_readout=_or_null(_string("The id of a visit.")),
        visits=_list(_ref("Visit")),
    ),
    "description": "Of what is used for a day or longer, or visited. Null in lists. While it stands still, "
    "`start` and `end` of read-outs are null: they are not known.",
}

_RESERVATION = _object(
    ("id", "status", "visibility", "start", "end", "occupied", "equipment", "title", "revision"),
    id=_string("Opaque."),
    kind={"type": "string", "enum": ["booking", "block"]},
    status=_STATUS,
    visibility={"type": "string", "const": "full"},
    facility=SLUG,
    start=INSTANT,
    end=INSTANT,
    occupied=_ref("Span"),
    expected_end=_or_null(INSTANT),
    equipment=_list(_ref("Piece")),
    environment=_or_null(SLUG),
    draws={
        "type": "object",
        "additionalProperties": {"type": "string"},
        "description": "Utility -> what it draws of it at most, with its unit.",
    },
    title=_string(),
    notes=_string(),
    project=_or_null(SLUG),
    activity=_ACTIVITY,
    organisation=SLUG,
    holder=_string("E-mail address.", format="email"),
    requested_by=_string("E-mail address.", format="email"),
    participants=_list(_string("E-mail address.", format="email")),
    series={"type": "null"},
    pending_change=_or_null(_ref("Change")),
    check_in={"type": "string", "enum": ["none", "required"]},
    checked_in_at=_or_null(INSTANT),
    checked_out_at=_or_null(INSTANT),
    overrun_since=_or_null(INSTANT),
    displaced_since=_or_null(INSTANT),
    cancel_cause=_or_null({"type": "string", "enum": ["user", "lab", "fault"]}),
    decide_by=_or_null(INSTANT),
    hold=_or_null(
        {
            "type": "string",
            "enum": ["offer", "option"],
            "description": "A request that nobody decides: offered from the waitlist, or a manager's option.",
        }
    ),
    customer=_or_null(_string("Whom an option is for; told to the facility's staff only.")),
    overridden=_list({"type": "string"}),
    permit={
        "type": "object",
        "description": "Where it is required, nothing is energised before it is signed.",
        "properties": {"required": {"type": "boolean"}, "signed_at": _or_null(INSTANT)},
        "required": ["required", "signed_at"],
    },
    allowed=_list(_string("A step that you may take now.")),
    long_test=_or_null(_ref("LongTest")),
    revision={"type": "integer"},
    history=_list(_ref("HistoryEntry")),
    messages=_list(_object(("at", "author", "text"), at=INSTANT, author=_string(), text=_string())),
    problems=_list(_ref("Problem")),
)

_TITLE = _string("No control characters.", minLength=1, maxLength=TITLE_LIMIT)
_NOTES = _string("Line breaks are allowed, other control characters not.", maxLength=NOTES_LIMIT)
_PEOPLE = _list(_string("E-mail address."), maxItems=200)
_DRAWS = {
    "type": "object",
    "additionalProperties": _or_null({"type": "string"}),
    "maxProperties": 50,
    "description": "Utility -> what it draws, with its unit, stated by a manager for somebody else instead "
    "of what is reckoned; a reason is needed. Null goes back to what is reckoned.",
}
_CODES = _list(_string("Code of a problem that a manager sets aside."), maxItems=50)
_EQUIPMENT = _list(_ref("Piece"), maxItems=PIECES_LIMIT)

_REQUEST = {
    **_object(
        ("start", "end", "title"),
        equipment=_EQUIPMENT,
        environment=_or_null(SLUG),
        needs=_or_null(
            _list(_string("As in `dc-source; dc_voltage: 800 V; places: 1; count: 2`."), maxItems=NEEDS_LIMIT)
        ),
        ambient=_or_null(_string("What a shared chamber runs, as in `temperature: 85 degC`.")),
        start=INSTANT,
        end=INSTANT,
        title=_TITLE,
        project=_or_null(SLUG),
        activity=_or_null(_ACTIVITY),
        notes=_or_null(_NOTES),
        holder=_or_null(_string("E-mail address; you, if left out.")),
        participants=_or_null(_PEOPLE),
        expected_end=_or_null(INSTANT),
        traceable={"type": "boolean", "default": False},
        kind={"type": "string", "enum": ["booking", "block"], "default": "booking"},
        use_now={"type": "boolean", "default": False},
        draws=_or_null(_DRAWS),
        override=_or_null(_CODES),
        reason=_or_null({"type": "string"}),
        dry_run={"type": "boolean", "default": False},
    ),
    "additionalProperties": False,
    "description": "`equipment`, or `environment`, or both; or `needs`, with the equipment that meets them "
    "or without.",
}

_PATCH = {
    **_object(
        (),
        start=INSTANT,
        end=INSTANT,
        equipment=_EQUIPMENT,
        title=_TITLE,
        notes=_or_null(_NOTES),
        project=_or_null(SLUG),
        participants=_or_null(_PEOPLE),
        expected_end=_or_null(INSTANT),
        draws=_or_null(_DRAWS),
        override=_or_null(_CODES),
        reason=_or_null({"type": "string"}),
        scope=_or_null({"type": "string", "enum": ["one", "following", "all"]}),
        dry_run={"type": "boolean", "default": False},
    ),
    "additionalProperties": False,
    "description": "What is left out stays as it is. Null empties `notes`, `project`, `participants` and "
    "`expected_end`; `start`, `end`, `equipment` and `title` are never empty.",
}

_PROPOSAL = {
    **_PATCH,
    "properties": {name: each for name, each in _PATCH["properties"].items() if name != "draws"},
}

_STEP = {
    **_object(
        (),
        reason=_or_null({"type": "string"}),
        cause=_or_null({"type": "string", "enum": ["user", "lab", "fault"]}),
        until=_or_null(INSTANT),
        to=_or_null(_string("E-mail address.")),
        text=_or_null(_NOTES),
        draws=_or_null({**_DRAWS, "description": "With an approval, as in PATCH."}),
        override=_or_null(_CODES),
    ),
    "additionalProperties": False,
}

_NEW_VISIT = {
    **_object(
        (),
        after=_or_null(_string("ISO 8601: a read-out after so much running, in the first staffed time.")),
        at=_or_null(INSTANT),
        length=_or_null(_string("ISO 8601; half an hour, if left out.")),
        note=_or_null(_NOTES),
    ),
    "additionalProperties": False,
    "description": "Either `after` or `at`.",
}

_VISIT_STEP = {**_object((), note=_or_null(_NOTES)), "additionalProperties": False}

_VISIT_MOVE = {
    **_object(
        ("at",), at=INSTANT, length=_or_null(_string("ISO 8601; as it was, if left out.")),
        note=_or_null(_NOTES),
    ),
    "additionalProperties": False,
}  # fmt: skip

_TEST_STEP = {
    **_object((), at=_or_null(INSTANT), reason=_or_null(_NOTES)),
    "additionalProperties": False,
}

_FACILITY = _object(
    ("slug", "name", "time_zone"),
    slug=SLUG,
    name=_ref("Name"),
    time_zone=_string("IANA name."),
    country=_or_null({"type": "string"}),
    staffed={"type": "object", "additionalProperties": _list({"type": "string"})},
    duty_phone=_or_null({"type": "string"}),
    rooms=_list({"type": "string"}),
    utilities=_list(_object(("slug",), slug=SLUG, name=_ref("Name"), capacity=_string())),
    closures=_list(
        _object(("kind", "start", "end"), kind=_string(), start=INSTANT, end=INSTANT, reason=_string())
    ),
    example={"type": "boolean"},
)

_QUANTITIES = {"type": "object", "additionalProperties": {"type": "string"}}
_DURATION = _string("ISO 8601.")

_PIECE_OF_CATALOGUE = _object(
    ("slug", "facility", "name", "category", "places", "state"),
    slug=SLUG,
    facility=SLUG,
    room=_or_null({"type": "string"}),
    name=_ref("Name"),
    description=_ref("Name"),
    category=_string(),
    maker=_string(),
    type=_string(),
    serial=_string(),
    documents=_list({"type": "string"}),
    portable={"type": "boolean"},
    places={"type": "integer"},
    pool={"type": "boolean"},
    attended={"type": "boolean"},
    setup=_DURATION,
    teardown=_DURATION,
    approval={"type": "string", "enum": ["manager", "automatic"]},
    check_in={"type": "string", "enum": ["none", "required"]},
    state={"type": "string", "enum": ["in_service", "out_of_service", "retired"]},
    capabilities=_QUANTITIES,
    parallel={"type": "boolean"},
    draws=_QUANTITIES,
    qualifications=_list({"type": "string"}),
    hazards=_list({"type": "string"}),
    calibration=_or_null({"type": "object"}),
    slot={"type": "object"},
    example={"type": "boolean"},
)

_ENDS = _object(("below", "above"), below=_string(), above=_string())
_FOUND: Json = {
    "allOf": [
        _ref("Equipment"),
        _object(
            together=_list(SLUG, description="Like pieces that it works in parallel with."),
            fit=_list(
                _object(
                    ("capability", "asked", "offered", "more", "less"),
                    capability=_string(),
                    asked=_string(),
                    offered=_string(),
                    more={**_ENDS, "description": "How much more is offered, in the unit asked in."},
                    less={**_ENDS, "description": "How much is missing, in the unit asked in."},
                )
            ),
        ),
    ]
}

_NEED = _object(
    ("equipment", "category", "capabilities", "count", "places", "whole"),
    equipment=_or_null(SLUG),
    category=_or_null(_string("Any of this category that offers the capabilities.")),
    capabilities=_QUANTITIES,
    count={"type": "integer"},
    places={"type": "integer"},
    whole={"type": "boolean", "description": "Every place that the piece has."},
)

_ENVIRONMENT = _object(
    ("slug", "facility", "name", "needs"),
    slug=SLUG,
    facility=SLUG,
    organisation=_or_null(_string("Whose own it is; null: everybody's.")),
    version={"type": "integer"},
    name=_ref("Name"),
    description=_ref("Name"),
    setup=_or_null(
        {**_DURATION, "description": "ISO 8601; null: the longest of its parts'. So is teardown."}
    ),
    run=_or_null({**_DURATION, "description": "ISO 8601; how long it usually takes."}),
    teardown=_or_null(_DURATION),
    ambient=_QUANTITIES,
    draws={**_QUANTITIES, "description": "For these utilities, instead of the sum of its parts'."},
    permit={"type": "boolean"},
    staffing={"enum": ["attended", "unattended", None], "description": "null: as its parts say."},
    on_call=_string("Whom to call while nobody is there."),
    safe_state=_string("What it falls into."),
    qualifications=_list({"type": "string"}, description="Asked for in addition to its parts'."),
    hazards=_list({"type": "string"}, description="In addition to its parts'."),
    readouts=_list(_DURATION),
    needs=_list(_NEED),
    example={"type": "boolean"},
)

_LOAD = _object(
    ("slug", "capacity", "unit", "exact", "steps"),
    slug=SLUG,
    name=_ref("Name"),
    facility=SLUG,
    capacity={"type": "number", "description": "In `unit`."},
    unit=_string(),
    exact={
        "type": "boolean",
        "description": "The staff's. Otherwise what others draw is counted in round figures, upwards.",
    },
    steps=_list(
        _object(
            ("at", "drawn", "seen"),
            at=INSTANT,
            drawn={"type": "number", "description": "From then on until the next step."},
            seen={"type": "number", "description": "Of that, by reservations that you see in full."},
        )
    ),
    reservations=_list(
        _object(
            ("id", "title", "start", "end", "drawn"),
            id=_string("Opaque."),
            title=_string(),
            start=INSTANT,
            end=INSTANT,
            drawn={"type": "number"},
        ),
        description="Those that you see in full.",
    ),
)

_ACCESS = _object(
    ("allowed", "reservation", "until"),
    allowed={
        "type": "boolean",
        "description": "A reservation of yours uses it now, and no permit of it is missing.",
    },
    reservation=_or_null(_string("Opaque; the one by which it is allowed.")),
    until=_or_null(
        {**INSTANT, "description": "End of what is occupied; null while allowed: it runs over its end."}
    ),
)

_PROJECT = _object(
    ("slug", "name", "organisation", "activity"),
    slug=SLUG,
    name=_string(),
    organisation=SLUG,
    activity=_ACTIVITY,
    account_reference=_string(),
)

_ME = _object(
    ("email", "name", "role", "organisation"),
    email=_string(),
    name=_string(),
    role={"type": "string", "enum": ["engineer", "technician", "manager", "admin"]},
    organisation=SLUG,
    facilities=_list(SLUG),
    projects=_list(SLUG),
    locale=_string(),
    scope=_or_null({"type": "string"}),
)

_FULL_ENTRY = _object(
    ("id", "visibility", "status", "start", "end", "occupied", "equipment", "title"),
    id=_string(),
    visibility={"type": "string", "const": "full"},
    status=_STATUS,
    kind={"type": "string", "enum": ["booking", "block"]},
    start=INSTANT,
    end=INSTANT,
    occupied=_ref("Span"),
    equipment=_list(SLUG),
    title=_string(),
    standing=_or_null({"type": "string", "enum": ["overrun", "displaced"]}),
)

_BUSY_ENTRY = _object(
    ("id", "visibility", "start", "end", "equipment", "hazards"),
    id=_string("Opaque, one per allocation."),
    visibility={"type": "string", "const": "busy"},
    start=INSTANT,
    end=INSTANT,
    equipment=_list(SLUG),
    hazards=_list({"type": "string"}),
)

_SLOTS = _object(
    ("items", "because"),
    items=_list(
        _object(
            ("start", "end", "occupied", "equipment"),
            start=INSTANT,
            end=INSTANT,
            occupied=_SPAN,
            equipment=_list(_PIECE),
        )
    ),
    because=_list(
        _object(
            ("reason", "equipment", "utility", "need", "until", "message"),
            reason=_string("`taken`, `unstaffed`, `shutdown`, `over_budget`, `other_ambient`, `unmet`, …"),
            equipment=_or_null(SLUG),
            utility=_or_null(SLUG),
            need=_or_null({"type": "integer", "description": "Its place among the needs, from 0."}),
            until=_or_null({**INSTANT, "description": "Null: throughout the time that was looked at."}),
            message=_string("The same as a sentence."),
        )
    ),
)

_WAITS = {
    "mode": {"type": "string", "enum": list(MODES), "default": "offer"},
    "equipment": _list(SLUG, minItems=1, maxItems=PIECES_LIMIT),
    "places": {"type": "integer", "minimum": 1, "default": 1, "maximum": 10_000},
    "earliest": INSTANT,
    "latest": INSTANT,
}

_WAITLIST_ENTRY = _object(
    ("id", "state", "mode", "equipment", "earliest", "latest", "duration", "title", "allowed"),
    id=_string("Opaque."),
    state={
        "type": "string",
        "enum": ["waiting", "offered", "taken", "lapsed", "withdrawn", "ended"],
    },
    facility=SLUG,
    **_WAITS,
    duration=_DURATION,
    title=_string(),
    project=_or_null(SLUG),
    activity=_ACTIVITY,
    created_at=INSTANT,
    offered_at=_or_null(INSTANT),
    closed_at=_or_null(INSTANT),
    offer=_or_null(
        {
            **_object(
                ("reservation", "start", "end"),
                reservation=_string("Of this reservation."),
                start=INSTANT,
                end=INSTANT,
                equipment=_list(_ref("Piece")),
                until=_or_null(INSTANT),
            ),
            "description": "What was offered or booked. `until`: when the offer lapses.",
        }
    ),
    allowed=_list(_string("A step that you may take now.")),
)

_WAITLIST_REQUEST = {
    **_object(
        ("equipment", "earliest", "latest", "title"),
        **_WAITS,
        duration=_or_null(_string("ISO 8601; all of the time, if left out.")),
        title=_TITLE,
        project=_or_null(SLUG),
        activity=_or_null(_ACTIVITY),
    ),
    "additionalProperties": False,
    "description": "Any one of `equipment`, all of one facility, for `duration` between `earliest` and "
    "`latest`. When it becomes free it is held for you for a limited time (`offer`), or booked (`book`).",
}

SCHEMAS: Mapping[str, Json] = {
    "Name": NAME,
    "Span": _SPAN,
    "Piece": _PIECE,
    "Problem": _PROBLEM,
    "Problems": _PROBLEMS,
    "HistoryEntry": _HISTORY,
    "Change": _CHANGE,
    "Visit": _VISIT,
    "LongTest": _LONG_TEST,
    "Reservation": _RESERVATION,
    "ReservationRequest": _REQUEST,
    "ReservationPatch": _PATCH,
    "ReservationProposal": _PROPOSAL,
    "Step": _STEP,
    "NewVisit": _NEW_VISIT,
    "VisitStep": _VISIT_STEP,
    "VisitMove": _VISIT_MOVE,
    "TestStep": _TEST_STEP,
    "Slots": _SLOTS,
    "FullEntry": _FULL_ENTRY,
    "BusyEntry": _BUSY_ENTRY,
    "Facility": _FACILITY,
    "Equipment": _PIECE_OF_CATALOGUE,
    "EquipmentFound": _object(
        ("items",),
        items=_list(_FOUND),
        near=_list(_FOUND, description="What states all that was asked for and offers too little of it."),
    ),
    "Environment": _ENVIRONMENT,
    "Access": _ACCESS,
    "Load": _LOAD,
    "Project": _PROJECT,
    "Me": _ME,
    "WaitlistEntry": _WAITLIST_ENTRY,
    "WaitlistRequest": _WAITLIST_REQUEST,
}

_REFUSALS = {
    400: "The body is no JSON object, or a browser's session did not send its token.",
    401: "No valid token and nobody signed in.",
    403: "You may not do that to it.",
    404: "There is nothing here that you may know of.",
    409: "Taken at that time, or not possible in this status.",
    412: "Somebody changed it since you read it.",
    413: "The body is longer than 1 MiB.",
    422: "Refused, with every problem at once.",
    428: "If-Match is missing.",
    503: "The database takes no writes just now. Nothing was changed.",
}


def _answers(status: int, description: str, schema: Json, *refusals: int) -> Json:
    found: Json = {
        str(status): {"description": description, "content": {"application/json": {"schema": schema}}}
    }
    for code in sorted({401, *refusals}):
        found[str(code)] = {
            "description": _REFUSALS[code],
            "content": {"application/problem+json": {"schema": _ref("Problems")}},
        }
    return found


def _parameter(name: str, description: str, schema: Json | None = None, **more: Any) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema or _string(), **more}


def _body(schema: Json, *, required: bool = True) -> Json:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


_SLUG_IN_PATH = {"name": "slug", "in": "path", "required": True, "schema": _string(minLength=1)}
_ID_IN_PATH = {"name": "id", "in": "path", "required": True, "schema": _string("Opaque.", minLength=1)}
_VISIT_IN_PATH = {"name": "visit", "in": "path", "required": True, "schema": _string("Opaque.", minLength=1)}
_FROM = _parameter("from", "From this instant on.", INSTANT)
_TO = _parameter("to", "Up to this instant.", INSTANT)
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": 'The revision that you read, in quotation marks: `"3"`.',
    "schema": _string(pattern=r'^("\d{1,9}"|\*)$'),
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and body make one reservation, however often they are sent.",
    "schema": _string(minLength=1, maxLength=255, pattern="^[!-~]+$"),
}

_WHAT = {
    "approve": "Approve a request, or the pending change that waits for you.",
    "decline": "Decline a request, or the pending change that waits for you; with a `reason`.",
    "cancel": "Cancel, naming the `cause`: `user`, `lab` or `fault`.",
    "check-in": "Begin to use, from the start of the set-up on; late while it is still free.",
    "check-out": "Hand back; what is left of the time is free again.",
    "abort": "Stop what runs; a manager's step, with a `reason`.",
    "extend": "Go on until `until`, while nobody is next.",
    "transfer": "Make the person `to` its holder.",
    "message": "Write `text` into the thread.",
    "propose": "Propose another time or equipment, which the holder accepts or declines.",
    "withdraw": "Take back your own undecided change.",
    "permit": "Sign the permit to energise, at the set-up; a manager's step, never for themselves.",
}


def _items(schema: Json, **more: Json) -> Json:
    return _object(("items",), items=_list(schema), **more)


def _paths() -> Json:
    listing = {
        "get": {
            "summary": "Reservations that you see in full, by start",
            "parameters": [
                _FROM,
                _TO,
                _parameter("facility", "In this facility."),
                _parameter("equipment", "Of any of these, commas between them."),
                _parameter("environment", "Of this environment."),
                _parameter("status", "In any of these statuses, commas between them."),
                _parameter("mine", "Only those that you hold or take part in.", {"type": "boolean"}),
                _parameter("cursor", "`next` of the page before."),
                _parameter("limit", "How many.", {"type": "integer", "minimum": 1, "maximum": PAGE_LIMIT}),
            ],
            "responses": _answers(
                200, "A page.", _items(_ref("Reservation"), next=_or_null({"type": "string"})), 422
            ),
        },
        "post": {
            "summary": "Request a reservation; equipment that approves automatically is booked at once",
            "parameters": [_KEY],
            "requestBody": _body(_ref("ReservationRequest")),
            "responses": {
                **_answers(201, "Made.", _ref("Reservation"), 400, 403, 409, 413, 422, 503),
                "200": {
                    "description": "With `dry_run`: what would be. Nothing is kept.",
                    "content": {"application/json": {"schema": _ref("Reservation")}},
                },
            },
        },
    }
    one = {
        "parameters": [_ID_IN_PATH],
        "get": {
            "summary": "One reservation in full",
            "responses": _answers(200, "It.", _ref("Reservation"), 404),
        },
        "patch": {
            "summary": "Move, resize, retitle; `pending_change` says when a manager must agree first",
            "parameters": [_IF_MATCH],
            "requestBody": _body(_ref("ReservationPatch")),
            "responses": _answers(
                200, "As it is now.", _ref("Reservation"), 400, 403, 404, 409, 412, 413, 422, 428, 503
            ),
        },
    }
    found: Json = {"/reservations": listing, "/reservations/{id}": one}
    for step in STEPS:
        schema = _ref("ReservationProposal") if step == "propose" else _ref("Step")
        found[f"/reservations/{{id}}/{step}"] = {
            "parameters": [_ID_IN_PATH, _IF_MATCH],
            "post": {
                "summary": _WHAT[step],
                "requestBody": _body(schema, required=False),
                "responses": _answers(
                    200, "As it is now.", _ref("Reservation"), 400, 403, 404, 409, 412, 413, 422, 503
                ),
            },
        }
    return found | _long_test_paths() | _waitlist_paths() | _catalogue_paths()


def _long_test_paths() -> Json:
    def step(summary: str, schema: str, *parameters: Json, status: int = 200, required: bool = False) -> Json:
        answers = _answers(
            status,
            "The reservation as it is now.",
            _ref("Reservation"),
            400,
            403,
            404,
            409,
            412,
            413,
            422,
            503,
        )
        return {
            "parameters": [_ID_IN_PATH, *parameters, _IF_MATCH],
            "post": {
                "summary": summary,
                "requestBody": _body(_ref(schema), required=required),
                "responses": answers,
            },
        }

    one, visit = "/reservations/{id}", "/reservations/{id}/visits/{visit}"
    return {
        f"{one}/visits": step(
            "Plan a read-out after so much running, or a visit at an instant", "NewVisit", status=201,
            required=True,
        ),
        f"{visit}/done": step("It took place; `note` says what was found", "VisitStep", _VISIT_IN_PATH),
        f"{visit}/drop": step("It will not take place", "VisitStep", _VISIT_IN_PATH),
        f"{visit}/move": step(
            "To another time; a read-out not before its hours", "VisitMove", _VISIT_IN_PATH, required=True
        ),
        f"{one}/pause": step("The test stands still, now or since `at`", "TestStep"),
        f"{one}/resume": step("It goes on, now or since `at`; read-outs are laid anew", "TestStep"),
        f"{one}/expect": step("When the end is expected, `at`; left out: as late as possible", "TestStep"),
    }  # fmt: skip


_WAITLIST_STEPS = {
    "withdraw": "Wait no longer; what is offered is let go with it.",
    "take": "Take what is offered: booked at once, or requested where a manager has to agree.",
    "let-go": "Decline what is offered; it goes to the next in line.",
}


def _waitlist_paths() -> Json:
    listing = {
        "get": {
            "summary": "What is offered to you, what you wait for, and the last of what is over",
            "responses": _answers(200, "All of it.", _items(_ref("WaitlistEntry")), 422),
        },
        "post": {
            "summary": "Wait for what is taken: first come, first served",
            "requestBody": _body(_ref("WaitlistRequest")),
            "responses": _answers(201, "You wait.", _ref("WaitlistEntry"), 400, 413, 422, 503),
        },
    }
    steps = {
        f"/waitlist/{{id}}/{step}": {
            "parameters": [_ID_IN_PATH],
            "post": {
                "summary": summary,
                "responses": _answers(
                    200, "As it is now.", _ref("WaitlistEntry"), 400, 403, 404, 409, 413, 422, 503
                ),
            },
        }
        for step, summary in _WAITLIST_STEPS.items()
    }
    return {"/waitlist": listing} | steps


def _catalogue_paths() -> Json:
    def listed(summary: str, name: str, *parameters: Json) -> Json:
        return {
            "get": {
                "summary": summary,
                "parameters": list(parameters),
                "responses": _answers(200, "All that match.", _items(_ref(name)), 422),
            }
        }

    def single(summary: str, name: str) -> Json:
        return {
            "parameters": [_SLUG_IN_PATH],
            "get": {"summary": summary, "responses": _answers(200, "It.", _ref(name), 404)},
        }

    facility = _parameter("facility", "In this facility.")
    count = {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1}
    capability = _parameter(
        "capability",
        "Offering this: `dc_voltage:800V`, in whatever unit; may be given several times.",
        _list({"type": "string"}),
        explode=True,
    )
    return {
        "/calendar": {
            "get": {
                "summary": f"What a timeline shows, of at most {DAYS_LIMIT} days; `If-None-Match` gives 304",
                "parameters": [
                    facility,
                    _parameter("equipment", "These, commas between them."),
                    {**_FROM, "required": True},
                    {**_TO, "required": True},
                ],
                "responses": {
                    **_answers(
                        200,
                        "In full what you may see, busy blocks of the rest.",
                        _items({"oneOf": [_ref("FullEntry"), _ref("BusyEntry")]}),
                        422,
                    ),
                    "304": {"description": "Nothing has changed."},
                },
            }
        },
        "/utilities/{slug}": {
            "parameters": [_SLUG_IN_PATH],
            "get": {
                "summary": "What is drawn of a utility over time; `If-None-Match` gives 304",
                "parameters": [{**_FROM, "required": True}, {**_TO, "required": True}],
                "responses": {
                    **_answers(200, "Its capacity, and the steps of what is drawn.", _ref("Load"), 404, 422),
                    "304": {"description": "Nothing has changed."},
                },
            },
        },
        "/slots": {
            "get": {
                "summary": "The earliest slots that work, and what stood in the way of anything earlier",
                "description": (
                    "For one of `environment`, `equipment` and `need`. Each slot has a piece of its own for "
                    "every need, chosen so that as little as possible of what it offers stays unused; "
                    "`POST /reservations` takes it as it is."
                ),
                "parameters": [
                    _parameter("environment", "All that this test environment needs."),
                    _parameter("equipment", "These pieces, commas between them; `a:2` for two places of a."),
                    _parameter(
                        "need",
                        "A category and what it must be able to do, as in `dc-source; dc_voltage: 800 V; "
                        "places: 1; count: 2`; may be given several times.",
                        _list({"type": "string"}),
                        explode=True,
                    ),
                    _parameter("ambient", "What a shared chamber is to run, as in `temperature: 85 degC`."),
                    _parameter(
                        "facility",
                        "Where, for needs that several could meet; without it, where it works first.",
                    ),
                    {**_parameter("duration", "Of use, as in `PT4H`."), "required": True},
                    _parameter("from", "The earliest start; now, if left out.", INSTANT),
                    _parameter("to", "The latest end; as far ahead as one may book, if left out.", INSTANT),
                    _parameter(
                        "limit",
                        "How many.",
                        {"type": "integer", "minimum": 1, "maximum": SLOTS_LIMIT, "default": 5},
                    ),
                ],
                "responses": _answers(200, "By start; empty when nothing works.", _ref("Slots"), 422),
            }
        },
        "/facilities": listed("Laboratories", "Facility"),
        "/facilities/{slug}": single("One laboratory: zone, hours, closures, utilities", "Facility"),
        "/equipment": {
            "get": {
                "summary": "Equipment",
                "parameters": [
                    facility,
                    _parameter("category", "Of this category."),
                    _parameter("q", "With these words in its name."),
                    capability,
                    _parameter("places", "So many places of one piece; in parallel they add up.", count),
                    _parameter("units", "Up to so many like pieces; in parallel they add up.", count),
                ],
                "responses": _answers(
                    200,
                    "All that match; where capabilities were asked for, the least oversized first.",
                    _ref("EquipmentFound"),
                    422,
                ),
            }
        },
        "/equipment/{slug}": single("One piece: what it can do, its places, state and policy", "Equipment"),
        "/equipment/{slug}/access": {
            "parameters": [_SLUG_IN_PATH],
            "get": {
                "summary": "For a rig: whether the token's holder may energise this piece, now",
                "responses": _answers(200, "Now; of the next moment it says nothing.", _ref("Access"), 404),
            },
        },
        "/environments": listed("Test environments", "Environment", facility, capability),
        "/environments/{slug}": single("One recipe: needs, ambient, draws", "Environment"),
        "/projects": listed("Projects that you may charge", "Project"),
        "/me": {"get": {"summary": "Who the token is", "responses": _answers(200, "You.", _ref("Me"))}},
    }


@cache
def describe() -> Json:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Labbook",
            "version": VERSION,
            "description": (
                "Reservations of shared laboratories. Every refusal is `application/problem+json` with all "
                "problems at once. Checks come in the order 401, 404, 403, 412 and 428, 422, 409."
            ),
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}, {"session": []}],
        "paths": _paths(),
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A personal API token."},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "labbook",
                    "description": "A browser's session; what writes also needs the header X-CSRFToken.",
                },
            },
        },
    }
