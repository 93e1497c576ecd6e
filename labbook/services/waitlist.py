"""What the engine tells whoever waits: that time was given back, and that what was held is held no more.

Joining, taking and the search itself are in ``services.waiting``; nothing here needs them.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import cast

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from labbook.domain.reservation import Status
from labbook.domain.waiting import LOOK_AGAIN
from labbook.models import EquipmentDraw, Reservation, WaitlistEntry, WaitlistWant
from labbook.services import journal


def freed(session: Session, equipment_ids: Collection[int], now: datetime) -> None:
    """Time of this equipment was given back: whoever waits for any of it is looked at with the next sweep.

    So is whoever waits for what shares a utility with it. Part of the transaction that frees it. The rows
    are locked in order of id, so that two of these never wait for each other.
    """
    own = sorted(equipment_ids)
    utilities = select(EquipmentDraw.utility_id).where(EquipmentDraw.equipment_id.in_(own))
    sharing = select(EquipmentDraw.equipment_id).where(EquipmentDraw.utility_id.in_(utilities))
    wanting = select(WaitlistWant.entry_id).where(
        or_(WaitlistWant.equipment_id.in_(own), WaitlistWant.equipment_id.in_(sharing))
    )
    found = session.scalars(
        select(WaitlistEntry.id)
        .where(
            WaitlistEntry.state == "waiting",
            WaitlistEntry.id.in_(wanting),
            or_(WaitlistEntry.due_at.is_(None), WaitlistEntry.due_at > now),
        )
        .order_by(WaitlistEntry.id)
        .with_for_update()
    ).all()
    if found:
        session.execute(
            update(WaitlistEntry).where(WaitlistEntry.id.in_(found)).values(due_at=now)
        )  # fmt: skip


def released(session: Session, reservations: Collection[Reservation], now: datetime) -> None:
    """Offers or options have ended undecided: whom they were kept for hears of it, and the next in line is
    looked at. Part of the transaction that ends them, once their status says how. As many queries for all
    as for one.

    An offer that nobody answered is lapsed, one that was let go is withdrawn; where the lab took it back,
    its entry keeps its place in line.
    """
    freed(session, {piece.equipment_id for row in reservations for piece in row.pieces}, now)
    for row in reservations:
        if row.hold == "option" and row.status == Status.EXPIRED:
            told = [row.holder_id, row.requested_by_id]
            journal.post(session, "option_lapsed", told, now=now, reservation=row)
    offers = {row.id: row for row in reservations if row.hold != "option"}
    entries = session.scalars(
        select(WaitlistEntry)
        .where(WaitlistEntry.reservation_id.in_(offers), WaitlistEntry.state == "offered")
        .order_by(WaitlistEntry.id)
        .with_for_update(of=WaitlistEntry)
        .execution_options(populate_existing=True)
    ).all()
    for entry in entries:
        _give_up(session, entry, offers[cast("int", entry.reservation_id)], now)


def _give_up(session: Session, entry: WaitlistEntry, offer: Reservation, now: datetime) -> None:
    expired = offer.status == Status.EXPIRED
    if expired:
        journal.post(session, "waitlist_over", [entry.user_id], now=now, reservation=offer)
    if expired or offer.cancel_cause == "user":
        entry.state, entry.closed_at, entry.due_at = ("lapsed" if expired else "withdrawn"), now, None
    else:
        entry.state, entry.reservation_id, entry.offered_at = "waiting", None, None
        entry.due_at = now + LOOK_AGAIN
