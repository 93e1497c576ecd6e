"""What somebody looks at first: mine now, mine next, what waits for me, and what is free this minute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Select, and_, exists, func, or_, select, union
from sqlalchemy.orm import Session, aliased, joinedload, selectinload

from labbook.domain import policy
from labbook.domain.access import Viewer
from labbook.domain.allocation import shortfall
from labbook.domain.interval import Interval
from labbook.domain.policy import Facts
from labbook.domain.reservation import BLOCKING
from labbook.domain.visibility import scope_of
from labbook.models import (
    Equipment,
    EquipmentQualification,
    Message,
    Organisation,
    Participant,
    Qualification,
    QualificationKind,
    Reservation,
)
from labbook.services import facts, queue, visit_views, waitlist_views
from labbook.services.occupancy import occupied_places
from labbook.services.queue import Brief
from labbook.services.reservation_views import ReservationView, in_scope, loading, summary_of
from labbook.services.waitlist_views import EntryView

SHORT = timedelta(minutes=15)
AHEAD = timedelta(days=1)
LIMIT = 60
"""Of mine, and of what staff have to look at: neither crowds out the other."""


@dataclass(frozen=True)
class FreeNow:
    """Free from now until ``until`` (None: for more than a day), for whoever asks."""

    slug: str
    name: Mapping[str, str]
    category: str
    zone: str
    until: datetime | None


@dataclass(frozen=True)
class Home:
    """``asked``: where the last word is the other side's. ``late``: what staff must look at. ``offers``:
    what the waitlist holds for them; it is not theirs yet. ``permits``: set-ups that a manager has to sign.

    ``more``: of mine there is more than stands here; ``more_trouble``: of what staff must look at.
    """

    now: Sequence[ReservationView]
    next: Sequence[ReservationView]
    proposals: Sequence[ReservationView]
    asked: Sequence[ReservationView]
    late: Sequence[ReservationView]
    approvals: Brief
    free: Sequence[FreeNow]
    offers: Sequence[EntryView] = ()
    permits: Sequence[ReservationView] = ()
    more: bool = False
    more_trouble: bool = False


def read(session: Session, *, viewer: Viewer, now: datetime) -> Home:
    """A constant number of queries, whatever there is."""
    own = session.scalars(_mine(viewer)).all()
    troubled = session.scalars(_troubled(viewer, now)).all() if viewer.is_admin or viewer.staff_at else []
    more, more_trouble = len(own) > LIMIT, len(troubled) > LIMIT
    own, troubled = own[:LIMIT], troubled[:LIMIT]
    rows = sorted({row.id: row for row in (*own, *troubled)}.values(), key=lambda r: (r.starts_at, r.id))
    last = _last_authors(session, rows)
    begun = [row for row in own if _is_now(row, now)]
    tests = visit_views.of_each(session, begun)
    views = {row.id: summary_of(row, viewer=viewer, long_test=tests.get(row.id)) for row in rows}
    return Home(
        now=[views[row.id] for row in begun],
        next=[views[row.id] for row in own if row not in begun and row.ends_at > now and row.hold is None],
        proposals=[views[row.id] for row in own if _has_proposal(row)],
        asked=[views[row.id] for row in rows if _is_asked(row, last.get(row.id), viewer)],
        late=[views[row.id] for row in rows if _is_late(row) and viewer.is_staff_of(row.facility_id)],
        approvals=queue.brief(session, viewer=viewer),
        free=free_now(session, viewer=viewer, now=now),
        offers=waitlist_views.offers(session, viewer=viewer),
        permits=[
            views[row.id]
            for row in troubled
            if row.occupied_from <= now and "permit" in views[row.id].allowed
        ],
        more=more,
        more_trouble=more_trouble,
    )


def _live(viewer: Viewer) -> Select[Reservation]:
    return (
        select(Reservation)
        .where(in_scope(scope_of(viewer)), Reservation.status.in_(sorted(BLOCKING)))
        .options(*loading())
        .order_by(Reservation.starts_at, Reservation.id)
        .limit(LIMIT + 1)
    )


def _mine(viewer: Viewer) -> Select[Reservation]:
    """Mine that is not over."""
    return _live(viewer).where(
        Reservation.id.in_(
            union(  # each by its index; as one condition with "or" it would read every live reservation
                *(
                    select(Reservation.id).where(
                        column == viewer.id, Reservation.status.in_(sorted(BLOCKING))
                    )
                    for column in (Reservation.holder_id, Reservation.requested_by_id)
                ),
                select(Participant.reservation_id).where(Participant.user_id == viewer.id),
            )
        )
    )


def _troubled(viewer: Viewer, now: datetime) -> Select[Reservation]:
    """What staff have to look at: what is late, where the last word isn't the staff's, and where a set-up
    waits for its permit."""
    query = _live(viewer)
    if not viewer.is_admin:
        query = query.where(Reservation.facility_id.in_(sorted(viewer.staff_at)))
    said = aliased(Message)
    newest = (
        select(func.max(said.id))
        .where(said.reservation_id == Reservation.id)
        .correlate(Reservation)
        .scalar_subquery()
    )
    asked = exists().where(
        Message.id == newest,
        Message.author_id != viewer.id,
        Message.author_id.in_([Reservation.holder_id, Reservation.requested_by_id]),
    )
    unsigned = and_(
        Reservation.permit_required,
        Reservation.permit_signed_at.is_(None),
        Reservation.status.in_(("approved", "in_use")),
        Reservation.occupied_from <= now,
    )
    return query.where(
        or_(Reservation.overrun_since.is_not(None), Reservation.flagged_at.is_not(None), unsigned, asked)
    )


def _is_own(row: Reservation, viewer: Viewer) -> bool:
    return viewer.id in (row.holder_id, row.requested_by_id, *(p.user_id for p in row.participants))


def _is_now(row: Reservation, now: datetime) -> bool:
    ready = row.status == "approved" and row.check_in == "required" and row.occupied_from <= now
    return row.status == "in_use" or ready


def _is_late(row: Reservation) -> bool:
    return row.overrun_since is not None or row.flagged_at is not None


def _has_proposal(row: Reservation) -> bool:
    return any(c.state == "open" and c.kind == "proposal" for c in row.changes)


def _is_asked(row: Reservation, author: int | None, viewer: Viewer) -> bool:
    """The last word is the other side's: staff's for the holder, the holder's for staff."""
    if author is None or author == viewer.id:
        return False
    if viewer.id in (row.holder_id, row.requested_by_id):
        return True
    return viewer.is_staff_of(row.facility_id) and author in (row.holder_id, row.requested_by_id)


