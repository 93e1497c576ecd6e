"""On which line of a TOML document each key and element stands, which ``tomllib`` doesn't tell.

Reads only documents that ``tomllib`` has taken, so it need not check anything itself.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping

Path = tuple[str | int, ...]

_SKIP = re.compile(r"(?:[\s,]+|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL = re.compile(r"'[^'\n]*'")
_LONG_BASIC = re.compile(r'"""(?:[^\\]|\\.)*?"""(?:"{1,2}(?!"))?', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''.*?'''(?:'{1,2}(?!'))?", re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def lines_of(text: str) -> Mapping[Path, int]:
    """Path -> line, from 1. ``("equipment", 0, "slot", "grid")`` is the grid of the first piece."""
    return _Scanner(text.replace("\r\n", "\n")).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.breaks = [m.start() for m in re.finditer("\n", text)]
        self.lines: dict[Path, int] = {}
        self.arrays: dict[Path, int] = {}  # arrays of tables: path -> how many there are so far

    def scan(self) -> Mapping[Path, int]:
        table: Path = ()
        while self._skip(_SKIP) < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self.lines

    def _header(self) -> Path:
        line, many = self._line(), self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        path: Path = ()
        keys = self._keys()
        for key in keys[:-1]:
            path = self._latest((*path, key))
        path = (*path, keys[-1])
        self.at = self.text.index("]", self.at) + (2 if many else 1)
        if many:
            count = self.arrays.get(path, 0)
            self.arrays[path] = count + 1
            self.lines.setdefault(path, line)
            path = (*path, count)
        self.lines.setdefault(path, line)
        return path

    def _latest(self, path: Path) -> Path:
        return (*path, self.arrays[path] - 1) if path in self.arrays else path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self.at = self.text.index("=", self.at) + 1
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip(_BLANK)
        opening = self.text[self.at]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        elif self.text.startswith('"""', self.at):
            self._skip(_LONG_BASIC)
        elif self.text.startswith("'''", self.at):
            self._skip(_LONG_LITERAL)
        else:
            self._skip({'"': _BASIC, "'": _LITERAL}.get(opening, _SCALAR))

    def _array(self, path: Path) -> None:
        self.at += 1
        index = 0
        while self.text[self._skip(_SKIP)] != "]":
            self.lines[(*path, index)] = self._line()
            self._value((*path, index))
            index += 1
        self.at += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while self.text[self._skip(_SKIP)] != "}":
            self._pair(path)
        self.at += 1

    def _keys(self) -> list[str]:
        keys = [self._key()]
        while self.text[self._skip(_BLANK)] == ".":
            self.at += 1
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        start = self._skip(_BLANK)
        quoted = {'"': _BASIC, "'": _LITERAL}.get(self.text[start])
        raw = self.text[start : self._skip(quoted or _BARE)]
        return str(tomllib.loads(f"key = {raw}")["key"]) if quoted else raw

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    def _line(self) -> int:
        return bisect_right(self.breaks, self.at - 1) + 1
