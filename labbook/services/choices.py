"""What a booking form offers: equipment, environments, projects, people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from labbook.domain.access import Viewer
from labbook.domain.visibility import scope_of
from labbook.models import Environment, EnvironmentVersion, Equipment, Utility
from labbook.models.project import ACTIVITIES
from labbook.services import projects, users
from labbook.services.known_recipes import NEWEST, known_recipe
from labbook.services.projects import ProjectView
from labbook.services.users import Colleague


@dataclass(frozen=True)
class Choice:
    """Equipment (with places and category) or an environment, and whose wall clock it stands under."""

    slug: str
    name: Mapping[str, str]
    category: str
    places: int
    facility: str
    facility_name: Mapping[str, str]
    zone: str
    staffs: bool
    automatic: bool = False
    in_service: bool = True
    capabilities: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class UtilityChoice:
    """A utility whose draws the viewer may state; ``facility`` is its slug."""

    slug: str
    name: Mapping[str, str]
    unit: str
    facility: str


@dataclass(frozen=True)
class BookingChoices:
    equipment: Sequence[Choice]
    environments: Sequence[Choice]
    projects: Sequence[ProjectView]
    people: Sequence[Colleague]
    utilities: Mapping[str, Mapping[str, str]]
    stated: Sequence[UtilityChoice] = ()
    activities: Sequence[str] = ACTIVITIES

    def zone_of(self, slugs: Sequence[str], environment: str | None) -> str:
        """The zone of the first thing chosen; of the first facility as long as nothing is."""
        for choice in self.environments:
            if choice.slug == environment:
                return choice.zone
        by_slug = {choice.slug: choice for choice in self.equipment}
        for slug in slugs:
            if slug in by_slug:
                return by_slug[slug].zone
        return self.equipment[0].zone if self.equipment else "Europe/Copenhagen"


def for_booking(session: Session, *, viewer: Viewer) -> BookingChoices:
    equipment = session.scalars(
        select(Equipment)
        .where(Equipment.state != "retired")
        .options(joinedload(Equipment.facility, innerjoin=True))
        .order_by(Equipment.facility_id, Equipment.category, Equipment.slug)
    )
    recipes = session.scalars(
        select(EnvironmentVersion)
        .join(Environment, NEWEST)
        .where(Environment.retired_at.is_(None), known_recipe(scope_of(viewer)))
        .options(joinedload(EnvironmentVersion.environment).joinedload(Environment.facility))
        .order_by(Environment.facility_id, Environment.slug)
    )
    utilities = session.scalars(
        select(Utility).options(joinedload(Utility.facility, innerjoin=True)).order_by(Utility.slug)
    ).all()
    return BookingChoices(
        equipment=[_of_equipment(each, viewer) for each in equipment],
        environments=[_of_recipe(each, viewer) for each in recipes],
        projects=projects.chargeable(session, viewer=viewer),
        people=users.nameable(session, viewer=viewer),
        utilities={utility.slug: utility.name for utility in utilities},
        stated=[
            UtilityChoice(each.slug, each.name, each.unit, each.facility.slug)
            for each in utilities
            if viewer.manages(each.facility_id)
        ],
    )


def _of_equipment(row: Equipment, viewer: Viewer) -> Choice:
    facility = row.facility
    return Choice(
        slug=row.slug,
        name=row.name,
        category=row.category,
        places=row.places,
        facility=facility.slug,
        facility_name=facility.name,
        zone=facility.time_zone,
        staffs=viewer.is_staff_of(facility.id),
        automatic=row.approval == "automatic",
        in_service=row.state == "in_service",
        capabilities=row.capabilities,
    )


def _of_recipe(row: EnvironmentVersion, viewer: Viewer) -> Choice:
    facility = row.environment.facility
    return Choice(
        slug=row.environment.slug,
        name=row.name,
        category="",
        places=1,
        facility=facility.slug,
        facility_name=facility.name,
        zone=facility.time_zone,
        staffs=viewer.is_staff_of(facility.id),
    )
