"""One day in a laboratory, in order of time: all of it for its staff, one's own for everybody else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, or_, select, union
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import NotFound
from labbook.domain.interval import Interval
from labbook.domain.reservation import Status
from labbook.domain.visibility import scope_of
from labbook.domain.wall_time import local_date, midnight
from labbook.models import Facility, Participant, Reservation
from labbook.services import facts
from labbook.services.reservation_views import ReservationView, in_scope, loading, summary_of
from labbook.services.timeline import Lab
from labbook.services.visit_calls import visits_between
from labbook.services.visit_views import VisitView

SHOWN = (
    Status.REQUESTED,
    Status.APPROVED,
    Status.IN_USE,
    Status.COMPLETED,
    Status.NO_SHOW,
    Status.ABORTED,
)
_RUNNING = (Status.APPROVED, Status.IN_USE)
_DAY = timedelta(days=1)
NIGHT_AT_MOST = timedelta(days=14)
"""How far ahead the next staffed hour is looked for."""


@dataclass(frozen=True)
class Moment:
    """``kind``: ``set_up``, ``start``, ``readout``, ``visit`` or ``end``. ``offers``: the step to take there
    now, ``check-in`` or ``check-out``. ``visit``: what is to be done, of another day where it is overdue."""

    kind: str
    at: datetime
    of: ReservationView
    done: bool
    offers: str = ""
    visit: VisitView | None = None


@dataclass(frozen=True)
class Late:
    """What should be over, or waits for that, or that nobody came to."""

    of: ReservationView
    displaced: bool


@dataclass(frozen=True)
class Arrival:
    """Somebody is expected, with so many others, at the first of their slots that begins that day."""

    at: datetime
    name: str
    organisation: str
    others: int
    of: ReservationView


@dataclass(frozen=True)
class Today:
    """``night``: from when the last of the staff leaves until the next comes."""

    labs: Sequence[Lab]
    lab: Lab
    day: date
    is_staff: bool
    moments: Sequence[Moment]
    late: Sequence[Late]
    arrivals: Sequence[Arrival]
    night: Interval
    unattended: Sequence[ReservationView]


def read(session: Session, facility: str | None, day: date | None, *, viewer: Viewer, now: datetime) -> Today:
    """``day`` None is today on the facility's clock. A constant number of queries, whatever there is."""
    facilities = session.scalars(select(Facility).order_by(Facility.id)).all()
    chosen = _chosen(facilities, facility, viewer)
    zone = ZoneInfo(chosen.time_zone)
    on = day or local_date(now, zone)
    within = Interval(midnight(on, zone), midnight(on + _DAY, zone))
    night = _night(session, chosen, within)
    staff = viewer.is_staff_of(chosen.id)
    rows = _rows(session, chosen, Interval(within.start, max(within.end, night.end)), viewer, staff)
    views = {row.id: summary_of(row, viewer=viewer) for row in rows}
    known = {view.id: view for view in views.values()}
    calls = visits_between(
        session, chosen.id, within.start, within.end, viewer=viewer, with_overdue=within.has(now)
    )
    moments = [moment for row in rows for moment in _moments(row, views[row.id], within, now)]
    moments += [
        Moment(
            call.visit.kind,
            call.visit.start,
            known[call.reservation],
            call.visit.done_at is not None,
            visit=call.visit,
        )
        for call in calls
        if call.reservation in known
    ]
    return Today(
        labs=[_lab(each) for each in facilities],
        lab=_lab(chosen),
        day=on,
        is_staff=staff,
        moments=sorted(moments, key=lambda m: (m.at, _ORDER[m.kind], m.of.id)),
        late=_late(rows, views, within, now),
        arrivals=_arrivals(rows, views, within) if staff else [],
        night=night,
        unattended=[
            views[row.id]
            for row in rows
            if row.status in _RUNNING and _occupied(row).overlaps(night) and row.kind == "booking"
        ],
    )


_ORDER = {kind: number for number, kind in enumerate(("end", "set_up", "start", "readout", "visit"))}


