"""What a rig asks again and again: may whoever stands here energise it, now?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BindParameter, bindparam, exists, func, or_, select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer, parties
from labbook.domain.errors import NotFound
from labbook.domain.reservation import Party, Status
from labbook.domain.rig import energised_until, may_energise
from labbook.domain.visibility import Subject
from labbook.models import Allocation, Equipment, Instant, Participant, Place, Reservation
from labbook.services.rig_holds import TAKEN, hold_of


@dataclass(frozen=True)
class Access:
    """``until`` None although it is allowed: it runs over its end."""

    allowed: bool
    reservation: str | None = None
    until: datetime | None = None


def access(session: Session, slug: str, *, viewer: Viewer, now: datetime) -> Access:
    """One query. Only of one's own reservations: not even staff's keys open somebody else's.

    Counted from what is occupied of this piece, not of the whole reservation: before its own set-up somebody
    else may be at it. Where several are open, the one that lasts longest.
    """
    rows = session.execute(_STARTED, {"slug": slug, "me": viewer.id, "now": now}).all()
    if not rows:
        raise NotFound("equipment")
    found = Access(False)
    for row in rows:
        if row.public_id is None:
            continue
        subject = Subject(
            row.facility_id,
            row.organisation_id,
            row.project_id,
            row.holder_id,
            row.requested_by_id,
            {viewer.id} if row.takes_part else (),
        )
        hold = hold_of(row, row.start, row.end, row.taken)
        if may_energise(hold, now) and parties(viewer, subject) & _AT_IT:
            until = energised_until(hold, now)
            if not found.allowed or until is None or (found.until is not None and until > found.until):
                found = Access(True, row.public_id, until)
    return found


_AT_IT = frozenset({Party.HOLDER, Party.PARTICIPANT})

_NOW: BindParameter[datetime] = bindparam("now", type_=Instant())
_TAKES_PART = exists().where(
    Participant.reservation_id == Reservation.id, Participant.user_id == bindparam("me")
)

_OWN = (
    select(
        Place.equipment_id,
        func.min(Allocation.starts_at).label("start"),
        func.max(Allocation.ends_at).label("end"),
        Reservation.public_id,
        Reservation.status,
        Reservation.check_in,
        Reservation.displaced_since,
        Reservation.permit_required,
        Reservation.permit_signed_at,
        Reservation.facility_id,
        Reservation.organisation_id,
        Reservation.project_id,
        Reservation.holder_id,
        Reservation.requested_by_id,
        _TAKES_PART.label("takes_part"),
        TAKEN.label("taken"),
    )
    .join(Place, Allocation.place_id == Place.id)
    .join(Equipment, Place.equipment_id == Equipment.id)
    .join(Reservation, Allocation.reservation_id == Reservation.id)
    .where(
        Equipment.slug == bindparam("slug"),
        Allocation.blocking,  # what is over does not block: few rows have begun and do
        Allocation.starts_at <= _NOW,
        Allocation.change_id.is_(None),
        Reservation.status.in_((Status.APPROVED, Status.IN_USE)),
        or_(
            Reservation.holder_id == bindparam("me"),
            Reservation.requested_by_id == bindparam("me"),
            _TAKES_PART,
        ),
    )
    .group_by(Place.equipment_id, Reservation.id)
    .subquery()
)
_STARTED = (
    select(Equipment.id, _OWN)
    .outerjoin(_OWN, _OWN.c.equipment_id == Equipment.id)
    .where(Equipment.slug == bindparam("slug"))
)
"""A row for the piece where nothing of theirs has begun, so that it is known to be one."""
