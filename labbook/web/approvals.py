"""The queue of what waits for a manager's yes."""

from __future__ import annotations

from flask import g, render_template

from labbook.domain.errors import Forbidden
from labbook.services import queue
from labbook.services.directory import is_keeper
from labbook.web.context import WAITING
from labbook.web.page import database, now, page_blueprint, viewer

blueprint = page_blueprint("approvals")


@blueprint.get("/approvals")
def show() -> str:
    if not is_keeper(viewer()):
        raise Forbidden("approve")
    waiting = queue.read(database(), viewer=viewer(), now=now())
    open_ = [each for each in waiting if not each.waits_for_holder]
    g.setdefault(WAITING, len(open_))
    return render_template("approvals/show.html", waiting=waiting, open=open_, now=now())
