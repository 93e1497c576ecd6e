"""What a version of a recipe changed, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _

from labbook.services.differences import FieldChange
from labbook.services.equipment import UtilityView
from labbook.services.recipe_views import NeedView, need_view
from labbook.web.formatting import duration, in_words, name_of, running

Names = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Said:
    """One change; an empty ``old`` or ``new`` is nothing."""

    label: str
    old: str
    new: str


def changes(found: Sequence[FieldChange], names: Names, utilities: Sequence[UtilityView]) -> list[Said]:
    units = {utility.slug: (name_of(utility.name), utility.unit) for utility in utilities}
    said = [_change(each, names, units) for each in found]
    return [each for each in said if each.old != each.new]


def _change(found: FieldChange, names: Names, units: Mapping[str, tuple[str, str]]) -> Said:
    """Of a list only what is in one of the two."""
    old, new = found.old, found.new
    if isinstance(old, list) and isinstance(new, list):
        old, new = [each for each in old if each not in new], [each for each in new if each not in old]
    label, field = _labels()[found.field], found.field
    return Said(label, _said(field, old, names, units), _said(field, new, names, units))


def _labels() -> dict[str, str]:
    return {
        "name": _("Name"),
        "description": _("Description"),
        "needs": _("Needs"),
        "ambient": _("Ambient"),
        "draws": _("Draws"),
        "setup": _("Set-up"),
        "run": _("Run"),
        "teardown": _("Tear-down"),
        "staffing": _("Staffing"),
        "on_call": _("Call"),
        "safe_state": _("Falls into"),
        "qualifications": _("Training"),
        "hazards": _("Hazards"),
        "permit": _("Permit"),
        "readouts": _("Read-outs"),
    }


def _said(field: str, value: Any, names: Names, units: Mapping[str, tuple[str, str]]) -> str:
    match field:
        case "name" | "description":
            return " / ".join(value.values())
        case "needs":
            return "; ".join(need(need_view(each), names) for each in value)
        case "ambient":
            return ", ".join(ranges({name: stored["text"] for name, stored in value.items()}))
        case "draws":
            return ", ".join(_draw(slug, amount, units) for slug, amount in sorted(value.items()))
        case "setup" | "teardown":
            return in_words("as_its_parts") if value is None else duration(value)
        case "run":
            return running(value) if value else ""
        case "staffing":
            return in_words(value or "as_its_parts")
        case "qualifications" | "hazards":
            return ", ".join(map(in_words, value))
        case "readouts":
            return ", ".join(map(running, value))
        case "permit":
            return str(_("needed") if value else _("none needed"))
        case _:
            return str(value or "")


def need(view: NeedView, names: Names) -> str:
    """``any climate chamber (temperature -40 … 125 °C), all of it``."""
    if view.equipment:
        what = name_of(names.get(view.equipment)) or view.equipment
    else:
        what = _("any %(category)s", category=in_words(view.category or ""))
    able = ", ".join(ranges(view.capabilities))
    if able:
        what = f"{what} ({able})"
    if view.count > 1:
        what = f"{view.count} × {what}"
    if view.whole:
        return str(_("%(what)s, all of it", what=what))
    if view.places > 1:
        return str(_("%(what)s, %(count)s places", what=what, count=view.places))
    return what


def ranges(texts: Mapping[str, str]) -> list[str]:
    return [f"{in_words(name)} {written_range(text)}" for name, text in sorted(texts.items())]


def _draw(slug: str, amount: int, units: Mapping[str, tuple[str, str]]) -> str:
    name, unit = units.get(slug, (slug, ""))
    return f"{name} {amount / 1000:.12g} {unit}".strip()


_UNITS = {"degC": "°C", "percent": "%"}


def written_range(text: str) -> str:
    """``"-70 … 180 °C"`` of how the catalogue writes it."""
    words = text.replace("..", " … ").split(" ")
    return " ".join(_UNITS.get(word, word) for word in words)
