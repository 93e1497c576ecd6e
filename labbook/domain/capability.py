"""Quantities with units: ranges offered, ranges needed, and whether the one contains the other.

A range is written ``"-70..180 degC"``, ``"-70 to 180 °C"``, ``"±60 A"``, ``"9 kHz..26 GHz"`` or as one
quantity, ``"1000 L"``: offered, one quantity means "up to" (0..1000 L); needed, it means that very value.
Temperatures have no natural zero, so an offered temperature is always a range.

What is stored is already in base units, so that matching is comparing numbers and needs no unit library.
Some signs mean in a laboratory what they do not mean to the library: ``g`` is the acceleration (mass is
written ``gram`` or ``kg``), ``rh`` a percentage, ``Nm`` a torque. Decibels are refused: whether they add,
and to what they refer, differs from one instrument to the next.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypedDict

TEXT_LIMIT = 100
TOLERANCE = 1e-9  # 85 degC and 358.15 K are the same, whatever the last digit of a float says
THOUSANDTHS_LIMIT = 2**62

_NUMBER = r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?"
_QUANTITY = re.compile(rf"(?P<sign>\+-|±)?\s*(?P<value>{_NUMBER})\s*(?P<unit>[^\s\d.,+-].*)?")
_FACTOR = re.compile(r"(?P<name>[^\W\d]+|[°℃℉%]\w*)(?:(?:\^|\*\*)?(?P<power>-?[1-9]))?")
_BETWEEN = re.compile(r"(?<=[\w°℃℉%])(?:\s+(?:to|til|bis)\s+|\s*[–—]\s*)(?=[+\-−±]?\d)")
"""What people write between the ends of a range; two dots in the catalogue file."""
_SUPERSCRIPTS = str.maketrans({"…": "..", "²": "2", "³": "3", "−": "-", "·": "*", "×": "*", "⋅": "*"})

_ALIASES = {
    "%": "percent",
    "rh": "percent",
    "%rh": "percent",
    "g": "standard_gravity",
    "grms": "standard_gravity",
    "gRMS": "standard_gravity",
    "°C": "degC",
    "℃": "degC",
    "°F": "degF",
    "℉": "degF",
    "Nm": "N*m",
    "Ah": "A*h",
}
_OFFSET = {"degree_Celsius": "delta_degree_Celsius", "degree_Fahrenheit": "delta_degree_Fahrenheit"}

_SYMBOLS = {
    "kilogram * meter ** 2 / second ** 3": "W",
    "kilogram * meter ** 2 / second ** 2": "J",
    "kilogram * meter ** 2 / ampere / second ** 3": "V",
    "kilogram * meter ** 2 / ampere ** 2 / second ** 3": "ohm",
    "ampere ** 2 * second ** 4 / kilogram / meter ** 2": "F",
    "kilogram * meter ** 2 / ampere ** 2 / second ** 2": "H",
    "kilogram * meter / second ** 2": "N",
    "kilogram / meter / second ** 2": "Pa",
    "ampere * second": "C",
    "1 / second": "Hz",
    "dimensionless": "",
    "channel": "",  # "six channels" of an analyser that offers "7"
}
_ADDITIVE = ("W", "A")


class QuantityError(ValueError):
    """A quantity that cannot be taken; ``code`` and ``params`` become a sentence in ``formats.wording``."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(f"{code} {params}")
        self.code = code
        self.params = params


class StoredRange(TypedDict):
    """A range as the database keeps it: ``low`` and ``high`` in the base unit, ``text`` as it was written."""

    text: str
    low: float
    high: float
    unit: str


@dataclass(frozen=True)
class Range:
    """``low..high`` in the base unit ``unit``."""

    text: str
    low: float
    high: float
    unit: str

    def stored(self) -> StoredRange:
        return {"text": self.text, "low": self.low, "high": self.high, "unit": self.unit}


class _Measured(NamedTuple):
    value: float
    unit: str


def parse_need(text: str) -> Range:
    """A range asked for; one quantity means that very value. Raises ``QuantityError``."""
    return _parse(text, offered=False)


def parse_offer(text: str) -> Range:
    """A range offered; one quantity means "up to". Raises ``QuantityError``."""
    return _parse(text, offered=True)


def contains(offered: Range, needed: Range) -> bool:
    """Whether the range offered contains the range needed. Raises ``QuantityError`` for different kinds."""
    if offered.unit != needed.unit:
        raise QuantityError("unit_mismatch", text=needed.text, expected=offered.text)
    return _within(offered.low, offered.high, needed.low, needed.high)


def offers(offered: Mapping[str, Any], needed: Mapping[str, Any]) -> bool:
    """The same for two stored ranges; those that differ in kind do not match."""
    return bool(offered["unit"] == needed["unit"]) and _within(
        offered["low"], offered["high"], needed["low"], needed["high"]
    )


