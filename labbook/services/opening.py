"""Getting hold of one reservation to change it: seen, permitted, locked, and still as it was read."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer, allowed_parties, may
from labbook.domain.errors import Forbidden, NotFound, StaleRevision
from labbook.domain.reservation import Party
from labbook.domain.visibility import sees_in_full
from labbook.models import Change, Equipment, Piece, Reservation
from labbook.services import people
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
    takes: Collection[str] | None = None,
) -> Reservation:
    """The reservation together with the right to write it.

    A step that may take places, or give back what others wait for, names in ``takes`` the slugs of what it
    wants besides the reservation's own pieces: they are all locked before the reservation is, the one order
    everywhere. Raises ``NotFound``, ``Forbidden``, ``StaleRevision``, in that order.
    """
    if takes is not None:
        lock_equipment(session, Reservation.public_id == public_id, takes)
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


def look(session: Session, public_id: str, action: str, *, actor: Viewer, revision: int | None) -> None:
    """Raise what ``opened`` would, without opening: for a channel that has something else to refuse."""
    reservation = session.scalar(
        select(Reservation).where(Reservation.public_id == public_id).options(*loading())
    )
    if reservation is None or not sees_in_full(actor, subject_of(reservation)):
        raise NotFound("reservation")
    if not may(actor, subject_of(reservation), allowed_parties(action)):
        raise Forbidden(action)
    if revision is not None and revision != reservation.revision:
        raise StaleRevision(reservation.revision)


def lock_equipment_of(session: Session, row_ids: Collection[int]) -> None:
    """The same locks for steps of the clock, ahead of the reservations' own."""
    lock_equipment(session, Reservation.id.in_(row_ids), ())


def lock_equipment(session: Session, which: ColumnElement[bool], slugs: Collection[str]) -> None:
    """Lock what those reservations have, what their pending changes want, and ``slugs``, in order of id."""
    own = select(Piece.equipment_id).join(Reservation, Piece.reservation_id == Reservation.id).where(which)
    wished = session.scalars(
        select(Change.pieces)
        .join(Reservation, Change.reservation_id == Reservation.id)
        .where(which, Change.state == "open")
    )
    wanted = {piece["equipment_id"] for pieces in wished for piece in pieces}
    session.execute(
        select(Equipment.id)
        .where(or_(Equipment.id.in_(own), Equipment.id.in_(wanted), Equipment.slug.in_(slugs)))
        .order_by(Equipment.id)
        .with_for_update(key_share=True)
    )


def changed(reservation: Reservation, now: datetime) -> None:
    """Count the change and derive what is due next."""
    reservation.revision += 1
    reservation.changed_at = now
    refresh_due(reservation)


def may_decide(session: Session, reservation: Reservation, actor: Viewer) -> bool:
    """A manager decides for others; for themselves only where the lab has no other manager."""
    return people.decides_for(session, actor, reservation.facility_id, reservation.holder_id)
