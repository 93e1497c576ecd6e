"""Half-open intervals of aware instants, ``[start, end)``, and the sets they form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, order=True, slots=True)
class Interval:
    """``[start, end)``; both aware, ``start < end``. Raises ``ValueError`` otherwise."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("an interval needs aware instants")
        if self.end <= self.start:
            raise ValueError("an interval ends after it starts")

    @property
    def duration(self) -> timedelta:
        return self.end - self.start

    def overlaps(self, other: Interval) -> bool:
        return self.start < other.end and other.start < self.end

    def contains(self, other: Interval) -> bool:
        return self.start <= other.start and other.end <= self.end

    def has(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def widened(self, before: timedelta, after: timedelta) -> Interval:
        return Interval(self.start - before, self.end + after)


def intersect(one: Interval, other: Interval) -> Interval | None:
    start, end = max(one.start, other.start), min(one.end, other.end)
    return Interval(start, end) if start < end else None


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """The same instants as disjoint intervals in order; what touches is joined."""
    merged: list[Interval] = []
    for each in sorted(intervals):
        if merged and each.start <= merged[-1].end:
            if each.end > merged[-1].end:
                merged[-1] = Interval(merged[-1].start, each.end)
        else:
            merged.append(each)
    return merged


def subtract(whole: Interval, holes: Iterable[Interval]) -> list[Interval]:
    """What is left of ``whole`` outside all ``holes``, in order."""
    left: list[Interval] = []
    at = whole.start
    for hole in merge(holes):
        if hole.end <= at:
            continue
        if hole.start >= whole.end:
            break
        if hole.start > at:
            left.append(Interval(at, hole.start))
        at = hole.end
    if at < whole.end:
        left.append(Interval(at, whole.end))
    return left


def covered(whole: Interval, by: Iterable[Interval]) -> bool:
    """Whether every instant of ``whole`` lies in one of ``by``."""
    return not subtract(whole, by)
