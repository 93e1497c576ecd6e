"""History and outgoing messages, written in the transaction of what they tell of."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.models import Deputy, HistoryEntry, OutboxMessage, Remark, Reservation, StaffMembership, User
from labbook.services import deputies, transaction

SECRET_KINDS = frozenset({"invitation", "password_reset"})
"""Messages whose payload is a secret: whoever sends or gives up one empties it in the same transaction."""


TEXTS = ("title", "notes")
"""Fields whose values in ``old`` and ``new`` are the numbers of remarks."""


def kept(session: Session, text: str) -> int:
    """A text beside the history, where erasure can reach it; its number is what an entry keeps."""
    remark = Remark(text=text)
    session.add(remark)
    session.flush()
    return remark.id


def record(
    session: Session,
    reservation: Reservation,
    action: str,
    *,
    actor: Viewer | None,
    now: datetime,
    old: dict[str, Any] | None = None,
    new: dict[str, Any] | None = None,
    reason: str = "",
    rule: str | None = None,
) -> HistoryEntry:
    """Append one entry and mark the facility's calendars as changed.

    ``old`` and ``new`` hold changed fields only, never free text: that goes into ``reason`` or is ``kept``.
    """
    entry = HistoryEntry(
        reservation_id=reservation.id,
        at=now,
        actor_id=actor.id if actor else None,
        rule=rule,
        action=action,
        old=_plain(old or {}),
        new=_plain(new or {}),
        remark_id=kept(session, reason) if reason else None,
    )
    session.add(entry)
    transaction.touch(session, reservation.facility_id)
    return entry


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in values.items()}


def post(
    session: Session,
    kind: str,
    recipients: Iterable[int],
    *,
    now: datetime,
    reservation: Reservation | None = None,
    payload: dict[str, Any] | None = None,
    apart_from: int | None = None,
) -> None:
    """Put one message of ``kind`` for each recipient into the outbox; nobody is told of what they did."""
    reservation_id = reservation.id if reservation else None
    for user_id in sorted(set(recipients) - {apart_from}):
        session.add(OutboxMessage(**message(kind, user_id, reservation_id, now=now, payload=payload)))


def message(
    kind: str,
    user_id: int,
    reservation_id: int | None,
    *,
    now: datetime,
    payload: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The columns of one message that is to leave at once."""
    return {
        "message_id": secrets.token_hex(16),
        "user_id": user_id,
        "reservation_id": reservation_id,
        "kind": kind,
        "payload": _plain(payload or {}),
        "created_at": now,
        "due_at": now,
    }


def managers_of(session: Session, facility_id: int, now: datetime | None = None) -> list[int]:
    """The active managers of a facility, by id; with ``now``, those who stand in for one then as well."""
    return _at(session, facility_id, ("manager",), now)


def staff_of(session: Session, facility_id: int, now: datetime) -> list[int]:
    """The active technicians and managers of a facility and whoever stands in for one, by id."""
    return _at(session, facility_id, ("technician", "manager"), now)


def _at(session: Session, facility_id: int, roles: Collection[str], now: datetime | None) -> list[int]:
    who: ColumnElement[bool] = and_(
        User.role.in_(roles),
        exists().where(StaffMembership.user_id == User.id, StaffMembership.facility_id == facility_id),
    )
    if now is not None:
        who = or_(who, exists().where(Deputy.facility_id == facility_id, deputies.holds(now)))
    return list(session.scalars(select(User.id).where(User.active, who).order_by(User.id)))