class Margin(NamedTuple):
    """By how much an offer goes beyond a need at each end, in the base unit; below 0: it falls short."""

    below: float
    above: float

    @property
    def is_met(self) -> bool:
        return self.below >= 0 and self.above >= 0


def margin(offered: Mapping[str, Any], needed: Mapping[str, Any]) -> Margin:
    """Of two stored ranges of the same kind; what only the last digit of a float says is nothing."""
    slack = TOLERANCE * max(abs(end) for each in (offered, needed) for end in (each["low"], each["high"]))
    ends = (needed["low"] - offered["low"], offered["high"] - needed["high"])
    return Margin(*(0.0 if abs(end) <= slack else end for end in ends))


def shortfall(offered: Mapping[str, Any], needed: Mapping[str, Any]) -> float:
    """How far an offer is from a need, as a share of it: 0.25 for 600 V of 800 V."""
    found = margin(offered, needed)
    scale = max(abs(needed["low"]), abs(needed["high"]), TOLERANCE)
    return float((max(0.0, -found.below) + max(0.0, -found.above)) / scale)


def in_unit_of(text: str, amount: float) -> str:
    """A difference in base units as ``text`` is written: ``"200 V"`` for ``"0.8 kV"`` becomes ``"0.2 kV"``.

    Differences of degrees Celsius are kelvins.
    """
    last = _clean(text).split("..")[-1].strip()
    match = _QUANTITY.fullmatch(last)
    unit = ((match["unit"] if match else "") or "").strip()
    known = _known_unit(unit)
    one = str(known.unit)
    single = _units().Quantity(1.0, _OFFSET.get(one, one) if known.offset else known.unit)
    shown = "K" if one == "degree_Celsius" else unit
    return f"{amount / single.to_base_units().magnitude:.4g} {shown}".strip()


