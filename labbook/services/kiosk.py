"""What stands at the equipment: who is in and until when, who is next, and the steps taken there.

Read by somebody signed in, on their phone, or by a tablet, which is nobody (``domain.visibility``). On a
tablet each step is taken in the name of whoever types their code, and nothing of them is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Row, and_, bindparam, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from labbook.domain.access import Role, Viewer, allowed_parties, may
from labbook.domain.errors import NotFound, Problem, Refused
from labbook.domain.reservation import Action, Status, sources
from labbook.domain.visibility import hazards_shown, scope_of, shown_to_passers_by
from labbook.models import Allocation, EnvironmentVersion, Equipment, Piece, Place, Project, Reservation
from labbook.services import decisions, kiosk_codes
from labbook.services.commands import Decide
from labbook.services.kiosks import Device
from labbook.services.occupancy import OVERLAPPING
from labbook.services.reservation_views import (
    Standby,
    allowed_steps,
    in_scope,
    loading,
    standby_of,
    subject_of,
)

AHEAD = timedelta(days=180)
"""How far ahead the next one is looked for."""

SOON = timedelta(days=1)
"""Whose slot begins later has nothing at the tablet yet."""

Who: TypeAlias = Viewer | Device
_NOBODY = Viewer(0, "", "", 0, Role.ENGINEER)


@dataclass(frozen=True)
class Occupant:
    """A reservation in full. ``allowed``: the steps that whoever looks may take, none for a tablet."""

    id: str
    title: str
    holder: str
    kind: str
    status: str
    start: datetime
    end: datetime
    overrun_since: datetime | None
    displaced: bool
    standby: Standby | None
    allowed: frozenset[str]


@dataclass(frozen=True)
class Stretch:
    """A place is occupied over ``[start, end)``; ``full`` None for what shows as a busy block only."""

    start: datetime
    end: datetime
    full: Occupant | None


@dataclass(frozen=True)
class PlaceNow:
    """``free_until`` where nobody is in: None for as far ahead as is looked."""

    number: int
    now: Stretch | None
    next: Stretch | None
    free_until: datetime | None


@dataclass(frozen=True)
class KioskView:
    slug: str
    name: Mapping[str, str]
    state: str
    facility: str
    facility_name: Mapping[str, str]
    room: str | None
    zone: str
    duty_phone: str | None
    example: bool
    hazards: Sequence[str]
    check_in: str
    automatic: bool
    is_staff: bool
    places: Sequence[PlaceNow]


@dataclass(frozen=True)
class StepByCode:
    """``place``: the number of the place, where the equipment has several."""

    equipment: str
    action: Action
    code: str
    place: int | None = None


# --- reading ------------------------------------------------------------------------------------------

_RANKED = (
    select(
        Allocation.place_id,
        Allocation.starts_at,
        Allocation.ends_at,
        Allocation.reservation_id,
        func.row_number().over(partition_by=Allocation.place_id, order_by=Allocation.starts_at).label("rank"),
    )
    .select_from(Place)
    .join(Allocation, Allocation.place_id == Place.id)
    .where(Place.equipment_id == bindparam("equipment_id"), *OVERLAPPING)
    .subquery()
)
_NEAR = (
    select(
        _RANKED.c.place_id,
        _RANKED.c.starts_at,
        _RANKED.c.ends_at,
        _RANKED.c.reservation_id,
        Reservation.facility_id,
        Reservation.organisation_id,
        Reservation.project_id,
        Reservation.hold,
        Project.organisation_id.label("charged_to"),
        EnvironmentVersion.hazards,
    )
    .join(Reservation, _RANKED.c.reservation_id == Reservation.id)
    .outerjoin(Project, Reservation.project_id == Project.id)
    .outerjoin(EnvironmentVersion, Reservation.environment_version_id == EnvironmentVersion.id)
    .where(_RANKED.c.rank <= 3)
    .order_by(_RANKED.c.place_id, _RANKED.c.starts_at)
)
"""Of each place what occupies it now and next."""


@dataclass(frozen=True)
class _Sight:
    """What ``who`` sees in full: of a row of ``_NEAR``, and as SQL."""

    has: Callable[[Row[Any]], bool]
    condition: ColumnElement[bool]


def _sight(who: Who) -> _Sight:
    if isinstance(who, Device):
        own = who.organisation_id
        theirs = Reservation.project.has(Project.organisation_id != own)
        return _Sight(
            lambda row: shown_to_passers_by(own, row.organisation_id, row.charged_to, row.hold),
            and_(Reservation.organisation_id == own, ~theirs, Reservation.hold.is_(None)),
        )
    scope = scope_of(who)
    return _Sight(
        lambda row: scope.has(row.facility_id, row.organisation_id, row.project_id), in_scope(scope)
    )


def read(session: Session, slug: str, *, who: Who, now: datetime) -> KioskView:
    """A constant number of queries, however many places there are."""
    piece = _piece(session, slug)
    asked = {"equipment_id": piece.id, "since": now, "until": now + AHEAD}
    near = session.execute(_NEAR, asked).all()
    sight = _sight(who)
    seen = [row.reservation_id for row in near if sight.has(row)]
    late = and_(
        Reservation.status == Status.IN_USE,
        Reservation.overrun_since.is_not(None),
        Reservation.pieces.any(Piece.equipment_id == piece.id),
        sight.condition,
    )
    full = {
        row.id: row
        for row in session.scalars(
            select(Reservation)
            .where(or_(Reservation.id.in_(seen), late))
            .options(*loading(), selectinload(Reservation.allocations))
        )
    }
    facility = piece.facility
    return KioskView(
        slug=piece.slug,
        name=piece.name,
        state=piece.state,
        facility=facility.slug,
        facility_name=facility.name,
        room=piece.room.slug if piece.room else None,
        zone=facility.time_zone,
        duty_phone=facility.duty_phone,
        example=facility.example,
        hazards=hazards_shown(piece.hazards, *_feared(near, full.values(), now)),
        check_in=piece.check_in,
        automatic=piece.approval == "automatic",
        is_staff=isinstance(who, Viewer) and who.is_staff_of(facility.id),
        places=[_place(place, near, full, who, now) for place in piece.current_places],
    )


def _piece(session: Session, slug: str) -> Equipment:
    piece = session.scalar(
        select(Equipment)
        .where(Equipment.slug == slug)
        .options(
            joinedload(Equipment.facility, innerjoin=True),
            joinedload(Equipment.room),
            selectinload(Equipment.place_rows),
        )
    )
    if piece is None:
        raise NotFound("equipment")
    return piece


def _feared(near: Sequence[Row[Any]], full: Collection[Reservation], now: datetime) -> list[Sequence[str]]:
    """The hazards of the recipes that the equipment is used for now, or still."""
    here = [row.hazards or () for row in near if row.starts_at <= now]
    recipes = (each.environment_version for each in full if each.overrun_since is not None)
    return here + [recipe.hazards for recipe in recipes if recipe is not None]


def _place(
    place: Place, near: Sequence[Row[Any]], full: Mapping[int, Reservation], who: Who, now: datetime
) -> PlaceNow:
    rows = [row for row in near if row.place_id == place.id]
    late = _late_on(place, full.values())
    current = next((row for row in rows if row.starts_at <= now), None)
    if late is not None:  # what overran still stands there, whoever's turn it is
        here: Stretch | None = Stretch(late.occupied_from, late.occupied_until, _occupant(late, who))
        ahead = [row for row in rows if row.reservation_id != late.id]
    else:
        here = _stretch(current, full, who) if current else None
        in_full = current.reservation_id if current and current.reservation_id in full else None
        ahead = [row for row in rows if row is not current and row.reservation_id != in_full]
    following = _stretch(ahead[0], full, who) if ahead else None
    free_until = following.start if here is None and following else None
    return PlaceNow(place.number, here, following, free_until)


def _late_on(place: Place, reservations: Collection[Reservation]) -> Reservation | None:
    late = (each for each in reservations if each.status == Status.IN_USE and each.overrun_since is not None)
    return next((each for each in late if any(_is_on(a, place) for a in each.allocations)), None)


def _is_on(allocation: Allocation, place: Place) -> bool:
    return allocation.place_id == place.id and allocation.change_id is None


def _stretch(row: Row[Any], full: Mapping[int, Reservation], who: Who) -> Stretch:
    reservation = full.get(row.reservation_id)
    return Stretch(row.starts_at, row.ends_at, _occupant(reservation, who) if reservation else None)


def _occupant(row: Reservation, who: Who) -> Occupant:
    pending = next((c for c in row.changes if c.state == "open"), None)
    return Occupant(
        id=row.public_id,
        title=row.title,
        holder=row.holder.name,
        kind=row.kind,
        status=row.status,
        start=row.starts_at,
        end=row.ends_at,
        overrun_since=row.overrun_since,
        displaced=row.displaced_since is not None,
        standby=standby_of(row.environment_version),
        allowed=allowed_steps(row, who, pending) if isinstance(who, Viewer) else frozenset(),
    )


# --- steps --------------------------------------------------------------------------------------------

_STEPS = {Action.CHECK_IN: decisions.check_in, Action.CHECK_OUT: decisions.check_out}


def take_by_code(session: Session, command: StepByCode, *, now: datetime) -> None:
    """Check in or out in the name of whoever the code is of, with all the rules that hold for them.

    A code that nobody has, and one of somebody who has nothing here, get the same ``Refused`` after the
    same work.
    """
    actor = kiosk_codes.whose(session, command.code, now=now)
    found = _candidates(session, command, actor or _NOBODY, now)
    if actor is None or not found:
        raise Refused([Problem("kiosk_code_unknown", "code")])
    chosen = _chosen(found, actor, now)
    session.rollback()
    _STEPS[command.action](session, Decide(reservation=chosen), actor=actor, now=now)


def _candidates(session: Session, command: StepByCode, actor: Viewer, now: datetime) -> list[Reservation]:
    piece = session.execute(
        select(Equipment.id, Equipment.facility_id).where(Equipment.slug == command.equipment)
    ).one_or_none()
    if piece is None:
        raise NotFound("equipment")
    query = (
        select(Reservation)
        .where(
            Reservation.pieces.any(Piece.equipment_id == piece.id),
            Reservation.status.in_(sorted(sources(command.action))),
        )
        .options(*loading())
        .order_by(Reservation.occupied_from, Reservation.id)
    )
    if command.action is Action.CHECK_IN:
        query = query.where(Reservation.occupied_until > now, Reservation.occupied_from < now + SOON)
    if not actor.is_staff_of(piece.facility_id):
        query = query.where(
            or_(
                Reservation.holder_id == actor.id,
                Reservation.requested_by_id == actor.id,
                Reservation.participants.any(user_id=actor.id),
            )
        )
    if command.place is not None:
        place = select(Place.id).where(Place.equipment_id == piece.id, Place.number == command.place)
        query = query.where(Reservation.allocations.any(Allocation.place_id.in_(place)))
    allowed = allowed_parties(command.action)
    return [row for row in session.scalars(query) if may(actor, subject_of(row), allowed)]


def _chosen(found: Sequence[Reservation], actor: Viewer, now: datetime) -> str:
    """One's own before others', what has begun before what is to come, what waits before what was missed."""
    own = [row for row in found if _is_own(row, actor)] or list(found)
    begun = [row for row in own if row.occupied_from <= now] or own[:1]
    waiting = [row for row in begun if row.status != Status.NO_SHOW] or begun
    if len(waiting) > 1:
        raise Refused([Problem("kiosk_which_place", "place")])
    return waiting[0].public_id


def _is_own(row: Reservation, actor: Viewer) -> bool:
    return actor.id in (row.holder_id, row.requested_by_id, *(p.user_id for p in row.participants))
