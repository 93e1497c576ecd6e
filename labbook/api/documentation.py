"""``/api/v1/openapi.json`` and ``/api/docs``: public, and readable without any network."""

from __future__ import annotations

from functools import cache

import orjson
from flask import Blueprint, Flask, Response, render_template

from labbook.api.description import describe

blueprint = Blueprint("api_docs", __name__)


@blueprint.get("/api/v1/openapi.json")
def openapi() -> Response:
    answer = Response(_described(), content_type="application/json")
    answer.headers["Cache-Control"] = "max-age=300"
    return answer


@blueprint.get("/api/docs")
def docs() -> str:
    return render_template("api/docs.html", api=describe())


@cache
def _described() -> bytes:
    return orjson.dumps(describe(), option=orjson.OPT_INDENT_2)


def register(app: Flask) -> None:
    app.register_blueprint(blueprint)
