"""Pieces that several share at a time: what runs there under which profile, and what that keeps out.

A block of staff says nothing of a profile and minds none. Whoever asks holds the pieces' locks, as whoever
takes places does, so that what is read here is still so when it is written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import String, cast, or_, select
from sqlalchemy.orm import Session

from labbook.domain.interval import Interval
from labbook.domain.reservation import Status
from labbook.domain.sharing import Profile, clash
from labbook.models import Allocation, EnvironmentVersion, Equipment, Place, Reservation
from labbook.services.facts import Plan
from labbook.services.occupancy import OVERLAPPING


class Running(NamedTuple):
    """What occupies a piece over a span, under which profile; an empty one was not stated."""

    equipment: str
    start: datetime
    end: datetime
    profile: Profile


_PROFILES = (
    select(
        Equipment.slug,
        Allocation.starts_at,
        Allocation.ends_at,
        Reservation.environment_version_id,
        EnvironmentVersion.ambient,
        Reservation.ambient,
    )
    .select_from(Place)
    .join(Equipment, Place.equipment_id == Equipment.id)
    .join(Allocation, Allocation.place_id == Place.id)
    .join(Reservation, Allocation.reservation_id == Reservation.id)
    .outerjoin(EnvironmentVersion, Reservation.environment_version_id == EnvironmentVersion.id)
    .where(Reservation.kind == "booking")
)
_STATED = or_(Reservation.environment_version_id.is_not(None), cast(Reservation.ambient, String) != "{}")


def profiles(
    session: Session,
    equipment_ids: Collection[int],
    within: Interval,
    *,
    apart_from: Collection[int] = (),
    stated_only: bool = False,
) -> list[Running]:
    """Whatever occupies one of these pieces within a stretch; ``stated_only``: and may have a profile."""
    query = _PROFILES.where(
        Place.equipment_id.in_(equipment_ids), *OVERLAPPING, Reservation.id.not_in(list(apart_from))
    )
    if stated_only:
        query = query.where(_STATED)
    rows = session.execute(query, {"since": within.start, "until": within.end})
    return [_running(*row) for row in rows]


def _running(
    slug: str, start: datetime, end: datetime, recipe: int | None, of_recipe: Profile, ad_hoc: Profile
) -> Running:
    return Running(slug, start, end, ad_hoc if recipe is None else of_recipe)


def clashes(session: Session, plan: Plan, *, apart_from: int | None = None) -> dict[str, str]:
    """Shared piece -> what keeps the plan from it: compared over each piece's own span."""
    shared = {e.slug: e for e, count in plan.pieces if e.places > 1 and count < e.places}
    if not shared:
        return {}
    found: dict[str, str] = {}
    own = [apart_from] if apart_from is not None else []
    ids = [equipment.id for equipment in shared.values()]
    for slug, start, end, profile in profiles(session, ids, plan.occupied, apart_from=own):
        code = clash(shared[slug].capabilities, plan.profile, profile)
        if code is not None and plan.span(shared[slug]).overlaps(Interval(start, end)):
            found[slug] = max(code, found.get(slug, ""), key=("", "unstated_ambient", "other_ambient").index)
    return found


def barriers(
    session: Session,
    reservation: Reservation,
    own: Sequence[Allocation],
    plan: Plan,
    until: Mapping[int, datetime],
    known: Mapping[int, datetime],
) -> dict[int, datetime]:
    """Allocation id -> from when another profile needs the piece that it would go on on, where that is before
    what is ``known`` to stop it.
    """
    shared = {e.id: e for e, _ in plan.pieces if e.places > 1}
    if not shared or reservation.kind == "block":
        return {}
    growing = [a for a in own if a.place.equipment_id in shared and until[a.place_id] > a.ends_at]
    if not growing:
        return {}
    within = Interval(min(a.ends_at for a in growing), max(until[a.place_id] for a in growing))
    others = profiles(session, list(shared), within, apart_from=[reservation.id])
    found: dict[int, datetime] = {}
    for allocation in growing:
        piece = shared[allocation.place.equipment_id]
        starts = [
            each.start
            for each in others
            if each.equipment == piece.slug
            and each.start >= allocation.ends_at
            and clash(piece.capabilities, plan.profile, each.profile)
        ]
        first = min(starts, default=None)
        if first is not None and first < known.get(allocation.id, until[allocation.place_id]):
            found[allocation.id] = first
    return found


def overrunning(session: Session, plan: Plan, *, apart_from: int) -> list[str]:
    """Shared pieces on which something still runs over its end under another profile."""
    shared = {e.slug: e for e, _ in plan.pieces if e.places > 1}
    if not shared:
        return []
    query = _PROFILES.where(
        Place.equipment_id.in_([e.id for e in shared.values()]),
        Reservation.status == Status.IN_USE,
        Reservation.overrun_since.is_not(None),
        Reservation.id != apart_from,
    )
    found: list[Any] = [_running(*row) for row in session.execute(query)]
    return sorted(
        {r.equipment for r in found if clash(shared[r.equipment].capabilities, plan.profile, r.profile)}
    )
