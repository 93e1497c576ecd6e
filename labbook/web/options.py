"""Options: what managers hold for customers who have no account yet."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from labbook.domain.errors import Refused
from labbook.services import choices, options, reservation_views
from labbook.services.options import ConvertOption
from labbook.web import fields, keeping
from labbook.web.fields import Fields
from labbook.web.page import database, now, page_blueprint, viewer
from labbook.web.wording import sentences

blueprint = page_blueprint("options")


@blueprint.get("/manage/options")
def show() -> str:
    actor, kept = viewer(), keeping.shown_again()
    found = options.list_managed(database(), viewer=actor)
    offered = choices.for_booking(database(), viewer=actor)
    parts = kept.path.split("/") if kept else []
    return render_template(
        "manage/options.html",
        found=found,
        until={
            each.id: fields.wall_fields("until", each.decide_by, ZoneInfo(each.zone))
            for each in found.open
            if each.decide_by is not None
        },
        people=offered.people,
        projects=[(each.slug, f"{each.name} ({each.organisation_name})") for each in offered.projects],
        names={piece.slug: piece.name for each in found.open for piece in each.equipment},
        kept=kept,
        about=parts[3] if len(parts) > 4 else "",
        step=parts[4] if len(parts) > 4 else "",
        now=now(),
    )


@blueprint.post("/manage/options/<public_id>/prolong")
def prolong(public_id: str) -> Response:
    view = reservation_views.find(database(), public_id, viewer=viewer())
    read = Fields(request.form)
    until = read.instant("until", ZoneInfo(view.zone))
    if read.problems:
        raise Refused(read.problems)
    options.prolong(database(), public_id, until, actor=viewer(), now=now())
    flash(_("Held until then."), "success")
    return redirect(url_for("options.show"), 303)


@blueprint.post("/manage/options/<public_id>/release")
def release(public_id: str) -> Response:
    options.release(database(), public_id, actor=viewer(), now=now())
    flash(_("Let go; the time is free again."), "success")
    return redirect(url_for("options.show"), 303)


@blueprint.post("/manage/options/<public_id>/convert")
def convert(public_id: str) -> Response:
    read = Fields(request.form)
    command = ConvertOption(
        reservation=public_id,
        holder=read.chosen("holder"),
        project=read.chosen("project"),
        title=read.line("title"),
        override=tuple(request.form.getlist("override")),
        reason=read.text("reason"),
    )
    made = options.convert(database(), command, actor=viewer(), now=now())
    said = _("It is %(name)s's reservation now.", name=made.holder.name)
    flash(said if made.status == "approved" else _("Another manager has to approve it."), "success")
    for text in sentences(made.problems, made.zone, {p.slug: p.name for p in made.equipment}):
        flash(text, "warning")
    return redirect(url_for("reservations.show", public_id=made.id), 303)
