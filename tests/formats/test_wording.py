from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import labbook
from labbook.formats.wording import SENTENCES, sentence
from labbook.formats.words import humanised

PACKAGE = Path(labbook.__file__).parent


def problem_codes() -> Iterator[tuple[str, str]]:
    """Every code that a ``Problem`` is made with, and where."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id == "Problem" and node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value), path.name


def test_every_problem_has_a_sentence() -> None:
    found = dict(problem_codes())
    assert len(found) > 40
    assert {code: where for code, where in found.items() if code not in SENTENCES} == {}


@pytest.mark.parametrize("code", sorted(SENTENCES))
def test_a_sentence_is_one(code: str) -> None:
    message = SENTENCES[code]
    assert message.endswith((".", "?"))
    fields = [name for _, name, _, _ in string.Formatter().parse(message) if name is not None]
    assert all(name.isidentifier() for name in fields)


def test_parameters_are_written_for_people() -> None:
    at = datetime(2026, 3, 24, 9, 0, tzinfo=UTC)
    assert sentence("too_early", {"earliest": at}) == "Checking in is possible from 2026-03-24 09:00 UTC."
    zone = ZoneInfo("Europe/Copenhagen")
    assert "2026-03-24 10:00" in sentence("too_early", {"earliest": at}, "en", zone)
    length = {"equipment": "scope", "longest": timedelta(hours=2, minutes=30)}
    assert sentence("too_long", length) == "scope is booked for 2 hours 30 minutes at most."
    assert "2026-04-30" in sentence("organisation_until", {"until": date(2026, 4, 30)})


def test_an_unknown_language_is_answered_in_english() -> None:
    assert sentence("missing", {}, "xx") == sentence("missing", {}, "en")


def test_kinds_and_categories_are_words_and_abbreviations_keep_their_capitals() -> None:
    assert (
        sentence("qualification_missing", {"qualification": "hv-dc"})
        == "The qualification “HV DC” is needed."
    )
    assert [humanised(code) for code in ("emi-receiver", "dc_voltage", "en-50191", "climate-chamber")] == [
        "EMI receiver",
        "DC voltage",
        "EN 50191",
        "climate chamber",
    ]
