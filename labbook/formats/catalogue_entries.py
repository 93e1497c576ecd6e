"""What a catalogue file says: one frozen class for each kind of entry, with every default filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from labbook.domain.capability import StoredRange
from labbook.domain.matching import Need
from labbook.domain.policy import SlotPolicy
from labbook.domain.timing import UNSTATED, Timing

Name = Mapping[str, str]


@dataclass(frozen=True)
class FacilityEntry:
    """``staffed``: weekday -> ranges of wall time. ``example``: its data are an example and no inventory."""

    slug: str
    line: int
    name: Name
    time_zone: str
    country: str | None
    staffed: Mapping[str, list[list[str]]]
    rooms: tuple[str, ...]
    duty_phone: str | None
    example: bool
    timing: Timing = UNSTATED


@dataclass(frozen=True)
class UtilityEntry:
    """``capacity`` in thousandths of ``unit``."""

    slug: str
    line: int
    facility: str
    name: Name
    capacity: int
    unit: str


@dataclass(frozen=True)
class EquipmentEntry:
    """``setup`` and ``teardown`` in seconds; ``draws``: utility -> thousandths of its unit, per place."""

    slug: str
    line: int
    facility: str
    room: str | None
    name: Name
    category: str
    description: Name
    maker: str
    type: str
    serial: str
    documents: tuple[str, ...]
    portable: bool
    places: int
    pool: bool
    attended: bool
    setup: int
    teardown: int
    approval: str
    check_in: str
    state: str
    capabilities: Mapping[str, StoredRange]
    parallel: bool
    draws: Mapping[str, int]
    qualifications: tuple[str, ...]
    hazards: tuple[str, ...]
    calibration_interval: str | None
    calibrated_on: date | None
    slot: SlotPolicy
    timing: Timing = UNSTATED


@dataclass(frozen=True)
class NeedEntry:
    """Named equipment, or any of a category that offers the capabilities; ``whole``: all of its places."""

    line: int
    equipment: str | None
    category: str | None
    capabilities: Mapping[str, StoredRange]
    count: int
    places: int
    whole: bool = False

    def asked(self) -> Need:
        return Need(self.equipment, self.category, self.capabilities, self.places, self.whole)

    def stored(self) -> dict[str, Any]:
        what: dict[str, Any] = (
            {"equipment": self.equipment}
            if self.equipment
            else {"category": self.category, "capabilities": dict(self.capabilities)}
        )
        many = {"count": self.count, "places": self.places}
        return what | many | ({"whole": True} if self.whole else {})


@dataclass(frozen=True)
class EnvironmentEntry:
    """``setup``, ``teardown`` in seconds, None for the longest of its parts'; ``draws`` replace theirs.

    ``run``: the seconds of use that it usually takes. ``staffing`` None: as its parts say. ``readouts``:
    after how many seconds of running the test is read out, in order.
    """

    slug: str
    line: int
    facility: str
    name: Name
    description: Name
    setup: int | None
    run: int | None
    teardown: int | None
    ambient: Mapping[str, StoredRange]
    draws: Mapping[str, int]
    permit: bool
    staffing: str | None
    on_call: str
    safe_state: str
    qualifications: tuple[str, ...]
    hazards: tuple[str, ...]
    readouts: tuple[int, ...]
    needs: tuple[NeedEntry, ...]

    def values(self) -> dict[str, Any]:
        """What a version of it says, as it is stored."""
        return {
            "name": dict(self.name),
            "description": dict(self.description),
            "setup": self.setup,
            "run": self.run,
            "teardown": self.teardown,
            "ambient": dict(self.ambient),
            "draws": dict(self.draws),
            "permit": self.permit,
            "staffing": self.staffing,
            "on_call": self.on_call,
            "safe_state": self.safe_state,
            "qualifications": list(self.qualifications),
            "hazards": list(self.hazards),
            "readouts": list(self.readouts),
            "needs": [need.stored() for need in self.needs],
        }


@dataclass(frozen=True)
class Catalogue:
    facilities: tuple[FacilityEntry, ...] = ()
    utilities: tuple[UtilityEntry, ...] = ()
    equipment: tuple[EquipmentEntry, ...] = ()
    environments: tuple[EnvironmentEntry, ...] = ()
    warnings: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class KnownFacility:
    rooms: frozenset[str] = frozenset()


@dataclass(frozen=True)
class KnownUtility:
    """``drawn``: the greatest sum that is reserved at any instant, in thousandths of ``unit``."""

    facility: str
    unit: str
    drawn: int = 0


@dataclass(frozen=True)
class KnownEquipment:
    """``reserved``: the highest number of a place that is reserved from now on."""

    facility: str
    category: str
    places: int
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    parallel: bool = False
    reserved: int = 0


@dataclass(frozen=True)
class Known:
    """What the database already has, by slug: a file may refer to it. ``environments``: slug -> facility."""

    facilities: Mapping[str, KnownFacility] = field(default_factory=dict)
    utilities: Mapping[str, KnownUtility] = field(default_factory=dict)
    equipment: Mapping[str, KnownEquipment] = field(default_factory=dict)
    environments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file, and where: ``path`` is ``equipment "chamber-1": slot.grid``, ``keys`` the
    same as keys and indices.
    """

    line: int
    path: str
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)
    keys: tuple[str | int, ...] = field(default=(), compare=False)


class CatalogueRefused(Exception):
    """Everything that is wrong with a file, in the order of its lines."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{f.line}: {f.path}: {f.code}" for f in faults))
        self.faults = sorted(faults, key=lambda f: (f.line, f.path, f.code))
