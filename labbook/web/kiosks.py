"""The tablets of a laboratory, for its managers."""

from __future__ import annotations

from flask import Response as FlaskResponse
from flask import current_app, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from labbook.config import Settings
from labbook.formats import qr
from labbook.services import choices, kiosks
from labbook.services.directory import require_manager
from labbook.web import keeping
from labbook.web.fields import Fields
from labbook.web.formatting import name_of
from labbook.web.page import database, now, page_blueprint, viewer

blueprint = page_blueprint("kiosks")


@blueprint.get("/manage/kiosks")
def index() -> FlaskResponse:
    return _page()


def _page(address: str = "", made_for: str = "") -> FlaskResponse:
    """``address`` is shown this once."""
    actor = viewer()
    require_manager(actor)
    offered = choices.for_booking(database(), viewer=actor)
    page = render_template(
        "manage/kiosks.html",
        devices=kiosks.list_managed(database(), viewer=actor),
        equipment=[(each.slug, name_of(each.name)) for each in offered.equipment if each.staffs],
        address=address,
        address_code=qr.data_uri(address) if address else "",
        made_for=made_for,
        kept=keeping.typed("/manage/kiosks"),
        now=now(),
    )
    response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.post("/manage/kiosks")
def create() -> FlaskResponse:
    read = Fields(request.form)
    made = kiosks.create(
        database(), read.chosen("equipment") or "", read.line("name"), actor=viewer(), now=now()
    )
    settings: Settings = current_app.config["SETTINGS"]
    return _page(f"{settings.base_url}/kiosk-key/{made.secret}", name_of(made.device.equipment_name))


@blueprint.post("/manage/kiosks/<id:device_id>/revoke")
def revoke(device_id: int) -> Response:
    kiosks.revoke(database(), device_id, actor=viewer(), now=now())
    flash(_("Revoked. The tablet shows nothing more from now on."), "success")
    return redirect(url_for("kiosks.index"), 303)
