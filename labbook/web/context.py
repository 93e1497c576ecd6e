"""What every page knows: who reads it, where they can go, how it looks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, current_app, g, request, url_for
from flask_babel import lazy_gettext as _l
from flask_login import current_user

from labbook.domain.access import Role, Viewer
from labbook.extensions import db
from labbook.services import example
from labbook.signed_in import SignedIn
from labbook.web.formatting import locale_code
from labbook.web.look import THEME_COOKIE, THEMES

WAITING = "requests_waiting"
"""Key in ``flask.g``: the page that has counted them already says so, and nobody counts again."""


@dataclass(frozen=True)
class Link:
    path: str
    label: str
    icon: str = ""
    on_phone: bool = False
    count: int = 0
    current: bool = False


@dataclass(frozen=True)
class PageContext:
    """``page`` in the templates. ``theme`` is empty where the reader's system decides."""

    lab_name: str
    locale: str
    theme: str
    themes: tuple[tuple[str, str], ...]
    viewer: Viewer | None
    example: bool
    links: tuple[Link, ...]
    more_links: tuple[Link, ...]


def viewer() -> Viewer | None:
    who = current_user._get_current_object()
    return who.viewer if isinstance(who, SignedIn) else None


def _context() -> dict[str, Any]:
    reader = viewer()
    theme = request.cookies.get(THEME_COOKIE, "")
    return {
        "page": PageContext(
            lab_name=lab_name(str(current_app.static_folder)),
            locale=locale_code(),
            theme=theme if theme in THEMES else "",
            themes=tuple((code, str(label)) for code, label in THEMES.items()),
            viewer=reader,
            example=bool(g.example) if "example" in g else example.is_marked(db.session()),
            links=_links(reader) if reader else (),
            more_links=_more_links(reader) if reader else (),
        )
    }


def _links(reader: Viewer) -> tuple[Link, ...]:
    decides = reader.decides
    technician = reader.role is Role.TECHNICIAN
    found = [
        _link("/", _l("Home"), "home", on_phone=True),
        _link("/calendar", _l("Calendar"), "calendar", on_phone=True),
        _link("/book", _l("Book"), "book", on_phone=True),
        _link("/equipment", _l("Equipment"), "equipment", on_phone=not (decides or technician)),
    ]
    if decides or technician:
        found.insert(1, _link("/today", _l("Today"), "list", on_phone=technician and not decides))
    if decides:
        waiting = int(g.get(WAITING, 0))
        found.append(_link("/approvals", _l("Approvals"), "approvals", on_phone=True, count=waiting))
    found.append(_link("/projects", _l("Projects"), "projects"))
    return tuple(link for link in found if exists(link.path))


def _more_links(reader: Viewer) -> tuple[Link, ...]:
    found = [_link("/environments", _l("Test environments"))]
    if not reader.decides and reader.role is not Role.TECHNICIAN:
        found.insert(0, _link("/today", _l("Today in the lab")))
    found += [_link("/utilities", _l("Utilities")), _link("/waitlist", _l("Waitlist"))]
    if reader.decides:
        found += [_link("/manage", _l("Manage")), _link("/reports", _l("Reports"))]
    if reader.role is Role.TECHNICIAN:
        found += [_link("/manage/faults", _l("Faults")), _link("/manage/labels", _l("Labels"))]
    found.append(_link("/account", _l("Account")))
    return tuple(link for link in found if exists(link.path))


def _link(path: str, label: object, icon: str = "", *, on_phone: bool = False, count: int = 0) -> Link:
    here = request.path == path or (path != "/" and request.path.startswith(path + "/"))
    return Link(path, str(label), icon, on_phone, count, here)


def exists(path: str) -> bool:
    """Only what this version has is offered."""
    return path in _paths(current_app.url_map)


@lru_cache(maxsize=4)
def _paths(url_map: Any) -> frozenset[str]:
    return frozenset(rule.rule.rstrip("/") or "/" for rule in url_map.iter_rules())


@lru_cache(maxsize=4)
def lab_name(static: str) -> str:
    """From the folder that another lab replaces."""
    return (Path(static) / "brand" / "name.txt").read_text(encoding="utf-8").strip()


def asset(name: str) -> str:
    """The address of a file of our own, with its age, so that a browser may keep it for long."""
    path = Path(str(current_app.static_folder)) / name
    return url_for("static", filename=name, v=f"{int(path.stat().st_mtime):x}" if path.exists() else None)


def register(app: Flask) -> None:
    app.context_processor(_context)
    app.jinja_env.globals["asset"] = asset
