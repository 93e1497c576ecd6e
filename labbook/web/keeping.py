"""What was typed is never lost: a form that was refused, or whose session ended, is shown again as it was.

A refused form's page is rendered anew with the problems beside the fields. A form that came after the
session ended travels through the sign-in page as a signed, short-lived copy and is shown, not carried out,
once whoever typed it has signed in again: on a lab's shared computer the next one may be a competitor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, current_app, g, make_response, redirect, request, url_for
from flask_login import current_user
from itsdangerous import BadData, URLSafeSerializer, URLSafeTimedSerializer
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.wrappers import Response as AnyResponse

from labbook.domain.errors import Conflict, Problem

VALID_FOR = 3600
"""Seconds in which a kept form may come back."""

NEVER_KEPT = frozenset({"csrf_token", "password", "present", "again", "kept", "typist", "kiosk_code"})


@dataclass(frozen=True)
class Typed:
    """A form as it was posted to ``path``, and what was wrong with it."""

    path: str
    form: MultiDict[str, str] = field(default_factory=MultiDict)
    problems: Sequence[Problem] = ()
    conflicts: Sequence[Conflict] = ()
    notice: str | None = None


def typed(path: str) -> Typed:
    """What was typed into the form that posts to ``path``; empty when none was."""
    kept: Typed | None = g.get("typed")
    return kept if kept is not None and kept.path == path else Typed(path)


def shown_again() -> Typed | None:
    """The form that this answer shows again, whichever it is."""
    found: Typed | None = g.get("typed")
    return found


def show_again(
    status: int,
    problems: Sequence[Problem] = (),
    conflicts: Sequence[Conflict] = (),
    notice: str | None = None,
) -> Response:
    """The page of the form that was just posted, with what was typed and what is wrong with it."""
    return _render(Typed(request.path, _worth_keeping(request.form), problems, conflicts, notice), status)


def posted() -> list[tuple[str, str]]:
    """What was typed, to be sent once more where no page can be shown for it."""
    return list(_worth_keeping(request.form).items(multi=True))


def to_sign_in() -> AnyResponse:
    """Send somebody signed out to the sign-in page; what they posted goes with them."""
    if request.method == "POST" and request.endpoint != "sign_in.sign_out":
        view = current_app.view_functions["sign_in.show"]
        response = make_response(view(kept=_sealed(), next_page=_page_of(request.path)))
        response.status_code = 401
        return response
    here = request.full_path.rstrip("?") if request.method == "GET" else "/"
    return redirect(url_for("sign_in.show", next=here))


def come_back(sealed: str) -> Response | None:
    """The kept form; None for anybody but who typed it, and when it is too old or not ours."""
    try:
        path, items, typed_by = _serializer().loads(sealed, max_age=VALID_FOR)
    except BadData:
        return None
    if typed_by and typed_by != _reader():
        return None
    form = MultiDict((str(name), str(value)) for name, value in items)
    try:
        return _render(Typed(str(path), form), 200)
    except HTTPException:
        return None


def _render(kept: Typed, status: int) -> Response:
    endpoint, values = _form_page(kept.path)
    g.typed = kept
    response: Response = make_response(
        current_app.ensure_sync(current_app.view_functions[endpoint])(**values)
    )
    response.status_code = status
    return response


def _form_page(path: str) -> tuple[str, dict[str, Any]]:
    """The page that a form is on: its own address, or the nearest above it that can be read."""
    adapter = current_app.url_map.bind("")
    while True:
        try:
            endpoint, values = adapter.match(path, method="GET")
        except HTTPException as error:
            if path in ("/", ""):
                raise NotFound() from error
            path = path.rpartition("/")[0] or "/"
        else:
            return endpoint, dict(values)


def _page_of(path: str) -> str:
    adapter = current_app.url_map.bind("")
    return adapter.build(*_form_page(path))


def _worth_keeping(form: MultiDict[str, str]) -> MultiDict[str, str]:
    return MultiDict([(k, v) for k, v in form.items(multi=True) if k not in NEVER_KEPT])


def _sealed() -> str:
    try:
        typed_by = _signer().loads(request.form.get("typist", ""))
    except BadData:
        typed_by = ""
    return str(_serializer().dumps([request.path, posted(), typed_by]))


def typist() -> str:
    """Who is shown this form, sealed: a session that ended no longer says whose it was."""
    return str(_signer().dumps(_reader()))


def _reader() -> str:
    return str(current_user.viewer.id) if current_user.is_authenticated else ""


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.secret_key or "", salt="typist")


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.secret_key or "", salt="kept form")


def register(app: Flask) -> None:
    app.jinja_env.globals["shown_again"] = shown_again
    app.jinja_env.globals["typist"] = typist
