"""What the clock will do next and what it could not do, for those who manage what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true, update
from sqlalchemy.orm import Session, joinedload, selectinload

from labbook.domain.access import Viewer
from labbook.domain.errors import NotFound
from labbook.domain.reservation import next_step
from labbook.models import (
    Equipment,
    Facility,
    OutboxMessage,
    Piece,
    Reservation,
    User,
    Visit,
    WaitlistEntry,
    Webhook,
    WebhookDelivery,
)
from labbook.services import measures, transaction
from labbook.services.directory import require_manager
from labbook.services.health import SILENT_AFTER
from labbook.services.heartbeats import BUCKETS
from labbook.services.measures import Process
from labbook.services.reservations import clock_of

PAGE = 50
KINDS = ("reservation", "visit", "waitlist")


@dataclass(frozen=True)
class Upcoming:
    """``step`` is a name of ``domain.reservation.Step``."""

    at: datetime
    step: str
    reservation: str
    title: str
    equipment: Sequence[Mapping[str, str]]
    facility_name: Mapping[str, str]
    zone: str


@dataclass(frozen=True)
class PutAside:
    """A row whose step failed; ``again_at``: when it is tried next. ``reservation``: what it belongs to."""

    kind: str
    id: int
    reservation: str | None
    title: str
    zone: str
    error: str
    attempts: int
    again_at: datetime | None


@dataclass(frozen=True)
class FailedMail:
    kind: str
    to: str
    at: datetime
    error: str


@dataclass(frozen=True)
class FailedEvent:
    equipment: str
    name: Mapping[str, str]
    event: str
    at: datetime
    error: str


@dataclass(frozen=True)
class Scheduler:
    """``median`` and ``most``: within how many seconds half and 99 of 100 steps were taken; None for "later
    than an hour" and where there was none."""

    process: Process
    alive: bool
    median: float | None
    most: float | None

    @property
    def steps(self) -> int:
        return sum(self.process.lateness)


@dataclass(frozen=True)
class Engine:
    """``next``: the cursor of the following page of ``upcoming``. The counts are of all there is; what is
    listed of failures is the newest."""

    upcoming: Sequence[Upcoming]
    next: tuple[datetime, int] | None
    put_aside: Sequence[PutAside]
    mail_waiting: int
    mail_since: datetime | None
    mail_failed: int
    failed_mail: Sequence[FailedMail]
    events_failed: int
    failed_events: Sequence[FailedEvent]
    schedulers: Sequence[Scheduler]


def read(
    session: Session, *, viewer: Viewer, now: datetime, after: tuple[datetime, int] | None = None
) -> Engine:
    """Of the facilities that the viewer manages; an admin's is all of it. A constant number of queries."""
    require_manager(viewer)
    mine = _Mine(viewer)
    upcoming, following = _upcoming(session, mine, after)
    waiting, since = session.execute(
        mine.mail(select(func.count(OutboxMessage.id), func.min(OutboxMessage.due_at))).where(
            OutboxMessage.due_at.is_not(None)
        )
    ).one()
    mail_failed, failed_mail = _failed_mail(session, mine)
    events_failed, failed_events = _failed_events(session, mine)
    return Engine(
        upcoming=upcoming,
        next=following,
        put_aside=_put_aside(session, mine),
        mail_waiting=waiting,
        mail_since=since,
        mail_failed=mail_failed,
        failed_mail=failed_mail,
        events_failed=events_failed,
        failed_events=failed_events,
        schedulers=[_scheduler(each, now) for each in measures.processes(session)],
    )


def retry(session: Session, kind: str, row_id: int, *, actor: Viewer, now: datetime) -> None:
    """What was put aside is due now; ``NotFound`` for what was not, or is not theirs."""
    require_manager(actor)
    mine = _Mine(actor)
    model: Any = {"reservation": Reservation, "visit": Visit, "waitlist": WaitlistEntry}[kind]

    def work() -> None:
        done = session.execute(
            update(model)
            .where(model.id == row_id, model.due_error.is_not(None), mine.rows(model))
            .values(due_at=now)
            .returning(model.id)
            .execution_options(synchronize_session=False)
        )
        if done.first() is None:
            raise NotFound("step")

    transaction.write(session, work)


