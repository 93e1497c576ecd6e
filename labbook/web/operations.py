"""Addresses for whoever operates Labbook: alive, ready, metrics."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from alembic.script import ScriptDirectory
from flask import Blueprint, Flask, Response, current_app, jsonify

from labbook.config import Settings
from labbook.extensions import db
from labbook.services import health, measures
from labbook.web import exposition

blueprint = Blueprint("operations", __name__)
_answers: Counter[str] = Counter()


@blueprint.get("/healthz")
def healthz() -> Response:
    """Alive: this process answers."""
    return Response("ok\n", mimetype="text/plain")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """200 when everything is in place; 503 with what is not. With the scheduler off it is reported only."""
    now = datetime.now(UTC)
    settings: Settings = current_app.config["SETTINGS"]
    found = health.examine(db.session(), now=now)
    silent = found.scheduler_silent(now)
    wrong = []
    if not found.database:
        wrong.append("the database does not answer")
    elif found.schema != newest_schema():
        wrong.append("the database is not migrated")
    elif found.missing_guards:
        wrong.append("guards are missing in the database")
    if settings.scheduler == "embedded" and silent:
        wrong.append("the scheduler is silent")
    heard = found.heard.isoformat() if found.heard else None
    body = jsonify(ready=not wrong, wrong=wrong, scheduler={"setting": settings.scheduler, "heard": heard})
    return body, 503 if wrong else 200


@lru_cache(maxsize=1)
def newest_schema() -> str | None:
    """The newest Alembic revision that this code knows."""
    folder = Path(current_app.extensions["migrate"].directory)
    return ScriptDirectory(str(folder)).get_current_head()


@blueprint.get("/metrics")
def metrics() -> Response:
    """Prometheus text. What cannot be measured just now is left out, never 0."""
    now = datetime.now(UTC)
    found = health.examine(db.session(), now=now)
    shown = [
        exposition.gauge("labbook_database_up", int(found.database)),
        exposition.gauge("labbook_scheduler_silent", int(found.scheduler_silent(now))),
        exposition.counter(
            "labbook_responses_total", [({"class": k}, n) for k, n in sorted(_answers.items())]
        ),
    ]
    if found.database and found.schema == newest_schema():
        shown += exposition.measures(measures.take(db.session(), now=now), now)
        db.session().rollback()
    return Response("".join(shown), content_type="text/plain; version=0.0.4; charset=utf-8")


def count_answer(response: Response) -> Response:
    _answers[f"{response.status_code // 100}xx"] += 1
    return response


def register(app: Flask) -> None:
    app.register_blueprint(blueprint)
    app.after_request(count_answer)
