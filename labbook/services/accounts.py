"""One's own account: signing in, the password, invitation and reset by mail."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import NotFound, Problem, Refused, StorageTrouble
from labbook.domain.words import text_problems
from labbook.models import OneTimeLink, User
from labbook.services import journal, passwords, transaction
from labbook.services.viewers import token_hash

VALIDITY = {"invitation": timedelta(days=7), "reset": timedelta(hours=2)}
MESSAGES = {"invitation": "invitation", "reset": "password_reset"}
LOCALES = ("en", "da", "de")
NAME_LIMIT = 200


@dataclass(frozen=True)
class Identity:
    """What a session keeps: the user, and the epoch in which it began."""

    user_id: int
    epoch: int


def authenticate(session: Session, email: str, password: str) -> Identity | None:
    """Who has this password; None alike for a wrong one, somebody unknown and somebody deactivated."""
    user = session.scalar(select(User).where(User.email == email.strip().lower()))
    kept = user.password_hash if user is not None and user.active else None
    if not passwords.matches(kept, password):
        return None
    assert user is not None
    assert kept is not None
    found = Identity(user.id, user.session_epoch)
    if passwords.is_outdated(kept):
        _rehash(session, found.user_id, kept, password)
    return found


def _rehash(session: Session, user_id: int, kept: str, password: str) -> None:
    """Keep the password under the present cost; whoever signs in may do so also where that fails."""
    fresh = passwords.hashed(password)

    def work() -> None:
        session.execute(
            update(User).where(User.id == user_id, User.password_hash == kept).values(password_hash=fresh)
        )

    try:
        transaction.write(session, work)
    except StorageTrouble:
        return


def change_password(session: Session, present: str, new: str, *, actor: Viewer) -> Identity:
    """Ends every other session; the answer is what this one goes on with."""
    kept = session.scalar(select(User.password_hash).where(User.id == actor.id))
    wrong = [] if passwords.matches(kept, present) else [Problem("password_wrong", "present")]
    wrong += passwords.problems(new, known=actor.email)
    if wrong:
        raise Refused(wrong)
    fresh = passwords.hashed(new)

    def work() -> Identity:
        return _set_password(session, actor.id, fresh)

    return transaction.write(session, work)


def _set_password(session: Session, user_id: int, fresh: str) -> Identity:
    user = session.get_one(User, user_id, with_for_update=True, populate_existing=True)
    user.password_hash = fresh
    user.session_epoch += 1
    # A link that was under way when the password changed must not change it again.
    session.execute(
        update(OneTimeLink)
        .where(OneTimeLink.user_id == user_id, OneTimeLink.used_at.is_(None))
        .values(used_at=OneTimeLink.created_at)
    )
    return Identity(user.id, user.session_epoch)


def send_link(session: Session, user: User, purpose: str, *, now: datetime) -> str:
    """Put a one-time link into the outbox; part of another use case. The answer is its path.

    The outbox has to carry the link itself until it has left; whoever sends the message empties its payload
    with it (``journal.SECRET_KINDS``).
    """
    path = _make_link(session, user, purpose, now)
    journal.post(session, MESSAGES[purpose], [user.id], now=now, payload={"path": path})
    return path


def invitation_link(session: Session, email: str, *, now: datetime) -> str:
    """The path of a link for whoever operates the machine to hand over; nothing is mailed."""

    def work() -> str:
        user = session.scalar(select(User).where(User.email == email.strip().lower(), User.active))
        if user is None:
            raise NotFound("user")
        return _make_link(session, user, "invitation", now)

    return transaction.write(session, work)


def _make_link(session: Session, user: User, purpose: str, now: datetime) -> str:
    """Only the hash is kept."""
    token = secrets.token_urlsafe(32)
    session.add(
        OneTimeLink(
            user_id=user.id,
            purpose=purpose,
            token_hash=token_hash(token),
            created_at=now,
            expires_at=now + VALIDITY[purpose],
        )
    )
    return f"/{purpose}/{token}"


def ask_reset(session: Session, email: str, *, now: datetime) -> None:
    """Mail a link to whoever has an account under this address, and tell nobody whether there is one."""

    def work() -> None:
        user = session.scalar(select(User).where(User.email == email.strip().lower(), User.active))
        if user is not None:
            send_link(session, user, "invitation" if user.password_hash is None else "reset", now=now)

    transaction.write(session, work)


@dataclass(frozen=True)
class LinkView:
    name: str
    email: str
    purpose: str


def find_link(session: Session, purpose: str, token: str, *, now: datetime) -> LinkView:
    """Whose link it is; ``NotFound`` once it is used, expired or unknown."""
    link = session.scalar(_open_link(purpose, token, now))
    if link is None:
        raise NotFound("link")
    return LinkView(link.user.name, link.user.email, link.purpose)


def redeem(session: Session, purpose: str, token: str, password: str, *, now: datetime) -> Identity:
    """Set the password by a link, which works this once; every session of before ends."""
    wrong = passwords.problems(password, known=find_link(session, purpose, token, now=now).email)
    if wrong:
        raise Refused(wrong)
    fresh = passwords.hashed(password)

    def work() -> Identity:
        link = session.scalar(_open_link(purpose, token, now).with_for_update())
        if link is None:
            raise NotFound("link")
        link.used_at = now
        session.flush()
        return _set_password(session, link.user_id, fresh)

    return transaction.write(session, work)


def _open_link(purpose: str, token: str, now: datetime) -> Select[OneTimeLink]:
    return (
        select(OneTimeLink)
        .join(User, OneTimeLink.user_id == User.id)
        .where(
            OneTimeLink.token_hash == token_hash(token),
            OneTimeLink.purpose == purpose,
            OneTimeLink.used_at.is_(None),
            OneTimeLink.expires_at > now,
            User.active,
        )
    )


def update_profile(session: Session, name: str, locale: str, *, actor: Viewer) -> None:
    """One's own name and language."""
    wrong = text_problems(name, "name", limit=NAME_LIMIT, required=True)
    if locale not in LOCALES:
        wrong.append(Problem("unknown_kind", "locale", params={"kind": locale}))
    if wrong:
        raise Refused(wrong)

    def work() -> None:
        session.execute(update(User).where(User.id == actor.id).values(name=name.strip(), locale=locale))

    transaction.write(session, work)
