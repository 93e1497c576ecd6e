"""The error tree as pages in words. A form that was refused is shown again, with what was typed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from flask import Blueprint, Response, g, make_response, render_template, request
from flask_babel import gettext as _
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from labbook.domain.errors import (
    Forbidden,
    LabbookError,
    NotFound,
    Refused,
    StaleRevision,
    StorageTrouble,
    StorageUnwritable,
    WrongStatus,
)
from labbook.web import keeping

log = logging.getLogger(__name__)


def handle(blueprint: Blueprint) -> None:
    """Give the pages of a blueprint their answers to errors."""
    blueprint.register_error_handler(LabbookError, _labbook_error)
    blueprint.register_error_handler(OperationalError, _unreachable)
    blueprint.register_error_handler(CSRFError, _foreign_form)
    blueprint.register_error_handler(HTTPException, http_error)


def http_error(error: HTTPException) -> AnyResponse:
    if error.code is not None and 300 <= error.code < 400:
        return error.get_response()
    response = _page(error.code or 500)
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after"):
            response.headers[name] = value
    return response


def _labbook_error(error: LabbookError) -> Response:
    match error:
        case NotFound():
            return _page(404)
        case Forbidden():
            return _page(403)
        case Refused(problems=problems, conflicts=conflicts):
            status = 409 if error.is_conflict else 422
            return _again(lambda: keeping.show_again(status, problems, conflicts), status)
        case WrongStatus():
            notice = _("This is no longer possible: it has moved on meanwhile. Here is how it stands now.")
            return _again(lambda: keeping.show_again(409, notice=notice), 409)
        case StaleRevision():
            notice = _(
                "Somebody changed this since you opened it. Here is how it stands now; what you typed is "
                "still in the form."
            )
            return _again(lambda: keeping.show_again(412, notice=notice), 412)
        case StorageTrouble():
            return _storage(error)
        case _:
            return _page(500)


def _again(show: Callable[[], Response], status: int) -> Response:
    """Show the form again where there was one, on a page that whoever sent it may see."""
    if request.method != "POST":
        return _page(status)
    try:
        return show()
    except NotFound:
        return _page(404)
    except Forbidden:
        return _page(403)
    except StorageTrouble:
        return _page(503, keeping.posted())


def _storage(error: StorageTrouble) -> Response:
    if isinstance(error, StorageUnwritable):
        notice = _("Nothing was saved: the server's disk is full or read-only. The operator has to look.")
    else:
        notice = _("Nothing was saved: the database is busy. Please try again in a moment.")
    return _again(lambda: keeping.show_again(503, notice=notice), 503)


def _unreachable(error: OperationalError) -> Response:
    """Not even who asks can be looked up: a page without the database, and what was typed to send again."""
    log.error("%s %s: the database does not answer", request.method, request.path, exc_info=error)
    g.unreachable = True
    return _page(503, keeping.posted() if request.method == "POST" else ())


def _foreign_form(error: CSRFError) -> AnyResponse:
    """Mostly a form from before one signed in anew: show it again with a fresh token."""
    if not current_user.is_authenticated and request.endpoint is None:
        return _page(400)
    notice = _("This form was opened before you signed in. Please look at it and send it once more.")
    return _again(lambda: keeping.show_again(400, notice=notice), 400)


def _page(status: int, posted: Sequence[tuple[str, str]] = ()) -> Response:
    title, text = _words(status)
    page = render_template("error.html", status=status, title=title, text=text, posted=posted)
    response = make_response(page, status)
    response.headers["Cache-Control"] = "no-store"
    return response


def _words(status: int) -> tuple[str, str]:
    match status:
        case 403:
            return _("Not yours to do"), _("You may see this, but not do that to it. The lab's managers may.")
        case 404:
            return _("Nothing here"), _("There is no such page, or it is not one that you may see.")
        case 405:
            return _("Not like this"), _("This address is used by a form; open the page it belongs to.")
        case 413:
            return _("Too much at once"), _("What you sent is larger than 1 MiB. Nothing of it was kept.")
        case 429:
            return (
                _("Slow down, please"),
                _("There were too many attempts from here. Wait a minute and try again."),
            )
        case 503:
            return _("Not just now"), _("The database cannot answer. Nothing was changed. Try again soon.")
        case 500:
            return (
                _("That was our fault"),
                _("Something went wrong here, and nothing was changed. It has been noted down."),
            )
        case _:
            return _("This did not work"), _(
                "The request could not be read. Go back, load the page anew and try again."
            )
