"""Bodies and queries: every field read into a typed value, everything that is wrong with them at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import orjson
from werkzeug.datastructures import MultiDict

from labbook.api.problems import Malformed
from labbook.domain.durations import DurationError, parse_duration
from labbook.domain.errors import Problem, Refused

T = TypeVar("T")

_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(?P<offset>[Zz]|[+-]\d\d:\d\d)?", re.ASCII
)
_REPEATABLE = frozenset({"capability", "need"})
_UNPRINTABLE = re.compile("[\ud800-\udfff\0]")


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a body; an empty body is an empty object. Raises ``Malformed``."""
    if not body.strip():
        return {}
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise Malformed("The body must be a JSON object.")
    return found


class Reader:
    """Takes fields out of a body one by one; ``problems`` grows with everything that cannot be read.

    A field that is there and null counts as one that is not there, unless ``cleared`` is asked.
    """

    def __init__(self, values: Mapping[str, Any], *, within: str = "") -> None:
        self.values = values
        self.within = within
        self.problems: list[Problem] = []
        self._known: set[str] = set()

    def has(self, name: str) -> bool:
        return self.values.get(name) is not None

    def cleared(self, name: str) -> bool:
        """There, and explicitly null."""
        return name in self.values and self.values[name] is None

    def text(self, name: str) -> str | None:
        found = self._typed(name, str, "text")
        if found is not None and "\0" in found:
            self.problem("control_characters", name)
            return None
        return found

    def flag(self, name: str) -> bool:
        return self._typed(name, bool, "truth") or False

    def whole(self, name: str, default: int, *, least: int = 1, most: int = 10_000) -> int:
        found = self._typed(name, int, "whole_number")
        if found is None:
            return default
        if not least <= found <= most:
            self.problem("out_of_bounds", name, low=least, high=most)
            return default
        return found

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        found = self.text(name)
        if found is not None and found not in choices:
            self.problem("not_one_of", name, choices=sorted(choices))
            return None
        return found

    def instant(self, name: str, *, required: bool = False) -> datetime | None:
        found = self.text(name)
        if found is None:
            if required and not self.has(name):
                self.problem("missing", name)
            return None
        at = read_instant(found)
        if isinstance(at, str):
            self.problem(at, name)
            return None
        return at

    def duration(self, name: str) -> timedelta | None:
        """An exact ISO 8601 duration, ``PT168H``."""
        found = self.text(name)
        if found is None:
            return None
        try:
            return parse_duration(found)
        except DurationError as error:
            self.problem(error.code, name, text=error.params["text"][:80])
            return None

    def texts(self, name: str, *, limit: int) -> tuple[str, ...] | None:
        """A list of strings, without repetitions."""
        found = self._list(name, limit)
        if found is None:
            return None
        if not all(isinstance(each, str) for each in found):
            self.problem("wrong_type", name, expected="text")
            return None
        if any("\0" in each for each in found):
            self.problem("control_characters", name)
            return None
        return tuple(dict.fromkeys(found))

    def objects(self, name: str, read: Callable[[Reader], T | None], *, limit: int) -> list[T] | None:
        """A list of objects, each read by ``read``."""
        found = self._list(name, limit)
        if found is None:
            return None
        made = []
        for index, each in enumerate(found):
            if not isinstance(each, dict):
                self.problem("wrong_type", f"{name}.{index}", expected="object")
                continue
            inner = Reader(each, within=f"{self.within}{name}.{index}.")
            one = read(inner)
            inner.done()
            self.problems += inner.problems
            if one is not None:
                made.append(one)
        return made

    def texts_by_name(self, name: str, *, limit: int) -> dict[str, str | None] | None:
        """An object of strings; null is told from what is not there."""
        found: dict[str, Any] | None = self._typed(name, dict, "object")
        if found is None:
            return None
        if len(found) > limit:
            self.problem("too_many", name, limit=limit)
            return None
        if any(
            _UNPRINTABLE.search(each) for each in (*found, *filter(None, found.values())) if type(each) is str
        ):
            self.problem("control_characters", name)
            return None
        for key, value in found.items():
            if value is not None and type(value) is not str:
                self.problem("wrong_type", f"{name}.{key[:100]}", expected="text")
        return found

    def done(self) -> None:
        """Whatever was not asked for is not known here."""
        for name in sorted(set(self.values) - self._known):
            self.problem("unknown_field", name[:100] if _UNPRINTABLE.search(name) is None else "?")

    def problem(self, code: str, name: str, **params: Any) -> None:
        self.problems.append(Problem(code, self.within + name, params=params))

    def skip(self, *names: str) -> None:
        """Known, and read elsewhere."""
        self._known.update(names)

    def _typed(self, name: str, kind: type[T], expected: str) -> T | None:
        self._known.add(name)
        found = self.values.get(name)
        if found is None:
            return None
        if type(found) is not kind:  # a bool is an int to isinstance
            self.problem("wrong_type", name, expected=expected)
            return None
        return found

    def _list(self, name: str, limit: int) -> list[Any] | None:
        found: list[Any] | None = self._typed(name, list, "list")
        if found is not None and len(found) > limit:
            self.problem("too_many", name, limit=limit)
            return None
        return found


