"""Getting hold of one reservation to change it: seen, permitted, locked, and still as it was read."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer, may
from labbook.domain.errors import Forbidden, NotFound, StaleRevision
from labbook.domain.reservation import Party
from labbook.domain.visibility import sees_in_full
from labbook.models import Equipment, Piece, Reservation, StaffMembership, User
from labbook.services.reservation_views import loading, subject_of
from labbook.services.reservations import refresh_due


def opened(
    session: Session,
    public_id: str,
    *,
    actor: Viewer,
    allowed: frozenset[Party],
    action: str,
    revision: int | None,
    lock_equipment: bool = False,
) -> Reservation:
    """The reservation together with the right to write it.

    Locks the equipment (where the step may take places) and then the reservation: the one order
    everywhere. Raises ``NotFound``, ``Forbidden``, ``StaleRevision``, in that order.
    """
    if lock_equipment:
        pieces = (
            select(Piece.equipment_id)
            .join(Reservation, Piece.reservation_id == Reservation.id)
            .where(Reservation.public_id == public_id)
        )
        session.execute(
            select(Equipment.id)
            .where(Equipment.id.in_(pieces))
            .order_by(Equipment.id)
            .with_for_update(key_share=True)
        )
    reservation = session.scalar(
        select(Reservation)
        .where(Reservation.public_id == public_id)
        .options(*loading())
        .with_for_update(of=Reservation)
        .execution_options(populate_existing=True)
    )
    if reservation is None or not sees_in_full(actor, subject_of(reservation)):
        raise NotFound("reservation")
    if not may(actor, subject_of(reservation), allowed):
        raise Forbidden(action)
    if revision is not None and revision != reservation.revision:
        raise StaleRevision(reservation.revision)
    return reservation


def changed(reservation: Reservation, now: datetime) -> None:
    """Count the change and derive what is due next."""
    reservation.revision += 1
    reservation.changed_at = now
    refresh_due(reservation)


def may_decide(session: Session, reservation: Reservation, actor: Viewer) -> bool:
    """A manager decides for others; for themselves only where the lab has no other manager."""
    if not actor.manages(reservation.facility_id):
        return False
    if reservation.holder_id != actor.id:
        return True
    others = session.scalar(
        select(func.count())
        .select_from(User)
        .join(StaffMembership, StaffMembership.user_id == User.id)
        .where(
            StaffMembership.facility_id == reservation.facility_id,
            User.role == "manager",
            User.active,
            User.id != actor.id,
        )
    )
    return not others
