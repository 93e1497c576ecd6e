"""The catalogue file: every key, every default, and every mistake at its line."""

from __future__ import annotations

import tomllib
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbook.domain.capability import parse_need
from labbook.domain.policy import SlotPolicy
from labbook.domain.timing import Timing
from labbook.formats.catalogue import parse
from labbook.formats.catalogue_entries import (
    CatalogueRefused,
    Known,
    KnownEquipment,
    KnownFacility,
    KnownUtility,
)
from labbook.formats.toml_lines import lines_of
from labbook.formats.wording import sentence

FACILITY = """\
[[facility]]
slug = "cie"
name = { en = "Centre for Industrial Electronics", da = "Center for Industriel Elektronik" }
time_zone = "Europe/Copenhagen"
country = "DK"
staffed = { mon = ["08:00-12:00", "12:30-16:00"], tue = "08:00-16:00" }
rooms = ["power-hall", "climate"]
duty_phone = "+45 00 00 00 00"

[[utility]]
slug = "feeder-a"
facility = "cie"
name = "Mains feeder A"
capacity = "250 kVA"
"""

FULL = (
    FACILITY
    + """
[[equipment]]
slug = "chamber-1"
facility = "cie"
room = "climate"
name = { en = "Climate chamber 1", da = "Klimaskab 1", de = "Klimaprüfschrank 1" }
category = "climate-chamber"
places = 6
pool = false
attended = true
setup = "PT30M"
teardown = "PT45M"
approval = "automatic"
check_in = "required"
state = "out_of_service"
capabilities = { temperature = "-70..180 degC", volume = "1000 L" }
parallel = true
draws = { feeder-a = "3 kVA" }
qualifications = ["chamber"]
hazards = ["heat"]
calibration = { interval = "P12M", performed = 2026-03-02 }
[equipment.slot]
shortest = "PT1H"
longest = "P60D"
grid = "PT30M"
lead = "P1D"
horizon = "P180D"
decision = "P3D"


[[equipment]]
slug = "scope"
facility = "cie"
name = "Oscilloscope"
category = "oscilloscope"

[[environment]]
slug = "damp-heat-bias"
facility = "cie"
name = "Damp heat with bias, 85 °C / 85 % rh"
description = { en = "Bias and leakage are logged.", de = "Vorspannung und Leckstrom werden aufgezeichnet." }
setup = "PT2H"
run = "PT1000H"
ambient = { temperature = "85 degC", humidity = "85 percent" }
draws = { feeder-a = "4 kVA" }
permit = true
staffing = "unattended"
on_call = "Tom, +45 00 00 00 01"
safe_state = "Bias off, chamber ventilated"
qualifications = ["hv-dc"]
hazards = ["high_voltage"]
readouts = ["PT500H", "PT168H"]
needs = [
  { category = "climate-chamber", capabilities = { temperature = "20..85 degC" }, places = 2 },
  { equipment = "scope" },
]
"""
)


ROOM_TO_ONESELF = """
[[environment]]
slug = "alone"
facility = "cie"
name = "Alone in the chamber"
needs = [{ equipment = "chamber-1", whole = true }]
"""


def faults(text: str, known: Known | None = None) -> list[tuple[int, str, str]]:
    with pytest.raises(CatalogueRefused) as refused:
        parse(text, known)
    for each in refused.value.faults:
        assert sentence(each.code, each.params)
    return [(f.line, f.path, f.code) for f in refused.value.faults]


def line_of(text: str, part: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if part in line)