class Query:
    """The same for what stands behind the question mark, where everything is text."""

    def __init__(self, args: MultiDict[str, str], known: Collection[str]) -> None:
        self.args = args
        self.problems: list[Problem] = []
        for name in sorted(set(args)):
            if name not in known:
                self.problems.append(Problem("unknown_field", name[:100]))
            elif len(args.getlist(name)) > 1 and name not in _REPEATABLE:
                self.problems.append(Problem("repeated", name))

    def text(self, name: str, limit: int = 200) -> str | None:
        found = self.args.get(name) or None
        if found is None:
            return None
        if len(found) > limit:
            self._problem("text_too_long", name, limit=limit, length=len(found))
            return None
        if _UNPRINTABLE.search(found):
            self._problem("control_characters", name)
            return None
        return found

    def listed(self, name: str, limit: int = 200) -> tuple[str, ...]:
        """Slugs with commas between them."""
        text = self.text(name, limit=100 * limit)
        found = tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))
        if len(found) > limit:
            self._problem("too_many", name, limit=limit)
            return ()
        return found

    def instant(self, name: str, *, required: bool = False) -> datetime | None:
        # A plus sign that was not encoded arrives as a space.
        text = (self.text(name) or "").replace(" ", "+")
        if not text:
            if required and not any(p.field == name for p in self.problems):
                self._problem("missing", name)
            return None
        at = read_instant(text)
        if isinstance(at, str):
            self._problem(at, name)
            return None
        return at

    def flag(self, name: str) -> bool:
        text = self.text(name)
        if text not in (None, "true", "false"):
            self._problem("wrong_type", name, expected="truth")
        return text == "true"

    def whole(self, name: str, default: int, *, most: int) -> int:
        text = self.text(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= most):
            self._problem("out_of_bounds", name, low=1, high=most)
            return default
        return int(text)

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        found = self.text(name)
        if found is not None and found not in choices:
            self._problem("not_one_of", name, choices=sorted(choices))
            return None
        return found

    def window(self, *, required: bool = True) -> tuple[datetime | None, datetime | None]:
        """``from`` and ``to``, the latter the later one."""
        since, until = self.instant("from", required=required), self.instant("to", required=required)
        if since is not None and until is not None and until <= since:
            self._problem("end_before_start", "to", start=since, end=until)
        return since, until

    def settle(self) -> None:
        """Raise ``Refused`` when anything was wrong."""
        if self.problems:
            raise Refused(self.problems)

    def _problem(self, code: str, name: str, **params: Any) -> None:
        self.problems.append(Problem(code, name, params=params))


def read_instant(text: str) -> datetime | str:
    """An RFC 3339 instant in UTC, or the code of what is wrong with it."""
    match = _RFC_3339.fullmatch(text)
    if match is None:
        return "not_an_instant"
    if match["offset"] is None:
        return "naive_time"
    try:
        return datetime.fromisoformat(text.upper().replace(" ", "T")).astimezone(UTC)
    except (ValueError, OverflowError):
        return "not_an_instant"


def refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise Refused(problems)
