"""What can do it: equipment that offers what is asked for, by how much more, and what nearly can.

Places of one piece that work in parallel add up, and so do like pieces, up to so many ``units`` of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from labbook.domain.capability import (
    Margin,
    QuantityError,
    in_parallel,
    in_unit_of,
    margin,
    parse_need,
    shortfall,
    surplus,
)
from labbook.domain.errors import Problem, Refused
from labbook.models import Equipment
from labbook.services.equipment import EquipmentView, Sought, equipment_view, rows_of

NEAR_LIMIT = 10
NEAR_AT_MOST = 1.0
"""What falls short by more than all that is asked for is not near."""


@dataclass(frozen=True)
class Asked:
    """``capabilities`` as ``Sought`` has them; ``places`` of one piece; ``units``: of how many like
    pieces at most one may be made up, where they work in parallel.
    """

    sought: Sought
    places: int = 1
    units: int = 1


@dataclass(frozen=True)
class Fit:
    """What is offered of one quantity that was asked for; ``more`` and ``less`` in the unit it was asked in,
    at the low and at the high end, empty for nothing.
    """

    name: str
    asked: str
    offered: str
    more: tuple[str, str]
    less: tuple[str, str]


@dataclass(frozen=True)
class Found:
    """A piece with how it fits; ``together``: the like pieces that it works in parallel with."""

    piece: EquipmentView
    fits: Sequence[Fit]
    together: Sequence[str] = ()
    lacks_places: bool = False


@dataclass(frozen=True)
class Answer:
    """``items`` can; ``near`` state all that is asked for and offer too little of something."""

    items: Sequence[Found]
    near: Sequence[Found]


def search(session: Session, asked: Asked) -> Answer:
    """Those that can, the least oversized first where quantities were asked for, and those that nearly can.

    Raises ``Refused`` for a quantity that cannot be read and a facility that does not exist.
    """
    needs = read_needs(asked.sought.capabilities)
    rows = [row for row in rows_of(session, asked.sought) if needs.keys() <= row.capabilities.keys()]
    looked = [_look(row, rows, needs, asked) for row in rows]
    comparable = [each for each in looked if each is not None]
    good = [each for each in comparable if each.meets]
    near = [each for each in comparable if not each.meets and each.short <= NEAR_AT_MOST]
    if needs:
        good.sort(key=lambda each: each.spare)
    near.sort(key=lambda each: each.short)
    return Answer([each.found for each in good], [each.found for each in near[:NEAR_LIMIT]])


def read_needs(wanted: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Stored ranges by name. Raises ``Refused`` with everything that cannot be read."""
    needs: dict[str, Any] = {}
    problems = []
    for name, quantity in wanted:
        try:
            needs[name] = parse_need(quantity).stored()
        except QuantityError as error:
            problems.append(Problem(error.code, "capability", params=error.params))
    if problems:
        raise Refused(problems)
    return needs


@dataclass(frozen=True)
class _Looked:
    found: Found
    meets: bool
    spare: float
    short: float


def _look(
    row: Equipment, rows: Sequence[Equipment], needs: Mapping[str, Any], asked: Asked
) -> _Looked | None:
    """None where what is asked for is of another kind than what is offered under its name."""
    if any(row.capabilities[name]["unit"] != need["unit"] for name, need in needs.items()):
        return None
    like = _like(row, rows) if row.parallel and asked.units > 1 else []
    for units in range(1, min(asked.units, len(like) + 1) + 1):
        offered = _offered(row, needs, asked.places * units)
        margins = {name: margin(offered[name], need) for name, need in needs.items()}
        if all(each.is_met for each in margins.values()):
            break
    found = Found(
        piece=equipment_view(row),
        fits=[_fit(name, need, row, margins[name]) for name, need in needs.items()],
        together=[each.slug for each in like[: units - 1]],
        lacks_places=row.places < asked.places,
    )
    return _Looked(
        found=found,
        meets=all(each.is_met for each in margins.values()) and not found.lacks_places,
        spare=sum(surplus(offered[name], need) for name, need in needs.items()),
        short=sum(shortfall(offered[name], need) for name, need in needs.items()) + found.lacks_places / 2,
    )


def _offered(row: Equipment, needs: Mapping[str, Any], units: int) -> dict[str, Any]:
    """What so many units of it offer together of what is needed."""
    if not row.parallel:
        return {name: row.capabilities[name] for name in needs}
    return {name: in_parallel(row.capabilities[name], units) for name in needs}


def _like(row: Equipment, rows: Sequence[Equipment]) -> list[Equipment]:
    """The others in its laboratory that are as it is."""
    return [
        other
        for other in rows
        if other.id != row.id
        and other.state == "in_service"
        and (other.facility_id, other.category, other.parallel)
        == (row.facility_id, row.category, row.parallel)
        and other.capabilities == row.capabilities
    ]


def _fit(name: str, need: Mapping[str, Any], row: Equipment, found: Margin) -> Fit:
    def written(amount: float) -> str:
        return in_unit_of(need["text"], amount) if amount > 0 else ""

    offered = row.capabilities[name]
    # What lies below a single value, or is offered "up to", is no merit.
    below = written(found.below) if offered["low"] and need["low"] < need["high"] else ""
    return Fit(
        name=name,
        asked=need["text"],
        offered=offered["text"],
        more=(below, written(found.above)),
        less=(written(-found.below), written(-found.above)),
    )
