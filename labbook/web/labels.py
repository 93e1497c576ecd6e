"""Labels to print: what a piece is called, and a code that leads a phone to its kiosk page."""

from __future__ import annotations

from flask import Response, current_app, g, make_response, render_template, request

from labbook.config import Settings
from labbook.formats import qr
from labbook.services import equipment, timeline
from labbook.services.equipment import Sought
from labbook.web.page import database, page_blueprint, viewer

blueprint = page_blueprint("labels")


def kiosk_address(slug: str) -> str:
    settings: Settings = current_app.config["SETTINGS"]
    return f"{settings.base_url}/kiosk/{slug}"


@blueprint.get("/equipment/<slug>/label")
def one(slug: str) -> str:
    item = equipment.find_equipment(database(), slug)
    g.example = item.example
    return render_template("labels/one.html", item=item, address=kiosk_address(slug))


@blueprint.get("/equipment/<slug>/qr.svg")
def code(slug: str) -> Response:
    """The picture by itself, so that no page holds it inline."""
    item = equipment.find_equipment(database(), slug)
    response = make_response(qr.svg(kiosk_address(item.slug)))
    response.mimetype = "image/svg+xml"
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@blueprint.get("/manage/labels")
def sheet() -> str:
    """All labels of a laboratory, for its staff."""
    shown = timeline.read_as_staff(database(), request.args.get("facility"), viewer=viewer())
    g.example = shown.lab.example
    items = equipment.search_equipment(database(), Sought(facility=shown.lab.slug))
    return render_template("labels/sheet.html", timeline=shown, items=items, address=kiosk_address)
