"""What every page has in common: who asks, when, on which database; and the guards before each view."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from flask import Blueprint, current_app, g, request
from flask_login import current_user
from sqlalchemy.orm import Session
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.exceptions import BadRequest
from werkzeug.routing import IntegerConverter, Map
from werkzeug.wrappers import Response

from labbook.domain.access import Viewer
from labbook.extensions import csrf, db
from labbook.web import errors, keeping


class RowId(IntegerConverter):
    """``<id:…>``: a number that a row may have; what no database could hold is nobody's address."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, max=2**63 - 1)


View = TypeVar("View", bound=Callable[..., Any])

_PUBLIC = "labbook_public"


def page_blueprint(name: str) -> Blueprint:
    """A blueprint of pages: signed in unless a view is ``public``, forms guarded, errors in words."""
    blueprint = Blueprint(name, f"labbook.web.{name}")
    blueprint.before_request(_guard)
    errors.handle(blueprint)
    return blueprint


def public(view: View) -> View:
    """Marks a view that needs nobody signed in."""
    setattr(view, _PUBLIC, True)
    return view


def is_public(endpoint: str) -> bool:
    return getattr(current_app.view_functions[endpoint], _PUBLIC, False) is True


def viewer() -> Viewer:
    """Who is signed in; the guard has seen to it that somebody is."""
    found: Viewer = current_user.viewer
    return found


def signed_in() -> Viewer | None:
    """Who is signed in, if anybody, also on pages for everybody."""
    return current_user.viewer if current_user.is_authenticated else None


def now() -> datetime:
    """One instant for the whole answer."""
    if "now" not in g:
        g.now = datetime.now(UTC)
    found: datetime = g.now
    return found


def database() -> Session:
    return db.session()


def _guard() -> Response | str | None:
    """First who asks, then whether the form is ours. A form of somebody signed out is kept meanwhile."""
    assert request.endpoint is not None
    if "\0" in request.path:
        raise BadRequest()  # no name holds one
    request.args, request.form = _without_nul(request.args), _without_nul(request.form)
    if not (current_user.is_authenticated or is_public(request.endpoint)):
        return keeping.to_sign_in()
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        csrf.protect()
    return None


def _without_nul(values: MultiDict[str, str]) -> ImmutableMultiDict[str, str]:
    """PostgreSQL takes no null character, not even in a question.

    Another control character stands in for it: that too is refused wherever something is written, beside its
    field and with all that was typed.
    """
    items = list(values.items(multi=True))
    if not any("\0" in value for _, value in items):
        return ImmutableMultiDict(items)
    return ImmutableMultiDict([(name, value.replace("\0", "\1")) for name, value in items])
