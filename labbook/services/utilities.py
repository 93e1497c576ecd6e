"""What is drawn of a utility over time: exactly to the staff, to others in full what is theirs to see.

What strangers draw is told in round figures (``domain.utility.coarse``) and never reservation by reservation:
the sum has to be known to whoever plans, and a single test must not be weighed by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from labbook.domain.access import Viewer
from labbook.domain.errors import NotFound, Problem, Refused
from labbook.domain.interval import Interval
from labbook.domain.utility import coarse, levels
from labbook.domain.visibility import scope_of
from labbook.models import Draw, Facility, Reservation, Utility
from labbook.services.calendar import DAYS_LIMIT
from labbook.services.equipment import UtilityView


@dataclass(frozen=True)
class LocatedUtility(UtilityView):
    """A utility with the facility that it is of, for where it stands by itself."""

    facility: str
    facility_name: Mapping[str, str]
    zone: str
    example: bool


@dataclass(frozen=True)
class Level:
    """From ``at`` on until the next: ``drawn`` in all, ``seen`` of it by reservations seen in full."""

    at: datetime
    drawn: int
    seen: int


@dataclass(frozen=True)
class Drawing:
    """A reservation that is seen in full, and what it draws over one stretch."""

    id: str
    title: str
    status: str
    kind: str
    start: datetime
    end: datetime
    amount: int


@dataclass(frozen=True)
class Load:
    """``exact``: the staff's; otherwise ``drawn`` counts strangers in round figures."""

    utility: LocatedUtility
    within: Interval
    exact: bool
    levels: Sequence[Level]
    drawings: Sequence[Drawing]


def of_facility(session: Session, facility: str | None = None) -> list[LocatedUtility]:
    """All there are, of one facility or of every."""
    query = select(Utility).options(joinedload(Utility.facility, innerjoin=True))
    if facility is not None:
        query = query.where(Utility.facility.has(Facility.slug == facility))
    return [_view(each) for each in session.scalars(query.order_by(Utility.facility_id, Utility.slug))]


def find(session: Session, slug: str) -> LocatedUtility:
    """Raises ``NotFound``."""
    return _view(_row(session, slug))


def read(session: Session, slug: str, within: Interval, *, viewer: Viewer) -> Load:
    """Two queries. Raises ``NotFound``; ``Refused`` for more than ``DAYS_LIMIT`` days."""
    return _loads(session, [_row(session, slug)], within, viewer)[0]


def _row(session: Session, slug: str) -> Utility:
    found = session.scalar(
        select(Utility).where(Utility.slug == slug).options(joinedload(Utility.facility, innerjoin=True))
    )
    if found is None:
        raise NotFound("utility")
    return found


def read_all(session: Session, facility: str | None, within: Interval, *, viewer: Viewer) -> list[Load]:
    """Of each utility (of one facility), in as many queries as of one."""
    query = select(Utility).options(joinedload(Utility.facility, innerjoin=True))
    if facility is not None:
        query = query.where(Utility.facility.has(Facility.slug == facility))
    utilities = session.scalars(query.order_by(Utility.facility_id, Utility.slug)).all()
    return _loads(session, utilities, within, viewer) if utilities else []


def _loads(session: Session, utilities: Sequence[Utility], within: Interval, viewer: Viewer) -> list[Load]:
    if within.duration > timedelta(days=DAYS_LIMIT):
        raise Refused([Problem("period_too_long", "to", params={"days": DAYS_LIMIT})])
    rows = session.execute(
        select(
            Draw.utility_id,
            Draw.starts_at,
            Draw.ends_at,
            Draw.amount,
            Reservation.public_id,
            Reservation.title,
            Reservation.status,
            Reservation.kind,
            Reservation.facility_id,
            Reservation.organisation_id,
            Reservation.project_id,
        )
        .join(Reservation, Draw.reservation_id == Reservation.id)
        .where(
            Draw.utility_id.in_([utility.id for utility in utilities]),
            Draw.blocking,
            Draw.starts_at < within.end,
            Draw.ends_at > within.start,
        )
        .order_by(Draw.starts_at, Draw.id)
    ).all()
    scope = scope_of(viewer)
    found = []
    for utility in utilities:
        drawings, others = [], []
        for row in rows:
            if row.utility_id != utility.id:
                continue
            if scope.has(row.facility_id, row.organisation_id, row.project_id):
                drawings.append(
                    Drawing(
                        row.public_id, row.title, row.status, row.kind,
                        row.starts_at, row.ends_at, row.amount,
                    )
                )  # fmt: skip
            else:
                others.append((Interval(row.starts_at, row.ends_at), row.amount))
        exact = viewer.is_staff_of(utility.facility_id)
        found.append(
            Load(_view(utility), within, exact, _levels(drawings, others, within, utility), drawings)
        )
    return found


def _levels(
    drawings: Sequence[Drawing],
    others: Sequence[tuple[Interval, int]],
    within: Interval,
    utility: Utility,
) -> list[Level]:
    """Both sums side by side, beginning anew only where one of them is told differently."""
    seen = dict(levels([(Interval(d.start, d.end), d.amount) for d in drawings], within))
    rest = dict(levels(others, within))
    found: list[Level] = []
    mine = theirs = 0
    for at in sorted(seen.keys() | rest.keys()):
        mine, theirs = seen.get(at, mine), rest.get(at, theirs)
        # What is seen may fill it to the last figure: rounding must not tell of more than there is.
        told = min(mine + coarse(theirs, utility.capacity), max(utility.capacity, mine))
        level = Level(at, told, mine)
        if not found or (found[-1].drawn, found[-1].seen) != (level.drawn, level.seen):
            found.append(level)
    return found


def _view(row: Utility) -> LocatedUtility:
    facility = row.facility
    return LocatedUtility(
        slug=row.slug,
        name=row.name,
        capacity=row.capacity,
        unit=row.unit,
        facility=facility.slug,
        facility_name=facility.name,
        zone=facility.time_zone,
        example=facility.example,
    )
