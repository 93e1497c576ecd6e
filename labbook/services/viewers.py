"""Who is asking: the one query that every call pays for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, String, bindparam, func, select, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement

from labbook.domain.access import Role, Viewer
from labbook.domain.errors import StorageTrouble
from labbook.models import ApiToken, ChangeCounter, Deputy, Instant, ProjectMember, StaffMembership, User
from labbook.services import deputies, transaction

LAST_USED_EVERY = timedelta(minutes=5)
"""So that reading does not write."""


def token_hash(token: str) -> str:
    """SHA-256: tokens are random, a slow hash would tax every call and protect nothing."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class _joined(FunctionElement[str]):  # noqa: N801 - it is called as a function
    """Ids with commas between them. SQLAlchemy's own ``aggregate_strings`` writes its separator into the
    statement anew with each execution, and this is in the one query that every call pays for.
    """

    type = String()
    inherit_cache = True


@compiles(_joined)
def _compile_joined(element: _joined, compiler: Any, **options: Any) -> str:
    name = "string_agg" if compiler.dialect.name == "postgresql" else "group_concat"
    return f"{name}(CAST({compiler.process(element.clauses, **options)} AS VARCHAR), ',')"


# Tables, not mapped classes: no object is made of these rows, and this is paid for with every call.
_user, _token = User.__table__.c, ApiToken.__table__.c
_staff, _member = StaffMembership.__table__.c, ProjectMember.__table__.c

VIEWER_COLUMNS: Sequence[Any] = (
    _user.id.label("user_id"),
    _user.name,
    _user.email,
    _user.organisation_id,
    _user.role,
    _user.locale,
    select(_joined(_staff.facility_id))
    .where(_staff.user_id == _user.id)
    .scalar_subquery()
    .label("facilities"),
    select(_joined(_member.project_id))
    .where(_member.user_id == _user.id)
    .scalar_subquery()
    .label("projects"),
    select(_joined(Deputy.facility_id))
    .where(deputies.holds(bindparam("now", type_=Instant())))
    .scalar_subquery()
    .label("deputised"),
)
"""Asked with ``now``: who stands in for somebody does so for a time."""

CHANGES = (
    select(func.coalesce(func.sum(ChangeCounter.__table__.c.number), 0)).scalar_subquery().label("changes")
)
"""The counters only ever grow, so that their sum stands still exactly when all of them do."""

_BY_TOKEN = (
    select(
        *VIEWER_COLUMNS,
        _token.id.label("token_id"),
        _token.scope,
        _token.expires_at,
        _token.last_used_at,
        CHANGES,
    )
    .join_from(ApiToken.__table__, User.__table__, _token.user_id == _user.id)
    .where(_token.token_hash == bindparam("token_hash"), _token.revoked_at.is_(None), _user.active)
)

_BY_USER = select(*VIEWER_COLUMNS).where(
    _user.id == bindparam("user_id"), _user.session_epoch == bindparam("epoch"), _user.active
)


class Caller(NamedTuple):
    """Who asks by a token, and how many changes all calendars had seen when they asked."""

    viewer: Viewer
    changes: int


def by_token(session: Session, token: str, now: datetime) -> Caller | None:
    """Whose token it is; None when it is unknown, revoked, expired, or of somebody deactivated."""
    row = session.connection().execute(_BY_TOKEN, {"token_hash": token_hash(token), "now": now}).one_or_none()
    if row is None or (row.expires_at is not None and row.expires_at <= now):
        return None
    if row.last_used_at is None or now - row.last_used_at >= LAST_USED_EVERY:
        _note_use(session, row.token_id, now)
    return Caller(viewer_from(row, row.scope), int(row.changes))


def by_user_id(session: Session, user_id: int, epoch: int, now: datetime) -> Viewer | None:
    """Who a browser's session stands for; None once the sessions of that epoch were ended."""
    row = session.execute(_BY_USER, {"user_id": user_id, "epoch": epoch, "now": now}).one_or_none()
    return None if row is None else viewer_from(row)


def by_email(session: Session, email: str, now: datetime) -> Viewer | None:
    """Somebody named on the command line, who needs no proof."""
    query = select(*VIEWER_COLUMNS).where(_user.email == email.strip().lower(), _user.active)
    row = session.execute(query, {"now": now}).one_or_none()
    return None if row is None else viewer_from(row)


def viewer_from(row: Row[*tuple[Any, ...]], scope: str | None = None) -> Viewer:
    """The viewer in a row that has ``VIEWER_COLUMNS``."""
    return Viewer(
        id=row.user_id,
        name=row.name,
        email=row.email,
        organisation_id=row.organisation_id,
        role=Role(row.role),
        facility_ids=_ids(row.facilities),
        project_ids=_ids(row.projects),
        locale=row.locale,
        scope=scope,
        deputy_at=_ids(row.deputised),
    )


def _ids(joined: str | None) -> frozenset[int]:
    return frozenset(int(each) for each in joined.split(",")) if joined else frozenset()


def _note_use(session: Session, token_id: int, now: datetime) -> None:
    """A call succeeds also where this cannot be written."""

    def work() -> None:
        session.execute(
            update(ApiToken)
            .where(ApiToken.id == token_id)
            .values(last_used_at=now)
            .execution_options(synchronize_session=False)
        )

    try:
        transaction.write(session, work)
    except StorageTrouble:
        return