def _last_authors(session: Session, rows: Sequence[Reservation]) -> dict[int, int]:
    newest = (
        select(func.max(Message.id))
        .where(Message.reservation_id.in_([row.id for row in rows]))
        .group_by(Message.reservation_id)
    )
    found = session.execute(select(Message.reservation_id, Message.author_id).where(Message.id.in_(newest)))
    return dict(found.all())


def free_now(session: Session, *, viewer: Viewer, now: datetime, slug: str | None = None) -> list[FreeNow]:
    """Equipment that approves by itself, is free, and that this viewer may take this minute."""
    query = (
        select(Equipment)
        .where(Equipment.approval == "automatic", Equipment.state == "in_service")
        .options(
            joinedload(Equipment.facility, innerjoin=True),
            joinedload(Equipment.room),
            selectinload(Equipment.place_rows),
            selectinload(Equipment.qualifications).joinedload(EquipmentQualification.kind, innerjoin=True),
        )
        .order_by(Equipment.facility_id, Equipment.category, Equipment.slug)
    )
    if slug is not None:
        query = query.where(Equipment.slug == slug)
    pieces = session.scalars(query).all()
    within = Interval(now, now + AHEAD)
    places = [place.id for piece in pieces for place in piece.current_places]
    occupied = occupied_places(session, places, within)
    test = _Test(session, viewer, now, pieces)
    found = []
    for piece in pieces:
        until = _free_until(piece, occupied, within)
        if until - now >= SHORT and test.passes(piece, until):
            found.append(
                FreeNow(
                    piece.slug,
                    piece.name,
                    piece.category,
                    piece.facility.time_zone,
                    None if until == within.end else until,
                )
            )
    return found


def _free_until(piece: Equipment, occupied: Mapping[int, Sequence[Interval]], within: Interval) -> datetime:
    """The longest that one place of it is free from now on, its set-up and tear-down taken off."""
    least = within.start
    if piece.pool:
        return _pool_free_until(piece, occupied, within)
    for place in piece.current_places:
        taken = [i for i in occupied.get(place.id, ()) if i.end > within.start]
        first = min((i.start for i in taken), default=None)
        end = within.end if first is None else first - timedelta(seconds=piece.teardown)
        if first is not None and first - timedelta(seconds=piece.setup) <= within.start:
            continue
        least = max(least, end)
    return least


def _pool_free_until(
    piece: Equipment, occupied: Mapping[int, Sequence[Interval]], within: Interval
) -> datetime:
    """The same by the count: until all units of it are taken."""
    short = shortfall([place.id for place in piece.current_places], occupied, within, 1)
    if not short:
        return within.end
    if short[0].start - timedelta(seconds=piece.setup) <= within.start:
        return within.start
    return max(within.start, short[0].start - timedelta(seconds=piece.teardown))


class _Test:
    """The rules that decide whether somebody may take a piece at once, loaded for all pieces together."""

    def __init__(self, session: Session, viewer: Viewer, now: datetime, pieces: Sequence[Equipment]) -> None:
        self.now = now
        organisation = session.get_one(Organisation, viewer.organisation_id)
        self.organisation = facts.organisation_facts(organisation)
        rows = session.execute(
            select(QualificationKind.slug, Qualification.valid_until)
            .join(Qualification, Qualification.kind_id == QualificationKind.id)
            .where(Qualification.user_id == viewer.id)
        )
        self.qualified: dict[str, date | None] = dict(rows.all())
        facilities = {piece.facility_id: piece.facility for piece in pieces}
        within = Interval(now - AHEAD, now + 2 * AHEAD)
        self.hours = {id_: facts.hours_of(session, each, within) for id_, each in facilities.items()}

    def passes(self, piece: Equipment, until: datetime) -> bool:
        use = Interval(self.now, min(until, self.now + timedelta(minutes=30)))
        before, after = timedelta(seconds=piece.setup), timedelta(seconds=piece.teardown)
        asked = Facts(
            now=self.now,
            use=use,
            occupied=use.widened(before, after),
            pieces=[facts.piece_facts(piece, 1)],
            hours=self.hours[piece.facility_id],
            organisation=self.organisation,
            qualified=self.qualified,
            free_of_grid=True,
        )
        rules = (
            policy.staffed_hours,
            policy.shutdowns,
            policy.organisation_may_book,
            policy.qualification,
            policy.lead_time,
        )
        return not policy.blocking([problem for rule in rules for problem in rule(asked)])
