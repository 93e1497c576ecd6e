"""What waits for a manager's yes: each request with what lies beside it, and what speaks against it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select, true
from sqlalchemy.orm import Session, aliased

from labbook.domain import policy
from labbook.domain.access import Viewer
from labbook.domain.errors import Problem
from labbook.domain.interval import Interval
from labbook.domain.policy import Facts, Phase
from labbook.domain.wall_time import Hours
from labbook.models import Change, Qualification, QualificationKind, Reservation
from labbook.services import calendar, facts
from labbook.services.calendar import BusyEntry, FullEntry
from labbook.services.commands import Wanted
from labbook.services.facts import Plan
from labbook.services.opening import may_decide
from labbook.services.reservation_views import ReservationView, loading, summary_of

LIMIT = 100
_AROUND = timedelta(days=14)
"""How far before and after a request its neighbours are looked for."""


@dataclass(frozen=True)
class Nearby:
    """Something else on the same piece: ``gap`` to it, zero when it touches, None when it overlaps."""

    entry: FullEntry | BusyEntry
    gap: timedelta | None

    @property
    def start(self) -> datetime:
        return self.entry.occupied_start if isinstance(self.entry, FullEntry) else self.entry.start

    @property
    def end(self) -> datetime:
        return self.entry.occupied_end if isinstance(self.entry, FullEntry) else self.entry.end


@dataclass(frozen=True)
class Surroundings:
    """One piece around a period: the last before, the next after, and what overlaps (on other places, or
    because something overran). ``entries`` is everything within the window, for its strip."""

    slug: str
    name: Mapping[str, str]
    before: Nearby | None
    after: Nearby | None
    overlapping: Sequence[Nearby]
    entries: Sequence[FullEntry | BusyEntry]


@dataclass(frozen=True)
class Waiting:
    """``since``: when the request, or the change of an approved reservation, was made. ``yours``: whether the
    viewer may decide it, which one's own request is only where the lab has no other manager.
    """

    reservation: ReservationView
    since: datetime
    window: Interval
    around: Sequence[Surroundings]
    problems: Sequence[Problem]
    yours: bool = True

    @property
    def waits_for_holder(self) -> bool:
        change = self.reservation.pending_change
        return change is not None and change.kind == "proposal"


@dataclass(frozen=True)
class Brief:
    """How many wait, and since when the first."""

    count: int = 0
    oldest: datetime | None = None


def brief(session: Session, *, viewer: Viewer) -> Brief:
    """For a heading, without what waits for its holder: one query, and none for those who decide nothing."""
    if not viewer.decides:
        return Brief()
    oldest = func.min(
        case((Reservation.status == "requested", Reservation.created_at), else_=Change.created_at)
    )
    row = session.execute(
        select(func.count(Reservation.id), oldest)
        .select_from(Reservation)
        .outerjoin(Change, and_(Change.reservation_id == Reservation.id, Change.state == "open"))
        .where(_managed(viewer), _undecided(), or_(Change.id.is_(None), Change.kind == "change"))
    ).one()
    return Brief(row[0], row[1])


def read(session: Session, *, viewer: Viewer, now: datetime) -> list[Waiting]:
    """The queue of the facilities that the viewer manages, oldest first; what waits for its holder last."""
    rows = session.scalars(
        select(Reservation)
        .where(_managed(viewer), _undecided())
        .options(*loading())
        .order_by(Reservation.created_at, Reservation.id)
        .limit(LIMIT)
    ).all()
    if not rows:
        return []
    board = _Board(session, rows, viewer)
    waiting = [_waiting(board, row, viewer, now) for row in rows]
    return sorted(waiting, key=lambda w: (w.waits_for_holder, w.since))


def is_yours(session: Session, view: ReservationView, *, viewer: Viewer) -> bool:
    """Whether the viewer may decide what they would otherwise be offered to decide."""
    if view.holder.id != viewer.id:
        return True
    row = session.scalar(select(Reservation).where(Reservation.public_id == view.id))
    return row is not None and may_decide(session, row, viewer)


def around(session: Session, view: ReservationView, *, viewer: Viewer) -> tuple[Interval, list[Surroundings]]:
    """One reservation's pieces with what lies beside it, for its page."""
    whole = Interval(view.occupied_start, view.occupied_end)
    if (change := view.pending_change) is not None:
        whole = Interval(min(whole.start, change.start), max(whole.end, change.end))
    window = window_of(whole)
    names = {piece.slug: piece.name for piece in view.equipment}
    entries = _entries(session, names, window, viewer)
    occupied = Interval(view.occupied_start, view.occupied_end)
    return window, [
        _surroundings(slug, name, entries.get(slug, ()), view.id, occupied, window)
        for slug, name in names.items()
    ]


