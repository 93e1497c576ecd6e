"""Faults that were reported, for the laboratory's staff."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from labbook.services import faults
from labbook.web.fields import Fields
from labbook.web.page import database, now, page_blueprint, viewer
from labbook.web.sign_in import own_path

blueprint = page_blueprint("faults")


@blueprint.get("/manage/faults")
def index() -> str:
    actor = viewer()
    faults.require_staff(actor)
    return render_template("manage/faults.html", faults=faults.list_open(database(), viewer=actor))


@blueprint.post("/manage/faults/<public_id>/close")
def close(public_id: str) -> Response:
    slug = faults.close(database(), public_id, actor=viewer(), now=now())
    flash(_("Closed."), "success")
    return _back(slug)


@blueprint.post("/equipment/<slug>/state")
def state(slug: str) -> Response:
    """Out of service or back: somebody's decision, which no report takes by itself."""
    wanted = Fields(request.form).line("state")
    faults.set_state(database(), slug, wanted, actor=viewer())
    flash(
        _("Out of service: nothing new can be booked, and nobody can check in.")
        if wanted == "out_of_service"
        else _("In service again."),
        "success",
    )
    return _back(slug)


def _back(slug: str) -> Response:
    after = request.form.get("next", "")
    return redirect(own_path(after) if after else url_for("equipment.show", slug=slug) + "#faults", 303)