def test_every_key_is_read() -> None:
    found = parse(FULL)
    chamber = found.equipment[0]
    assert found.warnings == ()
    assert found.facilities[0].staffed == {
        "mon": [["08:00", "12:00"], ["12:30", "16:00"]],
        "tue": [["08:00", "16:00"]],
    }
    assert (found.utilities[0].capacity, found.utilities[0].unit) == (250_000, "kVA")
    assert (chamber.places, chamber.setup, chamber.teardown) == (6, 1800, 2700)
    assert (chamber.approval, chamber.check_in, chamber.state) == ("automatic", "required", "out_of_service")
    assert chamber.attended
    assert chamber.parallel
    assert chamber.name["de"] == "Klimaprüfschrank 1"
    assert chamber.draws == {"feeder-a": 3000}
    assert chamber.capabilities["volume"] == {"text": "1000 L", "low": 0, "high": 1, "unit": "m**3"}
    assert (chamber.calibration_interval, chamber.calibrated_on) == ("P12M", date(2026, 3, 2))
    assert (chamber.qualifications, chamber.hazards) == (("chamber",), ("heat",))
    assert chamber.slot == SlotPolicy(
        shortest=timedelta(hours=1),
        longest=timedelta(days=60),
        grid=timedelta(minutes=30),
        lead=timedelta(days=1),
        horizon=timedelta(days=180),
        decision=timedelta(days=3),
    )
    recipe = found.environments[0]
    assert (recipe.setup, recipe.teardown, recipe.permit) == (7200, None, True)
    assert recipe.draws == {"feeder-a": 4000}
    assert (recipe.run, recipe.description["en"]) == (3_600_000, "Bias and leakage are logged.")
    assert (recipe.staffing, recipe.qualifications, recipe.hazards) == (
        "unattended",
        ("hv-dc",),
        ("high_voltage",),
    )
    assert (recipe.on_call, recipe.safe_state) == ("Tom, +45 00 00 00 01", "Bias off, chamber ventilated")
    assert recipe.readouts == (168 * 3600, 500 * 3600)
    assert recipe.needs[0].stored() == {
        "category": "climate-chamber",
        "capabilities": {"temperature": parse_need("20..85 degC").stored()},
        "count": 1,
        "places": 2,
    }
    assert recipe.needs[1].stored() == {"equipment": "scope", "count": 1, "places": 1}


def test_what_is_left_out_has_the_documented_default() -> None:
    scope = parse(FULL).equipment[1]
    assert scope.name == {"en": "Oscilloscope"}
    assert (scope.places, scope.pool, scope.attended, scope.setup, scope.teardown) == (1, False, False, 0, 0)
    assert (scope.approval, scope.check_in, scope.state) == ("manager", "none", "in_service")
    assert (scope.capabilities, scope.draws, scope.qualifications, scope.hazards) == ({}, {}, (), ())
    assert parse(FULL.replace('readouts = ["PT500H", "PT168H"]', "")).environments[0].readouts == ()
    plain = parse(FULL + ROOM_TO_ONESELF.replace("whole = true", "places = 1")).environments[1]
    assert (plain.run, plain.staffing, plain.on_call, plain.safe_state) == (None, None, "", "")
    assert (plain.description, plain.qualifications, plain.hazards) == ({}, (), ())
    assert (scope.parallel, scope.calibration_interval) == (False, None)
    assert scope.slot == SlotPolicy()
    assert scope.slot.longest == timedelta(days=90)


