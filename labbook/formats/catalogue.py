"""The catalogue file: TOML text becomes a ``Catalogue``, or everything that is wrong with it at once.

Pure: what the database already has comes in as ``Known``, so that a file may refer to it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

from labbook.domain.capability import QuantityError, parse_budget, parse_offer
from labbook.domain.durations import DurationError, parse_calendar_duration
from labbook.domain.opening_hours import HoursError, parse_hours
from labbook.domain.policy import SlotPolicy
from labbook.domain.timing import NO_SHOWS, UNSTATED, Timing, timing_from
from labbook.domain.wall_time import WEEKDAYS
from labbook.formats.catalogue_entries import (
    Catalogue,
    CatalogueRefused,
    EnvironmentEntry,
    EquipmentEntry,
    FacilityEntry,
    Fault,
    Known,
    KnownEquipment,
    KnownFacility,
    KnownUtility,
    UtilityEntry,
)
from labbook.formats.catalogue_table import Report, Table
from labbook.formats.recipes import Around, read_draws, read_hazards, read_recipe, unmet
from labbook.formats.toml_lines import Path, lines_of

KINDS = ("facility", "utility", "equipment", "environment")
SLOT = SlotPolicy()

_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_COUNTRY = re.compile(r"[A-Z]{2}")


def parse(text: str, known: Known | None = None) -> Catalogue:
    """Read a whole file. Raises ``CatalogueRefused`` with every fault; warnings come with the result."""
    values, lines = _document(text.removeprefix("\ufeff"))
    report = Report(lines)
    found = _Reading(report, values, known or Known()).catalogue()
    if report.faults:
        raise CatalogueRefused(report.faults)
    return found


def _document(text: str) -> tuple[dict[str, Any], Mapping[Path, int]]:
    try:
        values = tomllib.loads(text)
        return values, lines_of(text)
    except RecursionError:
        raise CatalogueRefused([Fault(1, "", "nested_too_deep")]) from None
    except ValueError as error:
        at = _AT_LINE.search(str(error))
        line = int(at[1]) if at and at[1] else text.count("\n") + 1 if at else 1
        reason = _AT_LINE.sub("", str(error))
        raise CatalogueRefused([Fault(line, "", "not_toml", {"reason": reason})]) from None


class _Reading:
    """One pass over one file; what entries refer to is gathered before what refers to it."""

    def __init__(self, report: Report, values: Mapping[str, Any], known: Known) -> None:
        self.report = report
        self.known = known
        self.top = Table(report, (), values, "")
        self.facilities: dict[str, KnownFacility] = dict(known.facilities)
        self.utilities: dict[str, KnownUtility] = dict(known.utilities)
        self.equipment: dict[str, KnownEquipment] = dict(known.equipment)
        self.pieces: tuple[EquipmentEntry, ...] = ()

    def catalogue(self) -> Catalogue:
        facilities = tuple(self._facility(t, slug) for t, slug in self._entries("facility"))
        utilities = tuple(self._utility(t, slug) for t, slug in self._entries("utility"))
        equipment = tuple(self._equipment(t, slug) for t, slug in self._entries("equipment"))
        environments = tuple(self._environment(t, slug) for t, slug in self._entries("environment"))
        for key in self.top.values:
            if key not in KINDS:
                self.top.unknown(key, "key", key, KINDS)
        if not self.report.faults:
            self._warn(environments)
        return Catalogue(facilities, utilities, equipment, environments, tuple(self.report.warnings))

    def _entries(self, kind: str) -> Iterator[tuple[Table, str]]:
        values = self.top.values.get(kind, [])
        if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
            self.report.add((kind,), kind, "not_tables", kind=kind)
            return
        first: dict[str, int] = {}
        for index, value in enumerate(values):
            slug = value.get("slug")
            named = f'"{slug[:80]}"' if isinstance(slug, str) else str(index + 1)
            table = Table(self.report, (kind, index), value, f"{kind} {named}")
            found = table.slug("slug", required=True)
            if found in first:
                table.wrong("slug", "slug_repeated", slug=found, first=first[found])
            elif found:
                first[found] = table.line
            yield table, found

    # --- facilities and utilities ---------------------------------------------------------------

    def _facility(self, table: Table, slug: str) -> FacilityEntry:
        entry = FacilityEntry(
            slug=slug,
            line=table.line,
            name=table.name("name", required=True),
            time_zone=_time_zone(table),
            country=_country(table),
            staffed=_staffed(table),
            rooms=tuple(table.slugs("rooms")),
            duty_phone=table.text("duty_phone", limit=60) or None,
            example=table.truth("example"),
            timing=_timing(table),
        )
        table.finish()
        rooms = self.known.facilities.get(slug, KnownFacility()).rooms
        self.facilities[slug] = KnownFacility(rooms | set(entry.rooms))
        return entry

    def _utility(self, table: Table, slug: str) -> UtilityEntry:
        facility = self._home(table, slug, self.known.utilities)
        name = table.name("name", required=True)
        stored = self.known.utilities.get(slug)
        capacity, unit = 0, stored.unit if stored else ""
        text = table.text("capacity", required=True)
        if text:
            try:
                capacity, unit = parse_budget(text, stored.unit if stored else None)
            except QuantityError as error:
                table.wrong("capacity", error.code, **error.params)
            else:
                if stored and capacity < stored.drawn:
                    table.wrong(
                        "capacity", "capacity_in_use", utility=slug, drawn=stored.drawn / 1000, unit=unit
                    )
        table.finish()
        self.utilities[slug] = KnownUtility(facility, unit)
        return UtilityEntry(slug, table.line, facility, name, capacity, unit)

    def _home(self, table: Table, slug: str, known: Mapping[str, Any]) -> str:
        """The facility that an entry belongs to, for good: reservations and budgets hang on it."""
        facility = table.slug("facility", required=True)
        if facility and facility not in self.facilities:
            table.unknown("facility", "facility", facility, self.facilities)
        before = known.get(slug)
        home = before if isinstance(before, str) else getattr(before, "facility", facility)
        if facility and home != facility:
            table.wrong("facility", "facility_fixed", facility=home)
        return facility

    # --- equipment ------------------------------------------------------------------------------

    def _equipment(self, table: Table, slug: str) -> EquipmentEntry:
        facility = self._home(table, slug, self.known.equipment)
        calibration = _calibration(table)
        entry = EquipmentEntry(
            slug=slug,
            line=table.line,
            facility=facility,
            room=self._room(table, facility),
            name=table.name("name", required=True),
            category=table.slug("category", required=True),
            description=table.description("description"),
            maker=table.text("maker"),
            type=table.text("type"),
            serial=table.text("serial"),
            documents=tuple(_documents(table)),
            portable=table.truth("portable"),
            places=table.integer("places", 1),
            pool=table.truth("pool"),
            attended=table.truth("attended"),
            setup=table.seconds("setup", 0) or 0,
            teardown=table.seconds("teardown", 0) or 0,
            approval=table.choice("approval", ("manager", "automatic"), "manager"),
            check_in=table.choice("check_in", ("none", "required"), "none"),
            state=table.choice("state", ("in_service", "out_of_service", "retired"), "in_service"),
            capabilities=table.ranges("capabilities", parse_offer),
            parallel=table.truth("parallel"),
            draws=read_draws(table, facility, self.utilities),
            qualifications=tuple(table.slugs("qualifications")),
            hazards=tuple(read_hazards(table)),
            calibration_interval=calibration[0],
            calibrated_on=calibration[1],
            slot=_slot(table),
            timing=_timing(table),
        )
        table.finish()
        stored = self.known.equipment.get(slug)
        if stored and entry.places < stored.reserved:
            table.wrong("places", "places_in_use", equipment=slug, places=stored.reserved)
        self.equipment[slug] = KnownEquipment(
            facility, entry.category, entry.places, entry.capabilities, entry.parallel
        )
        self.pieces = (*self.pieces, entry)
        return entry

    def _room(self, table: Table, facility: str) -> str | None:
        room = table.slug("room")
        if room and facility in self.facilities and room not in self.facilities[facility].rooms:
            table.unknown("room", "room", room, self.facilities[facility].rooms)
        return room or None

    # --- environments ---------------------------------------------------------------------------

    def _environment(self, table: Table, slug: str) -> EnvironmentEntry:
        facility = self._home(table, slug, self.known.environments)
        return read_recipe(table, slug, facility, self._around())

    def _around(self) -> Around:
        return Around(self.utilities, self.equipment)

    # --- what is allowed, but probably not meant ------------------------------------------------

    def _warn(self, environments: tuple[EnvironmentEntry, ...]) -> None:
        candidates = {facility: self._around().candidates(facility) for facility in self.facilities}
        for index, entry in enumerate(environments):
            number = unmet(entry, candidates[entry.facility])
            if number is None:
                continue
            path: Path = ("environment", index, "needs")
            label = f'environment "{entry.slug}": needs'
            if number < 0:
                self.report.warn(path, label, "needs_unmet", environment=entry.slug)
            else:
                self.report.warn((*path, number), f"{label}[{number}]", "need_unmet", environment=entry.slug)


def _time_zone(table: Table) -> str:
    zone = table.text("time_zone", required=True)
    if zone and zone not in available_timezones():
        table.unknown("time_zone", "time_zone", zone, available_timezones())
    return zone


def _country(table: Table) -> str | None:
    import holidays  # here, because it takes 0.2 s and only a catalogue that is read needs it

    country = table.text("country")
    if country and not (
        _COUNTRY.fullmatch(country) and country in holidays.list_supported_countries(include_aliases=False)
    ):
        table.wrong("country", "unknown_country", country=country[:80])
    return country or None


def _staffed(table: Table) -> dict[str, list[list[str]]]:
    """A day's hours are one range or a list of them; a missing day is unstaffed."""
    days = table.table("staffed")
    found: dict[str, list[list[str]]] = {}
    for day in WEEKDAYS:
        if days is None or day not in days.values:
            continue
        if isinstance(days.values[day], str):
            ranges = [days.get(day, str) or ""]
        else:
            ranges = [text for _, text in days.texts(day)]
        try:
            hours = parse_hours(ranges)
        except HoursError as error:
            days.wrong(day, error.code, **error.params)
        else:
            if hours:
                found[day] = hours
    if days is not None:
        days.finish(WEEKDAYS)
    return found


