"""What is mine, what waits for me, what is free."""

from __future__ import annotations

import secrets

from flask import g, render_template

from labbook.services import home, notifications
from labbook.web.context import WAITING
from labbook.web.page import database, now, page_blueprint, viewer

blueprint = page_blueprint("home")


@blueprint.get("/")
def show() -> str:
    found = home.read(database(), viewer=viewer(), now=now())
    g.setdefault(WAITING, found.approvals.count)
    refusal = notifications.refusal_of(database(), viewer=viewer())
    return render_template(
        "home/show.html", home=found, refusal=refusal, now=now(), once=secrets.token_hex(8)
    )