def surplus(offered: Mapping[str, Any], needed: Mapping[str, Any]) -> float:
    """How much more than what is needed is offered: 0 for exactly that, 0.69 for twice as much at one end.

    Logarithmic, so that a need of several quantities weighs each by its ratio and not by its unit.
    """
    above = max(0.0, offered["high"] - needed["high"])
    below = max(0.0, needed["low"] - offered["low"])
    scale = max(abs(needed["low"]), abs(needed["high"]), TOLERANCE)
    return math.log1p(above / scale) + math.log1p(below / scale)


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two sets of stored ranges say the same, in whatever unit they were written."""
    return one.keys() == other.keys() and all(
        offers(one[name], other[name]) and offers(other[name], one[name]) for name in one
    )


def in_parallel(offered: Mapping[str, Any], units: int) -> dict[str, Any]:
    """What ``units`` of the same kind offer together: power and current add up, the rest stays as it is."""
    if offered["unit"] not in _ADDITIVE or units <= 1:
        return dict(offered)
    low, high = offered["low"], offered["high"]
    return dict(offered) | {"low": min(low, low * units), "high": max(high, high * units)}


def parse_budget(text: str, unit: str | None = None) -> tuple[int, str]:
    """The capacity of a utility: thousandths (rounded down), and the unit that it is counted in.

    ``unit``: the one it is counted in already, since draws are stored in it.
    """
    value, own = _split(text)
    if unit is None:
        _measure(text, value, own)
        return _thousandths(text, value, math.floor), own
    return _thousandths(text, _converted(text, value, own, unit), math.floor), unit


def parse_draw(text: str, unit: str) -> int:
    """What is drawn, in thousandths of ``unit`` and rounded up: a budget is never overdrawn by rounding."""
    value, own = _split(text)
    return _thousandths(text, _converted(text, value, own, unit), math.ceil)


def _converted(text: str, value: float, own: str, unit: str) -> float:
    measured, base = _measure(text, value, own)
    one, expected = _measure(unit, 1.0, unit)
    if base != expected:
        raise QuantityError("unit_mismatch", text=text, expected=unit)
    if own == unit:
        return value
    return float(f"{measured / one:.10g}")  # without the noise of conversion, which rounding would keep


def _thousandths(text: str, value: float, rounded: Any) -> int:
    if value < 0:
        raise QuantityError("quantity_negative", text=text)
    if value * 1000 > THOUSANDTHS_LIMIT:
        raise QuantityError("quantity_too_great", text=text)
    return int(rounded(round(value * 1000, 6)))


def _split(text: str) -> tuple[float, str]:
    """One quantity as its number and its unit."""
    match = _QUANTITY.fullmatch(_clean(text))
    if match is None or match["sign"]:
        raise QuantityError("not_a_quantity", text=text)
    return float(match["value"]), (match["unit"] or "").strip()


def _clean(text: str) -> str:
    if len(text) > TEXT_LIMIT:
        raise QuantityError("quantity_too_long", limit=TEXT_LIMIT)
    return " ".join(_BETWEEN.sub("..", text).translate(_SUPERSCRIPTS).split())


@lru_cache(maxsize=4096)
def _parse(text: str, *, offered: bool) -> Range:
    clean = _clean(text)
    if ".." in clean:
        low, high = _ends(text, *clean.split("..", 1))
    else:
        low, high = _single(text, clean, offered)
    if low.unit != high.unit:
        raise QuantityError("range_mixed", text=text)
    if low.value > high.value:
        raise QuantityError("range_reversed", text=text)
    return Range(text.strip(), low.value, high.value, low.unit)


def _ends(text: str, first: str, last: str) -> tuple[_Measured, _Measured]:
    one, other = _QUANTITY.fullmatch(first.strip()), _QUANTITY.fullmatch(last.strip())
    if one is None or other is None or one["sign"] or other["sign"]:
        raise QuantityError("not_a_quantity", text=text)
    unit = other["unit"] or ""
    return (
        _measure(text, float(one["value"]), one["unit"] or unit),
        _measure(text, float(other["value"]), unit),
    )


def _single(text: str, clean: str, offered: bool) -> tuple[_Measured, _Measured]:
    match = _QUANTITY.fullmatch(clean)
    if match is None:
        raise QuantityError("not_a_quantity", text=text)
    value, unit = float(match["value"]), match["unit"] or ""
    if match["sign"]:
        return _measure(text, -value, unit), _measure(text, value, unit)
    high = _measure(text, value, unit)
    if not offered:
        return high, high
    if value < 0 or _unit(text, unit).offset:
        raise QuantityError("range_needed", text=text)
    return _Measured(0.0, high.unit), high


def _within(low: float, high: float, needed_low: float, needed_high: float) -> bool:
    slack = TOLERANCE * max(abs(low), abs(high), abs(needed_low), abs(needed_high))
    return low - slack <= needed_low and needed_high <= high + slack


def _measure(text: str, value: float, unit: str) -> _Measured:
    """The value in base units, without the noise of conversion: 1000 L is 1 m3."""
    known = _unit(text, unit)
    base = _units().Quantity(value, known.unit).to_base_units()
    if not math.isfinite(base.magnitude):
        raise QuantityError("quantity_too_great", text=text)
    return _Measured(float(f"{base.magnitude:.12g}"), known.base)


class _Unit(NamedTuple):
    """``offset``: its zero is not nothing (degrees Celsius)."""

    unit: Any
    base: str
    offset: bool


def _unit(text: str, written: str) -> _Unit:
    try:
        return _known_unit(written.strip())
    except QuantityError as error:
        raise QuantityError(error.code, **(error.params | {"text": text})) from None


@lru_cache(maxsize=1024)
def _known_unit(written: str) -> _Unit:
    """Read factor by factor: the library's own parser also takes sums, calls and numbers."""
    units = _units()
    plain = written.translate(_SUPERSCRIPTS)
    if plain.replace(" ", "") in ("%rh", "percentrh"):
        plain = "percent"
    parts = re.split(r"\s*([*/])\s*", plain.replace("**", "^")) if plain else []
    found = units.Unit("")
    for operator, factor in zip(["*", *parts[1::2]], parts[0::2], strict=False):
        one = _factor(written, factor)
        if len(parts) > 1:
            one = units.Unit(_OFFSET.get(str(one), one))
        found = found * one if operator == "*" else found / one
    base = units.Quantity(1.0, found).to_base_units().units
    return _Unit(found, _symbol(base), str(found) in _OFFSET)


def _factor(written: str, factor: str) -> Any:
    import pint  # here, because it takes 0.1 s and few commands need it

    match = _FACTOR.fullmatch(factor)
    if match is None:
        raise QuantityError("unknown_unit", unit=written)
    try:
        one = _units().parse_units(_ALIASES.get(match["name"], match["name"]))
    except (pint.UndefinedUnitError, AssertionError, ValueError):
        raise QuantityError("unknown_unit", unit=written) from None
    if str(one) not in _OFFSET and not _is_linear(one):
        raise QuantityError("logarithmic_unit", unit=written)
    return one ** int(match["power"] or 1)


def _is_linear(unit: Any) -> bool:
    one, two = (_units().Quantity(value, unit).to_base_units().magnitude for value in (1.0, 2.0))
    return math.isclose(2 * one, two)


def _symbol(base: Any) -> str:
    return _SYMBOLS.get(str(base), f"{base:~C}")


@lru_cache(maxsize=1)
def _units() -> Any:
    """The one registry, built when the first quantity is read."""
    import pint

    registry: pint.UnitRegistry[float] = pint.UnitRegistry(cache_folder=None)
    registry.define("volt_ampere_reactive = volt * ampere = var")
    registry.define("person = [person] = _ = persons = technician = technicians")
    registry.define("token = [token] = _ = tokens")
    registry.define("channel = [] = _ = channels = piece = pieces = position = positions")
    return registry
