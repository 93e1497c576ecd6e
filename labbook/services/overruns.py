"""What is still in use past its end: it grows into free time, and whoever comes next is kept waiting.

Nothing running is ever cut off, and nothing of another's is ever taken: an overrun occupies up to the next
reservation on the same place, and from there that one is displaced, until the place is given back.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Select, bindparam, func, or_, select
from sqlalchemy.orm import Session, aliased

from labbook.domain.interval import Interval
from labbook.domain.reservation import Status, grown_until
from labbook.domain.utility import peak
from labbook.models import Allocation, Draw, Instant, Reservation, Utility
from labbook.models.many import among
from labbook.services import facts, journal, webhooks
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
        .with_for_update(read=True, of=standing)
    )


_KEPT_WAITING = _kept_waiting()


def kept_waiting(session: Session, reservation_ids: Collection[int], now: datetime) -> frozenset[int]:
    """Those of them on whose places somebody else still is who has not checked out.

    A piece whose own set-up is still to come is rightly somebody else's until then; only what begins by
    itself waits for all of its pieces, since nobody is there to see.
    What stands there is locked against being given back meanwhile, so that whoever gives it back finds
    all whom it kept waiting.
    """
    return frozenset(session.scalars(_KEPT_WAITING, {"ids": reservation_ids, "now": now}))


def release(session: Session, reservation: Reservation, now: datetime) -> None:
    """``reservation`` is no longer on its places: those whom it kept waiting may come, if nobody else does.

    Part of the step that ends its use.
    """
    places = [a.place_id for a in reservation.allocations if a.change_id is None]
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
        changed(each, now)
        session.flush()
        journal.record(session, each, "freed", actor=None, now=now, rule="scheduler", old={"since": since})
        told = [each.holder_id, each.requested_by_id, *(p.user_id for p in each.participants)]
        told += journal.managers_of(session, each.facility_id, now)
        journal.post(session, "freed", told, now=now, reservation=each)


def grow(session: Session, reservation: Reservation, now: datetime) -> None:
    """Occupy on, with the tear-down still ahead, as far as nobody else does; the equipment is locked.

    What is drawn grows only within its budget: what runs draws anyway, but nobody else's share is promised
    away for it.
    """
    pieces = facts.load_equipment(session, facts.wanted_of(reservation), lock=False)
    until = max(grown_until(now), reservation.ends_at)
    plan = Plan(pieces, Interval(reservation.starts_at, until), reservation.environment_version)
    wished = {place.id: plan.span(e).end for e, _ in pieces for place in e.place_rows}
    own = [a for a in reservation.allocations if a.change_id is None]
    barriers = _next_starts(session, own)
    for allocation in own:
        end = wished.get(allocation.place_id, allocation.ends_at)
        barrier = barriers.get(allocation.id)
        end = end if barrier is None else min(end, barrier)
        if end > allocation.ends_at:
            allocation.ends_at = end
            allocation.sequence += 1
            allocation.changed_at = now
    reservation.occupied_until = max(a.ends_at for a in own)
    _draw_on(session, reservation, now)
    session.flush()
    webhooks.opened(session, [reservation.id], now)


def _next_starts(session: Session, own: Collection[Allocation]) -> dict[int, datetime]:
    """Allocation id -> when the next one on its place begins."""
    mine, following = aliased(Allocation), aliased(Allocation)
    rows = session.execute(
        select(mine.id, func.min(following.starts_at, type_=Allocation.starts_at.type))
        .join(following, following.place_id == mine.place_id)
        .where(
            mine.id.in_([a.id for a in own]),
            following.blocking.expression,
            following.starts_at >= mine.ends_at,
            following.id != mine.id,
        )
        .group_by(mine.id)
    )
    return dict(rows.all())


def _draw_on(session: Session, reservation: Reservation, now: datetime) -> None:
    growing = [d for d in reservation.draws if d.change_id is None and d.ends_at < reservation.occupied_until]
    if not growing:
        return
    utilities = session.scalars(
        select(Utility)
        .where(Utility.id.in_({d.utility_id for d in growing}))
        .order_by(Utility.id)
        .with_for_update(key_share=True)
    )
    capacities = {utility.id: utility.capacity for utility in utilities}
    for row in growing:
        added = Interval(row.ends_at, reservation.occupied_until)
        if _fits(session, row, added, capacities[row.utility_id]):
            row.ends_at = added.end
            session.flush()  # the next one counts it


def _fits(session: Session, row: Draw, added: Interval, capacity: int) -> bool:
    present = drawn(session, [row.utility_id], added).get(row.utility_id, [])
    top, _ = peak([*present, (added, row.amount)], added)
    return top <= capacity
