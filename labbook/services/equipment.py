"""The catalogue as its readers see it: facilities and equipment, in a constant number of queries.

Whoever has signed in may read all of it: what a laboratory has is no secret, only who uses it when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, joinedload, selectinload

from labbook.domain.access import Viewer
from labbook.domain.calibration import calibration_due
from labbook.domain.errors import NotFound, Problem, Refused
from labbook.domain.policy import SlotPolicy
from labbook.models import (
    Closure,
    Equipment,
    EquipmentDraw,
    EquipmentQualification,
    Facility,
    Utility,
)
from labbook.services.facts import slot_policy


@dataclass(frozen=True)
class UtilityView:
    """``capacity`` counts thousandths of ``unit``."""

    slug: str
    name: Mapping[str, str]
    capacity: int
    unit: str


@dataclass(frozen=True)
class ClosureView:
    kind: str
    start: datetime
    end: datetime
    reason: str


@dataclass(frozen=True)
class FacilityView:
    """``staffed`` maps a weekday to ranges of wall time in ``zone``."""

    slug: str
    name: Mapping[str, str]
    zone: str
    country: str | None
    staffed: Mapping[str, Sequence[Sequence[str]]]
    duty_phone: str | None
    example: bool
    rooms: Sequence[str]
    utilities: Sequence[UtilityView]
    closures: Sequence[ClosureView]


@dataclass(frozen=True)
class DrawView:
    """What one occupied place draws, in thousandths of ``unit``."""

    utility: str
    name: Mapping[str, str]
    amount: int
    unit: str


@dataclass(frozen=True)
class Calibration:
    """``interval`` is an ISO 8601 duration; ``due`` None as long as nobody has performed one."""

    interval: str
    performed: date | None
    due: date | None


@dataclass(frozen=True)
class EquipmentView:
    """``capabilities`` maps a name to how its range was written. Durations in seconds."""

    slug: str
    facility: str
    facility_name: Mapping[str, str]
    zone: str
    duty_phone: str | None
    example: bool
    room: str | None
    name: Mapping[str, str]
    description: Mapping[str, str]
    category: str
    maker: str
    type: str
    serial: str
    documents: Sequence[str]
    portable: bool
    places: int
    pool: bool
    attended: bool
    setup: int
    teardown: int
    approval: str
    check_in: str
    state: str
    capabilities: Mapping[str, str]
    parallel: bool
    draws: Sequence[DrawView]
    qualifications: Sequence[str]
    hazards: Sequence[str]
    calibration: Calibration | None
    slot: SlotPolicy


@dataclass(frozen=True)
class Sought:
    """Which equipment; every None matches all. ``text`` in names and short names; ``capabilities`` are
    ``(name, quantity)`` that the range offered must contain.
    """

    facility: str | None = None
    category: str | None = None
    text: str = ""
    capabilities: tuple[tuple[str, str], ...] = ()
    retired: bool = False


# --- facilities ---------------------------------------------------------------------------------------


def list_facilities(session: Session, *, now: datetime) -> list[FacilityView]:
    return _facilities(session, select(Facility).order_by(Facility.id), now)


def find_facility(session: Session, slug: str, *, now: datetime) -> FacilityView:
    """Raises ``NotFound``."""
    found = _facilities(session, select(Facility).where(Facility.slug == slug), now)
    if not found:
        raise NotFound("facility")
    return found[0]


def _facilities(session: Session, query: Select[Facility], now: datetime) -> list[FacilityView]:
    rows = session.scalars(query.options(selectinload(Facility.rooms))).all()
    ids = [row.id for row in rows]
    utilities = session.scalars(
        select(Utility).where(Utility.facility_id.in_(ids)).order_by(Utility.slug)
    ).all()
    closures = session.scalars(
        select(Closure).where(Closure.facility_id.in_(ids), Closure.ends_at > now).order_by(Closure.starts_at)
    ).all()
    return [
        FacilityView(
            slug=row.slug,
            name=row.name,
            zone=row.time_zone,
            country=row.country,
            staffed=row.staffed,
            duty_phone=row.duty_phone,
            example=row.example,
            rooms=[room.slug for room in row.rooms],
            utilities=[
                UtilityView(u.slug, u.name, u.capacity, u.unit) for u in utilities if u.facility_id == row.id
            ],
            closures=[
                ClosureView(c.kind, c.starts_at, c.ends_at, c.reason)
                for c in closures
                if c.facility_id == row.id
            ],
        )
        for row in rows
    ]


# --- equipment ----------------------------------------------------------------------------------------


def search_equipment(session: Session, sought: Sought) -> list[EquipmentView]:
    """Everything that matches, by facility, category and short name.

    Raises ``Refused`` for a facility that does not exist.
    """
    return [equipment_view(row) for row in rows_of(session, sought)]


def rows_of(session: Session, sought: Sought) -> list[Equipment]:
    """What matches apart from capabilities, which ``capability_search`` looks at."""
    query = _EQUIPMENT
    if not sought.retired:
        query = query.where(Equipment.state != "retired")
    if sought.facility is not None:
        query = query.where(Equipment.facility_id == facility_id(session, sought.facility))
    if sought.category is not None:
        query = query.where(Equipment.category == sought.category)
    return [row for row in session.scalars(query) if _says(row, sought.text)]


def find_equipment(session: Session, slug: str) -> EquipmentView:
    """Raises ``NotFound``."""
    row = session.scalar(_EQUIPMENT.where(Equipment.slug == slug))
    if row is None:
        raise NotFound("equipment")
    return equipment_view(row)


def is_staff_of(session: Session, slug: str, *, viewer: Viewer) -> bool:
    """Whether the viewer is staff of the facility that the piece is in."""
    facility_id = session.scalar(select(Equipment.facility_id).where(Equipment.slug == slug))
    return facility_id is not None and viewer.is_staff_of(facility_id)


def categories(session: Session) -> list[str]:
    query = select(Equipment.category).where(Equipment.state != "retired").distinct()
    return sorted(session.scalars(query))


def known_capabilities(session: Session) -> dict[str, str]:
    """What any piece in use states of itself: the name, and the widest range that one offers."""
    query = select(Equipment.capabilities).where(Equipment.state != "retired").order_by(Equipment.slug)
    widest: dict[str, Mapping[str, Any]] = {}
    for capabilities in session.scalars(query):
        for name, offered in capabilities.items():
            known = widest.setdefault(name, offered)
            if offered["high"] - offered["low"] > known["high"] - known["low"]:
                widest[name] = offered
    return {name: str(offered["text"]) for name, offered in sorted(widest.items())}


_EQUIPMENT = (
    select(Equipment)
    .order_by(Equipment.facility_id, Equipment.category, Equipment.slug)
    .options(
        joinedload(Equipment.facility, innerjoin=True),
        joinedload(Equipment.room),
        selectinload(Equipment.draws).joinedload(EquipmentDraw.utility, innerjoin=True),
        selectinload(Equipment.qualifications).joinedload(EquipmentQualification.kind, innerjoin=True),
    )
)


def facility_id(session: Session, slug: str) -> int:
    """Raises ``Refused`` for a facility that does not exist."""
    found = session.scalar(select(Facility.id).where(Facility.slug == slug))
    if found is None:
        raise Refused([Problem("unknown_facility", "facility", params={"facility": slug})])
    return found


def _says(row: Equipment, text: str) -> bool:
    """Every word of the text, in the name of any language, the short name, the category, maker or type."""
    words = " ".join((row.slug, row.category, row.maker, row.type, *row.name.values())).casefold()
    return all(part in words for part in text.casefold().split())


def equipment_view(row: Equipment) -> EquipmentView:
    calibration = None
    if row.calibration_interval is not None:
        due = calibration_due(row.calibration_interval, row.calibrated_on)
        calibration = Calibration(row.calibration_interval, row.calibrated_on, due)
    facility = row.facility
    return EquipmentView(
        slug=row.slug,
        facility=facility.slug,
        facility_name=facility.name,
        zone=facility.time_zone,
        duty_phone=facility.duty_phone,
        example=facility.example,
        room=row.room.slug if row.room else None,
        name=row.name,
        description=row.description,
        category=row.category,
        maker=row.maker,
        type=row.type,
        serial=row.serial,
        documents=row.documents,
        portable=row.portable,
        places=row.places,
        pool=row.pool,
        attended=row.attended,
        setup=row.setup,
        teardown=row.teardown,
        approval=row.approval,
        check_in=row.check_in,
        state=row.state,
        capabilities={name: stored["text"] for name, stored in sorted(row.capabilities.items())},
        parallel=row.parallel,
        draws=[
            DrawView(d.utility.slug, d.utility.name, d.amount, d.utility.unit)
            for d in sorted(row.draws, key=lambda d: d.utility.slug)
        ],
        qualifications=sorted(q.kind.slug for q in row.qualifications),
        hazards=row.hazards,
        calibration=calibration,
        slot=slot_policy(row),
    )
