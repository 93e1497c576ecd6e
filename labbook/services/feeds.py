"""Calendar subscriptions: made, listed and revoked by their holder, and read by whoever has the address."""

from __future__ import annotations

import secrets
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Row, Select, bindparam, select, true, update
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import NotFound, Problem, Refused, StorageTrouble
from labbook.domain.visibility import scope_of
from labbook.domain.words import text_problems
from labbook.formats.icalendar import render_calendar
from labbook.models import (
    Environment,
    Equipment,
    Facility,
    Feed,
    Project,
    User,
)
from labbook.services import feed_entries, transaction
from labbook.services.feed_cache import FeedCache, RenderedFeed
from labbook.services.known_projects import known
from labbook.services.known_recipes import known_recipe
from labbook.services.viewers import CHANGES, LAST_USED_EVERY, VIEWER_COLUMNS, token_hash, viewer_from

NAME_LIMIT = 100

_NAMED = {"equipment": Equipment, "environment": Environment, "facility": Facility}
_Row: TypeAlias = Row[*tuple[Any, ...]]

_rendered = FeedCache()


@dataclass(frozen=True)
class CreateFeed:
    """``scope``: ``mine``, ``organisation``, ``project:SLUG``, ``equipment:SLUG``, ``environment:SLUG``,
    ``facility:SLUG`` or ``approvals``. ``reference_only`` leaves out titles and whatever else was written.
    """

    scope: str
    name: str = ""
    reference_only: bool = False


@dataclass(frozen=True)
class FeedView:
    id: int
    scope: str
    name: str
    reference_only: bool
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True)
class CreatedFeed:
    """``secret`` is shown this once; only its hash is kept."""

    feed: FeedView
    secret: str


def create(session: Session, command: CreateFeed, *, actor: Viewer, now: datetime) -> CreatedFeed:
    """Raises ``Refused`` for a scope that doesn't exist or isn't the actor's."""
    secret = secrets.token_urlsafe(32)

    def work() -> CreatedFeed:
        target_id = _target(session, command.scope, actor)
        if problems := text_problems(command.name, "name", limit=NAME_LIMIT):
            raise Refused(problems)
        feed = Feed(
            user_id=actor.id,
            name=command.name,
            scope=command.scope,
            target_id=target_id,
            secret_hash=token_hash(secret),
            reference_only=command.reference_only,
            created_at=now,
        )
        session.add(feed)
        session.flush()
        return CreatedFeed(_view(feed), secret)

    return transaction.write(session, work)


def create_for(session: Session, email: str, command: CreateFeed, *, now: datetime) -> CreatedFeed:
    """As ``create``, for somebody by their e-mail address; ``NotFound`` without such an active user."""
    found = _VIEWER.where(User.email == email.strip().lower(), User.active)
    row = session.execute(found, {"now": now}).one_or_none()
    if row is None:
        raise NotFound("user")
    return create(session, command, actor=viewer_from(row), now=now)


def list_own(session: Session, *, viewer: Viewer) -> list[FeedView]:
    """The viewer's feeds that aren't revoked, oldest first."""
    return _views(session, Feed.user_id == viewer.id)


def list_of(session: Session, email: str) -> list[FeedView]:
    """Somebody's feeds, for whoever operates the service."""
    return _views(session, Feed.user_id.in_(_user(email)))


def revoke(session: Session, feed_id: int, *, actor: Viewer, now: datetime) -> None:
    """One of the actor's own; ``NotFound`` for anybody else's, and for one already revoked."""
    _revoke(session, Feed.id == feed_id, Feed.user_id == actor.id, now=now)


def revoke_address(session: Session, secret: str, *, now: datetime) -> None:
    """Whoever holds the address may end it."""
    _revoke(session, Feed.secret_hash == token_hash(secret), now=now)


def revoke_all_of(session: Session, email: str, *, now: datetime) -> int:
    """How many of somebody's feeds were ended, for whoever operates the service."""
    return _revoke(session, Feed.user_id.in_(_user(email)), now=now)


