"""Light or dark: the reader's system decides, unless they have chosen."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, current_app, redirect, request
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from labbook.extensions import csrf

THEME_COOKIE = "theme"
THEMES = {"": _l("Light or dark as the system"), "light": _l("Light"), "dark": _l("Dark")}
A_YEAR = 365 * 24 * 3600

blueprint = Blueprint("look", __name__)


@blueprint.post("/look")
def choose() -> Response:
    """Remember it in this browser and go back."""
    csrf.protect()
    theme = request.form.get("theme", "")
    answer = redirect(_own_address(request.form.get("next", "/")), 303)
    if theme in THEMES:
        secure = bool(current_app.config["SESSION_COOKIE_SECURE"])
        answer.set_cookie(THEME_COOKIE, theme, A_YEAR, secure=secure, httponly=True, samesite="Lax")
    return answer


def _own_address(text: str) -> str:
    """A path of this site; anything else leads home."""
    parts = urlsplit(text)
    own = (
        not parts.scheme and not parts.netloc and text.startswith("/") and not text.startswith(("//", "/\\"))
    )
    return text.rstrip("?") or "/" if own else "/"
