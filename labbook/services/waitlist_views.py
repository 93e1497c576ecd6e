"""Who waits for what, as they and the managers of the facility see it; nobody else knows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, func, select, true
from sqlalchemy.orm import Session, joinedload, selectinload

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, NotFound
from labbook.models import Equipment, Piece, Reservation, User, WaitlistEntry, WaitlistWant
from labbook.services.reservation_views import Person, PieceView

PAST_LIMIT = 20
LIMIT = 200


@dataclass(frozen=True)
class OfferView:
    """What was offered or booked: a reservation. ``until``: when the offer lapses."""

    reservation: str
    start: datetime
    end: datetime
    equipment: Sequence[PieceView]
    until: datetime | None


@dataclass(frozen=True)
class EntryView:
    """An entry as its owner and the managers of its facility see it. ``allowed``: ``withdraw``, ``take``,
    ``let_go``, by this viewer now."""

    id: str
    state: str
    mode: str
    facility: str
    facility_name: Mapping[str, str]
    zone: str
    earliest: datetime
    latest: datetime
    duration: timedelta
    places: int
    equipment: Sequence[PieceView]
    title: str
    project: str | None
    project_name: str | None
    activity: str
    user: Person
    organisation_name: str
    created_at: datetime
    offered_at: datetime | None
    closed_at: datetime | None
    offer: OfferView | None
    error: str | None
    allowed: frozenset[str]

    @property
    def is_open(self) -> bool:
        return self.state in ("waiting", "offered")


@dataclass(frozen=True)
class Line:
    """Who waits for one piece, first come first; ``facility_name`` and ``name`` in all languages."""

    slug: str
    name: Mapping[str, str]
    facility: str
    facility_name: Mapping[str, str]
    zone: str
    entries: Sequence[EntryView]


def mine(session: Session, *, viewer: Viewer) -> list[EntryView]:
    """What is offered first, then what waits by its time, then the last of what is over."""
    own = loaded().where(WaitlistEntry.user_id == viewer.id)
    order = (WaitlistEntry.state.desc(), WaitlistEntry.earliest, WaitlistEntry.id)
    live = own.where(WaitlistEntry.state.in_(("waiting", "offered"))).order_by(*order)
    over = own.where(WaitlistEntry.closed_at.is_not(None)).order_by(
        WaitlistEntry.closed_at.desc(), WaitlistEntry.id.desc()
    )
    found = [*session.scalars(live), *session.scalars(over.limit(PAST_LIMIT))]
    views = [_view(entry, viewer) for entry in found]
    return sorted(views, key=lambda view: view.state != "offered")


def find(session: Session, public_id: str, *, viewer: Viewer) -> EntryView:
    """Its owner's, and a manager's of its facility; ``NotFound`` to everybody else."""
    return _view(visible(session, public_id, viewer), viewer)


def offers(session: Session, *, viewer: Viewer) -> list[EntryView]:
    """What is offered to the viewer now, by when it lapses."""
    query = loaded().where(WaitlistEntry.user_id == viewer.id, WaitlistEntry.state == "offered")
    views = [_view(entry, viewer) for entry in session.scalars(query)]
    return sorted(views, key=lambda view: _lapses(view))


def _lapses(view: EntryView) -> tuple[datetime, str]:
    until = view.offer.until if view.offer is not None else None
    return until or view.latest, view.id


def offered(session: Session, reservation: str, *, viewer: Viewer) -> EntryView | None:
    """The entry for which a reservation is held, where it is the viewer's."""
    query = loaded().join(Reservation, WaitlistEntry.reservation_id == Reservation.id)
    entry = session.scalar(
        query.where(
            Reservation.public_id == reservation,
            WaitlistEntry.user_id == viewer.id,
            WaitlistEntry.state == "offered",
        )
    )
    return None if entry is None else _view(entry, viewer)


