"""The form in which a recipe is written: its fields as the keys of the catalogue file, and back.

A row of needs is numbered, ``need-3-what``; what is empty is left out, and a problem of the third need goes
beside the row that it was typed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from werkzeug.datastructures import MultiDict

from labbook.domain.durations import written_duration, written_hours
from labbook.domain.errors import Problem, Refused
from labbook.domain.words import NOTES_LIMIT
from labbook.formats.catalogue_table import RANGES_LIMIT
from labbook.services.recipe_views import EnvironmentView, NeedView
from labbook.services.recipes import MANAGERS_ONLY
from labbook.web.fields import Fields, lookup, parse_length
from labbook.web.formatting import duration, running

LANGUAGES = ("en", "da", "de")
ROWS_LIMIT = 50
_ROW = re.compile(r"need-(\d{1,3})-what", re.ASCII)
_LISTED = re.compile(r"[,;\n]+")


@dataclass
class Written:
    """``values`` by the keys of the catalogue file; ``rows``: in which row each need was typed."""

    values: dict[str, Any] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @contextmanager
    def placing(self) -> Iterator[None]:
        """What is refused within is told beside the rows of the form."""
        try:
            yield
        except Refused as refused:
            raise Refused(self.placed(refused.problems)) from refused

    def placed(self, problems: Sequence[Problem]) -> list[Problem]:
        """The same, each beside the row of its need; what this form itself found stands there already."""
        own = set(map(id, self.problems))
        return [
            problem if id(problem) in own else replace(problem, field=self._field(problem.field))
            for problem in problems
        ]

    def _field(self, name: str | None) -> str | None:
        parts = (name or "").split(".")
        if parts[0] == "needs" and len(parts) > 1 and int(parts[1]) < len(self.rows):
            parts[1] = str(self.rows[int(parts[1])])
        return ".".join(parts) if name else name


def read(form: MultiDict[str, str], *, manages: bool) -> Written:
    """What was typed; what only managers may state is left out of anybody else's."""
    fields, found = Fields(form), Written()
    for key in ("name", "description"):
        _put(found, key, {code: text for code in LANGUAGES if (text := fields.line(f"{key}_{code}"))})
    found.values["name"] = {"en": "", **found.values.get("name", {})}
    for key in ("on_call", "safe_state"):
        _put(found, key, fields.line(key))
    for key, write in (("setup", written_duration), ("teardown", written_duration), ("run", written_hours)):
        if manages or key not in MANAGERS_ONLY:
            _put(found, key, _length(fields.line(key), key, write, found.problems))
    _put(found, "staffing", fields.line("staffing"))
    if fields.ticked("permit"):
        found.values["permit"] = True
    _put(found, "ambient", _lines(form, "ambient", found.problems))
    if manages:
        _put(found, "draws", _draws(form))
    more = fields.text("more_qualifications") if manages else ""
    more_kinds = _listed(more, "qualifications", found.problems)
    for key, values in (
        ("qualifications", [*form.getlist("qualifications"), *(_slug(each) for each in more_kinds)]),
        ("hazards", form.getlist("hazards")),
    ):
        _put(found, key, list(dict.fromkeys(values)))
    texts_of = (
        _length(each, "readouts", written_hours, found.problems)
        for each in _listed(fields.text("readouts"), "readouts", found.problems)
    )
    _put(found, "readouts", [each for each in texts_of if each])
    found.values["needs"] = []
    for row in rows(form):
        need = _need(form, row, found.problems)
        if need:
            found.values["needs"].append(need)
            found.rows.append(row)
    return found


def rows(form: MultiDict[str, str]) -> list[int]:
    """The numbers of the rows that the form has: one more after "add", one less after "remove"."""
    present = sorted({int(found[1]) for name in form if (found := _ROW.fullmatch(name))})[:ROWS_LIMIT]
    step = form.get("step", "")
    if step.startswith("remove-"):
        present = [row for row in present if str(row) != step.removeprefix("remove-")]
    if step == "add" or not present:
        present.append(max(present, default=-1) + 1)
    return present[:ROWS_LIMIT]


def of_view(view: EnvironmentView) -> MultiDict[str, str]:
    """What is stored, as the form would have it."""
    form: MultiDict[str, str] = MultiDict()
    for key, texts in (("name", view.name), ("description", view.description)):
        for code, text in texts.items():
            form[f"{key}_{code}"] = text
    form["on_call"], form["safe_state"] = view.on_call, view.safe_state
    form["setup"], form["teardown"] = _shown(view.setup), _shown(view.teardown)
    form["run"] = running(view.run) if view.run else ""
    form["staffing"] = view.staffing or ""
    if view.permit:
        form["permit"] = "1"
    _put_all(form, "ambient", _written(view.ambient))
    for draw in view.draws:
        form[f"draw-{draw.utility}"] = f"{draw.amount / 1000:.12g} {draw.unit}".strip()
    _put_all(form, "qualifications", list(view.qualifications))
    _put_all(form, "hazards", list(view.hazards))
    form["readouts"] = ", ".join(map(running, view.readouts))
    for row, need in enumerate(view.needs):
        _put_need(form, row, need)
    form["edited_from"] = str(view.version)
    return form


