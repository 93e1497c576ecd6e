"""Calendars as they were last rendered, so that an unchanged one costs no rendering."""

from __future__ import annotations

import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from threading import Lock
from typing import Any

_REMEMBERED_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class RenderedFeed:
    """A calendar's bytes; ``modified`` is the whole second since which they are known to be these.

    They hold while either is the same: ``stamp``, which is quickly found and counts too much, or ``mark``,
    which is of what the subscriber sees.
    """

    content: bytes
    modified: datetime
    stamp: Hashable
    mark: Hashable

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def compressed(self) -> bytes:
        return gzip.compress(self.content, 6, mtime=0)

    def still(self, stamp: Hashable, mark: Hashable) -> RenderedFeed:
        """The same bytes, with what was already made of them, for a later stamp."""
        later = replace(self, stamp=stamp, mark=mark)
        made: dict[str, Any] = {
            name: self.__dict__[name] for name in ("digest", "compressed") if name in self.__dict__
        }
        later.__dict__.update(made)
        return later


class FeedCache:
    """Bounded by the bytes held; the one not asked for longest goes first. Safe between threads."""

    def __init__(self, limit: int = _REMEMBERED_BYTES) -> None:
        self._limit = limit
        self._held = 0
        self._rendered: OrderedDict[Hashable, RenderedFeed] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> RenderedFeed | None:
        with self._lock:
            if key in self._rendered:
                self._rendered.move_to_end(key)
            return self._rendered.get(key)

    def put(
        self, key: Hashable, content: bytes, stamp: Hashable, mark: Hashable, now: datetime
    ) -> RenderedFeed:
        """Remember ``content`` as what holds for ``stamp``.

        ``modified`` moves only when the bytes do, and then always forward: the newest entry's change
        would not, since an entry that leaves the calendar takes its own date with it.
        """
        modified = now.replace(microsecond=0)
        with self._lock:
            before = self._rendered.pop(key, None)
            if before is not None:
                self._held -= len(before.content)
            if before is not None and before.content == content:
                rendered = before.still(stamp, mark)
            else:
                if before is not None:
                    modified = max(modified, before.modified + timedelta(seconds=1))
                rendered = RenderedFeed(content, modified, stamp, mark)
            self._rendered[key] = rendered
            self._held += len(content)
            while self._held > self._limit and len(self._rendered) > 1:
                self._held -= len(self._rendered.popitem(last=False)[1].content)
        return rendered
