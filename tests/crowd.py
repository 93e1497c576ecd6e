"""Many windows at once, written in bulk: each on a place of its own unless it says otherwise."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from labbook.domain.reservation import BLOCKING, next_step
from labbook.models import Allocation, Equipment, HistoryEntry, Piece, Place, Reservation
from labbook.services.reservations import CLOCK_COLUMNS, clock_of

_HISTORIES = {
    "requested": ("request",),
    "approved": ("request", "approve"),
    "in_use": ("request", "approve", "check_in"),
}


@dataclass(frozen=True)
class Window:
    """Without set-up and tear-down. ``place``: the number of one, from 0 on; None: the next that is free."""

    start: datetime
    end: datetime
    made: datetime
    status: str = "approved"
    check_in: str = "none"
    grace: int = 0
    place: int | None = None


def crowd(
    session: Session,
    windows: Sequence[Window],
    *,
    facility_id: int,
    holder: Any,
    slug: str,
) -> list[int]:
    """The ids of the reservations, on a new piece of equipment with as many places as that takes."""
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    named = max((w.place + 1 for w in windows if w.place is not None), default=0)
    size = named + sum(w.place is None for w in windows)
    places = _places(session, facility_id, slug, size)
    free = iter(places[named:])
    rows = [_row(w, facility_id, holder) | {"title": slug} for w in windows]
    session.execute(insert(Reservation), rows)
    known: dict[str, int] = dict(
        session.execute(select(Reservation.public_id, Reservation.id).where(Reservation.title == slug)).all()
    )
    ids = [known[row["public_id"]] for row in rows]
    equipment_id = session.scalars(select(Equipment.id).where(Equipment.slug == slug)).one()
    pieces = [{"reservation_id": id_, "equipment_id": equipment_id, "places": 1} for id_ in ids]
    session.execute(insert(Piece), pieces)
    session.execute(
        insert(Allocation),
        [
            {
                "reservation_id": id_,
                "place_id": next(free) if w.place is None else places[w.place],
                "starts_at": w.start,
                "ends_at": w.end,
                "blocking": w.status in BLOCKING,
                "opaque_id": secrets.token_hex(8),
                "changed_at": w.made,
            }
            for id_, w in zip(ids, windows, strict=True)
        ],
    )
    history = [entry for id_, w in zip(ids, windows, strict=True) for entry in _told(id_, w)]
    session.execute(insert(HistoryEntry), history)
    session.commit()
    return ids


def _places(session: Session, facility_id: int, slug: str, size: int) -> list[int]:
    row = Equipment(
        slug=slug,
        facility_id=facility_id,
        name={"en": slug},
        category="oscilloscope",
        description={},
        documents=[],
        capabilities={},
        hazards=[],
        approval="automatic",
        places=size,
    )
    session.add(row)
    session.flush()
    session.execute(insert(Place), [{"equipment_id": row.id, "number": n + 1} for n in range(size)])
    return list(session.scalars(select(Place.id).where(Place.equipment_id == row.id).order_by(Place.number)))


def _row(window: Window, facility_id: int, holder: Any) -> dict[str, Any]:
    row = {column.key: None for column in CLOCK_COLUMNS} | {
        "status": window.status,
        "starts_at": window.start,
        "ends_at": window.end,
        "occupied_from": window.start,
        "occupied_until": window.end,
        "check_in": window.check_in,
        "grace": window.grace,
        "created_at": window.made,
        "approved_at": None if window.status == "requested" else window.made,
        "timing": {},
        "taken": [],
        "permit_required": False,
    }
    coming = next_step(clock_of(SimpleNamespace(**row)))
    return row | {
        "due_at": None if coming is None else coming[1],
        "public_id": secrets.token_hex(8),
        "facility_id": facility_id,
        "activity": "research",
        "organisation_id": holder.organisation_id,
        "holder_id": holder.id,
        "requested_by_id": holder.id,
        "overridden": [],
        "changed_at": window.made,
    }


def _told(reservation_id: int, window: Window) -> list[dict[str, Any]]:
    before, found = None, []
    after = {"request": "requested", "approve": "approved", "check_in": "in_use"}
    for action in _HISTORIES[window.status]:
        found.append(
            {
                "reservation_id": reservation_id,
                "at": window.made,
                "action": action,
                "old": {} if before is None else {"status": before},
                "new": {"status": after[action]},
            }
        )
        before = after[action]
    return found
