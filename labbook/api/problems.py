"""The error tree as ``application/problem+json`` (RFC 9457), mapped once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from flask import Blueprint, Response, g, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from labbook.api.asking import Unauthenticated
from labbook.domain.errors import (
    Conflict,
    Forbidden,
    LabbookError,
    NotFound,
    Problem,
    Refused,
    RevisionRequired,
    StaleRevision,
    StorageTrouble,
    StorageUnwritable,
    WrongStatus,
)
from labbook.formats import wording

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Malformed(LabbookError):
    """The body is no JSON object at all."""


def handle(blueprint: Blueprint) -> None:
    """Give a blueprint its answers to errors."""
    blueprint.register_error_handler(LabbookError, _labbook_error)
    blueprint.register_error_handler(Unauthenticated, _unauthenticated)
    blueprint.register_error_handler(CSRFError, _foreign_form)
    blueprint.register_error_handler(HTTPException, http_error)
    blueprint.register_error_handler(OperationalError, _unreachable)
    blueprint.register_error_handler(Exception, _defect)


def http_error(error: HTTPException) -> Response:
    """What the framework refuses: an unknown address, a method that is not there, a body that is too long."""
    status = error.code or 500
    detail = "The body is longer than 1 MiB." if status == 413 else error.description or ""
    answer = problem(status, _TITLES.get(status, error.name), detail)
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after"):
            answer.headers[name] = value
    return answer


def problem(
    status: int,
    title: str,
    detail: str = "",
    problems: Sequence[Problem] = (),
    conflicts: Sequence[Conflict] = (),
) -> Response:
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if problems:
        body["problems"] = said(problems)
    if conflicts:
        body["conflicts"] = [{"equipment": c.equipment, "start": c.start, "end": c.end} for c in conflicts]
    answer = Response(orjson.dumps(body, option=orjson.OPT_UTC_Z), status, content_type=MEDIA_TYPE)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def said(problems: Sequence[Problem]) -> list[Mapping[str, Any]]:
    """Problems with their sentences, in the language of whoever asks."""
    return [
        {
            "code": each.code,
            "message": _sentence(each),
            "field": each.field,
            "weight": each.weight,
            "overridable": each.overridable,
        }
        for each in problems
    ]


def _sentence(problem: Problem) -> str:
    return wording.sentence(problem.code, problem.params, locale())


def locale() -> str:
    """The language of whoever asks."""
    return str(g.api_viewer.locale) if "api_viewer" in g else "en"


_TITLES = {400: "Malformed", 404: "Not found", 405: "Method not allowed", 413: "Too large"}


def _labbook_error(error: LabbookError) -> Response:
    match error:
        case NotFound():
            return problem(404, "Not found", "There is nothing here that you may know of.")
        case Forbidden(action=action):
            return problem(403, "Forbidden", f"You may not do this: {action}.")
        case RevisionRequired():
            return problem(428, "Revision required", 'Say which revision you read: If-Match: "revision".')
        case StaleRevision(current=current):
            answer = problem(
                412, "Changed meanwhile", f"Somebody changed it; it is at revision {current}. Read it again."
            )
            answer.set_etag(str(current))
            return answer
        case WrongStatus(action=action, status=status):
            return problem(409, "Not in this status", f"{action} is not possible while it is {status}.")
        case Refused(problems=problems, conflicts=conflicts) if not error.is_conflict:
            return problem(422, "Refused", _sentence(problems[0]), problems, conflicts)
        case Refused(problems=problems, conflicts=conflicts):
            return problem(409, "Taken", "What you asked for is taken at that time.", problems, conflicts)
        case Malformed():
            return problem(400, "Malformed", str(error))
        case StorageTrouble():
            return _storage(error)
        case _:
            return problem(500, "Failed", "Something went wrong here. Nothing was changed.")


def _storage(error: StorageTrouble) -> Response:
    if isinstance(error, StorageUnwritable):
        return problem(503, "Not writable", "The server's disk is full or read-only. Nothing was changed.")
    answer = problem(503, "Busy", "The database is busy. Nothing was changed; try again.")
    answer.headers["Retry-After"] = "1"
    return answer


def _unauthenticated(_error: Unauthenticated) -> Response:
    answer = problem(401, "Who are you?", "Send a valid token: Authorization: Bearer TOKEN.")
    answer.headers["WWW-Authenticate"] = 'Bearer realm="labbook"'
    return answer


def _foreign_form(_error: CSRFError) -> Response:
    return problem(
        400, "Not from a page of ours", "A browser's session needs the header X-CSRFToken; or use a token."
    )


def _unreachable(error: OperationalError) -> Response:
    log.error("%s %s: the database does not answer", request.method, request.path, exc_info=error)
    answer = problem(503, "Not just now", "The database does not answer. Nothing was changed; try again.")
    answer.headers["Retry-After"] = "5"
    return answer


def _defect(error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return problem(500, "Failed", f"Something went wrong here ({request.method} {request.path}).")
