"""Facilities, equipment and environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, request

from labbook.api.answers import json_answer
from labbook.api.asking import database, now, viewer
from labbook.api.reading import Query
from labbook.domain.durations import written_duration, written_hours
from labbook.domain.errors import Problem
from labbook.services import capability_search, equipment, recipe_views, rig_access
from labbook.services.capability_search import Asked, Found
from labbook.services.equipment import DrawView, EquipmentView, FacilityView, Sought
from labbook.services.recipe_views import EnvironmentView

MOST_UNITS = 1000
ENDS = ("below", "above")


def register(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/facilities", view_func=list_facilities)
    blueprint.add_url_rule("/facilities/<slug>", view_func=show_facility)
    blueprint.add_url_rule("/equipment", view_func=list_equipment)
    blueprint.add_url_rule("/equipment/<slug>", view_func=show_equipment)
    blueprint.add_url_rule("/equipment/<slug>/access", view_func=show_access)
    blueprint.add_url_rule("/environments", view_func=list_environments)
    blueprint.add_url_rule("/environments/<slug>", view_func=show_environment)


def list_facilities() -> Response:
    Query(request.args, ()).settle()
    return json_answer({"items": [_facility(f) for f in equipment.list_facilities(database(), now=now())]})


def show_facility(slug: str) -> Response:
    return json_answer(_facility(equipment.find_facility(database(), slug, now=now())))


def list_equipment() -> Response:
    query = Query(request.args, ("facility", "category", "q", "capability", "places", "units"))
    sought = Sought(
        facility=query.text("facility"),
        category=query.text("category"),
        text=query.text("q") or "",
        capabilities=_capabilities(query),
    )
    places, units = (query.whole(name, 1, most=MOST_UNITS) for name in ("places", "units"))
    query.settle()
    found = capability_search.search(database(), Asked(sought, places, units))
    if not (sought.capabilities or places > 1 or units > 1):
        return json_answer({"items": [_equipment(each.piece) for each in found.items]})
    return json_answer({"items": [_found(e) for e in found.items], "near": [_found(e) for e in found.near]})


def show_equipment(slug: str) -> Response:
    return json_answer(_equipment(equipment.find_equipment(database(), slug)))


def show_access(slug: str) -> Response:
    """For a rig: whether whoever has this token may energise it, now."""
    found = rig_access.access(database(), slug, viewer=viewer(), now=now())
    answer = json_answer({"allowed": found.allowed, "reservation": found.reservation, "until": found.until})
    answer.headers["Cache-Control"] = "no-store"  # of the next moment it says nothing
    return answer


def list_environments() -> Response:
    query = Query(request.args, ("facility", "capability"))
    facility, wanted = query.text("facility"), _capabilities(query)
    query.settle()
    found = recipe_views.list_all(database(), viewer=viewer(), facility=facility, giving=wanted)
    return json_answer({"items": [_environment(each) for each in found]})


def show_environment(slug: str) -> Response:
    return json_answer(_environment(recipe_views.find(database(), slug, viewer=viewer())))


def _capabilities(query: Query) -> tuple[tuple[str, str], ...]:
    found = []
    for text in query.args.getlist("capability"):
        name, colon, quantity = text.partition(":")
        if not (colon and name.strip() and quantity.strip()) or len(text) > 200:
            query.problems.append(Problem("malformed_capability", "capability"))
            continue
        found.append((name.strip(), quantity.strip()))
    return tuple(found)


def _facility(view: FacilityView) -> Mapping[str, Any]:
    return {
        "slug": view.slug,
        "name": view.name,
        "time_zone": view.zone,
        "country": view.country,
        "staffed": {day: [f"{first}-{last}" for first, last in spans] for day, spans in view.staffed.items()},
        "duty_phone": view.duty_phone,
        "rooms": view.rooms,
        "utilities": [
            {"slug": u.slug, "name": u.name, "capacity": _quantity(u.capacity, u.unit)}
            for u in view.utilities
        ],
        "closures": [
            {"kind": c.kind, "start": c.start, "end": c.end, "reason": c.reason} for c in view.closures
        ],
        "example": view.example,
    }


def _equipment(view: EquipmentView) -> Mapping[str, Any]:
    calibration = view.calibration
    slot = view.slot
    return {
        "slug": view.slug,
        "facility": view.facility,
        "room": view.room,
        "name": view.name,
        "description": view.description,
        "category": view.category,
        "maker": view.maker,
        "type": view.type,
        "serial": view.serial,
        "documents": view.documents,
        "portable": view.portable,
        "places": view.places,
        "pool": view.pool,
        "attended": view.attended,
        "setup": _seconds(view.setup),
        "teardown": _seconds(view.teardown),
        "approval": view.approval,
        "check_in": view.check_in,
        "state": view.state,
        "capabilities": view.capabilities,
        "parallel": view.parallel,
        "draws": _draws(view.draws),
        "qualifications": view.qualifications,
        "hazards": view.hazards,
        "calibration": None
        if calibration is None
        else {
            "interval": calibration.interval,
            "performed": calibration.performed,
            "due": calibration.due,
        },
        "slot": {
            "shortest": _written(slot.shortest),
            "longest": _written(slot.longest),
            "grid": _written(slot.grid),
            "lead": _written(slot.lead),
            "horizon": _written(slot.horizon),
            "grace": _written(slot.grace),
            "decision": None if slot.decision is None else _written(slot.decision),
        },
        "example": view.example,
    }


def _found(found: Found) -> Mapping[str, Any]:
    """A piece with how it fits what was asked for."""
    return {
        **_equipment(found.piece),
        "together": found.together,
        "fit": [
            {
                "capability": fit.name,
                "asked": fit.asked,
                "offered": fit.offered,
                "more": dict(zip(ENDS, fit.more, strict=True)),
                "less": dict(zip(ENDS, fit.less, strict=True)),
            }
            for fit in found.fits
        ],
    }


def _environment(view: EnvironmentView) -> Mapping[str, Any]:
    return {
        "slug": view.slug,
        "facility": view.facility,
        "organisation": view.organisation,
        "version": view.version,
        "name": view.name,
        "description": view.description,
        "setup": _length(view.setup),
        "run": None if view.run is None else written_hours(view.run),
        "teardown": _length(view.teardown),
        "ambient": view.ambient,
        "draws": _draws(view.draws),
        "permit": view.permit,
        "staffing": view.staffing,
        "on_call": view.on_call,
        "safe_state": view.safe_state,
        "qualifications": view.qualifications,
        "hazards": view.hazards,
        "readouts": [written_hours(after) for after in view.readouts],
        "needs": [
            {
                "equipment": need.equipment,
                "category": need.category,
                "capabilities": need.capabilities,
                "count": need.count,
                "places": need.places,
                "whole": need.whole,
            }
            for need in view.needs
        ],
        "example": view.example,
    }


def _draws(draws: Sequence[DrawView]) -> Mapping[str, str]:
    return {draw.utility: _quantity(draw.amount, draw.unit) for draw in draws}


def _quantity(thousandths: int, unit: str) -> str:
    """``"250 kVA"`` of 250000 thousandths."""
    return f"{(Decimal(thousandths) / 1000).normalize():f} {unit}".strip()


def _seconds(count: int) -> str:
    return written_duration(count)


def _length(count: int | None) -> str | None:
    return None if count is None else _seconds(count)


def _written(length: timedelta) -> str:
    return written_duration(int(length.total_seconds()))
