"""Who sees what of a reservation: the one place that decides, for every channel.

In full: the holder's organisation, the project's members, and the staff of its facility. To everybody
else signed in it is a busy block: one opaque id per allocation, the occupied interval, the equipment and
coded hazards, and nothing of what is not blocking.

A tablet beside the equipment is nobody: whoever passes by reads it. It shows in full only what is the lab's
own and charged to nobody else's project; all else is a busy block there too.

Of a project its own people see all: its organisation and its members. The staff of a facility know of
those that reservations there are charged to, not of who is in them or what account they are paid from.

A recipe is everybody's, or that of one organisation: then nobody else knows of it but the staff of its
facility.

Lists are filtered in SQL; ``Scope`` is the same decision as data, and a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from labbook.domain.hazards import HAZARDS


class Asker(Protocol):
    """What of a viewer the decision needs (``domain.access.Viewer`` is one)."""

    @property
    def id(self) -> int: ...
    @property
    def organisation_id(self) -> int: ...
    @property
    def project_ids(self) -> frozenset[int]: ...
    @property
    def staff_at(self) -> frozenset[int]: ...
    @property
    def role(self) -> str: ...


@dataclass(frozen=True)
class Subject:
    """What of a reservation the decision needs. ``organisation_id`` is the holder's."""

    facility_id: int
    organisation_id: int
    project_id: int | None
    holder_id: int = 0
    requested_by_id: int = 0
    participant_ids: Collection[int] = ()


@dataclass(frozen=True)
class Scope:
    """What somebody sees in full: everything, or whatever one of these ids matches."""

    everything: bool
    organisation_id: int
    project_ids: frozenset[int]
    facility_ids: frozenset[int]

    def has(self, facility_id: int, organisation_id: int, project_id: int | None) -> bool:
        return (
            self.everything
            or organisation_id == self.organisation_id
            or facility_id in self.facility_ids
            or (project_id is not None and project_id in self.project_ids)
        )

    def opens(self, project_id: int, organisation_id: int) -> bool:
        """Whether a project shows its members and its account."""
        return self.everything or organisation_id == self.organisation_id or project_id in self.project_ids

    def has_recipe(self, facility_id: int, organisation_id: int | None) -> bool:
        """Whether there is such a recipe at all; ``organisation_id`` None: it is everybody's."""
        return (
            organisation_id is None
            or self.everything
            or organisation_id == self.organisation_id
            or facility_id in self.facility_ids
        )

    def knows(self, project_id: int, organisation_id: int, charged_at: Collection[int]) -> bool:
        """Whether there is such a project at all; ``charged_at``: the facilities it has reservations in."""
        return self.opens(project_id, organisation_id) or not self.facility_ids.isdisjoint(charged_at)


def scope_of(viewer: Asker) -> Scope:
    return Scope(
        everything=viewer.role == "admin",
        organisation_id=viewer.organisation_id,
        project_ids=viewer.project_ids,
        facility_ids=viewer.staff_at,
    )


def sees_in_full(viewer: Asker, subject: Subject) -> bool:
    return scope_of(viewer).has(subject.facility_id, subject.organisation_id, subject.project_id)


def sees_customer(viewer: Asker, subject: Subject) -> bool:
    """Whom an option is for is the staff's of its facility to know, and not their organisation's."""
    scope = scope_of(viewer)
    return scope.everything or subject.facility_id in scope.facility_ids


def hazards_shown(*stated: Iterable[str]) -> list[str]:
    """What a busy block warns of: the hazards of the equipment and those of the recipe it is used for, each
    once. They protect whoever stands beside it, and say neither which recipe it is nor which other piece
    belongs to it.
    """
    every = frozenset(hazard for each in stated for hazard in each)
    return [hazard for hazard in HAZARDS if hazard in every]


def shown_to_passers_by(
    organisation_id: int, subject_organisation_id: int, charged_to: int | None, hold: str | None = None
) -> bool:
    """Whether a tablet of ``organisation_id`` shows a reservation in full.

    ``charged_to``: the organisation whose project it is charged to, None without a project. ``hold``: what is
    held for a customer, or offered to somebody, is the lab's in name only.
    """
    return subject_organisation_id == organisation_id and charged_to in (None, organisation_id) and not hold
