"""Who comes to which running test, and when: for those who plan a day, and for their colleagues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from labbook.domain.access import Viewer
from labbook.domain.interval import Interval
from labbook.domain.reservation import BLOCKING
from labbook.domain.visibility import scope_of
from labbook.models import Equipment, Pause, Piece, Reservation, Visit
from labbook.services.reservation_views import in_scope
from labbook.services.visit_views import VisitView, visit_view


@dataclass(frozen=True)
class Call:
    """A visit with what whoever comes has to know of its reservation."""

    visit: VisitView
    reservation: str
    title: str
    zone: str
    equipment: Sequence[Mapping[str, str]]
    rooms: Sequence[str]
    holder: str
    organisation: str


def visits_between(
    session: Session,
    facility_id: int,
    start: datetime,
    end: datetime,
    *,
    viewer: Viewer,
    with_overdue: bool = False,
) -> list[Call]:
    """What is planned in ``[start, end)``, or was done, that the viewer sees in full; in order of time.

    ``with_overdue``: what was planned before and nobody did, too.
    """
    upcoming = [Visit.planned_at >= start]
    if with_overdue:
        upcoming.append(Visit.done_at.is_(None))
    rows = session.scalars(
        select(Visit)
        .join(Visit.reservation)
        .where(
            Reservation.facility_id == facility_id,
            or_(Reservation.status.in_(sorted(BLOCKING)), Visit.done_at.is_not(None)),
            in_scope(scope_of(viewer)),
            Visit.dropped_at.is_(None),
            Visit.planned_at < end,
            or_(*upcoming),
        )
        .order_by(Visit.planned_at, Visit.id)
        .options(
            joinedload(Visit.remark),
            joinedload(Visit.done_by),
            joinedload(Visit.reservation, innerjoin=True).options(
                joinedload(Reservation.facility, innerjoin=True),
                joinedload(Reservation.holder, innerjoin=True),
                joinedload(Reservation.organisation, innerjoin=True),
                selectinload(Reservation.pieces)
                .joinedload(Piece.equipment, innerjoin=True)
                .joinedload(Equipment.room),
            ),
        )
    ).all()
    paused = set(
        session.scalars(
            select(Pause.reservation_id).where(
                Pause.ends_at.is_(None), Pause.reservation_id.in_({row.reservation_id for row in rows})
            )
        )
    )
    calls = [_call(row, row.reservation_id in paused) for row in rows]
    return [call for call in calls if call.visit.laid and not call.visit.waits]


def _call(row: Visit, paused: bool) -> Call:
    reservation = row.reservation
    pieces = [p.equipment for p in sorted(reservation.pieces, key=lambda p: p.equipment_id)]
    return Call(
        visit=visit_view(row, Interval(reservation.starts_at, reservation.ends_at), paused),
        reservation=reservation.public_id,
        title=reservation.title,
        zone=reservation.facility.time_zone,
        equipment=[piece.name for piece in pieces],
        rooms=sorted({piece.room.slug for piece in pieces if piece.room}),
        holder=reservation.holder.name,
        organisation=reservation.organisation.name,
    )