class _Mine:
    """What the viewer manages, as conditions."""

    def __init__(self, viewer: Viewer) -> None:
        self._all = viewer.is_admin
        self._facilities = sorted(viewer.manages_at)

    def at(self, facility_id: Any) -> ColumnElement[bool]:
        return true() if self._all else facility_id.in_(self._facilities)

    def rows(self, model: Any) -> ColumnElement[bool]:
        if model is not Visit:
            return self.at(model.facility_id)
        own = select(Reservation.id).where(self.at(Reservation.facility_id))
        return true() if self._all else Visit.reservation_id.in_(own)

    def mail(self, query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
        """What concerns an account alone is an admin's to see."""
        if self._all:
            return query
        return query.join(Reservation, OutboxMessage.reservation_id == Reservation.id).where(
            self.at(Reservation.facility_id)
        )


def _upcoming(
    session: Session, mine: _Mine, after: tuple[datetime, int] | None
) -> tuple[list[Upcoming], tuple[datetime, int] | None]:
    query = (
        select(Reservation)
        .where(
            Reservation.due_at.is_not(None),
            Reservation.due_error.is_(None),
            mine.at(Reservation.facility_id),
        )
        .options(
            joinedload(Reservation.facility, innerjoin=True),
            selectinload(Reservation.pieces).joinedload(Piece.equipment, innerjoin=True),
        )
        .order_by(Reservation.due_at, Reservation.id)
        .limit(PAGE + 1)
    )
    if after is not None:
        at, row_id = after
        later = and_(Reservation.due_at == at, Reservation.id > row_id)
        query = query.where(or_(Reservation.due_at > at, later))
    rows = session.scalars(query).all()
    shown = [_step(row) for row in rows[:PAGE]]
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    return shown, None if last is None or last.due_at is None else (last.due_at, last.id)


def _step(row: Reservation) -> Upcoming:
    assert row.due_at is not None
    due = next_step(clock_of(row))
    return Upcoming(
        at=row.due_at,
        step=str(due[0]) if due else "",
        reservation=row.public_id,
        title=row.title,
        equipment=[piece.equipment.name for piece in sorted(row.pieces, key=lambda p: p.equipment_id)],
        facility_name=row.facility.name,
        zone=row.facility.time_zone,
    )


def _put_aside(session: Session, mine: _Mine) -> list[PutAside]:
    of_reservation = select(Reservation, Reservation.public_id, Reservation.title, Facility.time_zone).join(
        Facility, Reservation.facility_id == Facility.id
    )
    of_visit = (
        select(Visit, Reservation.public_id, Reservation.title, Facility.time_zone)
        .join(Reservation, Visit.reservation_id == Reservation.id)
        .join(Facility, Reservation.facility_id == Facility.id)
    )
    of_entry = (
        select(WaitlistEntry, Reservation.public_id, WaitlistEntry.title, Facility.time_zone)
        .outerjoin(Reservation, WaitlistEntry.reservation_id == Reservation.id)
        .join(Facility, WaitlistEntry.facility_id == Facility.id)
    )
    queries: tuple[tuple[str, Any, Select[*tuple[Any, ...]]], ...] = (
        ("reservation", Reservation, of_reservation),
        ("visit", Visit, of_visit),
        ("waitlist", WaitlistEntry, of_entry),
    )
    found = [
        PutAside(kind, row.id, public_id, title, zone, row.due_error, row.due_attempts, row.due_at)
        for kind, model, query in queries
        for row, public_id, title, zone in session.execute(
            query.where(model.due_error.is_not(None), mine.rows(model))
            .order_by(model.due_at, model.id)
            .limit(PAGE)
        )
    ]
    return sorted(found, key=lambda each: (each.again_at is None, each.again_at))[:PAGE]


def _failed_mail(session: Session, mine: _Mine) -> tuple[int, list[FailedMail]]:
    failed = OutboxMessage.failed_at.is_not(None)
    count = session.scalar(mine.mail(select(func.count(OutboxMessage.id))).where(failed)) or 0
    rows = session.execute(
        mine.mail(
            select(OutboxMessage.kind, User.name, OutboxMessage.failed_at, OutboxMessage.error)
            .select_from(OutboxMessage)
            .join(User, OutboxMessage.user_id == User.id)
        )
        .where(failed)
        .order_by(OutboxMessage.failed_at.desc(), OutboxMessage.id.desc())
        .limit(PAGE)
    )
    return count, [FailedMail(kind, to, at, error or "") for kind, to, at, error in rows]


def _failed_events(session: Session, mine: _Mine) -> tuple[int, list[FailedEvent]]:
    def asked(*columns: Any) -> Select[*tuple[Any, ...]]:
        return (
            select(*columns)
            .select_from(WebhookDelivery)
            .join(Webhook, WebhookDelivery.webhook_id == Webhook.id)
            .join(Equipment, Webhook.equipment_id == Equipment.id)
            .where(WebhookDelivery.failed_at.is_not(None), mine.at(Equipment.facility_id))
        )

    newest = asked(
        Equipment.slug,
        Equipment.name,
        WebhookDelivery.event,
        WebhookDelivery.failed_at,
        WebhookDelivery.error,
    ).order_by(WebhookDelivery.failed_at.desc(), WebhookDelivery.id.desc())
    rows = session.execute(newest.limit(PAGE))
    count = session.scalar(asked(func.count(WebhookDelivery.id))) or 0
    return count, [FailedEvent(slug, name, event, at, error or "") for slug, name, event, at, error in rows]


def _scheduler(process: Process, now: datetime) -> Scheduler:
    return Scheduler(
        process,
        alive=now - process.seen_at <= SILENT_AFTER,
        median=_within(process.lateness, 0.5),
        most=_within(process.lateness, 0.99),
    )


def _within(counts: Sequence[int], share: float) -> float | None:
    """The upper edge of the bucket that the share of all falls into."""
    total = sum(counts)
    if not total:
        return None
    for edge, sum_ in zip(BUCKETS, accumulate(counts), strict=False):
        if sum_ >= share * total:
            return edge
    return None
