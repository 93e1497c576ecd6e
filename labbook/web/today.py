"""``/today``: a day in the laboratory, with what there is to do at each hour of it."""

from __future__ import annotations

from datetime import timedelta

from flask import g, render_template, request, url_for

from labbook.services import today
from labbook.web.page import database, now, page_blueprint, viewer
from labbook.web.periods import read_day

blueprint = page_blueprint("today")


@blueprint.get("/today")
def show() -> str:
    asked = request.args.get("facility") or None
    view = today.read(database(), asked, read_day(request.args.get("date", "")), viewer=viewer(), now=now())
    g.example = view.lab.example
    day = timedelta(days=1)
    return render_template(
        "today/show.html",
        view=view,
        now=now(),
        before=view.day - day,
        after=view.day + day,
        here=url_for("today.show", facility=asked, date=request.args.get("date") or None),
    )
