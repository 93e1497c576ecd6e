"""Reading one table of a catalogue file key by key: what is wrong is noted, and reading goes on."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, datetime
from typing import Any, TypeVar

from labbook.domain.capability import QuantityError, StoredRange
from labbook.domain.durations import DurationError, parse_duration
from labbook.domain.words import NOTES_LIMIT, TITLE_LIMIT, text_problems
from labbook.formats.catalogue_entries import Fault
from labbook.formats.toml_lines import Path

T = TypeVar("T")

LANGUAGES = ("en", "da", "de")
PLACES_LIMIT = 1000
RANGES_LIMIT = 100

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
_CAPABILITY = re.compile(r"[a-z][a-z0-9_]{0,62}")

_TYPES: Mapping[type, str] = {
    str: "text",
    int: "whole_number",
    bool: "truth",
    list: "list",
    dict: "object",
    date: "date",
}


class Report:
    """The faults found so far, each at its line."""

    def __init__(self, lines: Mapping[Path, int]) -> None:
        self.lines = lines
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []

    def line(self, path: Path) -> int:
        """The line of the path, or of the innermost part of it that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def add(self, path: Path, label: str, code: str, /, **params: Any) -> None:
        self.faults.append(Fault(self.line(path), label, code, params, path))

    def warn(self, path: Path, label: str, code: str, /, **params: Any) -> None:
        self.warnings.append(Fault(self.line(path), label, code, params, path))