def of_query(needs: Sequence[str]) -> MultiDict[str, str]:
    """Needs as links write them, ``climate-chamber; temperature: -40..125 degC``, as rows of the form."""
    form: MultiDict[str, str] = MultiDict()
    for row, text in enumerate(needs[:ROWS_LIMIT]):
        category, *parts = (part.strip() for part in text.split(";"))
        form[f"need-{row}-what"] = f"category:{lookup(category)}"
        said = [part for part in parts if part and part.partition(":")[0] not in ("places", "count")]
        _put_all(form, f"need-{row}-capabilities", [lookup(part) for part in said])
        for part in parts:
            name, _colon, number = part.partition(":")
            if name in ("places", "count"):
                form[f"need-{row}-{name}"] = number.strip()
    return form


def _put(found: Written, key: str, value: Any) -> None:
    if value:
        found.values[key] = value


def _length(text: str, key: str, write: Callable[[int], str], problems: list[Problem]) -> str | None:
    """``"2 h"`` and ``"PT2H"`` alike; ``"0"`` is none at all."""
    if not text:
        return None
    if text.upper().startswith("P"):
        return text.upper()
    found = timedelta(0) if text.strip() == "0" else parse_length(text)
    if found is None:
        problems.append(Problem("bad_length", key, params={"value": text[:40]}))
        return None
    return write(int(found.total_seconds()))


def _lines(form: MultiDict[str, str], name: str, problems: list[Problem], at: str = "") -> dict[str, str]:
    """``dc voltage: 800 V``, a line or a field for each."""
    found: dict[str, str] = {}
    written = _bounded("\n".join(form.getlist(name)), at or name, problems)
    lines = [text for text in written.splitlines() if text.strip()]
    if len(lines) > RANGES_LIMIT:
        problems.append(Problem("too_many", at or name, params={"limit": RANGES_LIMIT}))
        return found
    for text in lines:
        key, colon, value = (part.strip() for part in text.partition(":"))
        key = key.lower().replace(" ", "_").replace("-", "_")
        if not (colon and key and value):
            problems.append(Problem("malformed_line", at or name, params={"text": text.strip()[:80]}))
        elif key in found:
            problems.append(Problem("repeated", at or name))
        else:
            found[key] = value
    return found


def _draws(form: MultiDict[str, str]) -> dict[str, str]:
    return {
        name.removeprefix("draw-"): text.strip()
        for name, text in form.items()
        if name.startswith("draw-") and text.strip()
    }


def _listed(text: str, name: str, problems: list[Problem]) -> list[str]:
    written = _bounded(text, name, problems)
    return [part.strip() for part in _LISTED.split(written) if part.strip()]


def _bounded(text: str, name: str, problems: list[Problem]) -> str:
    """The text; none of what is too long, or everything that is wrong in it would be told line by line."""
    if len(text) <= NOTES_LIMIT:
        return text
    problems.append(Problem("text_too_long", name, params={"limit": NOTES_LIMIT, "length": len(text)}))
    return ""


def _slug(text: str) -> str:
    return text.lower().replace(" ", "-")


def _need(form: MultiDict[str, str], row: int, problems: list[Problem]) -> dict[str, Any]:
    """One row as the file has it; nothing for a row in which nothing was typed."""
    kind, _colon, slug = form.get(f"need-{row}-what", "").partition(":")
    at = f"needs.{row}"
    capabilities = _lines(form, f"need-{row}-capabilities", problems, f"{at}.capabilities")
    need: dict[str, Any] = {}
    if kind in ("equipment", "category") and slug:
        need[kind] = slug
    if capabilities:
        need["capabilities"] = capabilities
    for key in ("count", "places"):
        text = form.get(f"need-{row}-{key}", "").strip()
        if text in ("", "1"):
            continue
        if text.isascii() and text.isdecimal() and len(text) < 6:
            need[key] = int(text)
        else:
            problems.append(Problem("bad_number", f"{at}.{key}", params={"value": text[:40]}))
    if f"need-{row}-whole" in form:
        need["whole"] = True
    return need


def _put_need(form: MultiDict[str, str], row: int, need: NeedView) -> None:
    form[f"need-{row}-what"] = (
        f"equipment:{need.equipment}" if need.equipment else f"category:{need.category}"
    )
    _put_all(form, f"need-{row}-capabilities", _written(need.capabilities))
    form[f"need-{row}-count"], form[f"need-{row}-places"] = str(need.count), str(need.places)
    if need.whole:
        form[f"need-{row}-whole"] = "1"


def _put_all(form: MultiDict[str, str], name: str, values: Sequence[str]) -> None:
    for value in values:
        form.add(name, value)


def _written(ranges: Mapping[str, str]) -> list[str]:
    return [f"{name.replace('_', ' ')}: {text}" for name, text in ranges.items()]


def _shown(seconds: int | None) -> str:
    if seconds is None:
        return ""
    return duration(seconds) if seconds else "0"
