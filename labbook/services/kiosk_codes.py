"""The code by which a tablet knows a person for one step: made, seen once and removed by its owner."""

from __future__ import annotations

import secrets
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.models import User
from labbook.services import transaction
from labbook.services.viewers import VIEWER_COLUMNS, token_hash, viewer_from

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Nothing that is read as something else: no 0, O, 1, I, L, and no U beside V."""

LENGTH = 8
_BY_CODE = select(*VIEWER_COLUMNS).where(User.active)


def make(session: Session, *, actor: Viewer) -> str:
    """A fresh code; the one before no longer works. Only its hash is kept."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    _keep(session, actor, token_hash(code))
    return code


def remove(session: Session, *, actor: Viewer) -> None:
    _keep(session, actor, None)


def has_one(session: Session, *, viewer: Viewer) -> bool:
    return session.scalar(select(User.kiosk_code_hash).where(User.id == viewer.id)) is not None


def whose(session: Session, typed: str, *, now: datetime) -> Viewer | None:
    """Small letters, spaces and hyphens are how people type it."""
    code = "".join(c for c in typed.upper() if c not in " -\u00a0")
    query = _BY_CODE.where(User.kiosk_code_hash == token_hash(code))
    row = session.execute(query, {"now": now}).one_or_none()
    return None if row is None else viewer_from(row)


def _keep(session: Session, actor: Viewer, hashed: str | None) -> None:
    def work() -> None:
        session.execute(update(User).where(User.id == actor.id).values(kiosk_code_hash=hashed))

    transaction.write(session, work)
