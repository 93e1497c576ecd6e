"""Every promise checked again on what is stored, and not against the clock.

It trusts nothing that the guards should have kept: whether a row blocks is taken from its reservation's
status and not from its own column, and somebody who drops a trigger is found out by what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, String, and_, cast, func, literal, or_, select, text
from sqlalchemy.orm import Session, joinedload

from labbook.domain.reservation import BLOCKING, TRANSITIONS, Status, next_step
from labbook.domain.sharing import clash
from labbook.models import (
    Allocation,
    Change,
    Draw,
    EnvironmentVersion,
    Equipment,
    HistoryEntry,
    OutboxMessage,
    Piece,
    Place,
    Reservation,
    Utility,
    guards,
)
from labbook.services.reservations import CLOCK_COLUMNS, clock_of

_STEPS = {(t.source, t.target) for t in TRANSITIONS}
_PAGE = 2000


@dataclass(frozen=True)
class Breach:
    """A promise that does not hold; ``code`` and ``params`` become words where they are printed."""

    code: str
    params: dict[str, Any] = field(default_factory=dict)


def verify(session: Session) -> list[Breach]:
    """All breaches, on one snapshot of the data."""
    session.rollback()
    if session.get_bind().dialect.name == "postgresql":
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    checks = (
        _guards,
        _references,
        _overlaps,
        _budgets,
        _stated_draws,
        _ambients,
        _derived_blocking,
        _places,
        _occupied_spans,
        _open_changes,
        _histories,
        _due,
        _outbox,
    )
    try:
        return [breach for check in checks for breach in check(session)]
    finally:
        session.rollback()


def _is_blocking() -> ColumnElement[bool]:
    return Reservation.status.in_(sorted(BLOCKING))


def _guards(session: Session) -> Iterator[Breach]:
    connection = session.connection()
    missing = guards.missing(connection)
    for name in missing:
        yield Breach("guard_missing", {"guard": name})
    for name in guards.altered(connection):
        if name not in missing:
            yield Breach("guard_altered", {"guard": name})


def _references(session: Session) -> Iterator[Breach]:
    """SQLite keeps references only on connections that ask for it, and can be damaged on disk."""
    if session.get_bind().dialect.name != "sqlite":
        return
    for table, row_id, parent, _ in session.execute(text("PRAGMA foreign_key_check")):
        yield Breach("reference_broken", {"table": table, "row": row_id, "parent": parent})
    for (found,) in session.execute(text("PRAGMA quick_check")):
        if found != "ok":
            yield Breach("file_damaged", {"found": found})


def _overlaps(session: Session) -> Iterator[Breach]:
    """On each place, in order: nothing may begin before all before it has ended."""
    rows = session.execute(
        select(
            Allocation.place_id,
            Allocation.starts_at,
            Allocation.ends_at,
            Equipment.slug,
            Place.number,
            Reservation.public_id,
        )
        .join(Reservation, Allocation.reservation_id == Reservation.id)
        .join(Place, Allocation.place_id == Place.id)
        .join(Equipment, Place.equipment_id == Equipment.id)
        .where(_is_blocking())
        .order_by(Allocation.place_id, Allocation.starts_at, Allocation.id)
        .execution_options(yield_per=_PAGE)
    )
    for _, on_place in groupby(rows, key=lambda row: row.place_id):
        last = None
        for row in on_place:
            if last is not None and row.starts_at < last.ends_at:
                yield Breach(
                    "overlap",
                    {
                        "equipment": row.slug,
                        "place": row.number,
                        "one": last.public_id,
                        "other": row.public_id,
                        "start": row.starts_at,
                        "end": min(row.ends_at, last.ends_at),
                    },
                )
            if last is None or row.ends_at > last.ends_at:
                last = row


def _budgets(session: Session) -> Iterator[Breach]:
    """A sum over time changes at starts and ends only; what ends at an instant no longer counts there."""
    rows = session.execute(
        select(Draw.utility_id, Draw.starts_at, Draw.ends_at, Draw.amount)
        .join(Reservation, Draw.reservation_id == Reservation.id)
        .where(_is_blocking())
        .order_by(Draw.utility_id)
        .execution_options(yield_per=_PAGE)
    )
    utilities = {u.id: u for u in session.scalars(select(Utility))}
    for utility_id, draws in groupby(rows, key=lambda row: row.utility_id):
        utility = utilities[utility_id]
        changes: dict[datetime, int] = {}
        for draw in draws:
            changes[draw.starts_at] = changes.get(draw.starts_at, 0) + draw.amount
            changes[draw.ends_at] = changes.get(draw.ends_at, 0) - draw.amount
        total, over = 0, False
        for at in sorted(changes):
            total += changes[at]
            if total > utility.capacity and not over:
                params = {"utility": utility.slug, "at": at, "drawn": total, "capacity": utility.capacity}
                yield Breach("over_budget", params)
            over = total > utility.capacity


def _stated_draws(session: Session) -> Iterator[Breach]:
    """What a manager stated is what is drawn, and nothing where that is nothing."""
    rows = session.execute(
        select(Reservation.public_id, Reservation.draws_stated, Utility.slug, Draw.amount)
        .outerjoin(Draw, and_(Draw.reservation_id == Reservation.id, Draw.change_id.is_(None)))
        .outerjoin(Utility, Draw.utility_id == Utility.id)
        .where(_is_blocking(), cast(Reservation.draws_stated, String) != "{}")
        .order_by(Reservation.id)
        .execution_options(yield_per=_PAGE)
    )
    for public_id, group in groupby(rows, key=lambda row: row.public_id):
        of_it = list(group)
        for slug, stated in sorted(of_it[0].draws_stated.items()):
            drawn = sum(row.amount for row in of_it if row.slug == slug)
            if drawn != stated:
                params = {"reservation": public_id, "utility": slug, "stated": stated, "drawn": drawn}
                yield Breach("draws_differ", params)


def _ambients(session: Session) -> Iterator[Breach]:
    """On a piece that several share, one profile at a time; each pair that differs is told once."""
    rows = session.execute(
        select(
            Place.equipment_id,
            Equipment.slug,
            Equipment.capabilities,
            Allocation.starts_at,
            Allocation.ends_at,
            Reservation.public_id,
            func.coalesce(EnvironmentVersion.ambient, Reservation.ambient).label("ambient"),
        )
        .select_from(Allocation)
        .join(Reservation, Allocation.reservation_id == Reservation.id)
        .join(Place, Allocation.place_id == Place.id)
        .join(Equipment, Place.equipment_id == Equipment.id)
        .outerjoin(EnvironmentVersion, Reservation.environment_version_id == EnvironmentVersion.id)
        .where(_is_blocking(), Reservation.kind == "booking", Equipment.places > 1)
        .order_by(Place.equipment_id, Allocation.starts_at, Allocation.id)
        .execution_options(yield_per=_PAGE)
    )
    for _, on_it in groupby(rows, key=lambda row: row.equipment_id):
        there: list[Any] = []
        told: set[frozenset[str]] = set()
        for row in on_it:
            there = [other for other in there if row.starts_at < other.ends_at]
            for other in there:
                pair = frozenset((row.public_id, other.public_id))
                if len(pair) < 2 or pair in told:
                    continue
                if clash(row.capabilities, row.ambient, other.ambient) == "other_ambient":
                    told.add(pair)
                    params = {"equipment": row.slug, "one": other.public_id, "other": row.public_id}
                    yield Breach("other_ambient", params | {"start": row.starts_at})
            there.append(row)


def _derived_blocking(session: Session) -> Iterator[Breach]:
    for table in (Allocation, Draw):
        rows = session.execute(
            select(table.id, Reservation.public_id, Reservation.status)
            .join(Reservation, table.reservation_id == Reservation.id)
            .where(table.blocking != _is_blocking())
            .order_by(table.id)
        )
        for row_id, public_id, status in rows:
            params = {"table": table.__tablename__, "row": row_id, "reservation": public_id, "status": status}
            yield Breach("blocking_differs", params)


def _places(session: Session) -> Iterator[Breach]:
    """What blocks occupies, of every piece, exactly as many places as it says; and of nothing else."""
    own = and_(Allocation.reservation_id == Reservation.id, Allocation.change_id.is_(None))
    counted = (
        select(
            Reservation.id.label("reservation_id"),
            Place.equipment_id.label("equipment_id"),
            func.count(Allocation.place_id.distinct()).label("places"),
        )
        .join(Allocation, own)
        .join(Place, Allocation.place_id == Place.id)
        .where(_is_blocking())
        .group_by(Reservation.id, Place.equipment_id)
        .subquery()
    )
    matches = and_(
        counted.c.reservation_id == Piece.reservation_id, counted.c.equipment_id == Piece.equipment_id
    )
    found = func.coalesce(counted.c.places, 0)
    wrong = (
        select(Reservation.public_id, Equipment.slug, Piece.places, found)
        .select_from(Piece)
        .join(Reservation, Piece.reservation_id == Reservation.id)
        .join(Equipment, Piece.equipment_id == Equipment.id)
        .outerjoin(counted, matches)
        .where(_is_blocking(), found != Piece.places)
    )
    foreign = (
        select(Reservation.public_id, Equipment.slug, literal(0), counted.c.places)
        .select_from(counted)
        .join(Reservation, counted.c.reservation_id == Reservation.id)
        .join(Equipment, counted.c.equipment_id == Equipment.id)
        .outerjoin(Piece, matches)
        .where(Piece.reservation_id.is_(None))
    )
    empty = (
        select(Reservation.public_id, literal("-"), literal(1), literal(0))
        .outerjoin(Piece, Piece.reservation_id == Reservation.id)
        .where(_is_blocking(), Piece.reservation_id.is_(None))
    )
    for query in (wrong, foreign, empty):
        for public_id, slug, wanted, taken in session.execute(query):
            params = {"reservation": public_id, "equipment": slug, "wanted": wanted, "taken": taken}
            yield Breach("places_differ", params)


def _occupied_spans(session: Session) -> Iterator[Breach]:
    """What blocks occupies its use with set-up and tear-down, to the instant.

    Whoever checked in late took the places again from then on only.
    """
    first, last = func.min(Allocation.starts_at), func.max(Allocation.ends_at)
    rows = session.execute(
        select(Reservation.public_id)
        .join(Allocation, Allocation.reservation_id == Reservation.id)
        .where(_is_blocking(), Allocation.change_id.is_(None))
        .group_by(Reservation.id)
        .having(
            or_(
                last != Reservation.occupied_until,
                first < Reservation.occupied_from,
                and_(first > Reservation.occupied_from, Reservation.status != Status.IN_USE),
            )
        )
    )
    for (public_id,) in rows:
        yield Breach("span_differs", {"reservation": public_id})
    yield from _recipe_spans(session)


def _recipe_spans(session: Session) -> Iterator[Breach]:
    """Set-up and tear-down that an environment states are what was booked with it, until it is in use."""
    version = EnvironmentVersion
    rows = session.execute(
        select(
            Reservation.public_id,
            Reservation.occupied_from,
            Reservation.starts_at,
            Reservation.ends_at,
            Reservation.occupied_until,
            version.setup,
            version.teardown,
        )
        .join(version, Reservation.environment_version_id == version.id)
        .where(Reservation.status.in_((Status.REQUESTED, Status.APPROVED)))
        .order_by(Reservation.id)
    )
    for public_id, occupied_from, start, end, occupied_until, setup, teardown in rows:
        before, after = start - occupied_from, occupied_until - end
        if any(
            stated is not None and found != timedelta(seconds=stated)
            for found, stated in ((before, setup), (after, teardown))
        ):
            yield Breach("span_differs", {"reservation": public_id})


def _open_changes(session: Session) -> Iterator[Breach]:
    """A change is open only while its reservation lives, and holds something only while it is open."""
    stale = (
        select(Reservation.public_id)
        .join(Change, Change.reservation_id == Reservation.id)
        .where(Change.state == "open", ~_is_blocking())
    )
    for (public_id,) in session.execute(stale):
        yield Breach("change_outlives", {"reservation": public_id})
    for table in (Allocation, Draw):
        held = (
            select(Reservation.public_id)
            .join(table, table.reservation_id == Reservation.id)
            .join(Change, table.change_id == Change.id)
            .where(or_(Change.state != "open", Change.reservation_id != table.reservation_id))
            .distinct()
        )
        for (public_id,) in session.execute(held):
            yield Breach("change_holds", {"reservation": public_id})


def _histories(session: Session) -> Iterator[Breach]:
    """From the request on, each entry begins where the one before it ended, along the transition table."""
    rows = session.execute(
        select(
            Reservation.public_id,
            Reservation.status,
            HistoryEntry.action,
            HistoryEntry.old,
            HistoryEntry.new,
        )
        .outerjoin(HistoryEntry, HistoryEntry.reservation_id == Reservation.id)
        .order_by(Reservation.id, HistoryEntry.id)
        .execution_options(yield_per=_PAGE)
    )
    for public_id, entries in groupby(rows, key=lambda row: row.public_id):
        told = list(entries)
        reached = _reached(told)
        if reached != told[0].status:
            params = {"reservation": public_id, "told": reached or "-", "status": told[0].status}
            yield Breach("history_differs", params)


def _reached(entries: list[Any]) -> str | None:
    """The status that a history leads to; None when it is broken."""
    if entries[0].action != "request" or entries[0].new.get("status") != Status.REQUESTED:
        return None
    reached: str = Status.REQUESTED
    for entry in entries[1:]:
        if "status" not in entry.new:
            continue
        step = (entry.old.get("status"), entry.new["status"])
        if step[0] != reached or step not in _STEPS:
            return None
        reached = step[1]
    return reached


def _due(session: Session) -> Iterator[Breach]:
    """When the scheduler acts follows from the row; a row that failed waits a while longer."""
    rows = session.execute(
        select(Reservation.public_id, *CLOCK_COLUMNS, Reservation.due_at, Reservation.due_attempts)
        .where(or_(_is_blocking(), Reservation.due_at.is_not(None)))
        .order_by(Reservation.id)
        .execution_options(yield_per=_PAGE)
    )
    for row in rows:
        step = next_step(clock_of(row))
        expected = step[1] if step else None
        postponed = row.due_attempts and row.due_at and expected and row.due_at >= expected
        if row.due_at != expected and not postponed:
            yield Breach(
                "due_differs", {"reservation": row.public_id, "due": row.due_at, "expected": expected}
            )


def _outbox(session: Session) -> Iterator[Breach]:
    """A message waits, was sent, given up or withheld: never none of them, never several."""
    query = select(OutboxMessage).options(joinedload(OutboxMessage.user))
    settled = func.coalesce(OutboxMessage.sent_at, OutboxMessage.failed_at, OutboxMessage.withheld_at)
    lost = and_(OutboxMessage.due_at.is_(None), settled.is_(None))
    twice = and_(OutboxMessage.due_at.is_not(None), settled.is_not(None))
    for message in session.scalars(query.where(or_(lost, twice)).order_by(OutboxMessage.id)):
        yield Breach("message_lost", {"message": message.id, "kind": message.kind})