def _documents(table: Table) -> Iterator[str]:
    for index, address in table.texts("documents"):
        if address.startswith(("https://", "http://")) and len(address) <= 2000 and address.isprintable():
            yield address
        else:
            table.element_wrong("documents", index, "not_a_link")


def _calibration(table: Table) -> tuple[str | None, Any]:
    calibration = table.table("calibration")
    if calibration is None:
        return None, None
    interval = None
    text = calibration.text("interval", required=True)
    if text:
        try:
            interval = parse_calendar_duration(text)
        except DurationError as error:
            calibration.wrong("interval", error.code, **error.params)
    performed = calibration.day("performed")
    calibration.finish()
    return interval, performed


def _slot(table: Table) -> SlotPolicy:
    slot = table.table("slot")
    if slot is None:
        return SLOT
    decision = slot.seconds("decision", None)
    policy = SlotPolicy(
        shortest=_length(slot, "shortest", SLOT.shortest),
        longest=_length(slot, "longest", SLOT.longest),
        grid=_length(slot, "grid", SLOT.grid),
        lead=_length(slot, "lead", SLOT.lead),
        horizon=_length(slot, "horizon", SLOT.horizon),
        grace=_length(slot, "grace", SLOT.grace),
        decision=None if decision is None else timedelta(seconds=decision),
    )
    for key in ("longest", "grid", "horizon"):
        if not getattr(policy, key):
            slot.wrong(key, "duration_nothing", text=slot.values.get(key, ""))
    if policy.shortest > policy.longest:
        slot.wrong(
            "shortest" if "shortest" in slot.values else "longest",
            "shortest_over_longest",
            shortest=policy.shortest,
            longest=policy.longest,
        )
    if policy.lead > policy.horizon:
        slot.wrong("lead", "lead_over_horizon", lead=policy.lead, horizon=policy.horizon)
    slot.finish()
    return policy


def _timing(table: Table) -> Timing:
    """Only what is stated: the rest is the facility's, or the default. No length at all switches it off."""
    timing = table.table("timing")
    if timing is None:
        return UNSTATED
    lengths = {name: timing.seconds(name, None) for name in ("nudge", "remind", "warn")}
    stated = {name: seconds for name, seconds in lengths.items() if seconds is not None}
    if "no_show" in timing.values:
        stated["no_show"] = timing.choice("no_show", NO_SHOWS, "auto")  # type: ignore[assignment]
    timing.finish()
    return timing_from(stated)


def _length(slot: Table, key: str, default: timedelta) -> timedelta:
    return timedelta(seconds=slot.seconds(key, int(default.total_seconds())) or 0)
