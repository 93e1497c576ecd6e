"""Calendars as they were last rendered, so that an unchanged one costs no rendering."""

from __future__ import annotations

import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from threading import Lock

_REMEMBERED_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class RenderedFeed:
    """A calendar's bytes; ``modified`` is the whole second since which they are known to be these."""

    content: bytes
    modified: datetime
    stamp: Hashable

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def compressed(self) -> bytes:
        return gzip.compress(self.content, 6, mtime=0)


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

    def put(self, key: Hashable, content: bytes, stamp: Hashable, now: datetime) -> RenderedFeed:
        """Remember ``content`` as what holds for ``stamp``.

        ``modified`` moves only when the bytes do, and then always forward: the newest entry's change
        would not, since an entry that leaves the calendar takes its own date with it.
        """
        modified = now.replace(microsecond=0)
        with self._lock:
            before = self._rendered.pop(key, None)
            if before is not None:
                self._held -= len(before.content)
                if before.content == content:
                    content, modified = before.content, before.modified
                else:
                    modified = max(modified, before.modified + timedelta(seconds=1))
            rendered = RenderedFeed(content, modified, stamp)
            self._rendered[key] = rendered
            self._held += len(content)
            while self._held > self._limit and len(self._rendered) > 1:
                self._held -= len(self._rendered.popitem(last=False)[1].content)
        return rendered
