"""What the registers of people, organisations and projects share: who may keep them, and short names."""

from __future__ import annotations

import re

from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Role, Viewer
from labbook.domain.errors import Forbidden, Problem
from labbook.models import Organisation

NAME_LIMIT = 200
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*")


def is_keeper(viewer: Viewer) -> bool:
    """Managers and admins keep the registers."""
    return viewer.role in (Role.MANAGER, Role.ADMIN)


def require_keeper(actor: Viewer) -> None:
    if not is_keeper(actor):
        raise Forbidden("manage")


def require_manager(actor: Viewer) -> None:
    """Whoever manages a facility, as somebody's deputy too; they keep no registers of people."""
    if not actor.decides:
        raise Forbidden("manage")


def slug_problems(slug: str) -> list[Problem]:
    return [] if _SLUG.fullmatch(slug) else [Problem("slug_malformed", "slug")]


def email_problems(email: str) -> list[Problem]:
    sound = len(email) <= 254 and email.isprintable() and _EMAIL.fullmatch(email)
    return [] if sound else [Problem("not_an_email", "email")]


def organisation_named(session: Session, slug: str, problems: list[Problem]) -> Organisation | None:
    found = session.scalar(select(Organisation).where(Organisation.slug == slug))
    if found is None:
        problems.append(Problem("unknown_organisation", "organisation", params={"organisation": slug}))
    return found
