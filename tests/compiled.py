"""What depends on the code alone is compiled once for all tests of a process, not for each test's app."""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any

from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule


class Templates(BytecodeCache):
    """Compiled templates by their name and source."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._found.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._found[bucket.key, bucket.checksum] = bucket.code


TEMPLATES = Templates()


def share_addresses() -> None:
    """What writes an address is compiled from its rule and nothing else; 150 rules are a third of an app."""
    made: dict[tuple[object, ...], Any] = {}
    make: Callable[[Rule, bool], Any] = Rule._compile_builder

    def shared(rule: Rule, append_unknown: bool = True) -> Any:
        key = rule.rule, tuple(rule._trace), repr(rule.defaults), append_unknown
        if key not in made:
            made[key] = make(rule, append_unknown)
        return made[key]

    Rule._compile_builder = shared  # type: ignore[method-assign]
