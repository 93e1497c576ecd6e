"""Rigs as the managers of their facility keep them: where they listen, and what they were told."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select, true, update
from sqlalchemy.orm import Session, aliased

from labbook.domain.access import Viewer
from labbook.domain.errors import NotFound, Problem, Refused
from labbook.formats import signature
from labbook.models import Equipment, Facility, Reservation, Webhook, WebhookDelivery
from labbook.services import transaction, webhooks
from labbook.services.calling import address_problems
from labbook.services.directory import require_manager

ON_CLOSE = ("nothing", "signal")
PAGE = 50


@dataclass(frozen=True)
class KeepRig:
    """``on_close``: what the rig is asked for when a window closes."""

    equipment: str
    url: str
    on_close: str = "nothing"
    active: bool = False


@dataclass(frozen=True)
class RigView:
    """``waiting`` events are not delivered yet; ``failed`` ones were given up."""

    equipment: str
    name: Mapping[str, str]
    facility_name: Mapping[str, str]
    zone: str
    url: str
    on_close: str
    active: bool
    waiting: int
    failed: int
    told_at: datetime | None


@dataclass(frozen=True)
class DeliveryView:
    """``state``: ``waiting``, ``delivered``, ``failed`` or ``superseded``. ``retryable``: nothing later was
    delivered, so that the rig may still hear of it."""

    id: int
    event: str
    state: str
    reservation: str | None
    title: str | None
    at: datetime
    due_at: datetime | None
    attempts: int
    status: int | None
    error: str | None
    delivered_at: datetime | None
    retryable: bool


@dataclass(frozen=True)
class RigPage:
    """One rig with its newest deliveries; ``before``: the number that the next page begins below."""

    rig: RigView
    deliveries: Sequence[DeliveryView]
    before: int | None


@dataclass(frozen=True)
class Unlistening:
    """Equipment that nobody listens for yet."""

    slug: str
    name: Mapping[str, str]


def list_managed(session: Session, *, viewer: Viewer) -> list[RigView]:
    require_manager(viewer)
    return [_view(*row) for row in session.execute(_rigs(viewer).order_by(Equipment.slug))]


def without(session: Session, *, viewer: Viewer) -> list[Unlistening]:
    """What the viewer manages and could put up a rig for."""
    rows = session.execute(
        select(Equipment.slug, Equipment.name)
        .where(
            _managed(viewer),
            Equipment.state != "retired",
            ~exists().where(Webhook.equipment_id == Equipment.id),
        )
        .order_by(Equipment.slug)
    )
    return [Unlistening(slug, name) for slug, name in rows]


def find(session: Session, slug: str, *, viewer: Viewer, before: int | None = None) -> RigPage:
    """``NotFound`` to whoever does not manage its facility: they need not know that there is one."""
    row = session.execute(_rigs(viewer).where(Equipment.slug == slug)).one_or_none()
    if row is None:
        raise NotFound("rig")
    hook: Webhook = row[0]
    last = session.scalar(
        select(func.max(WebhookDelivery.id)).where(
            WebhookDelivery.webhook_id == hook.id,
            WebhookDelivery.delivered_at.is_not(None),
            WebhookDelivery.event != webhooks.TEST,
        )
    )
    query = (
        select(WebhookDelivery, Reservation.public_id, Reservation.title)
        .outerjoin(Reservation, WebhookDelivery.reservation_id == Reservation.id)
        .where(WebhookDelivery.webhook_id == hook.id)
        .order_by(WebhookDelivery.id.desc())
        .limit(PAGE + 1)
    )
    if before is not None:
        query = query.where(WebhookDelivery.id < before)
    found = session.execute(query).all()
    shown = [_delivery(each, public_id, title, last or 0) for each, public_id, title in found[:PAGE]]
    return RigPage(_view(*row), shown, shown[-1].id if len(found) > PAGE else None)


def put_up(session: Session, command: KeepRig, *, actor: Viewer, now: datetime) -> str:
    """The secret, shown this once. A rig is put up switched off, unless it is said otherwise."""
    require_manager(actor)
    secret = _new_secret()

    def work() -> str:
        problems = _problems(command)
        piece = session.scalar(select(Equipment).where(Equipment.slug == command.equipment, _managed(actor)))
        if piece is None:
            params = {"equipment": command.equipment}
            problems.append(Problem("unknown_equipment", "equipment", params=params))
        elif session.scalar(select(Webhook.id).where(Webhook.equipment_id == piece.id)) is not None:
            problems.append(Problem("rig_exists", "equipment"))
        if problems or piece is None:
            raise Refused(problems)
        session.add(
            Webhook(
                equipment_id=piece.id,
                url=command.url,
                secret=secret,
                on_close=command.on_close,
                active=command.active,
                created_by_id=actor.id,
                created_at=now,
            )
        )
        return secret

    return transaction.write(session, work)


def change(session: Session, command: KeepRig, *, actor: Viewer) -> None:
    """What waits is told at the new address; of one that is switched off nothing is left to tell."""

    def work() -> None:
        hook = _opened(session, command.equipment, actor)
        problems = _problems(command)
        if problems:
            raise Refused(problems)
        hook.url, hook.on_close, hook.active = command.url, command.on_close, command.active
        if not command.active:
            session.execute(
                update(WebhookDelivery)
                .where(
                    WebhookDelivery.webhook_id == hook.id,
                    WebhookDelivery.due_at.is_not(None),
                    WebhookDelivery.event != webhooks.TEST,
                )
                .values(due_at=None)
                .execution_options(synchronize_session=False)
            )

    transaction.write(session, work)


def renew_secret(session: Session, slug: str, *, actor: Viewer) -> str:
    """The new one, shown this once; what waits is signed with it."""

    def work() -> str:
        hook = _opened(session, slug, actor)
        hook.secret = _new_secret()
        return hook.secret

    return transaction.write(session, work)


def send_test(session: Session, slug: str, *, actor: Viewer, now: datetime) -> None:
    """Told at once and once, also by one that is switched off."""

    def work() -> None:
        hook = _opened(session, slug, actor)
        public_id = webhooks.new_id()
        said = webhooks.payload(
            public_id, webhooks.TEST, slug, now, reservation=None, allowed=False, until=None
        )
        session.add(
            WebhookDelivery(
                public_id=public_id,
                webhook_id=hook.id,
                event=webhooks.TEST,
                payload=said,
                created_at=now,
                due_at=now,
                attempts=0,
            )
        )

    transaction.write(session, work)


def retry(session: Session, slug: str, delivery_id: int, *, actor: Viewer, now: datetime) -> None:
    """Tell what was given up once more; not where the rig has heard of something later."""

    def work() -> None:
        hook = _opened(session, slug, actor)
        row = session.scalar(
            select(WebhookDelivery).where(
                WebhookDelivery.id == delivery_id, WebhookDelivery.webhook_id == hook.id
            )
        )
        if row is None:
            raise NotFound("delivery")
        if row.failed_at is None:
            raise Refused([Problem("not_given_up")])
        later = exists().where(
            WebhookDelivery.webhook_id == hook.id,
            WebhookDelivery.id > row.id,
            WebhookDelivery.delivered_at.is_not(None),
            WebhookDelivery.event != webhooks.TEST,
        )
        if row.event != webhooks.TEST and session.scalar(select(later)):
            raise Refused([Problem("told_something_later")])
        row.failed_at, row.due_at = None, now

    transaction.write(session, work)


def _new_secret() -> str:
    return signature.secret_of(secrets.token_bytes(32))


def _problems(command: KeepRig) -> list[Problem]:
    problems = address_problems(command.url)
    if command.on_close not in ON_CLOSE:
        problems.append(Problem("not_one_of", "on_close", params={"choices": list(ON_CLOSE)}))
    return problems


def _opened(session: Session, slug: str, actor: Viewer) -> Webhook:
    hook = session.scalar(
        select(Webhook)
        .join(Equipment, Webhook.equipment_id == Equipment.id)
        .where(Equipment.slug == slug, _managed(actor))
        .with_for_update(of=Webhook)
        .execution_options(populate_existing=True)
    )
    if hook is None:
        raise NotFound("rig")
    return hook


def _managed(viewer: Viewer) -> ColumnElement[bool]:
    return true() if viewer.is_admin else Equipment.facility_id.in_(sorted(viewer.manages_at))


def _rigs(viewer: Viewer) -> Select[*tuple[Any, ...]]:
    each = aliased(WebhookDelivery)
    own = each.webhook_id == Webhook.id
    waiting = select(func.count()).select_from(each).where(own, each.due_at.is_not(None)).scalar_subquery()
    failed = select(func.count()).select_from(each).where(own, each.failed_at.is_not(None)).scalar_subquery()
    told = select(func.max(each.delivered_at)).where(own).scalar_subquery()
    return (
        select(Webhook, Equipment, Facility, waiting, failed, told)
        .join(Equipment, Webhook.equipment_id == Equipment.id)
        .join(Facility, Equipment.facility_id == Facility.id)
        .where(_managed(viewer))
    )


def _view(
    hook: Webhook, piece: Equipment, place: Facility, waiting: int, failed: int, told: datetime | None
) -> RigView:
    return RigView(
        equipment=piece.slug,
        name=piece.name,
        facility_name=place.name,
        zone=place.time_zone,
        url=hook.url,
        on_close=hook.on_close,
        active=hook.active,
        waiting=waiting,
        failed=failed,
        told_at=told,
    )


def _delivery(row: WebhookDelivery, public_id: str | None, title: str | None, last: int) -> DeliveryView:
    failed = row.failed_at is not None
    return DeliveryView(
        id=row.id,
        event=row.event,
        state=state_of(row),
        reservation=public_id,
        title=title,
        at=row.created_at,
        due_at=row.due_at,
        attempts=row.attempts,
        status=row.response_status,
        error=row.error,
        delivered_at=row.delivered_at,
        retryable=failed and (row.event == webhooks.TEST or row.id > last),
    )


def state_of(row: WebhookDelivery) -> str:
    if row.delivered_at is not None:
        return "delivered"
    if row.failed_at is not None:
        return "failed"
    return "superseded" if row.due_at is None else "waiting"