MISTAKES = [
    ('name = "Oscilloscope"', 'nmae = "Oscilloscope"', "nmae", "unknown_key_meant"),
    ('name = "Oscilloscope"', "", 'slug = "scope"', "key_missing"),
    ('slug = "scope"', 'slug = "chamber-1"', "", "slug_repeated"),
    ('slug = "scope"', 'slug = "Scope 1"', "Scope 1", "not_a_slug"),
    ('slug = "scope"', "slug = 7", "slug = 7", "wrong_type"),
    ("places = 6", "places = 0", "places = 0", "out_of_bounds"),
    ("places = 6", 'places = "6"', "places =", "wrong_type"),
    ("places = 6", "places = true", "places =", "wrong_type"),
    ("places = 6", "places = 6.0", "places =", "wrong_type"),
    ("pool = false", 'pool = "no"', "pool =", "wrong_type"),
    ('room = "climate"', 'room = "climat"', "room =", "unknown_room_meant"),
    ('setup = "PT30M"', 'setup = "-PT30M"', "setup =", "duration_negative"),
    ('setup = "PT30M"', 'setup = "P1M"', "setup =", "duration_calendar"),
    ('setup = "PT30M"', 'setup = "half an hour"', "setup =", "not_a_duration"),
    ('approval = "automatic"', 'approval = "auto"', "approval =", "not_one_of"),
    ('check_in = "required"', 'check_in = "yes"', "check_in =", "not_one_of"),
    ('state = "out_of_service"', 'state = "broken"', "state =", "not_one_of"),
    ('volume = "1000 L"', 'volume = "1000 flurbs"', "capabilities =", "unknown_unit"),
    ('volume = "1000 L"', 'volume = "1..0 L"', "capabilities =", "range_reversed"),
    ('volume = "1000 L"', '"Vol ume" = "1000 L"', "capabilities =", "not_a_capability"),
    ('volume = "1000 L"', "volume = 1000", "capabilities =", "wrong_type"),
    ('draws = { feeder-a = "3 kVA" }', 'draws = { feeder-b = "3 kVA" }', "draws", "unknown_utility_meant"),
    ('draws = { feeder-a = "3 kVA" }', 'draws = { feeder-a = "3 m3/h" }', "draws", "unit_mismatch"),
    ('draws = { feeder-a = "3 kVA" }', 'draws = { feeder-a = "-3 kVA" }', "draws", "quantity_negative"),
    ('hazards = ["heat"]', 'hazards = ["dragons"]', "hazards", "not_one_of"),
    ('hazards = ["heat"]', 'hazards = ["heat", "heat"]', "hazards", "repeated"),
    ('qualifications = ["chamber"]', 'qualifications = "chamber"', "qualifications", "wrong_type"),
    ('interval = "P12M"', 'interval = "PT12M"', "calibration", "not_a_calendar_duration"),
    ('interval = "P12M", ', "", "calibration", "key_missing"),
    ("performed = 2026-03-02", 'performed = "2026-03-02"', "calibration", "wrong_type"),
    ("performed = 2026-03-02", "performed = 2026-03-02T10:00:00Z", "calibration", "wrong_type"),
    ('shortest = "PT1H"', 'shortest = "P61D"', 'shortest = "P61D"', "shortest_over_longest"),
    ('grid = "PT30M"', 'grid = "PT0M"', "grid =", "duration_nothing"),
    ('lead = "P1D"', 'lead = "P181D"', "lead =", "lead_over_horizon"),
    ('lead = "P1D"', 'leed = "P1D"', "leed =", "unknown_key_meant"),
    ('"Europe/Copenhagen"', '"Europe/Kopenhagen"', "time_zone", "unknown_time_zone_meant"),
    ('"Europe/Copenhagen"', '"../etc/passwd"', "time_zone", "unknown_time_zone"),
    ('country = "DK"', 'country = "Denmark"', "country", "unknown_country"),
    ('"08:00-12:00", "12:30', '"08:00-12:00", "11:30', "staffed", "hours_overlap"),
    ('tue = "08:00-16:00"', 'tue = "16:00-08:00"', "staffed", "hours_reversed"),
    ('tue = "08:00-16:00"', 'tue = "8 to 4"', "staffed", "not_hours"),
    ('tue = "08:00-16:00"', 'tuesday = "08:00-16:00"', "staffed", "unknown_key_meant"),
    ('capacity = "250 kVA"', 'capacity = "plenty"', "capacity", "not_a_quantity"),
    ('capacity = "250 kVA"', "", 'slug = "feeder-a"', "key_missing"),
    ('readouts = ["PT500H"', 'readouts = ["500 h"', "readouts", "not_a_duration"),
    ('readouts = ["PT500H"', 'readouts = ["P1M"', "readouts", "duration_calendar"),
    ('readouts = ["PT500H"', 'readouts = ["PT0H"', "readouts", "duration_nothing"),
    ('readouts = ["PT500H"', 'readouts = ["P7D"', "readouts", "repeated"),
    ('readouts = ["PT500H"', "readouts = [500", "readouts", "wrong_type"),
    ('["PT500H", "PT168H"]', str([f"PT{n}H" for n in range(1, 102)]), "readouts", "too_many"),
    ('staffing = "unattended"', 'staffing = "sometimes"', "staffing", "not_one_of"),
    ('on_call = "Tom, +45 00 00 00 01"', "", "[[environment]]", "unattended_needs"),
    ('safe_state = "Bias off, chamber ventilated"', "", "[[environment]]", "unattended_needs"),
    ('safe_state = "Bias off, chamber ventilated"', 'safe_state = " "', "safe_state", "missing"),
    ('run = "PT1000H"', 'run = "PT0H"', "run =", "duration_nothing"),
    ('hazards = ["high_voltage"]', 'hazards = ["volts"]', '["volts"]', "not_one_of"),
    ('qualifications = ["hv-dc"]', 'qualifications = ["HV DC"]', '["HV DC"]', "not_a_slug"),
    ("places = 2 }", "places = 2, whole = true }", "places = 2", "whole_or_places"),
    ('{ equipment = "scope" }', '{ equipment = "scoop" }', "scoop", "unknown_equipment_meant"),
    ('{ equipment = "scope" }', '{ equipment = "scope", places = 2 }', '"scope", places', "too_many_places"),
    ('{ equipment = "scope" }', '{ equipment = "scope", category = "x" }', '"x"', "equipment_or_category"),
    ('{ equipment = "scope" }', '{ equipment = "scope", count = 2 }', "count = 2", "only_with_category"),
    ('{ equipment = "scope" }', '"scope"', '  "scope"', "wrong_type"),
    ('de = "Klimaprüfschrank 1"', 'dk = "Klimaskab 1"', "Klimaskab 1", "unknown_key"),
    ('name = "Oscilloscope"', 'name = "Oscillo\\u0000scope"', "u0000", "control_characters"),
    ('name = "Oscilloscope"', 'name = "   "', 'name = "  ', "missing"),
    ('name = "Oscilloscope"', f'name = "{"x" * 301}"', "xxx", "text_too_long"),
]


