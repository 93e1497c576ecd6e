"""The next time that everything asked for is free: what a refusal offers instead, by the exact search."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from labbook.domain.errors import Refused
from labbook.domain.interval import Interval
from labbook.services import slot_search
from labbook.services.commands import Wanted
from labbook.services.slot_search import FindSlots

AHEAD = timedelta(days=60)


def next_free(
    session: Session,
    wanted: Sequence[Wanted],
    start: datetime,
    length: timedelta,
    *,
    now: datetime,
    until: datetime | None = None,
    empty: bool = False,
) -> Interval | None:
    """The first period of this length at or after ``start`` in which all pieces may be had, whoever asks.

    None when nothing is found within ``AHEAD``. ``until``: it must be over by then, and all of the time
    until then is looked at. ``empty``: as if nothing were booked.
    """
    if not wanted or length <= timedelta(0):
        return None
    within = until or start + AHEAD + length
    asked = FindSlots(length, start, within, equipment=tuple(wanted), limit=1, empty=empty)
    found = _found(session, asked, now)
    return found[0] if found else None


def offers(
    session: Session,
    wanted: Sequence[Wanted],
    start: datetime,
    length: timedelta,
    *,
    now: datetime,
    count: int = 3,
) -> list[Interval]:
    """The next such period, and those of the days after, near the same time of day."""
    found: list[Interval] = []
    while len(found) < count:
        after = start
        while found and after < found[-1].end:
            after += timedelta(days=1)
        each = next_free(session, wanted, after, length, now=now)
        if each is None:
            break
        found.append(each)
    return found


def _found(session: Session, asked: FindSlots, now: datetime) -> list[Interval]:
    try:
        return [slot.use for slot in slot_search.find(session, asked, viewer=None, now=now).slots]
    except Refused:  # pieces that are not there, of several facilities, or more time than there is
        return []
