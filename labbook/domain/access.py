"""Who is asking, and who may do what to a reservation."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from labbook.domain.reservation import TRANSITIONS, Party
from labbook.domain.visibility import Subject, sees_in_full


class Role(StrEnum):
    ENGINEER = "engineer"
    TECHNICIAN = "technician"
    MANAGER = "manager"
    ADMIN = "admin"


@dataclass(frozen=True)
class Viewer:
    """Somebody signed in. ``facility_ids``: where a technician or manager is staff; ``deputy_at``: where they
    stand in for a manager now, and may do what the manager may.

    ``scope`` narrows what an API token may do: None everything its user may, ``"read"`` no writing.
    """

    id: int
    name: str
    email: str
    organisation_id: int
    role: Role
    facility_ids: frozenset[int] = field(default_factory=frozenset)
    project_ids: frozenset[int] = field(default_factory=frozenset)
    locale: str = "en"
    scope: str | None = None
    deputy_at: frozenset[int] = field(default_factory=frozenset)

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    @property
    def staff_at(self) -> frozenset[int]:
        """The facilities whose reservations they see in full; an admin's is everywhere, and not here."""
        is_staff = self.role in (Role.TECHNICIAN, Role.MANAGER)
        return (self.facility_ids | self.deputy_at) if is_staff else self.deputy_at

    @property
    def manages_at(self) -> frozenset[int]:
        """Where they manage, by right or as a deputy; an admin's is everywhere, and not here."""
        return (self.facility_ids | self.deputy_at) if self.role is Role.MANAGER else self.deputy_at

    @property
    def decides(self) -> bool:
        """Whether there may be anything for them to decide."""
        return self.role in (Role.MANAGER, Role.ADMIN) or bool(self.deputy_at)

    def is_staff_of(self, facility_id: int) -> bool:
        """A technician or manager there, a manager's deputy, or an admin."""
        return self.is_admin or facility_id in self.staff_at

    def manages(self, facility_id: int) -> bool:
        return self.is_admin or facility_id in self.manages_at

    def manages_by_right(self, facility_id: int) -> bool:
        """As ``manages``, and not as somebody's deputy."""
        return self.is_admin or (self.role is Role.MANAGER and facility_id in self.facility_ids)


def may_edit_recipe(viewer: Viewer, facility_id: int, owner_id: int | None) -> bool:
    """Somebody's own is theirs to edit; all others are the managers'."""
    return viewer.manages(facility_id) if owner_id is None else viewer.id == owner_id


def parties(viewer: Viewer, subject: Subject) -> frozenset[Party]:
    """What the viewer is to the reservation; a manager is also a technician."""
    found = set()
    if viewer.id in (subject.holder_id, subject.requested_by_id) and sees_in_full(viewer, subject):
        found.add(Party.HOLDER)
    if viewer.id in subject.participant_ids and sees_in_full(viewer, subject):
        found.add(Party.PARTICIPANT)
    if viewer.is_staff_of(subject.facility_id):
        found.add(Party.TECHNICIAN)
    if viewer.manages(subject.facility_id):
        found.add(Party.MANAGER)
    return frozenset(found)


EDITORS = frozenset({Party.HOLDER, Party.MANAGER})
"""Who may move, resize, retitle and transfer."""

PRESENT = frozenset({Party.HOLDER, Party.PARTICIPANT, Party.TECHNICIAN, Party.MANAGER})
"""Who may extend, plan read-outs and visits, stop the clock of a test, and write into the thread."""


def allowed_parties(action: str) -> frozenset[Party]:
    """Who may take a step at all, in whatever status: a transition's, or ``edit``, ``extend`` and the like.

    A pending change is approved or declined by whom it waits for, so by the holder too.
    """
    by_table = frozenset[Party]().union(*(t.parties for t in TRANSITIONS if t.action == action))
    return _BESIDE_THE_TABLE.get(action, by_table) | by_table


_BESIDE_THE_TABLE = {
    "approve": frozenset({Party.HOLDER}),
    "decline": frozenset({Party.HOLDER}),
    "edit": EDITORS,
    "withdraw": EDITORS,
    "transfer": EDITORS,
    "extend": PRESENT,
    "message": PRESENT,
    "propose": frozenset({Party.MANAGER}),
    "permit": frozenset({Party.MANAGER}),
    "visit": PRESENT,
    "pause": PRESENT,
    "resume": PRESENT,
    "expect": PRESENT,
}


def may(viewer: Viewer, subject: Subject, allowed: frozenset[Party]) -> bool:
    return bool(parties(viewer, subject) & allowed)