@pytest.mark.parametrize(("right", "wrong", "at", "code"), MISTAKES, ids=[m[1][:40] + m[3] for m in MISTAKES])
def test_a_mistake_is_told_at_its_line(right: str, wrong: str, at: str, code: str) -> None:
    assert FULL.count(right) >= 1
    text = FULL.replace(right, wrong, 1)
    found = faults(text)
    assert code in [c for _, _, c in found]
    if at and code != "key_missing":  # that one stands at the head of its entry
        assert line_of(text, at) in [line for line, _, _ in found]


def test_all_mistakes_are_told_at_once_with_their_path() -> None:
    text = FULL.replace("places = 6", "places = 0").replace('grid = "PT30M"', 'grid = "soon"')
    text = text.replace('  { equipment = "scope" },', '  { equipment = "gone-and-lost" },')
    assert faults(text) == [
        (line_of(text, "places = 0"), 'equipment "chamber-1": places', "out_of_bounds"),
        (line_of(text, 'grid = "soon"'), 'equipment "chamber-1": slot.grid', "not_a_duration"),
        (
            line_of(text, "gone-and-lost"),
            'environment "damp-heat-bias": needs[1].equipment',
            "unknown_equipment",
        ),
    ]


def test_a_missing_key_is_told_at_the_head_of_its_entry() -> None:
    text = FULL.replace('category = "oscilloscope"\n', "")
    head = line_of(text, 'slug = "scope"') - 1
    assert faults(text) == [(head, 'equipment "scope": category', "key_missing")]


def test_what_is_not_toml_is_told_with_its_line() -> None:
    assert [(line, code) for line, _, code in faults('[[facility]]\nslug = "cie\n')] == [(2, "not_toml")]
    assert faults("a = 1\na = 2\n")[0][0] == 2
    assert faults("x = " + "[" * 20_000)[0][2] in ("nested_too_deep", "not_toml")
    assert faults("x = " + "[" * 20_000 + "]" * 20_000)[0][2] == "nested_too_deep"
    assert faults("x = " + "9" * 6000)[0][2] == "not_toml"


def test_an_unknown_heading_is_told_with_the_one_meant() -> None:
    assert faults('[[equipmnt]]\nslug = "x"\n') == [(1, "equipmnt", "unknown_key_meant")]
    assert faults('[equipment]\nslug = "x"\n') == [(1, "equipment", "not_tables")]


def test_a_file_may_refer_to_what_is_stored() -> None:
    known = Known(
        facilities={"cie": KnownFacility(frozenset({"climate"}))},
        utilities={"feeder-a": KnownUtility("cie", "kVA")},
        equipment={"source": KnownEquipment("cie", "dc-source", 1)},
    )
    text = """
[[equipment]]
slug = "chamber-1"
facility = "cie"
room = "climate"
name = "Chamber"
category = "climate-chamber"
draws = { feeder-a = "3000 VA" }
[[environment]]
slug = "recipe"
facility = "cie"
name = "Recipe"
needs = [{ equipment = "source" }, { category = "climate-chamber" }]
"""
    found = parse(text, known)
    assert found.equipment[0].draws == {"feeder-a": 3000}
    assert found.warnings == ()
    assert [c for _, _, c in faults(text)][:2] == ["unknown_facility", "unknown_utility"]


def test_an_entry_cannot_move_to_another_facility() -> None:
    known = Known(equipment={"scope": KnownEquipment("elsewhere", "oscilloscope", 1)})
    assert [c for _, _, c in faults(FULL, known)] == ["facility_fixed"]


def test_a_need_may_take_the_whole_piece() -> None:
    (need,) = parse(FULL + ROOM_TO_ONESELF).environments[1].needs
    assert need.stored() == {"equipment": "chamber-1", "count": 1, "places": 1, "whole": True}


