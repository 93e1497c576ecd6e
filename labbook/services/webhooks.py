"""What rigs are told of their slot windows: written with the step it tells of, sent by ``rig_calls``.

A rig hears of an opening, once more when its end moves or its permit is signed meanwhile, and of the closing.
Whoever writes an event locks the rig's row first, so that a rig's events are numbered in the order in which
things happened. Nothing here waits for a rig.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from labbook.domain.reservation import Status
from labbook.domain.rig import Hold, energised_until, may_energise
from labbook.models import Allocation, Equipment, Piece, Place, Reservation, Webhook, WebhookDelivery
from labbook.models.many import among
from labbook.services.rig_holds import TAKEN, hold_of

OPENED, CLOSED, TEST = "window.opened", "window.closed", "test"

LEASE = timedelta(seconds=15)
"""No call takes longer than this: so long after it began, an event is on its way no more."""


def opened(session: Session, reservation_ids: Collection[int], now: datetime) -> None:
    """The windows of these reservations opened, or what their rigs were told of them has changed.

    Part of the transaction that opens them, after what it changed was flushed. One query where no rig of
    theirs wants to know. A piece whose own set-up begins later than the rest hears of it then.
    """
    for rig in _concerned(session, reservation_ids, now):
        at = max(now, rig.hold.start)
        allowed = may_energise(rig.hold, at)
        until = energised_until(rig.hold, at) if allowed else None
        _write(session, rig, OPENED, at, allowed=allowed, until=_written(until))


def closed(session: Session, reservation_ids: Collection[int], now: datetime) -> None:
    """The windows of these reservations closed. Part of the transaction that closes them."""
    rigs = _concerned(session, reservation_ids, now)
    signalled = {rig.equipment_id for rig in rigs if rig.on_close == "signal"}
    in_use = _in_use(session, signalled) if signalled else set()
    for rig in rigs:
        more: dict[str, Any] = {}
        if rig.on_close == "signal":  # somebody else's test on the same equipment is not to be stopped
            more["safe_state"] = rig.equipment_id not in in_use
        _write(session, rig, CLOSED, now, allowed=False, until=None, **more)


def moved(session: Session, reservation: Reservation, before: str, now: datetime) -> None:
    """A step was taken from the status ``before``: tell the rigs if it opened or closed a window."""
    was, uses = before == Status.IN_USE, reservation.status == Status.IN_USE
    if uses and not was:
        opened(session, [reservation.id], now)
    elif was and not uses:
        closed(session, [reservation.id], now)


def let_in(session: Session, places: Collection[int], now: datetime) -> None:
    """Whoever stood on these places has gone: who was checked in behind them may energise from now on."""
    behind = (
        select(Allocation.reservation_id)
        .join(Reservation, Allocation.reservation_id == Reservation.id)
        .where(
            Allocation.place_id.in_(places),
            Allocation.blocking,
            Allocation.change_id.is_(None),
            Reservation.status == Status.IN_USE,
        )
        .distinct()
    )
    opened(session, session.scalars(behind).all(), now)


@dataclass(frozen=True)
class _Rig:
    """A rig that wants to know, and what one reservation holds of its equipment."""

    webhook_id: int
    on_close: str
    equipment_id: int
    slug: str
    reservation_id: int
    public_id: str
    hold: Hold


_WANTING = (
    select(Webhook.id)
    .where(
        Webhook.active,
        Webhook.equipment_id.in_(select(Piece.equipment_id).where(among(Piece.reservation_id, "ids"))),
    )
    .order_by(Webhook.id)
    .with_for_update(of=Webhook, key_share=True)
)


def _concerned(session: Session, reservation_ids: Collection[int], now: datetime) -> Sequence[_Rig]:
    if not reservation_ids:
        return ()
    hooks = session.scalars(_WANTING, {"ids": reservation_ids}).all()
    if not hooks:
        return ()
    _hurry(session, hooks, now)
    own = (
        Allocation.reservation_id == Reservation.id,
        Allocation.change_id.is_(None),
        Place.equipment_id == Equipment.id,
    )
    start, end, taken = (
        select(each)
        .select_from(Allocation)
        .join(Place, Allocation.place_id == Place.id)
        .where(*own)
        .correlate(Reservation, Equipment)
        .scalar_subquery()
        for each in (func.min(Allocation.starts_at), func.max(Allocation.ends_at), TAKEN)
    )
    rows = session.execute(
        select(Webhook, Equipment.slug, Reservation, start, end, taken)
        .join(Equipment, Webhook.equipment_id == Equipment.id)
        .join(Piece, Piece.equipment_id == Equipment.id)
        .join(Reservation, Piece.reservation_id == Reservation.id)
        .where(Webhook.id.in_(hooks), Reservation.id.in_(sorted(reservation_ids)))
        .order_by(Webhook.id, Reservation.id)
    )
    return [
        _Rig(hook.id, hook.on_close, hook.equipment_id, slug, row.id, row.public_id, hold_of(row, *held))
        for hook, slug, row, *held in rows
    ]


def _hurry(session: Session, hooks: Collection[int], now: datetime) -> None:
    """What waits for another attempt is tried soon: the new event comes after it."""
    session.execute(
        update(WebhookDelivery)
        .where(
            WebhookDelivery.webhook_id.in_(hooks),
            WebhookDelivery.due_at > now + LEASE,
            WebhookDelivery.attempts > 0,
        )
        .values(due_at=now + LEASE)
        .execution_options(synchronize_session=False)
    )


def _in_use(session: Session, equipment_ids: Collection[int]) -> set[int]:
    """The equipment that a reservation still uses; those that have just closed no longer do."""
    query = (
        select(Piece.equipment_id)
        .join(Reservation, Piece.reservation_id == Reservation.id)
        .where(Piece.equipment_id.in_(sorted(equipment_ids)), Reservation.status == Status.IN_USE)
    )
    return set(session.scalars(query))


def _write(session: Session, rig: _Rig, event: str, at: datetime, **said: Any) -> None:
    public_id = new_id()
    session.add(
        WebhookDelivery(
            public_id=public_id,
            webhook_id=rig.webhook_id,
            reservation_id=rig.reservation_id,
            event=event,
            payload=payload(public_id, event, rig.slug, at, reservation=rig.public_id, **said),
            created_at=at,
            due_at=at,
            attempts=0,
        )
    )


def new_id() -> str:
    """The same with every attempt, so that a rig can tell a repetition."""
    return f"msg_{secrets.token_hex(12)}"


def payload(public_id: str, event: str, equipment: str, at: datetime, **said: Any) -> dict[str, Any]:
    return {"id": public_id, "event": event, "equipment": equipment, "occurred_at": _written(at), **said}


def _written(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
