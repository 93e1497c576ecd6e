"""The rows of a facility's timeline, in two queries however many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, NotFound
from labbook.models import Equipment, Facility, Room


@dataclass(frozen=True)
class Lab:
    """A facility as a calendar needs it. ``staffed``: weekday -> ranges of wall time."""

    slug: str
    name: Mapping[str, str]
    zone: str
    duty_phone: str | None
    example: bool


@dataclass(frozen=True)
class Row:
    """A piece of equipment. ``room`` is None where it has none; ``bookable`` unless it is out of service."""

    slug: str
    name: Mapping[str, str]
    category: str
    room: str | None
    places: int
    bookable: bool
    automatic: bool


@dataclass(frozen=True)
class Timeline:
    """``labs`` is every facility, ``lab`` the one that is shown, ``rows`` its equipment by room."""

    labs: Sequence[Lab]
    lab: Lab
    rows: Sequence[Row]

    @property
    def categories(self) -> list[str]:
        return sorted({row.category for row in self.rows})


def read(session: Session, facility: str | None, *, viewer: Viewer) -> Timeline:
    """The facility asked for, else the first that the viewer is staff of, else the first there is.

    Raises ``NotFound`` for a facility that does not exist, or when there is none at all.
    """
    return _read(session, session.scalars(select(Facility).order_by(Facility.id)).all(), facility, viewer)


def read_as_staff(session: Session, facility: str | None, *, viewer: Viewer) -> Timeline:
    """The same of the facilities whose staff the viewer is; ``Forbidden`` to whoever is nowhere."""
    every = session.scalars(select(Facility).order_by(Facility.id)).all()
    own = [each for each in every if viewer.is_staff_of(each.id)]
    if not own and every:
        raise Forbidden("staff")
    return _read(session, own, facility, viewer)


def _read(session: Session, facilities: Sequence[Facility], facility: str | None, viewer: Viewer) -> Timeline:
    chosen = next((f for f in facilities if f.slug == facility), None)
    if chosen is None and facility is None:
        chosen = next(
            (f for f in facilities if f.id in viewer.facility_ids | viewer.deputy_at), None
        ) or next(iter(facilities), None)
    if chosen is None:
        raise NotFound("facility")
    found = session.execute(
        select(
            Equipment.slug,
            Equipment.name,
            Equipment.category,
            Room.slug,
            Equipment.places,
            Equipment.state,
            Equipment.approval,
        )
        .outerjoin(Room, Equipment.room_id == Room.id)
        .where(Equipment.facility_id == chosen.id, Equipment.state != "retired")
        .order_by(Room.position.is_(None), Room.position, Equipment.category, Equipment.slug)
    )
    rows = [
        Row(slug, name, category, room, places, state == "in_service", approval == "automatic")
        for slug, name, category, room, places, state, approval in found
    ]
    return Timeline([_lab(f) for f in facilities], _lab(chosen), rows)


def _lab(facility: Facility) -> Lab:
    return Lab(facility.slug, facility.name, facility.time_zone, facility.duty_phone, facility.example)
