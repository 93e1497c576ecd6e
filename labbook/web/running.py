"""The clock of a long test as its page shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from labbook.services.reservation_views import ReservationView
from labbook.services.visit_views import LongTestView, VisitView
from labbook.web import fields, keeping

WIDTH = 1000
"""How wide the bar is in its own units."""


@dataclass(frozen=True)
class Mark:
    """A read-out on the bar: ``x`` in its units, and what has become of it."""

    x: int
    state: str


@dataclass(frozen=True)
class Shown:
    """``moves``: the fields of each form that moves a visit; ``opened``: whose form is shown again."""

    test: LongTestView
    filled: int
    marks: Sequence[Mark]
    moves: Mapping[str, Mapping[str, str]]
    expected: Mapping[str, str]
    opened: str


def shown(view: ReservationView, kept: keeping.Typed | None, now: datetime) -> Shown | None:
    """None for what is neither long nor visited."""
    test = view.long_test
    if test is None:
        return None
    zone = ZoneInfo(view.zone)
    planned, accrued = test.planned(now), test.accrued(now)
    whole = max(planned, accrued)
    return Shown(
        test=test,
        filled=round(WIDTH * (accrued / whole)) if whole else 0,
        marks=[
            Mark(round(WIDTH * (each.after / whole)), state(each, now))
            for each in test.visits
            if each.after is not None and each.dropped_at is None and whole
        ],
        moves={
            each.id: fields.wall_fields("at", each.start, zone) for each in test.visits if each.is_pending
        },
        expected=fields.wall_fields("at", test.expected_end, zone),
        opened=_opened(kept),
    )


def state(visit: VisitView, now: datetime) -> str:
    """One word for it, which is also how it is drawn."""
    if visit.dropped_at is not None:
        return "dropped"
    if visit.done_at is not None:
        return "done"
    if not visit.laid:
        return "unlaid"
    if visit.waits:
        return "waits"
    return "overdue" if visit.is_overdue(now) else "planned"


def _opened(kept: keeping.Typed | None) -> str:
    parts = kept.path.split("/") if kept else []
    return parts[-2] if "visits" in parts[:-1] else ""
