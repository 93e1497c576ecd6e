"""What was passed on, as its sender sees it and as those see it who may answer: neither is named."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from labbook.services import relays
from labbook.web import keeping
from labbook.web.fields import Fields
from labbook.web.page import database, now, page_blueprint, viewer

blueprint = page_blueprint("relays")


@blueprint.get("/relay/<public_id>")
def show(public_id: str) -> str:
    view = relays.find(database(), public_id, viewer=viewer())
    return render_template("relays/show.html", view=view, kept=keeping.shown_again())


@blueprint.post("/relay/<public_id>/answer")
def answer(public_id: str) -> Response:
    read = Fields(request.form)
    relays.answer(database(), public_id, read.text("text"), actor=viewer(), now=now())
    flash(_("Your answer is passed on."), "success")
    return redirect(url_for("relays.show", public_id=public_id), 303)
