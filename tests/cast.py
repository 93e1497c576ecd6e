"""A small fixed cast: two competing companies, a university, staff, and equipment of each sort.

Times are fixed: ``NOW`` is Monday 2026-03-23 09:00 in Sønderborg; summer time begins on 2026-03-29 and ends
on 2026-10-25.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from labbook.domain.access import Role, Viewer
from labbook.models import (
    ChangeCounter,
    Equipment,
    EquipmentDraw,
    EquipmentQualification,
    Facility,
    Organisation,
    Place,
    Project,
    ProjectMember,
    Qualification,
    QualificationKind,
    Room,
    StaffMembership,
    User,
    Utility,
)

ZONE = ZoneInfo("Europe/Copenhagen")
NOW = datetime(2026, 3, 23, 8, 0, tzinfo=UTC)


def at(text: str) -> datetime:
    """``"2026-03-24 10:00"`` in Sønderborg as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


@dataclass(frozen=True)
class Cast:
    """``anna`` and ``bo`` of Alpha, ``carla`` of its competitor Beta, ``dorte`` of the university;
    ``mia`` and ``max`` manage the lab, ``tom`` is its technician, ``ada`` may do everything.

    ``joint`` is a project of Alpha with dorte as a member.
    """

    anna: Viewer
    bo: Viewer
    carla: Viewer
    dorte: Viewer
    mia: Viewer
    max: Viewer
    tom: Viewer
    ada: Viewer
    facility_id: int


def make_cast(session: Session) -> Cast:
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    cast = _make(session)
    session.commit()
    return cast


def equipment(session: Session, facility: Facility, slug: str, **more: Any) -> Equipment:
    """A piece with its places; whatever is not named has the catalogue's default."""
    values: dict[str, Any] = {
        "name": {"en": slug.replace("-", " ").capitalize()},
        "category": slug.rstrip("0123456789").rstrip("-"),
        "description": {},
        "documents": [],
        "capabilities": {},
        "hazards": [],
    }
    row = Equipment(slug=slug, facility_id=facility.id, **(values | more))
    session.add(row)
    session.flush()
    session.add_all(Place(equipment_id=row.id, number=n + 1) for n in range(row.places or 1))
    session.flush()
    return row


def _make(session: Session) -> Cast:
    facility = Facility(
        slug="cie",
        name={"en": "Centre for Industrial Electronics", "da": "Center for Industriel Elektronik"},
        time_zone="Europe/Copenhagen",
        country="DK",
        staffed={day: [["08:00", "16:00"]] for day in ("mon", "tue", "wed", "thu", "fri")},
        duty_phone="+45 00 00 00 00",
        example=True,
    )
    session.add(facility)
    session.flush()
    session.add(ChangeCounter(facility_id=facility.id, number=0))
    room = Room(facility_id=facility.id, slug="climate", position=0)
    feeder = Utility(
        facility_id=facility.id, slug="feeder-a", name={"en": "Feeder A"}, capacity=10_000, unit="kVA"
    )
    session.add_all([room, feeder])
    session.flush()
    people = _people(session, facility)
    kind = QualificationKind(slug="hv")
    session.add(kind)
    session.flush()
    session.add(
        Qualification(
            user_id=people["bo"].id,
            kind_id=kind.id,
            valid_until=date(2026, 4, 30),
            granted_by_id=people["mia"].id,
            granted_at=NOW,
        )
    )
    _equipment(session, facility, room, feeder, kind)
    return Cast(**people, facility_id=facility.id)


def _people(session: Session, facility: Facility) -> dict[str, Viewer]:
    organisations = {
        slug: Organisation(slug=slug, name=slug.capitalize(), kind=kind, created_at=NOW)
        for slug, kind in (("alpha", "company"), ("beta", "company"), ("university", "university"))
    }
    session.add_all(organisations.values())
    session.flush()
    cast = {
        "anna": ("alpha", Role.ENGINEER),
        "bo": ("alpha", Role.ENGINEER),
        "carla": ("beta", Role.ENGINEER),
        "dorte": ("university", Role.ENGINEER),
        "mia": ("university", Role.MANAGER),
        "max": ("university", Role.MANAGER),
        "tom": ("university", Role.TECHNICIAN),
        "ada": ("university", Role.ADMIN),
    }
    users = {
        name: User(
            email=f"{name}@{slug}.example",
            name=name.capitalize(),
            organisation_id=organisations[slug].id,
            role=role,
            created_at=NOW,
        )
        for name, (slug, role) in cast.items()
    }
    session.add_all(users.values())
    session.flush()
    staff = {name for name, (_, role) in cast.items() if role in (Role.MANAGER, Role.TECHNICIAN)}
    session.add_all(StaffMembership(user_id=users[n].id, facility_id=facility.id) for n in sorted(staff))
    joint = Project(
        slug="joint",
        name="Joint inverter",
        organisation_id=organisations["alpha"].id,
        activity="collaboration",
        created_at=NOW,
    )
    session.add(joint)
    session.flush()
    members = ("anna", "dorte")
    session.add_all(ProjectMember(project_id=joint.id, user_id=users[n].id) for n in members)
    session.flush()
    return {
        name: Viewer(
            id=user.id,
            name=user.name,
            email=user.email,
            organisation_id=user.organisation_id,
            role=Role(user.role),
            facility_ids=frozenset({facility.id} if name in staff else ()),
            project_ids=frozenset({joint.id} if name in members else ()),
        )
        for name, user in users.items()
    }


def _equipment(
    session: Session, facility: Facility, room: Room, feeder: Utility, kind: QualificationKind
) -> None:
    """``scope`` and ``scope-2`` simple; ``chamber`` with everything; ``cycler`` of four places;
    ``source`` that draws 6 of the feeder's 10 kVA per place; ``hipot`` attended, asking for a qualification.
    """
    equipment(session, facility, "scope", approval="automatic", category="oscilloscope")
    equipment(session, facility, "scope-2", approval="automatic", category="oscilloscope")
    equipment(
        session,
        facility,
        "chamber",
        room_id=room.id,
        category="climate-chamber",
        setup=1800,
        teardown=1800,
        check_in="required",
        hazards=["heat"],
    )
    equipment(session, facility, "cycler", places=4, approval="automatic", category="battery-cycler")
    for slug in ("source", "source-2"):
        source = equipment(session, facility, slug, approval="automatic", category="dc-source")
        session.add(EquipmentDraw(equipment_id=source.id, utility_id=feeder.id, amount=6_000))
    hipot = equipment(session, facility, "hipot", approval="automatic", attended=True, category="hipot")
    session.add(EquipmentQualification(equipment_id=hipot.id, kind_id=kind.id))
    session.flush()
