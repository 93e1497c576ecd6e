"""What occupies which place, read by one index step per place; and writing what a reservation occupies."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BindParameter, ColumnElement, bindparam, func, select
from sqlalchemy.orm import Session, aliased

from labbook.domain.interval import Interval
from labbook.domain.reservation import BLOCKING
from labbook.models import Allocation, Draw, Instant, Place, Reservation
from labbook.models.base import microseconds
from labbook.services import pools


@dataclass(frozen=True)
class Placement:
    """One place over one interval."""

    place_id: int
    span: Interval


@dataclass(frozen=True)
class DrawSpan:
    """``amount`` thousandths of a utility's unit over one interval."""

    utility_id: int
    amount: int
    span: Interval


_SINCE: BindParameter[datetime] = bindparam("since", type_=Instant())
_UNTIL: BindParameter[datetime] = bindparam("until", type_=Instant())


def _overlapping() -> list[ColumnElement[bool]]:
    before = aliased(Allocation)
    last_before = (
        select(func.max(before.starts_at))
        .where(before.place_id == Place.id, before.blocking, before.starts_at <= _SINCE)
        .scalar_subquery()
    )
    return [
        Allocation.place_id == Place.id,
        Allocation.blocking.expression,
        Allocation.starts_at >= func.coalesce(last_before, _SINCE),
        Allocation.starts_at < _UNTIL,
        Allocation.ends_at > _SINCE,
    ]


OVERLAPPING = _overlapping()
"""Conditions on a join of ``Place`` and ``Allocation`` for what blocks within ``[:since, :until)``.

Blocking rows of one place never overlap, so of those that begin before ``since`` only the last can reach
into it: the start is bounded from below by that row, and the index is walked no further.
"""

# Built once: putting the statement together takes longer than running it.
_OCCUPIED = (
    select(Allocation.place_id, Allocation.starts_at, Allocation.ends_at)
    .select_from(Place)
    .join(Allocation, Allocation.place_id == Place.id)
    .where(Place.id.in_(bindparam("places", expanding=True)), *OVERLAPPING)
    .order_by(Allocation.place_id, Allocation.starts_at)
)
_OCCUPIED_BY_OTHERS = _OCCUPIED.where(Allocation.reservation_id != bindparam("apart_from"))


def occupied_places(
    session: Session,
    place_ids: Collection[int],
    within: Interval,
    *,
    apart_from: int | None = None,
) -> dict[int, list[Interval]]:
    """Place id -> what blocks it within ``within``, apart from the allocations of one reservation."""
    asked = {"places": list(place_ids), "since": within.start, "until": within.end}
    if apart_from is None:
        rows = session.execute(_OCCUPIED, asked)
    else:
        rows = session.execute(_OCCUPIED_BY_OTHERS, asked | {"apart_from": apart_from})
    found: dict[int, list[Interval]] = {}
    for place_id, start, end in rows:
        found.setdefault(place_id, []).append(Interval(start, end))
    return found


_SPANS = (
    select(Allocation.place_id, microseconds(Allocation.starts_at), microseconds(Allocation.ends_at))
    .select_from(Place)
    .join(Allocation, Allocation.place_id == Place.id)
    .where(
        Place.id.in_(bindparam("places", expanding=True)),
        *OVERLAPPING,
        Allocation.reservation_id.not_in(bindparam("apart_from", expanding=True)),
    )
    .order_by(Allocation.place_id, Allocation.starts_at)
)


def occupied_spans(
    session: Session, place_ids: Collection[int], within: Interval, *, apart_from: Collection[int] = ()
) -> dict[int, list[tuple[int, int]]]:
    """As ``occupied_places``, in microseconds since the epoch: for a search over very many of them."""
    asked = {"places": list(place_ids), "since": within.start, "until": within.end}
    found: dict[int, list[tuple[int, int]]] = {}
    for place_id, start, end in session.execute(_SPANS, asked | {"apart_from": list(apart_from)}):
        found.setdefault(place_id, []).append((start, end))
    return found


def drawn(
    session: Session, utility_ids: Collection[int], within: Interval, *, apart_from: int | None = None
) -> dict[int, list[tuple[Interval, int]]]:
    """Utility id -> ``(interval, amount)`` of what blocks within ``within``."""
    query = select(Draw.utility_id, Draw.starts_at, Draw.ends_at, Draw.amount).where(
        Draw.utility_id.in_(utility_ids),
        Draw.blocking,
        Draw.starts_at < within.end,
        Draw.ends_at > within.start,
    )
    if apart_from is not None:
        query = query.where(Draw.reservation_id != apart_from)
    found: dict[int, list[tuple[Interval, int]]] = {}
    for utility_id, start, end, amount in session.execute(query):
        found.setdefault(utility_id, []).append((Interval(start, end), amount))
    return found


_DRAWN_SPANS = (
    select(Draw.utility_id, microseconds(Draw.starts_at), microseconds(Draw.ends_at), Draw.amount)
    .where(
        Draw.utility_id.in_(bindparam("utilities", expanding=True)),
        Draw.blocking,
        Draw.starts_at < _UNTIL,
        Draw.ends_at > _SINCE,
        Draw.reservation_id.not_in(bindparam("apart_from", expanding=True)),
    )
    .order_by(Draw.starts_at)
)


