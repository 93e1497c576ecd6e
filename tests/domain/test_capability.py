"""Ranges offered and needed, in whatever unit they were written."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbook.domain.capability import (
    QuantityError,
    contains,
    in_parallel,
    in_unit_of,
    margin,
    offers,
    parse_budget,
    parse_draw,
    parse_need,
    parse_offer,
    same,
    shortfall,
)

SAME_KIND = {
    "V": {"V": 1.0, "kV": 1e-3, "mV": 1e3},
    "W": {"W": 1.0, "kW": 1e-3, "MW": 1e-6},
    "m3/h": {"m3/h": 1.0, "L/h": 1e3, "m^3/h": 1.0},
    "Hz": {"Hz": 1.0, "MHz": 1e-6, "GHz": 1e-9},
}


@pytest.mark.parametrize(
    ("offered", "needed"),
    [
        ("-70..180 degC", "-40..125 degC"),
        ("-70..180 degC", "358.15 K"),
        ("-70..180 degC", "185 degF"),
        ("0..85 degC", "358.15 K"),
        ("1000 L", "1 m3"),
        ("1000 L", "60 L"),
        ("10..98 percent", "85 %"),
        ("10..98 % rh", "85 percent"),
        ("0..1.5 kV", "800V"),
        ("±60 A", "-60..60 A"),
        ("+-60 A", "-60 A"),
        ("9 kHz..26 GHz", "30..1000 MHz"),
        ("0..20000 rpm", "12 krpm"),
        ("0..100 g", "980 m/s2"),
        ("3..10 K/min", "5 degC/min"),
        ("1..3 m3/h", "20 L/min"),
        ("0..60 kVA", "50000 VA"),
        ("7 channels", "6 channels"),
        ("7", "6"),
        ("7", "6 channels"),
        ("7 channels", "6"),
        ("-70..180 degC", "-40 to 125 °C"),
        ("-70 to 180 °C", "-40 °C – 125 °C"),
        ("-70..180 degC", "-40–125 °C"),
        ("0..1500 V", "300 bis 800 V"),
        ("0..700 Nm", "300 N*m"),
        ("−70..180 °C", "−40 °C"),
        ("0..10 kvar", "5 kvar"),
        ("0..1e3 Ω", "0.5 kohm"),
    ],
)
def test_an_offer_meets_a_need_in_whatever_unit(offered: str, needed: str) -> None:
    assert contains(parse_offer(offered), parse_need(needed))
    assert offers(parse_offer(offered).stored(), parse_need(needed).stored())


@pytest.mark.parametrize(
    ("offered", "needed"),
    [
        ("0..1500 V", "1501 V"),
        ("-70..180 degC", "200 degC"),
        ("-70..180 degC", "-100..20 degC"),
        ("1000 L", "1.001 m3"),
        ("5..30 kW", "0..10 kW"),
    ],
)
def test_an_offer_that_is_too_small_does_not_meet_a_need(offered: str, needed: str) -> None:
    assert not contains(parse_offer(offered), parse_need(needed))


@pytest.mark.parametrize(
    ("offered", "needed"),
    [("0..1500 V", "30 A"), ("0..3000 rpm", "50 Hz"), ("7", "7 kg"), ("0..9 g", "2 gram")],
)
def test_units_of_another_kind_are_told(offered: str, needed: str) -> None:
    with pytest.raises(QuantityError) as refused:
        contains(parse_offer(offered), parse_need(needed))
    assert refused.value.code == "unit_mismatch"
    assert not offers(parse_offer(offered).stored(), parse_need(needed).stored())


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "not_a_quantity"),
        ("V", "not_a_quantity"),
        ("1,5 kV", "not_a_quantity"),
        ("1..2..3 V", "not_a_quantity"),
        ("nan V", "not_a_quantity"),
        ("10 flurbs", "unknown_unit"),
        ("10 V**99999999", "unknown_unit"),
        ("10 __import__('os')", "unknown_unit"),
        ("10 /s", "unknown_unit"),
        ("10 V/", "unknown_unit"),
        ("80 dB", "logarithmic_unit"),
        ("80 dBm", "logarithmic_unit"),
        ("180..-70 degC", "range_reversed"),
        ("0 V..5 A", "range_mixed"),
        ("1e999 V", "quantity_too_great"),
        ("85 degC", "range_needed"),
        ("-5 kV", "range_needed"),
        ("1" * 200, "quantity_too_long"),
    ],
)
def test_what_is_no_offer_is_refused_with_its_reason(text: str, code: str) -> None:
    with pytest.raises(QuantityError) as refused:
        parse_offer(text)
    assert refused.value.code == code


def test_one_quantity_offered_is_up_to_and_needed_is_that_very_value() -> None:
    assert (parse_offer("30 kW").low, parse_offer("30 kW").high) == (0, 30_000)
    assert (parse_need("30 kW").low, parse_need("30 kW").high) == (30_000, 30_000)


def test_what_is_stored_keeps_the_text_and_is_in_base_units() -> None:
    assert parse_offer(" 0..1.5 kV ").stored() == {"text": "0..1.5 kV", "low": 0, "high": 1500, "unit": "V"}


def test_units_in_parallel_add_power_and_current_but_not_voltage() -> None:
    assert in_parallel(parse_offer("±60 A").stored(), 3)["high"] == 180
    assert in_parallel(parse_offer("±60 A").stored(), 3)["low"] == -180
    assert in_parallel(parse_offer("5..30 kW").stored(), 2)["low"] == 5000
    assert in_parallel(parse_offer("0..1500 V").stored(), 2)["high"] == 1500


def test_profiles_are_the_same_in_whatever_unit() -> None:
    one = {"temperature": parse_need("85 degC").stored(), "humidity": parse_need("85 percent").stored()}
    other = {"temperature": parse_need("358.15 K").stored(), "humidity": parse_need("0.85").stored()}
    assert same(one, other)
    assert not same(one, {"temperature": parse_need("85 degC").stored()})
    assert not same(one, other | {"temperature": parse_need("84 degC").stored()})


def test_a_budget_is_never_overdrawn_by_rounding() -> None:
    assert parse_budget("250 kVA") == (250_000, "kVA")
    assert parse_budget("0.0019 kVA") == (1, "kVA")
    assert parse_draw("3 kVA", "kVA") == 3000
    assert parse_draw("3100.1 VA", "kVA") == 3101
    assert parse_draw("2 persons", "technicians") == 2000
    with pytest.raises(QuantityError):
        parse_draw("3 kW", "m3/h")
    with pytest.raises(QuantityError):
        parse_draw("-3 kW", "kW")


numbers = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False).map(lambda x: round(x, 3))


@given(st.sampled_from(sorted(SAME_KIND)), st.data())
def test_containment_does_not_depend_on_the_unit(kind: str, data: st.DataObject) -> None:
    low, high = sorted((data.draw(numbers), data.draw(numbers)))
    first, last = sorted((data.draw(numbers), data.draw(numbers)))
    edge = min(abs(low - first), abs(high - last))
    if 0 < edge < 1e-3:
        return
    expected = low <= first and last <= high
    for one, factor in SAME_KIND[kind].items():
        for other, its_factor in SAME_KIND[kind].items():
            offered = parse_offer(f"{low * factor!r}..{high * factor!r} {one}")
            needed = parse_need(f"{first * its_factor!r}..{last * its_factor!r} {other}")
            assert contains(offered, needed) == expected


@given(numbers, numbers, numbers)
def test_containment_is_transitive_and_reflexive(a: float, b: float, c: float) -> None:
    low, middle, high = sorted((a, b, c))
    wide, narrow = parse_need(f"{low}..{high} degC"), parse_need(f"{middle} degC")
    assert contains(wide, wide)
    assert contains(wide, narrow)


@given(st.text(max_size=40) | st.text("0123456789.±+-eE kVmAdegCF%°/*^", max_size=20))
def test_any_text_is_a_range_or_refused_in_words(text: str) -> None:
    for parse in (parse_need, parse_offer):
        with contextlib.suppress(QuantityError):
            found = parse(text)
            assert found.low <= found.high


@given(
    st.integers(0, 10**9), st.sampled_from(["V", "kW", "m3/h", "L", "Nm", "percent", "K/min", "", "token"])
)
def test_a_number_with_any_known_unit_round_trips(number: int, unit: str) -> None:
    assert contains(parse_offer(f"{number} {unit}"), parse_need(f"{number}{unit}"))


def test_a_budget_read_again_in_its_own_unit_is_the_same() -> None:
    assert parse_budget("1200 L/min", "L/min") == (1_200_000, "L/min")
    assert parse_budget("0.02 m3/s", "L/min") == (1_200_000, "L/min")
    assert parse_draw("50 L/min", "L/min") == 50_000


@pytest.mark.parametrize(
    ("offered", "needed", "below", "above"),
    [
        ("0..1500 V", "0.8 kV", "0.8 kV", "0.7 kV"),
        ("-70..180 degC", "-40..125 °C", "30 K", "55 K"),
        ("10 L", "10 L", "10 L", "0 L"),
        ("600 V", "800 V", "800 V", "-200 V"),
    ],
)
def test_by_how_much_an_offer_goes_beyond_a_need_is_said_in_the_unit_asked_in(
    offered: str, needed: str, below: str, above: str
) -> None:
    need = parse_need(needed).stored()
    found = margin(parse_offer(offered).stored(), need)
    assert in_unit_of(needed, found.below) == below
    assert in_unit_of(needed, found.above) == above
    assert found.is_met == (not above.startswith("-"))


def test_an_ellipsis_is_a_range_too() -> None:
    assert parse_need("−40…125 °C") == replace(parse_need("-40..125 degC"), text="−40…125 °C")


def test_how_far_an_offer_is_from_a_need_is_a_share_of_it() -> None:
    assert shortfall(parse_offer("600 V").stored(), parse_need("800 V").stored()) == pytest.approx(0.25)
    assert shortfall(parse_offer("900 V").stored(), parse_need("800 V").stored()) == 0
