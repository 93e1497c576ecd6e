"""Personal API tokens: made, seen once, listed and revoked by their owner."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import NotFound, Problem, Refused
from labbook.domain.words import text_problems
from labbook.models import ApiToken
from labbook.services import transaction
from labbook.services.viewers import token_hash

SCOPES = ("read",)
NAME_LIMIT = 100


@dataclass(frozen=True)
class TokenView:
    id: int
    name: str
    scope: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True)
class CreatedToken:
    """``secret`` is shown this once; only its hash is kept."""

    token: TokenView
    secret: str


def create(
    session: Session,
    name: str,
    *,
    actor: Viewer,
    now: datetime,
    scope: str | None = None,
    expires_at: datetime | None = None,
) -> CreatedToken:
    """Without scope and expiry it may do all that its user may."""
    wrong = text_problems(name, "name", limit=NAME_LIMIT, required=True)
    if scope is not None and scope not in SCOPES:
        wrong.append(Problem("unknown_kind", "scope", params={"kind": scope}))
    if expires_at is not None and expires_at <= now:
        wrong.append(Problem("in_the_past", "expires"))
    if wrong:
        raise Refused(wrong)
    secret = "lb_" + secrets.token_urlsafe(32)

    def work() -> CreatedToken:
        row = ApiToken(
            user_id=actor.id,
            name=name.strip(),
            token_hash=token_hash(secret),
            scope=scope,
            created_at=now,
            expires_at=expires_at,
        )
        session.add(row)
        session.flush()
        return CreatedToken(_view(row), secret)

    return transaction.write(session, work)


def list_own(session: Session, *, viewer: Viewer) -> list[TokenView]:
    """The viewer's tokens that aren't revoked, newest first."""
    query = select(ApiToken).where(ApiToken.user_id == viewer.id, ApiToken.revoked_at.is_(None))
    return [_view(row) for row in session.scalars(query.order_by(ApiToken.id.desc()))]


def revoke(session: Session, token_id: int, *, actor: Viewer, now: datetime) -> None:
    """One of the actor's own; ``NotFound`` for anybody else's, and for one already revoked."""
    _revoke(session, [ApiToken.id == token_id, ApiToken.user_id == actor.id], now)


def revoke_secret(session: Session, secret: str, *, now: datetime) -> None:
    """Whoever holds the token may end it."""
    _revoke(session, [ApiToken.token_hash == token_hash(secret)], now)


def _revoke(session: Session, which: list[ColumnElement[bool]], now: datetime) -> None:
    def work() -> None:
        done = session.execute(
            update(ApiToken)
            .where(*which, ApiToken.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(ApiToken.id)
        )
        if done.first() is None:
            raise NotFound("token")

    transaction.write(session, work)


def _view(row: ApiToken) -> TokenView:
    return TokenView(row.id, row.name, row.scope, row.created_at, row.expires_at, row.last_used_at)