def test_what_nothing_can_meet_is_a_warning() -> None:
    text = FULL.replace("20..85 degC", "20..850 degC")
    (warning,) = parse(text).warnings
    assert (warning.line, warning.code) == (line_of(text, "850"), "need_unmet")
    twice = FULL.replace('{ equipment = "scope" }', '{ equipment = "scope" }, { category = "oscilloscope" }')
    assert [w.code for w in parse(twice).warnings] == ["needs_unmet"]


AWKWARD = '''\
# a comment with = and [ and "
"quoted key" = """
not = a key
""" # three
bare.dotted . "key" = 'x'

  [[  things . "of"  ]]  # a heading
first = [ # a comment ] here
  1, [2, 3],
  { a = "}", b.c = [ """]
""" ] },
]
[things.of.sub]
date = 1979-05-27 07:32:00
[[things.of]]
text = "\\"] ="
long = \'\'\'it''s
two\'\'\'\'
last = true
'''


def flattened(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path} | {p for key, each in items for p in flattened(each, (*path, key))}


def test_lines_are_found_through_strings_comments_and_nesting() -> None:
    lines = lines_of(AWKWARD)
    assert lines[("quoted key",)] == 2
    assert lines[("bare", "dotted", "key")] == 5
    assert lines[("things", "of", 0, "first", 1, 0)] == 9
    assert lines[("things", "of", 0, "first", 2, "b", "c", 0)] == 10
    assert lines[("things", "of", 0, "sub", "date")] == 14
    assert lines[("things", "of", 1, "text")] == 16
    assert lines[("things", "of", 1, "last")] == 19
    assert set(lines) | {(), ("things",)} == flattened(tomllib.loads(AWKWARD))


values = st.recursive(
    st.integers(-9, 9) | st.booleans() | st.sampled_from(['"a]"', "'#'", '"""x\ny"""', '"\\""', "1e3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def written(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {written(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[\n" + ", # ,]\n".join(written(v) for v in value) + "\n]"
    return value if isinstance(value, str) else str(value).lower()


@given(st.dictionaries(st.sampled_from(["a", '"b ]"', "c-d"]), values, max_size=3))
def test_every_path_of_a_document_has_a_line(document: dict[str, Any]) -> None:
    text = "".join(f"{key} = {written(value)}\n" for key, value in document.items())
    try:
        expected = flattened(tomllib.loads(text))
    except tomllib.TOMLDecodeError:  # a newline within an inline table
        return
    assert set(lines_of(text)) | {()} == expected


@given(st.text(max_size=60) | st.sampled_from([FULL]).map(lambda t: t[::-1]))
def test_any_text_is_a_catalogue_or_refused(text: str) -> None:
    try:
        parse(text)
    except CatalogueRefused as refused:
        assert all(f.line >= 1 for f in refused.faults)  # noqa: PT017 - both outcomes are right


@given(st.data())
def test_any_value_for_any_key_is_taken_or_refused_at_a_line(data: st.DataObject) -> None:
    lines = FULL.splitlines()
    index = data.draw(st.sampled_from([n for n, line in enumerate(lines) if " = " in line]))
    value = data.draw(
        st.sampled_from(["7", "-1", "true", '""', '"x"', "[]", "{}", "[[1]]", "1979-05-27", "nan"])
    )
    key = lines[index].split(" = ")[0]
    text = "\n".join([*lines[:index], f"{key} = {value}", *lines[index + 1 :]])
    try:
        parse(text)
    except CatalogueRefused as refused:
        assert [sentence(f.code, f.params) for f in refused.faults]  # noqa: PT017 - both outcomes are right


def test_timing_keeps_only_what_is_stated_and_tells_what_it_does_not_know() -> None:
    stated = FULL.replace(
        "[equipment.slot]",
        '[equipment.timing]\nremind = "PT0M"\nwarn = "PT1H"\nno_show = "flag"\n\n[equipment.slot]',
        1,
    )
    piece = parse(stated).equipment[0]
    assert piece.timing == Timing(remind=timedelta(0), warn=timedelta(hours=1), no_show="flag")
    assert parse(FULL).equipment[0].timing == Timing()
    with pytest.raises(CatalogueRefused) as refused:
        parse(stated.replace('"flag"', '"forgive"').replace('warn = "PT1H"', 'warn = "an hour"'))
    told = {(fault.path.rpartition("timing.")[2], fault.code) for fault in refused.value.faults}
    assert told == {("warn", "not_a_duration"), ("no_show", "not_one_of")}
