"""Rigs that are told of their slot windows: put up, tried, and what they were told."""

from __future__ import annotations

from flask import Response as FlaskResponse
from flask import flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from labbook.services import rigs
from labbook.services.rigs import KeepRig
from labbook.web import keeping
from labbook.web.fields import Fields
from labbook.web.page import database, now, page_blueprint, viewer

blueprint = page_blueprint("rigs")

PATH = "/manage/rigs"


@blueprint.get(PATH)
def index() -> str:
    actor = viewer()
    return render_template(
        "manage/rigs.html",
        rigs=rigs.list_managed(database(), viewer=actor),
        offered=rigs.without(database(), viewer=actor),
        kept=keeping.typed(PATH),
    )


@blueprint.post(PATH)
def put_up() -> FlaskResponse:
    command = _command(Fields(request.form), request.form.get("equipment", "").strip())
    secret = rigs.put_up(database(), command, actor=viewer(), now=now())
    return _page(command.equipment, secret=secret)


@blueprint.get(f"{PATH}/<slug>")
def show(slug: str) -> FlaskResponse:
    return _page(slug)


def _page(slug: str, secret: str = "") -> FlaskResponse:
    """``secret`` is shown this once."""
    before = request.args.get("before", "")
    known = int(before) if before.isascii() and before.isdecimal() and len(before) < 18 else None
    found = rigs.find(database(), slug, viewer=viewer(), before=known)
    rig, kept = found.rig, keeping.shown_again()
    stored = MultiDict({"url": rig.url, "on_close": rig.on_close} | ({"active": "1"} if rig.active else {}))
    following = url_for("rigs.show", slug=slug, before=found.before) if found.before else None
    page = render_template(
        "manage/rig.html",
        rig=rig,
        deliveries=found.deliveries,
        following=following,
        secret=secret,
        stored=stored,
        kept=kept if kept and kept.path == url_for("rigs.change", slug=slug) else None,
        others=kept.problems if kept else [],
    )
    response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.post(f"{PATH}/<slug>")
def change(slug: str) -> Response:
    rigs.change(database(), _command(Fields(request.form), slug), actor=viewer())
    flash(_("Saved."), "success")
    return redirect(url_for("rigs.show", slug=slug), 303)


@blueprint.post(f"{PATH}/<slug>/secret")
def renew_secret(slug: str) -> FlaskResponse:
    return _page(slug, secret=rigs.renew_secret(database(), slug, actor=viewer()))


@blueprint.post(f"{PATH}/<slug>/test")
def send_test(slug: str) -> Response:
    rigs.send_test(database(), slug, actor=viewer(), now=now())
    flash(_("On its way; look again in a few seconds."), "success")
    return redirect(url_for("rigs.show", slug=slug), 303)


@blueprint.post(f"{PATH}/<slug>/deliveries/<id:delivery_id>/retry")
def retry(slug: str, delivery_id: int) -> Response:
    rigs.retry(database(), slug, delivery_id, actor=viewer(), now=now())
    flash(_("On its way; look again in a few seconds."), "success")
    return redirect(url_for("rigs.show", slug=slug), 303)


def _command(read: Fields, slug: str) -> KeepRig:
    return KeepRig(slug, read.line("url"), read.chosen("on_close") or "nothing", read.ticked("active"))
