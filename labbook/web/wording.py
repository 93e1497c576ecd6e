"""Problems and conflicts as the reader is told them: names for slugs, the lab's clock for instants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from flask_babel import lazy_gettext as _l

from labbook.domain.errors import Conflict, Problem
from labbook.formats import moments, wording
from labbook.formats.words import localised
from labbook.web.formatting import locale_code

LABELS = {
    "activity": _l("Activity"),
    "ambient": _l("Ambient"),
    "description": _l("Description"),
    "name": _l("Name"),
    "name.en": _l("Name"),
    "needs": _l("Needs"),
    "on_call": _l("Whom to call"),
    "qualifications": _l("Training"),
    "readouts": _l("Read-outs"),
    "safe_state": _l("Falls into"),
    "slug": _l("Short name"),
    "after": _l("Hours of running"),
    "at": _l("When"),
    "cause": _l("Cause"),
    "duration": _l("Duration"),
    "deputy": _l("Deputy"),
    "end": _l("End"),
    "environment": _l("Test environment"),
    "equipment": _l("Equipment"),
    "expected_end": _l("Expected end"),
    "holder": _l("Holder"),
    "matter": _l("What you notice"),
    "length": _l("Length"),
    "note": _l("Note"),
    "notes": _l("Notes"),
    "participants": _l("Participants"),
    "project": _l("Project"),
    "reason": _l("Reason"),
    "severity": _l("How bad it is"),
    "start": _l("Start"),
    "text": _l("Message"),
    "title": _l("Title"),
    "to": _l("New holder"),
    "until": _l("Until"),
    "words": _l("Your words"),
}
"""What a field is called where its problem stands apart from it."""

Names = Mapping[str, Mapping[str, str]]


def sentences(problems: Sequence[Problem], zone: str, names: Names | None = None) -> list[str]:
    return [sentence(problem, zone, names) for problem in problems]


def sentence(problem: Problem, zone: str = "UTC", names: Names | None = None) -> str:
    locale = locale_code()
    shown = {key: _shown(value, locale, zone, names or {}) for key, value in problem.params.items()}
    return wording.sentence(problem.code, shown, locale)


def named(conflicts: Sequence[Conflict], names: Names) -> list[Conflict]:
    """The same with names in place of slugs."""
    locale = locale_code()
    return [
        replace(c, equipment=localised(names[c.equipment], locale) if c.equipment in names else c.equipment)
        for c in conflicts
    ]


def beside(
    problems: Sequence[Problem], field: str, zone: str = "UTC", names: Names | None = None
) -> list[str]:
    """What belongs beside one field."""
    return sentences([p for p in problems if p.field == field and p.weight == "blocking"], zone, names)


def _shown(value: Any, locale: str, zone: str, names: Names) -> Any:
    match value:
        case datetime():
            return moments.moment(value, ZoneInfo(zone), locale)
        case date():
            return moments.day(value, ZoneInfo(zone), locale, year=True)
        case timedelta():
            return moments.duration(value, locale)
        case str() if value in names:
            return localised(names[value], locale)
        case _:
            return value


def label(field: str | None) -> str:
    """What the field of a problem is called; nothing where that goes without saying."""
    return str(LABELS.get(field or "", ""))


def named_sentences(problems: Sequence[Problem], zone: str = "UTC") -> list[str]:
    """Each with the name of its field, where they all stand in one place."""
    said = [(label(problem.field), sentence(problem, zone)) for problem in problems]
    return [f"{name}: {text}" if name else text for name, text in said]


def register(app: Flask) -> None:
    app.jinja_env.globals.update(
        field_label=label,
        sentences_of=named_sentences,
        problem_sentence=sentence,
        problems_beside=beside,
        conflicts_named=named,
    )