def lines(session: Session, *, viewer: Viewer) -> list[Line]:
    """Who waits for each piece of the facilities that the viewer manages, in order; at most ``LIMIT``."""
    if not viewer.decides:
        raise Forbidden("waitlist")
    query = loaded().where(_managed(viewer), WaitlistEntry.state.in_(("waiting", "offered")))
    by_piece: dict[int, tuple[Equipment, list[EntryView]]] = {}
    for entry in session.scalars(query.order_by(WaitlistEntry.id).limit(LIMIT)):
        view = _view(entry, viewer)
        for want in entry.wants:
            by_piece.setdefault(want.equipment_id, (want.equipment, []))[1].append(view)
    return [
        Line(
            slug=equipment.slug,
            name=equipment.name,
            facility=views[0].facility,
            facility_name=views[0].facility_name,
            zone=views[0].zone,
            entries=views,
        )
        for equipment, views in sorted(by_piece.values(), key=lambda v: (v[0].facility_id, v[0].slug))
    ]


def count(session: Session, *, viewer: Viewer) -> int:
    """How many wait in the facilities that the viewer manages."""
    waiting = select(func.count()).select_from(WaitlistEntry)
    found = session.scalar(waiting.where(_managed(viewer), WaitlistEntry.state == "waiting"))
    return found or 0


def _managed(viewer: Viewer) -> ColumnElement[bool]:
    if viewer.is_admin:
        return true()
    return WaitlistEntry.facility_id.in_(sorted(viewer.manages_at))


def loaded() -> Select[WaitlistEntry]:
    return select(WaitlistEntry).options(
        joinedload(WaitlistEntry.facility, innerjoin=True),
        joinedload(WaitlistEntry.user, innerjoin=True).joinedload(User.organisation, innerjoin=True),
        joinedload(WaitlistEntry.project),
        joinedload(WaitlistEntry.reservation)
        .selectinload(Reservation.pieces)
        .joinedload(Piece.equipment, innerjoin=True),
        selectinload(WaitlistEntry.wants).joinedload(WaitlistWant.equipment, innerjoin=True),
    )


def visible(session: Session, public_id: str, viewer: Viewer) -> WaitlistEntry:
    entry: WaitlistEntry | None = session.scalar(loaded().where(WaitlistEntry.public_id == public_id))
    if entry is None or not (entry.user_id == viewer.id or viewer.manages(entry.facility_id)):
        raise NotFound("waitlist entry")
    return entry


def stored(session: Session, public_id: str, viewer: Viewer) -> EntryView:
    """As it is stored by now, within the transaction that has just changed it."""
    session.flush()
    query = loaded().where(WaitlistEntry.public_id == public_id)
    return _view(session.scalars(query.execution_options(populate_existing=True)).one(), viewer)


def _view(entry: WaitlistEntry, viewer: Viewer) -> EntryView:
    own = entry.user_id == viewer.id
    steps = {"waiting": {"withdraw"}, "offered": {"take", "let_go", "withdraw"}}
    return EntryView(
        id=entry.public_id,
        state=entry.state,
        mode=entry.mode,
        facility=entry.facility.slug,
        facility_name=entry.facility.name,
        zone=entry.facility.time_zone,
        earliest=entry.earliest,
        latest=entry.latest,
        duration=timedelta(seconds=entry.duration),
        places=entry.places,
        equipment=[
            PieceView(want.equipment.slug, want.equipment.name, entry.places)
            for want in sorted(entry.wants, key=lambda w: w.equipment_id)
        ],
        title=entry.title,
        project=entry.project.slug if entry.project else None,
        project_name=entry.project.name if entry.project else None,
        activity=entry.activity,
        user=Person(entry.user.id, entry.user.name, entry.user.email),
        organisation_name=entry.user.organisation.name,
        created_at=entry.created_at,
        offered_at=entry.offered_at,
        closed_at=entry.closed_at,
        offer=_offer(entry.reservation) if entry.reservation is not None else None,
        error=entry.due_error,
        allowed=frozenset(steps.get(entry.state, ()) if own else ()),
    )


def _offer(reservation: Reservation) -> OfferView:
    return OfferView(
        reservation=reservation.public_id,
        start=reservation.starts_at,
        end=reservation.ends_at,
        equipment=[
            PieceView(piece.equipment.slug, piece.equipment.name, piece.places)
            for piece in reservation.pieces
        ],
        until=reservation.decide_by if reservation.hold == "offer" else None,
    )