def _chosen(facilities: Sequence[Facility], slug: str | None, viewer: Viewer) -> Facility:
    named = [f for f in facilities if f.slug == slug] if slug else list(facilities)
    staffed = [f for f in named if f.id in viewer.staff_at]
    found = next(iter(staffed or named), None)
    if found is None:
        raise NotFound("facility")
    return found


def _lab(row: Facility) -> Lab:
    return Lab(row.slug, row.name, row.time_zone, row.duty_phone, row.example)


def _night(session: Session, facility: Facility, within: Interval) -> Interval:
    ahead = Interval(within.start, within.end + NIGHT_AT_MOST)
    staffed = facts.hours_of(session, facility, ahead).staffed_within(ahead)
    leaves = max((each.end for each in staffed if each.start < within.end), default=within.start)
    comes = min((each.start for each in staffed if each.start > leaves), default=ahead.end)
    return Interval(leaves, comes)


def _rows(
    session: Session, facility: Facility, span: Interval, viewer: Viewer, staff: bool
) -> Sequence[Reservation]:
    touches = and_(Reservation.occupied_from < span.end, Reservation.occupied_until > span.start)
    overran = and_(Reservation.status == Status.IN_USE, Reservation.overrun_since.is_not(None))
    query = (
        select(Reservation)
        .where(
            Reservation.facility_id == facility.id,
            Reservation.status.in_(SHOWN),
            or_(touches, overran),
            in_scope(scope_of(viewer)),
        )
        .options(*loading())
        .order_by(Reservation.occupied_from, Reservation.id)
    )
    return session.scalars(query if staff else query.where(_own(viewer))).all()


def _own(viewer: Viewer) -> ColumnElement[bool]:
    return Reservation.id.in_(
        union(
            select(Reservation.id).where(Reservation.holder_id == viewer.id),
            select(Reservation.id).where(Reservation.requested_by_id == viewer.id),
            select(Participant.reservation_id).where(Participant.user_id == viewer.id),
        )
    )


def _occupied(row: Reservation) -> Interval:
    return Interval(row.occupied_from, row.occupied_until)


def _moments(row: Reservation, view: ReservationView, within: Interval, now: datetime) -> Iterator[Moment]:
    begun = row.status not in (Status.REQUESTED, Status.APPROVED, Status.NO_SHOW)
    may_begin = "check_in" in view.allowed and row.occupied_from <= now
    first = "check-in" if may_begin else ""
    if row.occupied_from != row.starts_at and within.has(row.occupied_from):
        yield Moment("set_up", row.occupied_from, view, begun, first)
        first = ""
    if within.has(row.starts_at):
        yield Moment("start", row.starts_at, view, begun, first)
    ends_at = row.ended_at or row.ends_at
    if within.has(ends_at) and row.status != Status.NO_SHOW:
        last = "check-out" if "check_out" in view.allowed else ""
        yield Moment("end", ends_at, view, row.status in (Status.COMPLETED, Status.ABORTED), last)


def _late(
    rows: Sequence[Reservation], views: Mapping[int, ReservationView], within: Interval, now: datetime
) -> list[Late]:
    """Only of the day that it is now: of another day nobody knows."""
    if not within.has(now):
        return []
    return [
        Late(views[row.id], row.displaced_since is not None)
        for row in rows
        if row.status in _RUNNING and (row.overrun_since or row.displaced_since or row.flagged_at)
    ]


def _arrivals(
    rows: Sequence[Reservation], views: Mapping[int, ReservationView], within: Interval
) -> list[Arrival]:
    found: dict[int, Arrival] = {}
    for row in rows:
        expected = row.status in _RUNNING and row.kind == "booking" and within.has(row.occupied_from)
        if expected and row.holder_id not in found:
            others = len({p.user_id for p in row.participants} - {row.holder_id})
            view = views[row.id]
            found[row.holder_id] = Arrival(
                row.occupied_from, row.holder.name, row.organisation.name, others, view
            )
    return list(found.values())
