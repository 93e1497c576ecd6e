"""What a reservation holds of a rig, as both ``/access`` and the webhooks read it: they say the same."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import case, exists, func
from sqlalchemy.orm import aliased

from labbook.domain.reservation import Status
from labbook.domain.rig import Hold
from labbook.models import Allocation, Reservation

_other, _standing = aliased(Allocation), aliased(Reservation)
_TAKEN = exists().where(
    _other.place_id == Allocation.place_id,
    _other.blocking.expression,
    _other.change_id.is_(None),
    _other.starts_at < Allocation.starts_at,
    _other.reservation_id != Allocation.reservation_id,
    _standing.id == _other.reservation_id,
    _standing.status == Status.IN_USE,
    _standing.check_in == "required",
)

TAKEN = func.max(case((_TAKEN, 1), else_=0))
"""Of some allocations, whether on one of their places somebody before has not checked out: of two at one
place only the earlier may energise."""


def hold_of(row: Any, start: datetime | None, end: datetime | None, taken: int | None) -> Hold:
    """``row``: a reservation, or what was read of one. ``start`` and ``end``: of what it occupies of the
    piece; None where nothing of it is left. ``taken``: as ``TAKEN`` says."""
    return Hold(
        status=row.status,
        check_in=row.check_in,
        start=row.occupied_from if start is None else start,
        end=row.occupied_until if end is None else end,
        displaced=row.displaced_since is not None or bool(taken),
        permit_missing=row.permit_required and row.permit_signed_at is None,
    )
