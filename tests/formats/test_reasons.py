from __future__ import annotations

import ast
import string
from pathlib import Path
from types import SimpleNamespace

import pytest

import labbook
from labbook.formats.reasons import THROUGHOUT, UNTIL, sentence
from tests.cast import NOW, ZONE

PACKAGE = Path(labbook.__file__).parent
NAMES = {"scope": {"en": "Scope"}}


def reasons() -> set[str]:
    """Every reason that the search and its service give."""
    found = set()
    for path in (*PACKAGE.glob("domain/slot*.py"), PACKAGE / "services/slot_search.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in ("Because", "Closed") and node.args and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
    return found


def test_every_reason_has_a_sentence() -> None:
    assert len(reasons()) >= 5
    assert reasons() - set(THROUGHOUT) == set()
    assert set(UNTIL) <= set(THROUGHOUT)


@pytest.mark.parametrize("message", [*UNTIL.values(), *THROUGHOUT.values()])
def test_a_sentence_is_one(message: str) -> None:
    assert message.endswith(".")
    assert all(name.isidentifier() for _, name, _, _ in string.Formatter().parse(message) if name)


def test_it_names_what_and_until_when_on_the_labs_clock() -> None:
    found = SimpleNamespace(reason="taken", equipment="scope", utility=None, need=None, until=NOW, params={})
    assert sentence(found, NAMES, "en", ZONE) == "Scope is taken until Mon 23 Mar, 09:00."
    found.until = None
    assert sentence(found, NAMES, "en", ZONE) == "Scope is taken for all of that time."
