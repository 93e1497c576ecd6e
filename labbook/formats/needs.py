"""Needs as people and addresses write them: ``climate-chamber; temperature: -40..125 degC; volume: 60 L``.

A category, and of each capability the range that is needed in whatever unit. ``places: 2`` asks for two
places of the one piece, ``count: 2`` for two pieces of one place each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from labbook.domain.capability import QuantityError, StoredRange, parse_need
from labbook.domain.errors import Problem
from labbook.domain.matching import Need

TEXT_LIMIT = 1000
MOST = 50
_PART = re.compile(r"[;\n]")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def read_need(text: str, field: str, problems: list[Problem]) -> list[Need]:
    """The need, as often as its ``count`` says; what is wrong with it goes to ``problems``."""
    if len(text) > TEXT_LIMIT:
        problems.append(Problem("text_too_long", field, params={"limit": TEXT_LIMIT, "length": len(text)}))
        return []
    category, *parts = (part.strip() for part in _PART.split(text))
    if not category:
        problems.append(Problem("missing", field))
        return []
    numbers = {"places": 1, "count": 1}
    capabilities = read_capabilities([p for p in parts if not _counts(p, numbers)], field, problems)
    for name, value in numbers.items():
        if not 1 <= value <= MOST:
            problems.append(Problem("out_of_bounds", field, params={"low": 1, "high": MOST}))
            numbers[name] = 1
    need = Need(category=category.lower(), capabilities=capabilities, places=numbers["places"])
    return [need] * numbers["count"]


def read_capabilities(parts: list[str], field: str, problems: list[Problem]) -> dict[str, StoredRange]:
    """``["dc_voltage: 800 V"]`` as stored ranges."""
    found: dict[str, StoredRange] = {}
    for part in parts:
        if not part:
            continue
        name, colon, quantity = part.partition(":")
        name = name.strip().lower().replace(" ", "_")
        if not colon or _NAME.fullmatch(name) is None or not quantity.strip():
            problems.append(Problem("malformed_capability", field))
            continue
        try:
            found[name] = parse_need(quantity.strip()).stored()
        except QuantityError as error:
            problems.append(Problem(error.code, field, params=error.params))
    return found


def named(text: str, units: Mapping[str, str]) -> str:
    """``800 V; 50 kW`` with the names that go without saying: ``dc_voltage: 800 V; power: 50 kW``.

    ``units``: by capability, the base unit in which the category offers it. A quantity that none or several
    of them could mean stays as it was typed, and so does what is too long to be read.
    """
    if len(text) > TEXT_LIMIT:
        return text
    return "; ".join(_named(part.strip(), units) for part in _PART.split(text) if part.strip())


def _named(part: str, units: Mapping[str, str]) -> str:
    if ":" in part:
        return part
    try:
        unit = parse_need(part).unit
    except QuantityError:
        return part
    meant = [name for name, own in units.items() if own == unit]
    return f"{meant[0].replace('_', ' ')}: {part}" if len(meant) == 1 else part


def read_ambient(text: str, field: str, problems: list[Problem]) -> dict[str, StoredRange]:
    """``temperature: 85 degC; humidity: 85 percent`` as stored ranges."""
    if len(text) > TEXT_LIMIT:
        problems.append(Problem("text_too_long", field, params={"limit": TEXT_LIMIT, "length": len(text)}))
        return {}
    return read_capabilities([part.strip() for part in _PART.split(text)], field, problems)


def _counts(part: str, numbers: dict[str, int]) -> bool:
    """Whether the part says how many."""
    name, _colon, value = part.partition(":")
    name, value = name.strip().lower(), value.strip()
    if name not in numbers:
        return False
    numbers[name] = int(value) if value.isascii() and value.isdecimal() and len(value) < 6 else 0
    return True
