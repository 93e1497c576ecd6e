"""Somebody at the equipment says that it does not work: staff hear of it, and close it when it does again.

Whoever has the equipment now or within a day hears only that it is reported as unusable: not by whom, not
in whose words.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, joinedload

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, NotFound, Problem, Refused
from labbook.domain.reservation import Status
from labbook.domain.words import text_problems
from labbook.models import Equipment, FaultReport, KioskDevice, Piece, Reservation
from labbook.services import journal, transaction
from labbook.services.kiosks import Device

SEVERITIES = ("unusable", "impaired", "note")
STATES = ("in_service", "out_of_service")
TEXT_LIMIT = 2000
AN_HOUR = 10
"""So many reports one person or one tablet makes within an hour."""

AFFECTED = timedelta(days=1)


@dataclass(frozen=True)
class ReportFault:
    equipment: str
    severity: str
    text: str


@dataclass(frozen=True)
class FaultView:
    """``by`` is the person, or the tablet's name where nobody had signed in."""

    id: str
    equipment: str
    equipment_name: Mapping[str, str]
    state: str
    zone: str
    severity: str
    text: str
    at: datetime
    by: str
    at_tablet: bool


def report(session: Session, command: ReportFault, *, by: Viewer | Device, now: datetime) -> str:
    """The fault's id. Raises ``Refused`` with all that is wrong, ``NotFound`` for no such equipment."""
    wrong = text_problems(command.text, "text", limit=TEXT_LIMIT, required=True, lines=True)
    if command.severity not in SEVERITIES:
        wrong.append(Problem("unknown_kind", "severity", params={"kind": command.severity}))

    def work() -> str:
        piece = session.scalar(select(Equipment).where(Equipment.slug == command.equipment))
        if piece is None:
            raise NotFound("equipment")
        problems = [*wrong, *([Problem("fault_too_many")] if _too_many(session, by, now) else [])]
        if problems:
            raise Refused(problems)
        person = by.id if isinstance(by, Viewer) else None
        fault = FaultReport(
            public_id=secrets.token_hex(8),
            equipment_id=piece.id,
            reported_by_id=person,
            device_id=by.id if isinstance(by, Device) else None,
            severity=command.severity,
            remark_id=journal.kept(session, command.text.strip()),
            at=now,
        )
        session.add(fault)
        session.flush()
        _tell(session, fault, piece, person, now)
        return fault.public_id

    return transaction.write(session, work)


def _too_many(session: Session, by: Viewer | Device, now: datetime) -> bool:
    own = FaultReport.reported_by_id if isinstance(by, Viewer) else FaultReport.device_id
    count = session.scalar(
        select(func.count()).where(own == by.id, FaultReport.at > now - timedelta(hours=1))
    )
    return (count or 0) >= AN_HOUR


def _tell(session: Session, fault: FaultReport, piece: Equipment, person: int | None, now: datetime) -> None:
    staff = journal.staff_of(session, piece.facility_id, now)
    told = {"equipment": piece.name, "neutral": False, "severity": fault.severity, "remark": fault.remark_id}
    told |= {"path": f"/equipment/{piece.slug}#faults"}
    journal.post(session, "fault", staff, now=now, payload=told, apart_from=person)
    if fault.severity != "unusable":
        return
    affected = session.scalars(
        select(Reservation).where(
            Reservation.pieces.any(Piece.equipment_id == piece.id),
            or_(
                Reservation.status == Status.IN_USE,
                (Reservation.status == Status.APPROVED)
                & (Reservation.occupied_from < now + AFFECTED)
                & (Reservation.occupied_until > now),
            ),
        )
    )
    for each in affected:
        holders = {each.holder_id} - set(staff)
        neutral = {"equipment": piece.name, "neutral": True}
        journal.post(session, "fault", holders, now=now, reservation=each, payload=neutral, apart_from=person)


def list_open(session: Session, *, viewer: Viewer, equipment: str | None = None) -> list[FaultView]:
    """What is not closed in the facilities whose staff the viewer is, the gravest first."""
    query = (
        select(FaultReport)
        .join(FaultReport.equipment)
        .where(FaultReport.closed_at.is_(None))
        .options(
            joinedload(FaultReport.equipment, innerjoin=True).joinedload(Equipment.facility, innerjoin=True),
            joinedload(FaultReport.reported_by),
            joinedload(FaultReport.remark, innerjoin=True),
        )
        .order_by(FaultReport.at.desc(), FaultReport.id)
    )
    if equipment is not None:
        query = query.where(Equipment.slug == equipment)
    if not viewer.is_admin:
        query = query.where(Equipment.facility_id.in_(sorted(viewer.staff_at)))
    rows = [row for row in session.scalars(query) if viewer.is_staff_of(row.equipment.facility_id)]
    tablets = {row.device_id for row in rows} - {None}
    names = dict(
        session.execute(select(KioskDevice.id, KioskDevice.name).where(KioskDevice.id.in_(tablets))).all()
    )
    return sorted((_view(row, names) for row in rows), key=lambda view: SEVERITIES.index(view.severity))


def _view(row: FaultReport, tablets: Mapping[int, str]) -> FaultView:
    piece = row.equipment
    return FaultView(
        id=row.public_id,
        equipment=piece.slug,
        equipment_name=piece.name,
        state=piece.state,
        zone=piece.facility.time_zone,
        severity=row.severity,
        text=row.remark.text,
        at=row.at,
        by=row.reported_by.name if row.reported_by else tablets.get(row.device_id or 0, ""),
        at_tablet=row.reported_by is None,
    )


def require_staff(viewer: Viewer) -> None:
    if not (viewer.is_admin or viewer.staff_at):
        raise Forbidden("staff")


def close(session: Session, public_id: str, *, actor: Viewer, now: datetime) -> str:
    """It works again: the equipment's slug. ``NotFound`` to whoever is not its facility's staff."""

    def work() -> str:
        fault = session.scalar(
            select(FaultReport).where(FaultReport.public_id == public_id).with_for_update()
        )
        if fault is None or not actor.is_staff_of(fault.equipment.facility_id) or fault.closed_at is not None:
            raise NotFound("fault")
        fault.closed_at, fault.closed_by_id = now, actor.id
        return fault.equipment.slug

    return transaction.write(session, work)


def set_state(session: Session, equipment: str, state: str, *, actor: Viewer) -> None:
    """Take a piece out of service, or back into it; a step of its facility's staff, never of a report."""

    def work() -> None:
        piece = session.scalar(
            select(Equipment).where(Equipment.slug == equipment).with_for_update(key_share=True)
        )
        if piece is None:
            raise NotFound("equipment")
        if not actor.is_staff_of(piece.facility_id):
            raise Forbidden("staff")
        if state not in STATES:
            raise Refused([Problem("unknown_kind", "state", params={"kind": state})])
        if piece.state == "retired":
            raise Refused([Problem("retired", "state", params={"equipment": piece.slug})])
        piece.state = state
        transaction.touch(session, piece.facility_id)

    transaction.write(session, work)
