"""Tablets beside the equipment: made and revoked by managers, known by a secret that only they hold.

A pairing address carries the device's first secret. The first page that the tablet opens with it exchanges
it for another, so that an address that somebody saw in passing pairs nothing afterwards.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, select, update
from sqlalchemy.orm import Session, joinedload

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, NotFound, Problem, Refused, StorageTrouble
from labbook.domain.words import text_problems
from labbook.models import Equipment, KioskDevice, User
from labbook.services import journal, transaction, viewers
from labbook.services.viewers import LAST_USED_EVERY, token_hash

NAME_LIMIT = 100


@dataclass(frozen=True)
class Device:
    """A tablet that was recognised. ``fresh``: the secret it keeps from now on, where it gets another."""

    id: int
    equipment: str
    organisation_id: int
    name: str
    fresh: str | None = None
    seen_again: bool = False


@dataclass(frozen=True)
class DeviceView:
    id: int
    name: str
    equipment: str
    equipment_name: Mapping[str, str]
    zone: str
    created_at: datetime
    last_seen_at: datetime | None


@dataclass(frozen=True)
class CreatedDevice:
    """``secret`` is in the pairing address, which is shown this once; only its hash is kept."""

    device: DeviceView
    secret: str


def create(session: Session, equipment: str, name: str, *, actor: Viewer, now: datetime) -> CreatedDevice:
    """A tablet at one piece; it shows in full what is of the actor's organisation. A manager's to make."""
    wrong = text_problems(name, "name", limit=NAME_LIMIT, required=True)
    secret = secrets.token_urlsafe(32)

    def work() -> CreatedDevice:
        problems = list(wrong)
        piece = session.scalar(select(Equipment).where(Equipment.slug == equipment))
        if piece is None:
            problems.append(Problem("unknown_equipment", "equipment", params={"equipment": equipment}))
        elif not actor.manages_by_right(piece.facility_id):  # a deputy's organisation need not be the lab's
            raise Forbidden("manage")
        if problems or piece is None:
            raise Refused(problems)
        row = KioskDevice(
            equipment=piece,
            organisation_id=actor.organisation_id,
            name=name.strip(),
            token_hash=token_hash(secret),
            created_by_id=actor.id,
            created_at=now,
        )
        session.add(row)
        session.flush()
        return CreatedDevice(_view(row), secret)

    return transaction.write(session, work)


def create_for_keeper(session: Session, equipment: str, name: str, *, now: datetime) -> CreatedDevice:
    """As ``create``, in the name of the facility's first manager: for whoever operates the machine."""
    facility_id = session.scalar(select(Equipment.facility_id).where(Equipment.slug == equipment))
    if facility_id is None:
        raise Refused([Problem("unknown_equipment", "equipment", params={"equipment": equipment})])
    managers = journal.managers_of(session, facility_id)
    email = session.scalar(select(User.email).where(User.id == managers[0])) if managers else None
    keeper = viewers.by_email(session, email, now) if email else None
    if keeper is None:
        raise Refused([Problem("no_keeper", "equipment")])
    return create(session, equipment, name, actor=keeper, now=now)


def list_managed(session: Session, *, viewer: Viewer) -> list[DeviceView]:
    """Those at the equipment that the viewer manages and that aren't revoked, by equipment."""
    return [_view(row) for row in _rows(session) if viewer.manages(row.equipment.facility_id)]


def list_all(session: Session) -> list[DeviceView]:
    """All that aren't revoked, for whoever operates the machine."""
    return [_view(row) for row in _rows(session)]


def revoke(session: Session, device_id: int, *, actor: Viewer, now: datetime) -> None:
    """``NotFound`` for one that isn't the actor's to manage, and for one already revoked."""
    row = session.get(KioskDevice, device_id)
    if row is None or not actor.manages(row.equipment.facility_id):
        raise NotFound("kiosk")
    _revoke(session, KioskDevice.id == device_id, now=now)


def revoke_by_id(session: Session, device_id: int, *, now: datetime) -> int:
    """For whoever operates the machine, like the two below; how many were revoked."""
    return _revoke(session, KioskDevice.id == device_id, now=now)


def revoke_secret(session: Session, secret: str, *, now: datetime) -> int:
    return _revoke(session, KioskDevice.token_hash == token_hash(secret), now=now)


def revoke_at(session: Session, equipment: str, *, now: datetime) -> int:
    piece = select(Equipment.id).where(Equipment.slug == equipment).scalar_subquery()
    return _revoke(session, KioskDevice.equipment_id == piece, now=now)


def pairing(session: Session, secret: str) -> str:
    """The equipment that a pairing address is for; ``NotFound`` once a tablet has it, or it is revoked."""
    found = session.scalar(_known(secret).where(KioskDevice.last_seen_at.is_(None)))
    if found is None:
        raise NotFound("kiosk")
    return found.equipment.slug


def recognise(session: Session, secret: str, *, now: datetime) -> Device | None:
    """Whose secret it is; None when it is unknown or revoked.

    Seen for the first time it gets another secret. That it was seen is noted every few minutes, and it is
    recognised also where that cannot be written.
    """
    row = session.scalar(_known(secret))
    if row is None:
        return None
    found = Device(row.id, row.equipment.slug, row.organisation_id, row.name)
    if row.last_seen_at is not None and now - row.last_seen_at < LAST_USED_EVERY:
        return found
    fresh = secrets.token_urlsafe(32) if row.last_seen_at is None else None
    try:
        noted = _note(session, row.id, token_hash(secret), fresh, now)
    except StorageTrouble:
        return found
    return (
        Device(found.id, found.equipment, found.organisation_id, found.name, fresh, True) if noted else found
    )


def _note(session: Session, device_id: int, known_by: str, fresh: str | None, now: datetime) -> bool:
    """False when another request of the same tablet was faster."""

    def work() -> bool:
        done = session.execute(
            update(KioskDevice)
            .where(KioskDevice.id == device_id, KioskDevice.token_hash == known_by)
            .values(last_seen_at=now, token_hash=token_hash(fresh) if fresh else known_by)
            .returning(KioskDevice.id)
            .execution_options(synchronize_session=False)
        )
        return done.first() is not None

    return transaction.write(session, work)


def _known(secret: str) -> Select[KioskDevice]:
    return (
        select(KioskDevice)
        .where(KioskDevice.token_hash == token_hash(secret), KioskDevice.revoked_at.is_(None))
        .options(joinedload(KioskDevice.equipment, innerjoin=True))
    )


def _rows(session: Session) -> Sequence[KioskDevice]:
    return session.scalars(
        select(KioskDevice)
        .where(KioskDevice.revoked_at.is_(None))
        .join(KioskDevice.equipment)
        .order_by(Equipment.slug, KioskDevice.id)
        .options(joinedload(KioskDevice.equipment, innerjoin=True).joinedload(Equipment.facility))
    ).all()


def _revoke(session: Session, which: ColumnElement[bool], *, now: datetime) -> int:
    def work() -> int:
        done = session.scalars(
            update(KioskDevice)
            .where(which, KioskDevice.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(KioskDevice.id)
            .execution_options(synchronize_session=False)
        ).all()
        if not done:
            raise NotFound("kiosk")
        return len(done)

    return transaction.write(session, work)


def _view(row: KioskDevice) -> DeviceView:
    piece = row.equipment
    return DeviceView(
        row.id, row.name, piece.slug, piece.name, piece.facility.time_zone, row.created_at, row.last_seen_at
    )