def drawn_spans(
    session: Session, utility_ids: Collection[int], within: Interval, *, apart_from: Collection[int] = ()
) -> dict[int, list[tuple[int, int, int]]]:
    """As ``drawn``: utility id -> ``(start, end, amount)`` in microseconds since the epoch."""
    asked = {"utilities": list(utility_ids), "since": within.start, "until": within.end}
    found: dict[int, list[tuple[int, int, int]]] = {}
    for utility_id, start, end, amount in session.execute(
        _DRAWN_SPANS, asked | {"apart_from": list(apart_from)}
    ):
        found.setdefault(utility_id, []).append((start, end, amount))
    return found


def occupy(
    session: Session,
    reservation: Reservation,
    placements: Sequence[Placement],
    *,
    now: datetime,
    change_id: int | None = None,
    moves: Mapping[int, int] | None = None,
    pooled: Mapping[int, int] | None = None,
) -> None:
    """Make the reservation occupy exactly ``placements`` (of this change, or its own).

    A row whose interval changes keeps its identity and counts up; one that does not is left alone, since
    a stranger's calendar must not see a change where there is none. ``moves`` and ``pooled`` as in
    ``facts.Placing``: on another unit of a pool, too, it is the same row to a stranger.
    """
    moves, pooled = moves or {}, pooled or {}
    existing = {
        a.place_id: a for a in reservation.allocations if a.change_id == change_id and change_id is None
    }
    blocking = reservation.status in BLOCKING
    wanted = sorted(placements, key=lambda p: (p.place_id, p.span))
    gone = existing.keys() - {p.place_id for p in wanted}
    if moves:  # what moves may come to where these are
        gone |= {place_id for place_id in existing if place_id in pooled}
    left: dict[int, list[Allocation]] = {}
    for place_id in sorted(gone):
        row = existing.pop(place_id)
        reservation.allocations.remove(row)
        if place_id in pooled:
            left.setdefault(pooled[place_id], []).append(row)
    if gone:
        session.flush()  # the unit of work would insert before it deletes, and meet its own old rows
    pools.move(session, moves)
    for placement in wanted:
        kept = existing.pop(placement.place_id, None)
        if kept is None:
            before = left.get(pooled.get(placement.place_id, 0), [])
            row = _begun(placement, before.pop(0) if before else None, now)
            row.change_id, row.blocking = change_id, blocking
            reservation.allocations.append(row)
        elif (kept.starts_at, kept.ends_at) != (placement.span.start, placement.span.end):
            kept.starts_at, kept.ends_at = placement.span.start, placement.span.end
            kept.sequence += 1
            kept.changed_at = now


def _begun(placement: Placement, before: Allocation | None, now: datetime) -> Allocation:
    """A new row, which to a stranger is what ``before`` was on another unit of the same pool."""
    row = Allocation(
        place_id=placement.place_id,
        starts_at=placement.span.start,
        ends_at=placement.span.end,
        opaque_id=secrets.token_hex(8),
        sequence=0,
        changed_at=now,
    )
    if before is not None:
        same = (before.starts_at, before.ends_at) == (row.starts_at, row.ends_at)
        row.opaque_id, row.sequence = before.opaque_id, before.sequence + (not same)
        row.changed_at = before.changed_at if same else now
    return row


def draw(
    session: Session,
    reservation: Reservation,
    spans: Iterable[DrawSpan],
    *,
    change_id: int | None = None,
) -> None:
    """Make the reservation draw exactly ``spans`` (of this change, or its own)."""
    wanted = sorted(spans, key=lambda s: (s.utility_id, s.span))
    present = [d for d in reservation.draws if d.change_id == change_id]
    if [(d.utility_id, d.amount, d.starts_at, d.ends_at) for d in present] == [
        (s.utility_id, s.amount, s.span.start, s.span.end) for s in wanted
    ]:
        return
    for row in present:
        reservation.draws.remove(row)
    if present:
        session.flush()
    for each in wanted:
        reservation.draws.append(
            Draw(
                change_id=change_id,
                utility_id=each.utility_id,
                amount=each.amount,
                starts_at=each.span.start,
                ends_at=each.span.end,
                blocking=reservation.status in BLOCKING,
            )
        )


def drop_held(session: Session, reservation: Reservation) -> None:
    """Let go of whatever undecided changes hold."""
    for allocation in [a for a in reservation.allocations if a.change_id is not None]:
        reservation.allocations.remove(allocation)
    for row in [d for d in reservation.draws if d.change_id is not None]:
        reservation.draws.remove(row)
    session.flush()


def cut(reservation: Reservation, at: datetime) -> None:
    """End at ``at`` what would have gone on: the rest is given back. What had not begun goes."""
    for allocation in list(reservation.allocations):
        if allocation.starts_at >= at:
            reservation.allocations.remove(allocation)
        elif allocation.ends_at > at:
            allocation.ends_at = at
            allocation.sequence += 1
            allocation.changed_at = at
    for row in list(reservation.draws):
        if row.starts_at >= at:
            reservation.draws.remove(row)
        elif row.ends_at > at:
            row.ends_at = at