def _revoke(session: Session, *which: ColumnElement[bool], now: datetime) -> int:
    def work() -> int:
        done = session.execute(
            update(Feed)
            .where(*which, Feed.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(Feed.id)
            .execution_options(synchronize_session=False)
        ).all()
        if not done:
            raise NotFound("feed")
        return len(done)

    return transaction.write(session, work)


def _views(session: Session, *which: ColumnElement[bool]) -> list[FeedView]:
    query = select(Feed).where(*which, Feed.revoked_at.is_(None)).order_by(Feed.id)
    return [_view(feed) for feed in session.scalars(query)]


def _user(email: str) -> Select[int]:
    return select(User.id).where(User.email == email.strip().lower())


def _target(session: Session, scope: str, actor: Viewer) -> int | None:
    """The id of what the scope names, once it is clear that the actor may subscribe to it."""
    kind, colon, slug = scope.partition(":")
    if scope in ("mine", "organisation"):
        return None
    if scope == "approvals":
        if not actor.decides:
            raise Refused([Problem("feed_scope_not_yours", "scope", params={"scope": scope})])
        return None
    found = None
    if colon and kind == "project":
        found = session.scalar(select(Project.id).where(Project.slug == slug, known(scope_of(actor))))
    elif colon and kind in _NAMED:
        noun: Any = _NAMED[kind]
        theirs = known_recipe(scope_of(actor)) if kind == "environment" else true()
        found = session.scalar(select(noun.id).where(noun.slug == slug, theirs))
    else:
        raise Refused([Problem("unknown_feed_scope", "scope", params={"scope": scope})])
    if found is None:
        # The same answer for what doesn't exist and for what isn't the actor's to know.
        raise Refused([Problem(f"unknown_{kind}", "scope", params={kind: slug})])
    return int(found)


def _view(feed: Feed) -> FeedView:
    return FeedView(feed.id, feed.scope, feed.name, feed.reference_only, feed.created_at, feed.last_used_at)


# --- reading ----------------------------------------------------------------------------------------


_VIEWER: Select[*tuple[Any, ...]] = select(*VIEWER_COLUMNS)

_feed = Feed.__table__.c

# Everything that an unchanged feed needs, in one query.
_STAMP: Select[*tuple[Any, ...]] = (
    select(
        _feed.id,
        _feed.scope,
        _feed.target_id,
        _feed.reference_only,
        _feed.last_used_at,
        CHANGES,
        *VIEWER_COLUMNS,
    )
    .join_from(Feed.__table__, User.__table__, _feed.user_id == User.__table__.c.id)
    .where(
        _feed.secret_hash == bindparam("secret_hash"),
        _feed.revoked_at.is_(None),
        User.__table__.c.active,
    )
)


def read(session: Session, secret: str, *, now: datetime, base_url: str) -> RenderedFeed:
    """The calendar behind an address; ``NotFound`` when it is unknown, revoked or of somebody deactivated.

    As long as nothing in any facility's calendar changed it costs one query; where something changed that
    this subscriber doesn't see, a few more, and nothing is rendered. What is counted nowhere (the name of
    a project or of a person) shows within the hour.
    """
    key = token_hash(secret)
    row = session.connection().execute(_STAMP, {"secret_hash": key, "now": now}).one_or_none()
    if row is None:
        raise NotFound("feed")
    subscription = _subscription(row, base_url)
    hour = now.replace(minute=0, second=0, microsecond=0)
    stamp = (subscription, hour, int(row.changes))
    rendered = _rendered.get(key)
    if rendered is None or rendered.stamp != stamp:
        rendered = _renewed(session, key, subscription, stamp, now)
    _note_use(session, row.id, row.last_used_at, now)
    return rendered


def _renewed(
    session: Session,
    key: str,
    subscription: feed_entries.Subscription,
    stamp: tuple[Hashable, ...],
    now: datetime,
) -> RenderedFeed:
    reading = feed_entries.Reading(session, subscription, now)
    mark = (*stamp[:2], reading.mark())
    known = _rendered.get(key)
    if known is not None and known.mark == mark:
        return _rendered.put(key, known.content, stamp, mark, now)
    content = render_calendar(reading.head(), reading.entries())
    return _rendered.put(key, content, stamp, mark, now)


def _subscription(row: _Row, base_url: str) -> feed_entries.Subscription:
    kind = row.scope.partition(":")[0]
    return feed_entries.Subscription(viewer_from(row), kind, row.target_id, row.reference_only, base_url)


def _note_use(session: Session, feed_id: int, last_used_at: datetime | None, now: datetime) -> None:
    """At most every few minutes, so that reading doesn't write; and reading succeeds where it can't."""
    if last_used_at is not None and now - last_used_at < LAST_USED_EVERY:
        return

    def work() -> None:
        session.execute(
            update(Feed)
            .where(Feed.id == feed_id)
            .values(last_used_at=now)
            .execution_options(synchronize_session=False)
        )

    try:
        transaction.write(session, work)
    except StorageTrouble:
        return
