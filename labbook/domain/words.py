"""What a text field may hold, the same on every channel."""

from __future__ import annotations

import unicodedata

from labbook.domain.errors import Problem

TITLE_LIMIT = 300
NOTES_LIMIT = 10_000


def text_problems(
    text: str, field: str, *, limit: int, required: bool = False, lines: bool = False
) -> list[Problem]:
    """Too long, empty where something is needed, control characters, lone surrogates: all at once.

    ``lines`` allows line breaks and tabs.
    """
    problems = []
    if required and not text.strip():
        problems.append(Problem("missing", field))
    if len(text) > limit:
        problems.append(Problem("text_too_long", field, params={"limit": limit, "length": len(text)}))
    allowed = "\n\r\t" if lines else ""
    if any(unicodedata.category(c) in ("Cc", "Cs") and c not in allowed for c in text):
        problems.append(Problem("control_characters", field))
    return problems