def beside(
    session: Session, names: Mapping[str, Mapping[str, str]], span: Interval, *, viewer: Viewer
) -> tuple[Interval, list[Surroundings]]:
    """The named pieces around a period that nobody has booked yet."""
    window = window_of(span)
    if window.duration > timedelta(days=calendar.DAYS_LIMIT):
        return window, []
    entries = _entries(session, names, window, viewer)
    return window, [
        _surroundings(slug, name, entries.get(slug, ()), "", span, window) for slug, name in names.items()
    ]


def window_of(span: Interval) -> Interval:
    """What a strip shows: the span with room on either side, whole hours."""
    room = max(timedelta(hours=6), min(span.duration / 3, timedelta(days=7)))
    start = (span.start - room).replace(minute=0, second=0, microsecond=0)
    end = (span.end + room + timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
    return Interval(start, end)


def _managed(viewer: Viewer) -> ColumnElement[bool]:
    if viewer.is_admin:
        return true()
    return Reservation.facility_id.in_(sorted(viewer.manages_at))


def _undecided() -> ColumnElement[bool]:
    change = aliased(Change)  # the query around it may join changes of its own
    asked = exists().where(
        change.reservation_id == Reservation.id, change.state == "open", change.kind == "change"
    )
    return or_(
        and_(Reservation.status == "requested", Reservation.hold.is_(None)),
        and_(Reservation.status.in_(("approved", "in_use")), asked),
    )


class _Board:
    """Everything the queue's rows need, loaded together."""

    def __init__(self, session: Session, rows: Sequence[Reservation], viewer: Viewer) -> None:
        self.session, self.viewer = session, viewer
        self._own: dict[int, bool] = {}
        changes = [c for row in rows for c in row.changes if c.state == "open"]
        slugs = {p.equipment.slug for row in rows for p in row.pieces}
        slugs |= {p["slug"] for change in changes for p in change.pieces}
        loaded = facts.load_equipment(session, [Wanted(slug) for slug in sorted(slugs)], lock=False)
        self.equipment = {equipment.slug: equipment for equipment, _ in loaded}
        spans = [Interval(row.occupied_from, row.occupied_until) for row in rows]
        spans += [Interval(c.starts_at, c.ends_at) for c in changes]
        span = Interval(min(s.start for s in spans) - _AROUND, max(s.end for s in spans) + _AROUND)
        limit = timedelta(days=calendar.DAYS_LIMIT)
        self.span = Interval(span.start, min(span.end, span.start + limit))
        names = {slug: equipment.name for slug, equipment in self.equipment.items()}
        self.entries = _entries(session, names, self.span, viewer)
        self.qualified = _qualified(session, {row.holder_id for row in rows})
        self._hours: dict[int, Hours] = {}

    def may_decide(self, row: Reservation) -> bool:
        """Asks the database only for the viewer's own, and once for each facility."""
        if row.holder_id != self.viewer.id:
            return True
        if row.facility_id not in self._own:
            self._own[row.facility_id] = may_decide(self.session, row, self.viewer)
        return self._own[row.facility_id]

    def hours(self, plan: Plan) -> Hours:
        if plan.facility.id not in self._hours:
            self._hours[plan.facility.id] = facts.hours_of(self.session, plan.facility, self.span)
        return self._hours[plan.facility.id]


def _entries(
    session: Session, slugs: Iterable[str], within: Interval, viewer: Viewer
) -> dict[str, list[FullEntry | BusyEntry]]:
    found = calendar.read(session, calendar.Window(within, equipment=tuple(sorted(slugs))), viewer=viewer)
    by_slug: dict[str, list[FullEntry | BusyEntry]] = {}
    for entry in found.full:
        for slug in entry.equipment:
            by_slug.setdefault(slug, []).append(entry)
    for busy in found.busy:
        by_slug.setdefault(busy.equipment, []).append(busy)
    return by_slug


def _qualified(session: Session, user_ids: Iterable[int]) -> dict[int, dict[str, date | None]]:
    found: dict[int, dict[str, date | None]] = {}
    for user_id, kind, until in session.execute(
        select(Qualification.user_id, QualificationKind.slug, Qualification.valid_until)
        .join(QualificationKind, Qualification.kind_id == QualificationKind.id)
        .where(Qualification.user_id.in_(sorted(user_ids)))
    ):
        found.setdefault(user_id, {})[kind] = until
    return found


def _waiting(board: _Board, row: Reservation, viewer: Viewer, now: datetime) -> Waiting:
    change = next((c for c in row.changes if c.state == "open"), None)
    pieces = [(p.equipment.slug, p.places) for p in row.pieces]
    use = Interval(row.starts_at, row.ends_at)
    asked = change is not None and change.kind == "change"
    if change is not None and asked:
        pieces = [(p["slug"], p["places"]) for p in change.pieces]
        use = Interval(change.starts_at, change.ends_at)
    known = [(board.equipment[slug], count) for slug, count in pieces if slug in board.equipment]
    plan = Plan(sorted(known, key=lambda k: k[0].id), use, row.environment_version)
    whole = plan.occupied
    if change is not None:
        whole = Interval(min(whole.start, change.starts_at), max(whole.end, change.ends_at))
    window = window_of(whole)
    return Waiting(
        reservation=summary_of(row, viewer=viewer),
        since=change.created_at if change is not None and asked else row.created_at,
        window=window,
        around=[
            _surroundings(
                equipment.slug,
                equipment.name,
                board.entries.get(equipment.slug, ()),
                row.public_id,
                plan.span(equipment),
                window,
            )
            for equipment, _ in plan.pieces
        ],
        problems=_problems(board, row, plan, now),
        yours=board.may_decide(row),
    )


def _problems(board: _Board, row: Reservation, plan: Plan, now: datetime) -> list[Problem]:
    found = policy.check(
        Facts(
            now=now,
            use=plan.use,
            occupied=plan.occupied,
            pieces=plan.facts,
            attended=plan.attended,
            hours=board.hours(plan),
            organisation=facts.organisation_facts(row.organisation),
            qualified=board.qualified.get(row.holder_id, {}),
            is_block=row.kind == "block",
            traceable=row.traceable,
        ),
        Phase.APPROVAL,
    )
    return [p for p in found if not (p.overridable and p.code in row.overridden)]


def _surroundings(
    slug: str,
    name: Mapping[str, str],
    entries: Sequence[FullEntry | BusyEntry],
    own_id: str,
    occupied: Interval,
    window: Interval,
) -> Surroundings:
    others = [Nearby(e, None) for e in entries if e.id != own_id]
    before = [n for n in others if n.end <= occupied.start]
    after = [n for n in others if n.start >= occupied.end]
    last = max(before, key=lambda n: n.end, default=None)
    first = min(after, key=lambda n: n.start, default=None)
    return Surroundings(
        slug=slug,
        name=name,
        before=None if last is None else Nearby(last.entry, occupied.start - last.end),
        after=None if first is None else Nearby(first.entry, first.start - occupied.end),
        overlapping=[n for n in others if n.start < occupied.end and n.end > occupied.start],
        entries=[e for e in entries if (n := Nearby(e, None)).start < window.end and n.end > window.start],
    )
