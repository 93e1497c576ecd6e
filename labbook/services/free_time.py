"""The next time that everything asked for is free: what a refusal offers instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from labbook.domain import policy
from labbook.domain.interval import Interval
from labbook.domain.policy import Facts
from labbook.domain.wall_time import Hours, next_on_grid
from labbook.models import Equipment
from labbook.services import facts
from labbook.services.commands import Wanted
from labbook.services.facts import Plan
from labbook.services.occupancy import occupied_places

AHEAD = timedelta(days=60)
_TRIES, _TRIES_WITHIN = 400, 6000


def next_free(
    session: Session,
    wanted: Sequence[Wanted],
    start: datetime,
    length: timedelta,
    *,
    now: datetime,
    until: datetime | None = None,
    empty: bool = False,
) -> Interval | None:
    """The first period of this length at or after ``start`` in which all pieces have room.

    Staffed hours and shutdowns are respected, budgets are not looked at. None when nothing is found within
    ``AHEAD``, or when it would not fit anyway (too many places, too long). ``until``: it must be over by
    then, and all of the time until then is looked at. ``empty``: as if nothing were booked.
    """
    pieces = facts.load_equipment(session, wanted, lock=False)
    if not pieces or length <= timedelta(0) or any(count > e.places for e, count in pieces):
        return None
    if any(length > timedelta(seconds=e.slot_longest) for e, _ in pieces):
        return None
    grid = max(timedelta(seconds=equipment.slot_grid) for equipment, _ in pieces)
    plan = Plan(pieces, Interval(start, start + length))
    search = Interval(plan.occupied.start, plan.occupied.end + AHEAD)
    hours = facts.hours_of(session, plan.facility, search)
    places = [place.id for equipment, _ in pieces for place in equipment.current_places]
    occupied = {} if empty else occupied_places(session, places, search)
    at = next_on_grid(max(start, now), grid, plan.zone)
    last = start + AHEAD if until is None else min(start + AHEAD, until - length)
    for _ in range(_TRIES if until is None else _TRIES_WITHIN):
        if at > last:
            return None
        tried = Plan(pieces, Interval(at, at + length))
        blocked_until = _blocked_until(tried, occupied)
        if blocked_until is None and not _unfit(tried, now, hours):
            return tried.use
        at = next_on_grid(max(blocked_until or at + grid, at + grid), grid, plan.zone)
    return None


def offers(
    session: Session,
    wanted: Sequence[Wanted],
    start: datetime,
    length: timedelta,
    *,
    now: datetime,
    count: int = 3,
) -> list[Interval]:
    """The next such period, and those of the days after, near the same time of day."""
    found: list[Interval] = []
    while len(found) < count:
        after = start
        while found and after < found[-1].end:
            after += timedelta(days=1)
        each = next_free(session, wanted, after, length, now=now)
        if each is None:
            break
        found.append(each)
    return found


def _blocked_until(plan: Plan, occupied: Mapping[int, Sequence[Interval]]) -> datetime | None:
    """None when every piece has room; otherwise the earliest time at which the one in the way may start."""
    waits = [w for equipment, count in plan.pieces if (w := _wait(plan, equipment, count, occupied))]
    return max(waits) if waits else None


def _wait(
    plan: Plan, equipment: Equipment, count: int, occupied: Mapping[int, Sequence[Interval]]
) -> datetime | None:
    span = plan.span(equipment)
    ends = [
        max((i.end for i in occupied.get(place.id, ()) if i.overlaps(span)), default=None)
        for place in equipment.current_places
    ]
    taken = sorted(end for end in ends if end is not None)
    lacking = count - (len(ends) - len(taken))
    if lacking <= 0:
        return None
    return taken[lacking - 1] + (plan.use.start - span.start)


def _unfit(plan: Plan, now: datetime, hours: Hours) -> bool:
    asked = Facts(now=now, use=plan.use, occupied=plan.occupied, pieces=plan.facts, hours=hours)
    rules = (policy.staffed_hours, policy.shutdowns, policy.lead_time, policy.horizon)
    return any(True for rule in rules for _ in rule(asked))
