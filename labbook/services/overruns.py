"""What is still in use past its end: it grows into free time, and whoever comes next is kept waiting.

Nothing running is ever cut off, and nothing of another's is ever taken: an overrun occupies up to the next
reservation on the same place, and from there that one is displaced, until the place is given back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Select, bindparam, func, or_, select
from sqlalchemy.orm import Session, aliased, joinedload, selectinload

from labbook.domain.interval import Interval
from labbook.domain.reservation import Status, grown_until
from labbook.domain.utility import peak
from labbook.models import Allocation, Instant, Piece, Reservation, Utility
from labbook.models.many import among
from labbook.services import journal, pools, sharing, visits, webhooks
from labbook.services.facts import Plan
from labbook.services.occupancy import drawn
from labbook.services.opening import changed


def _kept_waiting() -> Select[int]:
    own, other = aliased(Allocation), aliased(Allocation)
    waiting, standing = aliased(Reservation), aliased(Reservation)
    return (
        select(own.reservation_id)
        .join(waiting, waiting.id == own.reservation_id)
        .join(other, other.place_id == own.place_id)
        .join(standing, standing.id == other.reservation_id)
        .where(
            among(own.reservation_id, "ids"),
            own.change_id.is_(None),
            or_(own.starts_at <= bindparam("now", type_=Instant()), waiting.check_in == "none"),
            other.change_id.is_(None),
            other.blocking.expression,
            other.starts_at < own.starts_at,
            other.reservation_id != own.reservation_id,
            standing.status == Status.IN_USE,
            standing.check_in == "required",
        )
    )


_KEPT_WAITING = _kept_waiting()


def kept_waiting(session: Session, reservation_ids: Collection[int], now: datetime) -> frozenset[int]:
    """Those of them on whose places somebody else still is who has not checked out.

    A piece whose own set-up is still to come is rightly somebody else's until then; only what begins by
    itself waits for all of its pieces, since nobody is there to see.
    With the equipment locked nothing is given back meanwhile, so that whoever gives it back finds all whom
    it kept waiting.
    """
    return frozenset(session.scalars(_KEPT_WAITING, {"ids": reservation_ids, "now": now}))


def release(session: Session, places: Collection[int], now: datetime) -> None:
    """Nobody is on these places any longer: those who were kept waiting may come, if nobody else does it.

    Part of the step that ends their use, with the equipment locked.
    """
    waiting = session.scalars(
        select(Reservation)
        .where(
            Reservation.status == Status.APPROVED,
            Reservation.displaced_since.is_not(None),
            Reservation.id.in_(
                select(Allocation.reservation_id).where(
                    Allocation.place_id.in_(places), Allocation.change_id.is_(None)
                )
            ),
        )
        .order_by(Reservation.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    if not waiting:
        return
    still = kept_waiting(session, [each.id for each in waiting], now)
    for each in waiting:
        if each.id in still:
            continue
        since, each.displaced_since, each.freed_at = each.displaced_since, None, now
        if each.check_in == "none":  # it begins by itself, and its read-outs count from then on
            visits.relay(session, each, now)
        changed(each, now)
        session.flush()
        journal.record(session, each, "freed", actor=None, now=now, rule="scheduler", old={"since": since})
        told = [each.holder_id, each.requested_by_id, *(p.user_id for p in each.participants)]
        told += journal.managers_of(session, each.facility_id, now)
        journal.post(session, "freed", told, now=now, reservation=each)


def grow(session: Session, reservation_ids: Collection[int], now: datetime) -> None:
    """Occupy on, with the tear-down still ahead, as far as nobody else does; the equipment is locked.

    What is drawn grows only within its budget: what runs draws anyway, but nobody else's share is promised
    away for it. A constant number of queries, however many grow, and further ones for each that stands on a
    shared piece or in a pool.
    """
    growing = session.scalars(_GROWING, {"ids": reservation_ids}).all()
    barriers = dict(session.execute(_NEXT_STARTS, {"ids": reservation_ids}).all())
    for reservation in growing:
        until = max(grown_until(now), reservation.ends_at)
        pieces = [(piece.equipment, piece.places) for piece in reservation.pieces]
        plan = Plan(
            pieces,
            Interval(reservation.starts_at, until),
            reservation.environment_version,
            ambient=reservation.ambient,
        )
        spans = {equipment.id: plan.span(equipment).end for equipment, _ in pieces}
        own = [a for a in reservation.allocations if a.change_id is None]
        wished = {a.place_id: spans.get(a.place.equipment_id, a.ends_at) for a in own}
        own_barriers = _barriers(session, plan, own, wished, barriers, now)
        own_barriers |= sharing.barriers(session, reservation, own, plan, wished, own_barriers)
        for allocation in own:
            end = wished[allocation.place_id]
            end = min(end, own_barriers.get(allocation.id, end))
            if end > allocation.ends_at:
                allocation.ends_at = end
                allocation.sequence += 1
                allocation.changed_at = now
        reservation.occupied_until = max(a.ends_at for a in own)
    _draw_on(session, growing)
    session.flush()
    webhooks.opened(session, reservation_ids, now)


def _barriers(
    session: Session,
    plan: Plan,
    own: Sequence[Allocation],
    wished: Mapping[int, datetime],
    barriers: Mapping[int, datetime],
    now: datetime,
) -> dict[int, datetime]:
    """Those of ``own``; in a pool, after what comes next has gone to other units, as far as there are any."""
    ids = {a.id for a in own}
    pooled = [equipment for equipment, _ in plan.pieces if equipment.pool]
    if not pooled:
        return {key: start for key, start in barriers.items() if key in ids}
    release(session, pools.make_way(session, pooled, own, wished, now), now)
    return dict(session.execute(_NEXT_STARTS, {"ids": [own[0].reservation_id]}).all())


_GROWING = (
    select(Reservation)
    .where(among(Reservation.id, "ids"))
    .order_by(Reservation.id)
    .options(
        joinedload(Reservation.environment_version),
        selectinload(Reservation.pieces).joinedload(Piece.equipment, innerjoin=True),
        selectinload(Reservation.allocations).joinedload(Allocation.place, innerjoin=True),
        selectinload(Reservation.draws),
    )
    .execution_options(populate_existing=True)
)


def _next_starts() -> Select[int, datetime]:
    """Allocation id -> when the next one on its place begins."""
    mine, following = aliased(Allocation), aliased(Allocation)
    return (
        select(mine.id, func.min(following.starts_at, type_=Allocation.starts_at.type))
        .join(following, following.place_id == mine.place_id)
        .where(
            among(mine.reservation_id, "ids"),
            mine.change_id.is_(None),
            following.blocking.expression,
            following.starts_at >= mine.ends_at,
            following.id != mine.id,
        )
        .group_by(mine.id)
    )


_NEXT_STARTS = _next_starts()


def _draw_on(session: Session, reservations: Sequence[Reservation]) -> None:
    """In order of id, each counting what those before it have grown by; the utilities are locked."""
    growing = [
        (draw, Interval(draw.ends_at, reservation.occupied_until))
        for reservation in reservations
        for draw in sorted(reservation.draws, key=lambda each: each.utility_id)
        if draw.change_id is None and draw.ends_at < reservation.occupied_until
    ]
    if not growing:
        return
    utilities = session.scalars(
        select(Utility)
        .where(Utility.id.in_({draw.utility_id for draw, _ in growing}))
        .order_by(Utility.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    capacities = {utility.id: utility.capacity for utility in utilities}
    whole = Interval(min(added.start for _, added in growing), max(added.end for _, added in growing))
    present = drawn(session, list(capacities), whole)
    for draw, added in growing:
        others = present.setdefault(draw.utility_id, [])
        top, _ = peak([*others, (added, draw.amount)], added)
        if top <= capacities[draw.utility_id]:
            others.append((added, draw.amount))
            draw.ends_at = added.end
