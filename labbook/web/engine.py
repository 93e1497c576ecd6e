"""What the clock does next, and what failed."""

from __future__ import annotations

from datetime import datetime

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from labbook.services import closures, engine
from labbook.web.page import database, now, page_blueprint, viewer

blueprint = page_blueprint("engine")

STEPS = {
    "expired": _l("the request expires"),
    "in_use": _l("the window opens"),
    "completed": _l("the window closes"),
    "no_show": _l("nobody came: released"),
    "cancelled": _l("waited for the lab: cancelled"),
    "flagged": _l("nobody came: flagged for a human"),
    "overrun": _l("past its end: overrun"),
    "grown": _l("the overrun grows"),
    "displaced": _l("what stands there displaces it"),
    "decision_reminder": _l("managers are reminded"),
    "deputy": _l("deputies are asked"),
    "reminder": _l("its people are reminded"),
    "opened": _l("its people hear that it is open"),
    "ending": _l("its people hear that it ends soon"),
    "expected_end": _l("its people are asked whether it is done"),
}
"""What the scheduler will do, by ``domain.reservation.Step``."""


@blueprint.get("/manage/engine")
def show() -> str:
    actor = viewer()
    found = engine.read(database(), viewer=actor, now=now(), after=_cursor(request.args.get("after", "")))
    following = None
    if found.next is not None:
        following = url_for("engine.show", after=f"{found.next[0].isoformat()}_{found.next[1]}")
    places = [f for f in closures.facilities(database(), viewer=actor) if f.managed]
    return render_template(
        "manage/engine.html",
        engine=found,
        steps=STEPS,
        following=following,
        paged="after" in request.args,
        zone=places[0].zone if places else "UTC",
        now=now(),
    )


@blueprint.post("/manage/engine/<any(reservation, visit, waitlist):kind>/<id:row_id>/retry")
def retry(kind: str, row_id: int) -> Response:
    engine.retry(database(), kind, row_id, actor=viewer(), now=now())
    flash(_("Due now; look again in a few seconds."), "success")
    return redirect(url_for("engine.show"), 303)


def _cursor(text: str) -> tuple[datetime, int] | None:
    instant, _, row = text.rpartition("_")
    try:
        at = datetime.fromisoformat(instant.replace(" ", "+"))
    except ValueError:
        return None
    known = row.isascii() and row.isdecimal() and len(row) < 18 and at.tzinfo is not None
    return (at, int(row)) if known else None
