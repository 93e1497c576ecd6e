"""What a timeline shows: a window of the calendar, in a number of queries that never grows.

Core selects of single columns rather than objects, and one index step per place: a week of fifty pieces out
of a hundred thousand reservations costs hardly more than the bare query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    Connection,
    Row,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    func,
    not_,
    or_,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Problem, Refused
from labbook.domain.interval import Interval
from labbook.domain.reservation import Status
from labbook.domain.visibility import Scope, hazards_shown, scope_of
from labbook.models import Allocation, EnvironmentVersion, Equipment, Facility, Instant, Place, Reservation
from labbook.models.base import StoredInstant, read_stored
from labbook.services.viewers import CHANGES

DAYS_LIMIT = 400

_USED = (Status.COMPLETED, Status.ABORTED)
"""What no longer blocks and yet was there: shown to those who see it in full."""


class FullEntry(NamedTuple):
    """One reservation. ``start``/``end`` the time of use, ``occupied`` with set-up and tear-down.

    ``standing``: ``overrun`` or ``displaced`` where it does not go as planned, else None.
    """

    id: str
    status: str
    kind: str
    title: str
    start: datetime
    end: datetime
    occupied_start: datetime
    occupied_end: datetime
    equipment: list[str]
    standing: str | None


class BusyEntry(NamedTuple):
    """One allocation of somebody else: where and when, and what to beware of. ``start``/``end`` occupied."""

    id: str
    start: datetime
    end: datetime
    equipment: str
    hazards: Sequence[str]


@dataclass(frozen=True)
class Window:
    """Which stretch of the calendar; no ``facility`` and no ``equipment`` means all there is."""

    within: Interval
    facility: str | None = None
    equipment: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calendar:
    full: Sequence[FullEntry]
    busy: Sequence[BusyEntry]


def read(session: Session, window: Window, *, viewer: Viewer) -> Calendar:
    """Everything that occupies the equipment within the window, as the viewer may see it.

    Raises ``Refused`` for a window of more than ``DAYS_LIMIT`` days and for what does not exist.
    """
    if window.within.duration > timedelta(days=DAYS_LIMIT):
        raise Refused([Problem("period_too_long", "to", params={"days": DAYS_LIMIT})])
    connection = session.connection()  # no object is made here, so that the session has nothing to add
    pieces = _pieces(connection, window)
    since, until = window.within.start, window.within.end
    floors = [item.floor for item in pieces.values() if item.floor is not None]
    past_floors = [item.past_floor for item in pieces.values() if item.past_floor is not None]
    asked: dict[str, Any] = {
        "since": since,
        "until": until,
        "floor": min(floors, default=since),
        "past_floor": min(past_floors, default=since),
    }
    asked |= {"id": next(iter(pieces))} if len(pieces) == 1 else {"ids": list(pieces)}
    rows = connection.execute(_WINDOWS[len(pieces) == 1, bool(past_floors)], asked).all()
    return _assembled(rows, pieces, scope_of(viewer), _feared(connection, rows))


def changes(session: Session) -> int:
    """Stands still as long as nothing can have changed in what ``read`` answers: one small query."""
    return int(session.scalar(_CHANGES) or 0)


_CHANGES = select(CHANGES)


class _Item(NamedTuple):
    """``floor``, ``past_floor``: nothing that begins before reaches into the window; None for nothing."""

    slug: str
    hazards: list[str]
    facility_id: int
    floor: datetime | None
    past_floor: datetime | None


# Built once: putting these statements together would take longer than running them.
_place, _allocation, _reservation = (model.__table__ for model in (Place, Allocation, Reservation))
_equipment, _facility, _version = (model.__table__ for model in (Equipment, Facility, EnvironmentVersion))
_since: BindParameter[datetime] = bindparam("since", type_=Instant())
_until: BindParameter[datetime] = bindparam("until", type_=Instant())


def _bound(blocking: bool) -> ScalarSelect[Any]:
    """The earliest start on one place of what may reach into the window.

    Blocking rows of a place never overlap, so only the last that begins before the window can reach into
    it. Released ones may, so there it is the window's start less the longest span of that place.
    """
    other = _allocation.alias()
    on_place = other.c.place_id == _place.c.id
    if blocking:
        last = select(func.max(other.c.starts_at)).where(on_place, other.c.blocking)
        return last.where(other.c.starts_at <= _since).scalar_subquery()
    longest = func.max(other.c.ends_at - other.c.starts_at)
    found: ScalarSelect[Any] = (
        select(type_coerce(_since - longest, Instant()))
        .where(on_place, not_(other.c.blocking))
        .scalar_subquery()
    )
    return found


_TIMES = ("starts_at", "ends_at", "occupied_from", "occupied_until")


_STANDING = case(
    (and_(_reservation.c.overrun_since.is_not(None), _reservation.c.status == "in_use"), "overrun"),
    (and_(_reservation.c.displaced_since.is_not(None), _reservation.c.status == "approved"), "displaced"),
)


def _window(blocking: bool, one: bool) -> Select[*tuple[Any, ...]]:
    """The rows of ``one`` piece, or of several.

    ``floor`` says nothing new; with it PostgreSQL guesses how few rows there are, and uses the index.
    """
    rows = _allocation.c
    query = (
        select(
            _place.c.equipment_id,
            rows.blocking,
            _reservation.c.id,
            _reservation.c.organisation_id,
            _reservation.c.project_id,
            rows.opaque_id,
            rows.starts_at,
            rows.ends_at,
            _reservation.c.public_id,
            _reservation.c.status,
            _reservation.c.kind,
            _reservation.c.title,
            *(type_coerce(_reservation.c[name], StoredInstant()) for name in _TIMES),
            _STANDING,
            _reservation.c.environment_version_id,
        )
        .select_from(_place)
        .join(_allocation, rows.place_id == _place.c.id)
        .join(_reservation, rows.reservation_id == _reservation.c.id)
        .where(
            # A list in a statement is written into it anew with each execution.
            _place.c.equipment_id == bindparam("id")
            if one
            else _place.c.equipment_id.in_(bindparam("ids", expanding=True)),
            rows.blocking if blocking else not_(rows.blocking),
            rows.starts_at >= func.coalesce(_bound(blocking), _since),
            rows.starts_at >= bindparam("floor" if blocking else "past_floor", type_=Instant()),
            rows.starts_at < _until,
            rows.ends_at > _since,
        )
    )
    return query if blocking else query.where(or_(*(_reservation.c.status == status for status in _USED)))


_WINDOWS = {
    (one, past): union_all(_window(True, one), _window(False, one)) if past else _window(True, one)
    for one in (True, False)
    for past in (True, False)
}
"""By whether it is one piece, and whether anything was released there that may reach into the window."""


def _earliest(blocking: bool) -> ScalarSelect[Any]:
    """The same bound over all places of a piece."""
    return (
        select(type_coerce(func.min(_bound(blocking)), Instant()))
        .where(_place.c.equipment_id == _equipment.c.id)
        .scalar_subquery()
    )


_PIECES = select(
    _equipment.c.id,
    _equipment.c.slug,
    _equipment.c.hazards,
    _equipment.c.facility_id,
    _earliest(True),
    _earliest(False),
)
_IN_FACILITY = _PIECES.join(_facility, _equipment.c.facility_id == _facility.c.id).where(
    _facility.c.slug == bindparam("facility")
)
_NAMED = _equipment.c.slug.in_(bindparam("slugs", expanding=True))
_CALLED = _equipment.c.slug == bindparam("slug")
_STATEMENTS = {
    (False, 0): _PIECES,
    (True, 0): _IN_FACILITY,
    (False, 1): _PIECES.where(_CALLED),
    (True, 1): _IN_FACILITY.where(_CALLED),
    (False, 2): _PIECES.where(_NAMED),
    (True, 2): _IN_FACILITY.where(_NAMED),
}
"""By whether a facility is named, and whether no equipment, one piece or several are."""


def _pieces(connection: Connection, window: Window) -> dict[int, _Item]:
    """Equipment id -> what a row needs to know of it."""
    statement = _STATEMENTS[window.facility is not None, min(len(window.equipment), 2)]
    asked: dict[str, Any] = {"facility": window.facility, "since": window.within.start}
    asked |= {"slug": window.equipment[0]} if len(window.equipment) == 1 else {"slugs": window.equipment}
    found = {row[0]: _Item(*row[1:]) for row in connection.execute(statement, asked)}
    problems = [
        Problem("unknown_equipment", "equipment", params={"equipment": slug})
        for slug in sorted(set(window.equipment) - {item.slug for item in found.values()})
    ]
    if not found and window.facility is not None:
        known = connection.scalar(select(_facility.c.id).where(_facility.c.slug == window.facility))
        if known is None:
            problems = [Problem("unknown_facility", "facility", params={"facility": window.facility})]
    if problems:
        raise Refused(problems)
    return found


_HAZARDS = select(_version.c.id, _version.c.hazards).where(
    _version.c.id.in_(bindparam("versions", expanding=True))
)


def _feared(connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]]) -> dict[int, list[str]]:
    """The hazards of the recipes among the rows, in a query of its own: few rows have one."""
    versions = sorted({row[17] for row in rows if row[17] is not None})
    if not versions:
        return {}
    return {id_: hazards for id_, hazards in connection.execute(_HAZARDS, {"versions": versions}) if hazards}


def _assembled(
    rows: Sequence[Row[*tuple[Any, ...]]],
    pieces: Mapping[int, _Item],
    scope: Scope,
    feared: Mapping[int, list[str]],
) -> Calendar:
    full: dict[int, FullEntry] = {}
    busy: list[BusyEntry] = []
    for row in rows:
        item = pieces[row[0]]
        if scope.has(item.facility_id, row[3], row[4]):
            _add(full, row, item.slug)
        elif row[1]:
            of_recipe = feared.get(row[17])
            hazards = hazards_shown(item.hazards, of_recipe) if of_recipe else item.hazards
            busy.append(BusyEntry(row[5], row[6], row[7], item.slug, hazards))
    return Calendar(
        sorted(full.values(), key=lambda e: (e.start, e.id)), sorted(busy, key=lambda e: (e.start, e.id))
    )


def _add(full: dict[int, FullEntry], row: Row[*tuple[Any, ...]], slug: str) -> None:
    entry = full.get(row[2])
    if entry is None:
        full[row[2]] = FullEntry._make((*row[8:12], *map(read_stored, row[12:16]), [slug], row[16]))
    elif slug not in entry.equipment:
        entry.equipment.append(slug)
        entry.equipment.sort()
