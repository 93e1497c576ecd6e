"""Pools of interchangeable units: what has not begun goes to another one, so that room is had by the count.

Whose calendar it is in sees nothing of that: the same equipment over the same interval, under the same opaque
id. The pool's own row is locked by whoever packs it anew, as by whoever books it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import and_, delete, insert, or_, select
from sqlalchemy.orm import Session

from labbook.domain.allocation import Occupant, Packing, Wish, pack, shortfall
from labbook.domain.interval import Interval
from labbook.domain.reservation import Status
from labbook.models import Allocation, Equipment, Reservation


def arrange(
    session: Session,
    equipment: Equipment,
    wishes: Sequence[Wish],
    *,
    now: datetime,
    apart_from: int | None = None,
    prefer: Sequence[int] = (),
) -> Packing | None:
    """A unit for each wish, moving what has not begun. Two queries, however many there are."""
    places = [place.id for place in equipment.current_places]
    since = min(now, *(wish.span.start for wish in wishes))
    return pack(places, _occupants(session, places, since, now, apart_from), wishes, prefer)


def running_on(session: Session, reservation_id: int, places: Collection[int], now: datetime) -> list[int]:
    """The units of ``places`` on which this reservation has begun: they are its until it ends."""
    query = (
        select(Allocation.place_id)
        .where(
            Allocation.reservation_id == reservation_id,
            Allocation.change_id.is_(None),
            Allocation.place_id.in_(places),
            Allocation.blocking.expression,
            Allocation.starts_at <= now,
        )
        .order_by(Allocation.place_id)
    )
    return list(session.scalars(query))


def move(session: Session, moves: Mapping[int, int]) -> None:
    """Allocation -> its other unit, all at once: two may change places, which no order of updates could do.

    Each keeps its number and its opaque id.
    """
    if not moves:
        return
    session.flush()
    table = Allocation.__table__
    query = select(table).where(table.c.id.in_(sorted(moves)))
    rows = [dict(row) for row in session.execute(query).mappings()]
    session.execute(delete(table).where(table.c.id.in_(sorted(moves))))  # type: ignore[arg-type]
    by_place = sorted(rows, key=lambda row: (moves[row["id"]], row["starts_at"]))
    session.execute(
        insert(table),  # type: ignore[arg-type]
        [row | {"place_id": moves[row["id"]]} for row in by_place],
    )
    for each in list(session.identity_map.values()):
        if isinstance(each, Allocation) and each.id in moves:
            session.expire(each)


def make_way(
    session: Session,
    pooled: Sequence[Equipment],
    own: Sequence[Allocation],
    until: Mapping[int, datetime],
    now: datetime,
) -> set[int]:
    """Where ``own`` (of one reservation) stands on units of a pool and goes on until ``until`` (by place),
    what comes next there goes to other units, as far as the count allows it; those units.
    """
    taken: set[int] = set()
    for equipment in pooled:
        places = [place.id for place in equipment.current_places]
        rows = [a for a in own if a.place_id in places and until[a.place_id] > a.ends_at]
        if rows:
            taken |= _make_way(session, places, rows, max(until[a.place_id] for a in rows), now)
    return taken


def _make_way(
    session: Session, places: Sequence[int], rows: Sequence[Allocation], until: datetime, now: datetime
) -> set[int]:
    others = _occupants(session, places, min(now, rows[0].ends_at), now, rows[0].reservation_id, under=rows)
    occupied: dict[int, list[Interval]] = {}
    for each in others:
        occupied.setdefault(each.place, []).append(each.span)
    added = Interval(min(a.ends_at for a in rows), until)
    short = shortfall(places, occupied, added, len(rows))
    end = short[0].start if short else until
    wishes = [Wish(Interval(a.starts_at, max(end, a.ends_at)), a.place_id) for a in rows]
    packed = pack(places, others, wishes)
    if packed is None or not packed.moves:
        return set()
    move(session, packed.moves)
    return set(packed.moves.values())


def _occupants(
    session: Session,
    places: Sequence[int],
    since: datetime,
    now: datetime,
    apart_from: int | None,
    under: Sequence[Allocation] = (),
) -> list[Occupant]:
    """What blocks these units after ``since``; whose it is, where it may be moved, is locked.

    ``under``: what stands on its unit beyond its end. Whoever's window has opened there cannot have begun.
    """
    others = Allocation.reservation_id != (apart_from or 0)
    blocks = and_(Allocation.place_id.in_(places), Allocation.blocking.expression, others)
    waits = and_(
        Allocation.place_id.in_([a.place_id for a in under]),
        Allocation.starts_at >= min((a.ends_at for a in under), default=now),
        Reservation.status != Status.IN_USE,
    )
    ahead = (
        select(Allocation.reservation_id)
        .join(Reservation, Allocation.reservation_id == Reservation.id)
        .where(blocks, or_(Allocation.starts_at > now, waits))
    )
    # Else its status could change, and its rows with it, while they are being moved.
    session.execute(
        select(Reservation.id)
        .where(Reservation.id.in_(ahead))
        .order_by(Reservation.id)
        .with_for_update(read=True)
    )
    rows = session.execute(
        select(
            Allocation.id,
            Allocation.place_id,
            Allocation.starts_at,
            Allocation.ends_at,
            or_(Allocation.starts_at > now, waits),
        )
        .join(Reservation, Allocation.reservation_id == Reservation.id)
        .where(blocks, Allocation.ends_at > since)
    )
    return [Occupant(key, place, Interval(start, end), not loose) for key, place, start, end, loose in rows]
