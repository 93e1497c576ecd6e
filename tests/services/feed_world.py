"""A small lab for the feeds' tests: two companies that compete, and the lab's own staff."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from icalendar import Calendar, Event
from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Role, Viewer
from labbook.models import (
    Allocation,
    Environment,
    EnvironmentVersion,
    Equipment,
    Facility,
    Organisation,
    Participant,
    Piece,
    Place,
    Project,
    ProjectMember,
    Reservation,
    Room,
    StaffMembership,
    User,
)
from labbook.services import feeds, transaction

NOW = datetime(2026, 3, 27, 9, 30, tzinfo=UTC)
BASE_URL = "https://lab.example"


@dataclass
class World:
    """Rows by name. Every change goes through ``write``, which counts it as a service would."""

    session: Session
    ids: dict[str, int] = field(default_factory=dict)
    viewers: dict[str, Viewer] = field(default_factory=dict)

    def write(self, work: Any) -> Any:
        def counted() -> Any:
            result = work()
            transaction.touch(self.session, self.ids["lab"])
            return result

        return transaction.write(self.session, counted)

    def book(
        self,
        holder: str,
        title: str,
        *equipment: str,
        start: datetime = NOW + timedelta(days=1),
        hours: float = 4,
        setup: float = 0,
        teardown: float = 0,
        status: str = "approved",
        project: str | None = None,
        environment: str | None = None,
        participants: Iterable[str] = (),
        ended_at: datetime | None = None,
    ) -> str:
        """The public id of a new reservation of one place of each piece; buffers in hours."""
        end = start + timedelta(hours=hours)
        first, last = start - timedelta(hours=setup), end + timedelta(hours=teardown)
        person = self.viewers[holder]

        def work() -> str:
            count = len(self.session.scalars(select(Reservation.id)).all())
            reservation = Reservation(
                public_id=f"res{count:02}", facility_id=self.ids["lab"], status=status, title=title, notes="",
                starts_at=start, ends_at=end, occupied_from=first, occupied_until=last,
                project_id=self.ids[project] if project else None, activity="economic",
                organisation_id=person.organisation_id, holder_id=person.id, requested_by_id=person.id,
                environment_version_id=self.ids[f"{environment} v1"] if environment else None,
                overridden=[], created_at=NOW, changed_at=NOW, ended_at=ended_at,
            )  # fmt: skip
            self.session.add(reservation)
            self.session.flush()
            for number, slug in enumerate(equipment):
                self.session.add(Piece(reservation_id=reservation.id, equipment_id=self.ids[slug], places=1))
                self.session.add(
                    Allocation(
                        reservation_id=reservation.id, place_id=self.ids[f"{slug} place"], starts_at=first,
                        ends_at=last, opaque_id=f"opaque{count:02}{number}", changed_at=NOW,
                    )
                )  # fmt: skip
            for name in participants:
                self.session.add(Participant(reservation_id=reservation.id, user_id=self.viewers[name].id))
            return reservation.public_id

        return str(self.write(work))

    def change(self, public_id: str, now: datetime = NOW, **values: Any) -> None:
        """As a service changes a reservation: values, revision and date together."""

        def work() -> None:
            reservation = self.session.scalars(
                select(Reservation).where(Reservation.public_id == public_id)
            ).one()
            for name, value in values.items():
                setattr(reservation, name, value)
            reservation.revision += 1
            reservation.changed_at = now

        self.write(work)

    def subscribe(self, who: str, scope: str, *, reference_only: bool = False) -> str:
        command = feeds.CreateFeed(scope, reference_only=reference_only)
        return feeds.create(self.session, command, actor=self.viewers[who], now=NOW).secret

    def body(self, secret: str, now: datetime = NOW) -> bytes:
        return feeds.read(self.session, secret, now=now, base_url=BASE_URL).content

    def events(self, secret: str, now: datetime = NOW) -> list[Event]:
        return list(Calendar.from_ical(self.body(secret, now)).walk("VEVENT"))

    def titles(self, secret: str, now: datetime = NOW) -> list[str]:
        return [str(event["summary"]) for event in self.events(secret, now)]

    def sees(self, who: str, scope: str) -> list[str]:
        return self.titles(self.subscribe(who, scope))


def make_world(session: Session) -> World:
    """Ada and Alf work for Alpha, Bea for its competitor Beta; Mia manages the lab and Tim is technician."""
    world = World(session)

    def work() -> None:
        _catalogue(world)
        _people(world)

    transaction.write(session, work)
    return world


def _add(world: World, name: str, row: Any) -> Any:
    world.session.add(row)
    world.session.flush()
    world.ids[name] = row.id
    return row


def _catalogue(world: World) -> None:
    lab = _add(world, "lab", Facility(
        slug="lab", name={"en": "Power lab", "da": "Effektlab"}, time_zone="Europe/Copenhagen", staffed={},
    ))  # fmt: skip
    hall = _add(world, "hall", Room(facility_id=lab.id, slug="hall"))
    pieces = {
        "chamber": ("climate-chamber", {"en": "Chamber", "da": "Klimaskab"}, False),
        "source": ("dc-source", {"en": "Source"}, False),
        "scope": ("oscilloscope", {"en": "Scope"}, True),
    }
    for slug, (category, name, attended) in pieces.items():
        equipment = _add(world, slug, Equipment(
            slug=slug, facility_id=lab.id, room_id=hall.id, name=name, category=category, description={},
            documents=[], attended=attended, capabilities={}, hazards=[],
        ))  # fmt: skip
        _add(world, f"{slug} place", Place(equipment_id=equipment.id, number=1))
    recipe = _add(world, "damp-heat", Environment(slug="damp-heat", facility_id=lab.id))
    _add(world, "damp-heat v1", EnvironmentVersion(
        environment_id=recipe.id, number=1, name={"en": "Damp heat"}, ambient={}, draws={},
        needs=[{"category": "climate-chamber", "count": 1}, {"equipment": "source"}],
    ))  # fmt: skip


def _people(world: World) -> None:
    for slug in ("alpha", "beta", "house"):
        _add(world, slug, Organisation(slug=slug, name=slug.title(), kind="company", created_at=NOW))
    alpha, beta = world.ids["alpha"], world.ids["beta"]
    for slug, owner in (("inverter", alpha), ("shared", alpha), ("secret", beta)):
        _add(world, slug, Project(
            slug=slug, name=slug.title(), organisation_id=owner, activity="economic", created_at=NOW,
        ))  # fmt: skip
    cast = {
        "ada": ("alpha", "engineer", "shared"),
        "alf": ("alpha", "engineer", None),
        "bea": ("beta", "engineer", None),
        "ben": ("beta", "engineer", "shared"),
        "tim": ("house", "technician", None),
        "mia": ("house", "manager", None),
        "eva": ("house", "admin", None),
    }
    for name, (organisation, role, project) in cast.items():
        user = _add(world, name, User(
            email=f"{name}@{organisation}.example", name=name.title(), role=role,
            organisation_id=world.ids[organisation], created_at=NOW,
        ))  # fmt: skip
        staff = role in ("technician", "manager")
        if staff:
            world.session.add(StaffMembership(user_id=user.id, facility_id=world.ids["lab"]))
        if project:
            world.session.add(ProjectMember(user_id=user.id, project_id=world.ids[project]))
        world.viewers[name] = Viewer(
            user.id, user.name, user.email, user.organisation_id, Role(role),
            frozenset([world.ids["lab"]] if staff else []),
            frozenset([world.ids[project]] if project else []),
        )  # fmt: skip
