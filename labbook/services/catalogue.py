"""Loading the catalogue: an upsert by slug, all or nothing, that never removes and says what it changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from labbook.domain.utility import written
from labbook.formats.catalogue import parse
from labbook.formats.catalogue_entries import (
    Catalogue,
    EnvironmentEntry,
    EquipmentEntry,
    FacilityEntry,
    Fault,
    UtilityEntry,
)
from labbook.models import (
    Environment,
    Equipment,
    EquipmentDraw,
    EquipmentQualification,
    Facility,
    Place,
    QualificationKind,
    Room,
    Utility,
)
from labbook.services import qualifications, transaction
from labbook.services.catalogue_facts import Stored
from labbook.services.differences import FieldChange, assign
from labbook.services.recipes import Signature, write_first, write_next


@dataclass(frozen=True)
class EntryChange:
    """An entry that was created (then ``fields`` is empty) or updated."""

    kind: str
    slug: str
    created: bool
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """What changed, and what of the file is allowed but probably not meant."""

    changes: tuple[EntryChange, ...]
    warnings: tuple[Fault, ...]


def load(session: Session, text: str, *, now: datetime, dry_run: bool = False) -> Loaded:
    """Read a catalogue file into the database. Raises ``formats.catalogue.CatalogueRefused``.

    ``dry_run`` finds what would change and keeps nothing of it. A key that is left out has its default
    again; an entry, a room or a recipe's older version that is left out stays.
    """

    def work() -> Loaded:
        stored = Stored(session)
        catalogue = parse(text, stored.known(session, now))
        return Loaded(tuple(_Upsert(session, stored, Signature(now)).all(catalogue)), catalogue.warnings)

    return (transaction.rehearse if dry_run else transaction.write)(session, work)


class _Upsert:
    """One pass over a catalogue that is right; entries that others refer to come first."""

    def __init__(self, session: Session, stored: Stored, signed: Signature) -> None:
        self.session = session
        self.stored = stored
        self.signed = signed

    def all(self, catalogue: Catalogue) -> list[EntryChange]:
        kinds = qualifications.make_kinds(
            self.session, {slug for entry in catalogue.equipment for slug in entry.qualifications}
        )
        found = [
            *(self._facility(entry) for entry in catalogue.facilities),
            *(self._utility(entry) for entry in catalogue.utilities),
            *(self._equipment(entry, kinds) for entry in catalogue.equipment),
            *(self._environment(entry) for entry in catalogue.environments),
        ]
        return [change for change in found if change.created or change.fields]

    def _changed(
        self, kind: str, slug: str, facility: Facility, changes: Sequence[FieldChange]
    ) -> EntryChange:
        if changes:
            transaction.touch(self.session, facility.id)
        return EntryChange(kind, slug, False, tuple(changes))

    def _created(self, kind: str, slug: str, facility: Facility) -> EntryChange:
        transaction.touch(self.session, facility.id)
        return EntryChange(kind, slug, True)

    def _facility(self, entry: FacilityEntry) -> EntryChange:
        values = {
            "name": dict(entry.name),
            "time_zone": entry.time_zone,
            "country": entry.country,
            "staffed": dict(entry.staffed),
            "duty_phone": entry.duty_phone,
            "example": entry.example,
            "timing": entry.timing.stored(),
        }
        row = self.stored.facilities.get(entry.slug)
        if row is None:
            row = self.stored.facilities[entry.slug] = Facility(slug=entry.slug, rooms=[], **values)
            self.session.add(row)
            self.session.flush()
            self._rooms(row, entry)
            return self._created("facility", entry.slug, row)
        return self._changed("facility", entry.slug, row, [*assign(row, values), *self._rooms(row, entry)])

    def _rooms(self, row: Facility, entry: FacilityEntry) -> list[FieldChange]:
        """The file's rooms in its order, then those that only the database has."""
        before = [room.slug for room in row.rooms]
        order = [*entry.rooms, *(slug for slug in before if slug not in entry.rooms)]
        if order == before:
            return []
        rows = {room.slug: room for room in row.rooms}
        for slug in order:
            if slug not in rows:
                rows[slug] = Room(facility_id=row.id, slug=slug)
                row.rooms.append(rows[slug])
            rows[slug].position = order.index(slug)
        self.session.flush()
        return [FieldChange("rooms", before, order)]

    def _utility(self, entry: UtilityEntry) -> EntryChange:
        facility = self.stored.facilities[entry.facility]
        values = {"name": dict(entry.name), "capacity": entry.capacity, "unit": entry.unit}
        row = self.stored.utilities.get(entry.slug)
        if row is None:
            row = Utility(slug=entry.slug, facility_id=facility.id, **values)
            self.stored.utilities[entry.slug] = row
            self.session.add(row)
            self.session.flush()
            return self._created("utility", entry.slug, facility)
        changes = [
            FieldChange(c.field, written(c.old, row.unit), written(c.new, row.unit))
            if c.field == "capacity"
            else c
            for c in assign(row, values)
        ]
        return self._changed("utility", entry.slug, facility, changes)

    # --- equipment ------------------------------------------------------------------------------

    def _equipment(self, entry: EquipmentEntry, kinds: Mapping[str, QualificationKind]) -> EntryChange:
        facility = self.stored.facilities[entry.facility]
        room = next((room for room in facility.rooms if room.slug == entry.room), None)
        values = _equipment_values(entry)
        row = self.stored.equipment.get(entry.slug)
        if row is None:
            row = Equipment(slug=entry.slug, facility_id=facility.id, room=room, **values)
            self.stored.equipment[entry.slug] = row
            self.session.add(row)
            self.session.flush()
            self._places(row)
            self._draws(row, entry)
            self._qualifications(row, entry, kinds)
            return self._created("equipment", entry.slug, facility)
        changes = assign(row, values)
        if row.room is not room:
            changes.append(FieldChange("room", row.room.slug if row.room else None, entry.room))
            row.room = room
        self._places(row)
        changes += self._draws(row, entry) + self._qualifications(row, entry, kinds)
        return self._changed("equipment", entry.slug, facility, changes)

    def _places(self, row: Equipment) -> None:
        """Places that are missing; those above the number stay, since past reservations name them."""
        present = {place.number for place in row.place_rows}
        for number in range(1, row.places + 1):
            if number not in present:
                row.place_rows.append(Place(equipment_id=row.id, number=number))
        self.session.flush()

    def _draws(self, row: Equipment, entry: EquipmentEntry) -> list[FieldChange]:
        before = {draw.utility.slug: draw for draw in row.draws}
        old = {slug: written(draw.amount, draw.utility.unit) for slug, draw in sorted(before.items())}
        if {slug: draw.amount for slug, draw in before.items()} == entry.draws:
            return []
        for slug, draw in before.items():
            if slug not in entry.draws:
                row.draws.remove(draw)
        for slug, number in entry.draws.items():
            if slug in before:
                before[slug].amount = number
            else:
                row.draws.append(EquipmentDraw(utility=self.stored.utilities[slug], amount=number))
        self.session.flush()
        units = self.stored.utilities
        new = {slug: written(number, units[slug].unit) for slug, number in sorted(entry.draws.items())}
        return [FieldChange("draws", old, new)]

    def _qualifications(
        self, row: Equipment, entry: EquipmentEntry, kinds: Mapping[str, QualificationKind]
    ) -> list[FieldChange]:
        before = {asked.kind.slug: asked for asked in row.qualifications}
        if set(before) == set(entry.qualifications):
            return []
        for slug, asked in before.items():
            if slug not in entry.qualifications:
                row.qualifications.remove(asked)
        for slug in entry.qualifications:
            if slug not in before:
                row.qualifications.append(EquipmentQualification(kind=kinds[slug]))
        self.session.flush()
        return [FieldChange("qualifications", sorted(before), sorted(entry.qualifications))]

    # --- environments ---------------------------------------------------------------------------

    def _environment(self, entry: EnvironmentEntry) -> EntryChange:
        """A recipe that changed gets a new version; reservations keep the one they were made with."""
        facility = self.stored.facilities[entry.facility]
        row = self.stored.environments.get(entry.slug)
        if row is None:
            row = Environment(slug=entry.slug, facility_id=facility.id)
            self.stored.environments[entry.slug] = row
            write_first(self.session, row, entry, self.signed)
            return self._created("environment", entry.slug, facility)
        changes = write_next(self.session, row, entry, self.signed)
        return self._changed("environment", entry.slug, facility, changes)


_SAME_NAME = (
    "category",
    "maker",
    "type",
    "serial",
    "portable",
    "places",
    "pool",
    "attended",
    "setup",
    "teardown",
    "approval",
    "check_in",
    "state",
    "parallel",
    "calibration_interval",
    "calibrated_on",
)


def _equipment_values(entry: EquipmentEntry) -> dict[str, Any]:
    slot = {f"slot_{field.name}": _seconds(getattr(entry.slot, field.name)) for field in fields(entry.slot)}
    return {
        **{name: getattr(entry, name) for name in _SAME_NAME},
        "name": dict(entry.name),
        "description": dict(entry.description),
        "documents": list(entry.documents),
        "capabilities": dict(entry.capabilities),
        "hazards": list(entry.hazards),
        "timing": entry.timing.stored(),
        **slot,
    }


def _seconds(length: timedelta | None) -> int | None:
    return None if length is None else int(length.total_seconds())
