"""Who stands in for whom, and when."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from labbook.domain.errors import Refused
from labbook.services import closures, deputies
from labbook.services.deputies import NameDeputy
from labbook.services.directory import require_manager
from labbook.web import keeping
from labbook.web.fields import Fields
from labbook.web.page import database, now, page_blueprint, viewer

blueprint = page_blueprint("deputies")

PATH = "/manage/deputies"


@blueprint.get(PATH)
def show() -> str:
    actor = viewer()
    require_manager(actor)
    rights = {f.slug: f for f in closures.facilities(database(), viewer=actor) if f.by_right}
    return render_template(
        "manage/deputies.html",
        deputies=deputies.list_managed(database(), viewer=actor, now=now()),
        facilities=list(rights.values()),
        managers=deputies.managers(database(), viewer=actor) if rights else [],
        candidates=deputies.candidates(database(), viewer=actor) if rights else [],
        kept=keeping.typed(PATH),
    )


@blueprint.post(PATH)
def name() -> Response:
    read = Fields(request.form)
    first, last = read.day("first", required=True), read.day("last", required=True)
    if first is None or last is None:
        raise Refused(read.problems)
    command = NameDeputy(
        read.line("facility"), read.chosen("deputy") or "", first, last, manager=read.chosen("manager")
    )
    deputies.name(database(), command, actor=viewer(), now=now())
    flash(_("Named. They see the queue from the first day on."), "success")
    return redirect(url_for("deputies.show"), 303)


@blueprint.post(f"{PATH}/<id:deputy_id>/end")
def end(deputy_id: int) -> Response:
    deputies.end(database(), deputy_id, actor=viewer(), now=now())
    flash(_("Ended."), "success")
    return redirect(url_for("deputies.show"), 303)