class Table:
    """``within`` names the entry and the keys above: ``equipment "chamber-1": slot``."""

    def __init__(self, report: Report, path: Path, values: Mapping[str, Any], within: str) -> None:
        self.report = report
        self.path = path
        self.values = values
        self.within = within
        self.asked: set[str] = set()

    @property
    def line(self) -> int:
        return self.report.line(self.path)

    def label(self, *keys: str | int) -> str:
        written = ".".join(str(k) for k in keys)
        if not written:
            return self.within
        separator = "." if ": " in self.within else ": "
        return f"{self.within}{separator}{written}" if self.within else written

    def wrong(self, key: str | int, code: str, /, **params: Any) -> None:
        self.report.add((*self.path, key), self.label(key), code, **params)

    def missing(self, key: str) -> None:
        self.wrong(key, "key_missing", key=key)

    def get(self, key: str, kind: type[T]) -> T | None:
        """The value if there is one of that very type (``true`` is no number)."""
        self.asked.add(key)
        value = self.values.get(key)
        if value is None:
            return None
        if type(value) is not kind:
            self.wrong(key, "wrong_type", expected=_TYPES[kind])
            return None
        return value

    def text(self, key: str, *, limit: int = TITLE_LIMIT, required: bool = False) -> str:
        value = self.get(key, str)
        if value is None:
            if required and key not in self.values:
                self.missing(key)
            return ""
        return value.strip() if self._sound(key, value, limit, required=True) else ""

    def _sound(self, key: str | int, value: str, limit: int, *, required: bool) -> bool:
        problems = text_problems(value, "", limit=limit, required=required, lines=limit > TITLE_LIMIT)
        for problem in problems:
            self.wrong(key, problem.code, **problem.params)
        return not problems

    def slug(self, key: str, *, required: bool = False) -> str:
        value = self.get(key, str)
        if value is None:
            if required and key not in self.values:
                self.missing(key)
            return ""
        return value if self.is_slug(key, value) else ""

    def is_slug(self, key: str | int, value: str) -> bool:
        if _SLUG.fullmatch(value):
            return True
        self.wrong(key, "not_a_slug", text=value[:80])
        return False

    def name(self, key: str, *, limit: int = TITLE_LIMIT, required: bool = False) -> dict[str, str]:
        """A string, or one for each language."""
        value = self.values.get(key)
        if isinstance(value, dict):
            names = self.table(key)
            assert names is not None
            found = {each: names.text(each, limit=limit) for each in LANGUAGES if each in value}
            names.finish(LANGUAGES)
            if not value:
                self.missing(key)
            return found
        if value is not None and not isinstance(value, str):
            self.asked.add(key)
            self.wrong(key, "wrong_type", expected="name")
            return {}
        found_text = self.text(key, limit=limit, required=required)
        return {"en": found_text} if found_text else {}

    def description(self, key: str) -> dict[str, str]:
        return self.name(key, limit=NOTES_LIMIT)

    def truth(self, key: str) -> bool:
        return bool(self.get(key, bool))

    def integer(self, key: str, default: int, *, low: int = 1, high: int = PLACES_LIMIT) -> int:
        value = self.get(key, int)
        if value is None:
            return default
        if not low <= value <= high:
            self.wrong(key, "out_of_bounds", low=low, high=high)
            return default
        return value

    def choice(self, key: str, choices: Collection[str], default: str) -> str:
        value = self.get(key, str)
        if value is None:
            return default
        if value not in choices:
            self.wrong(key, "not_one_of", choices=list(choices))
            return default
        return value

    def seconds(self, key: str, default: int | None) -> int | None:
        value = self.get(key, str)
        if value is None:
            return default
        try:
            return int(parse_duration(value).total_seconds())
        except DurationError as error:
            self.wrong(key, error.code, **error.params)
            return default

    def day(self, key: str) -> date | None:
        if isinstance(self.values.get(key), datetime):
            self.asked.add(key)
            self.wrong(key, "wrong_type", expected="date")
            return None
        return self.get(key, date)

    def table(self, key: str) -> Table | None:
        value = self.get(key, dict)
        if value is None:
            return None
        return Table(self.report, (*self.path, key), value, self.label(key))

    def tables(self, key: str) -> Iterator[Table]:
        for index, value in enumerate(self.get(key, list) or ()):
            path = (*self.path, key, index)
            if isinstance(value, dict):
                yield Table(self.report, path, value, self.label(f"{key}[{index}]"))
            else:
                self.report.add(path, self.label(f"{key}[{index}]"), "wrong_type", expected="object")

    def texts(self, key: str) -> Iterator[tuple[int, str]]:
        """The elements of a list of texts, each with its index; repeated ones are wrong."""
        seen: set[str] = set()
        for index, value in enumerate(self.get(key, list) or ()):
            if not isinstance(value, str):
                self.element_wrong(key, index, "wrong_type", expected="text")
            elif value in seen:
                self.element_wrong(key, index, "repeated")
            else:
                seen.add(value)
                yield index, value

    def element_wrong(self, key: str, index: int, code: str, /, **params: Any) -> None:
        self.report.add((*self.path, key, index), self.label(f"{key}[{index}]"), code, **params)

    def slugs(self, key: str) -> list[str]:
        found = []
        for index, value in self.texts(key):
            if _SLUG.fullmatch(value):
                found.append(value)
            else:
                self.element_wrong(key, index, "not_a_slug", text=value[:80])
        return found

    def ranges(self, key: str, parse: Callable[[str], Any]) -> dict[str, StoredRange]:
        """A table of quantities by the capability's name."""
        table = self.table(key)
        found: dict[str, StoredRange] = {}
        if table is not None and len(table.values) > RANGES_LIMIT:
            # A recipe is read with each list that it stands in.
            self.wrong(key, "too_many", limit=RANGES_LIMIT)
            return found
        for name in table.values if table else ():
            assert table is not None
            text = table.get(name, str)
            if not _CAPABILITY.fullmatch(name):
                table.wrong(name, "not_a_capability", text=name[:80])
            elif text is not None:
                try:
                    found[name] = parse(text).stored()
                except QuantityError as error:
                    table.wrong(name, error.code, **error.params)
        return found

    def finish(self, known: Collection[str] = ()) -> None:
        """Whatever nobody asked for is a mistake, most often of spelling."""
        expected = self.asked | set(known)
        for key in self.values:
            if key not in expected:
                self.unknown(key, "key", key, expected)

    def unknown(self, key: str | int, noun: str, value: str, known: Collection[str]) -> None:
        """``value`` is not among the ``known``: say so, with the one that was probably meant."""
        meant = nearest(value, known)
        if meant is None:
            self.wrong(key, f"unknown_{noun}", **{noun: value[:80]})
        else:
            self.wrong(key, f"unknown_{noun}_meant", meant=meant, **{noun: value[:80]})


def nearest(word: str, words: Collection[str]) -> str | None:
    """The one that was probably meant."""
    return next(iter(difflib.get_close_matches(word.lower(), sorted(words), 1)), None)
