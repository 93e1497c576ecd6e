"""Reading a recipe: the one path of the catalogue file and of the editor in the browser.

Both bring the same keys (``docs/managers.md`` lists them); what is wrong is noted at its key, and what the
recipe may refer to comes in as ``Around``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from labbook.domain.capability import QuantityError, offers, parse_draw, parse_need
from labbook.domain.durations import DurationError, parse_duration
from labbook.domain.hazards import HAZARDS
from labbook.domain.matching import Candidate, Need, match
from labbook.formats.catalogue_entries import (
    EnvironmentEntry,
    KnownEquipment,
    KnownUtility,
    NeedEntry,
)
from labbook.formats.catalogue_table import Table

PIECES_LIMIT = 50
READOUTS_LIMIT = 100
STAFFING = ("attended", "unattended")


@dataclass(frozen=True)
class Around:
    """What entries may refer to, by slug."""

    utilities: Mapping[str, KnownUtility] = field(default_factory=dict)
    equipment: Mapping[str, KnownEquipment] = field(default_factory=dict)

    def candidates(self, facility: str) -> list[Candidate]:
        return [
            Candidate(slug, p.category, p.places, p.capabilities, meets=offers, parallel=p.parallel)
            for slug, p in sorted(self.equipment.items())
            if p.facility == facility
        ]


def read_recipe(table: Table, slug: str, facility: str, around: Around) -> EnvironmentEntry:
    """One recipe with every default filled in; faults are the table's report's."""
    entry = EnvironmentEntry(
        slug=slug,
        line=table.line,
        facility=facility,
        name=table.name("name", required=True),
        description=table.description("description"),
        setup=table.seconds("setup", None),
        run=table.seconds("run", None),
        teardown=table.seconds("teardown", None),
        ambient=table.ranges("ambient", parse_need),
        draws=read_draws(table, facility, around.utilities),
        permit=table.truth("permit"),
        staffing=table.choice("staffing", STAFFING, "") or None,
        on_call=table.text("on_call"),
        safe_state=table.text("safe_state"),
        qualifications=tuple(sorted(table.slugs("qualifications"))),
        hazards=tuple(sorted(read_hazards(table), key=HAZARDS.index)),
        readouts=_readouts(table),
        needs=tuple(_need(need, facility, around) for need in table.tables("needs")),
    )
    if entry.run == 0:
        table.wrong("run", "duration_nothing", text=table.values["run"])
    if entry.staffing == "unattended":
        for key in ("on_call", "safe_state"):
            if key not in table.values:
                table.wrong(key, "unattended_needs", key=key)
    if "needs" not in table.values:
        table.missing("needs")
    elif not table.values["needs"]:
        table.wrong("needs", "no_needs")
    elif sum(need.count for need in entry.needs) > PIECES_LIMIT:
        table.wrong("needs", "too_many_pieces", limit=PIECES_LIMIT)
    _named_twice(table, entry)
    table.finish()
    return entry


def read_draws(table: Table, facility: str, utilities: Mapping[str, KnownUtility]) -> dict[str, int]:
    """Utility -> what is drawn of it, in thousandths of its unit."""
    draws = table.table("draws")
    found: dict[str, int] = {}
    for slug in draws.values if draws else ():
        assert draws is not None
        text = draws.get(slug, str)
        utility = utilities.get(slug)
        if utility is None:
            draws.unknown(slug, "utility", slug, utilities)
        elif utility.facility != facility:
            draws.wrong(slug, "other_facility", slug=slug, facility=utility.facility)
        elif text is not None and utility.unit:
            try:
                found[slug] = parse_draw(text, utility.unit)
            except QuantityError as error:
                draws.wrong(slug, error.code, **error.params)
    return found


def read_hazards(table: Table) -> Iterator[str]:
    for index, hazard in table.texts("hazards"):
        if hazard in HAZARDS:
            yield hazard
        else:
            table.element_wrong("hazards", index, "not_one_of", choices=list(HAZARDS))


def needs_of(entry: EnvironmentEntry) -> list[Need]:
    """One for each piece: a need of two is there twice."""
    return [each.asked() for each in entry.needs for _ in range(each.count)]


def unmet(entry: EnvironmentEntry, candidates: list[Candidate]) -> int | None:
    """The index of the first need that nothing meets; -1 where only all of them together cannot be met."""
    for number, each in enumerate(entry.needs):
        if match([each.asked()], candidates) is None:
            return number
    return None if match(needs_of(entry), candidates) is not None else -1


def _need(table: Table, facility: str, around: Around) -> NeedEntry:
    need = NeedEntry(
        line=table.line,
        equipment=table.slug("equipment") or None,
        category=table.slug("category") or None,
        capabilities=table.ranges("capabilities", parse_need),
        count=table.integer("count", 1, high=PIECES_LIMIT),
        places=table.integer("places", 1),
        whole=table.truth("whole"),
    )
    if ("equipment" in table.values) == ("category" in table.values):
        table.wrong("equipment", "equipment_or_category")
    if need.whole and "places" in table.values:
        table.wrong("places", "whole_or_places")
    if need.equipment is not None:
        _check_named(table, need, need.equipment, facility, around)
    table.finish()
    return need


def _check_named(table: Table, need: NeedEntry, slug: str, facility: str, around: Around) -> None:
    piece = around.equipment.get(slug)
    for key in ("capabilities", "count"):
        if key in table.values:
            table.wrong(key, "only_with_category", key=key)
    if piece is None:
        table.unknown("equipment", "equipment", slug, around.equipment)
    elif piece.facility != facility:
        table.wrong("equipment", "other_facility", slug=slug, facility=piece.facility)
    elif need.places > piece.places:
        table.wrong("places", "too_many_places", equipment=slug, wanted=need.places, places=piece.places)


def _readouts(table: Table) -> tuple[int, ...]:
    """After how many seconds of running, each once and in order."""
    found: set[int] = set()
    for index, text in table.texts("readouts"):
        try:
            seconds = int(parse_duration(text).total_seconds())
        except DurationError as error:
            table.element_wrong("readouts", index, error.code, **error.params)
            continue
        if not seconds:
            table.element_wrong("readouts", index, "duration_nothing", text=text)
        elif seconds in found:
            table.element_wrong("readouts", index, "repeated")
        found.add(seconds)
    if len(found) > READOUTS_LIMIT:
        table.wrong("readouts", "too_many", limit=READOUTS_LIMIT)
    return tuple(sorted(found))


def _named_twice(table: Table, entry: EnvironmentEntry) -> None:
    seen: set[str] = set()
    for index, need in enumerate(entry.needs):
        if need.equipment is not None and need.equipment in seen:
            table.element_wrong("needs", index, "repeated")
        seen.add(need.equipment or "")
