"""Words for the people of whatever stands at the equipment, who stay unnamed, as does whoever sends them.

The sender learns that it was passed on and whether it was answered: not to whom it went, to how many, or
whether anybody but the staff was told. Who receives it learns what is said of which equipment and when.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, func, or_, select
from sqlalchemy.orm import Session, aliased, joinedload

from labbook.domain.access import Viewer
from labbook.domain.errors import NotFound, Problem, Refused
from labbook.domain.reservation import Status
from labbook.domain.words import text_problems
from labbook.models import Allocation, Equipment, Participant, Place, Relay, RelayReceiver, Reservation
from labbook.services import journal, transaction
from labbook.services.kiosks import Device

MATTERS = ("alarm", "noise", "smell", "leak", "other")
TEXT_LIMIT = 500
AN_HOUR = 5
"""So many one person or one tablet sends within an hour."""

SHOWN_FOR = timedelta(hours=12)
"""How long a tablet shows what was sent from it."""


@dataclass(frozen=True)
class PassOn:
    """``place``: the number of the place, where whoever stands there can tell."""

    equipment: str
    matter: str
    text: str = ""
    place: int | None = None


@dataclass(frozen=True)
class RelayView:
    """``mine``: the viewer sent it; ``answerable``: they were told, and nobody has answered yet."""

    id: str
    equipment: str
    equipment_name: Mapping[str, str]
    zone: str
    duty_phone: str | None
    matter: str
    text: str
    at: datetime
    answer: str
    answered_at: datetime | None
    mine: bool
    answerable: bool


def pass_on(session: Session, command: PassOn, *, by: Viewer | Device, now: datetime) -> str:
    """The relay's id. With nothing there it goes to the staff alone, and the answer is the same."""
    wrong = text_problems(command.text, "words", limit=TEXT_LIMIT, lines=True)
    if command.matter not in MATTERS:
        wrong.append(Problem("missing", "matter"))

    def work() -> str:
        piece = session.scalar(select(Equipment).where(Equipment.slug == command.equipment))
        if piece is None:
            raise NotFound("equipment")
        problems = [*wrong, *([Problem("relay_too_many")] if _too_many(session, by, now) else [])]
        if problems:
            raise Refused(problems)
        return _passed_on(session, command, piece, by, now)

    return transaction.write(session, work)


def _passed_on(
    session: Session, command: PassOn, piece: Equipment, by: Viewer | Device, now: datetime
) -> str:
    occupants = _occupants(session, piece.id, command.place, now)
    sender = by.id if isinstance(by, Viewer) else None
    text = command.text.strip()
    relay = Relay(
        public_id=secrets.token_hex(8),
        equipment_id=piece.id,
        reservation_id=occupants[0] if len(occupants) == 1 else None,
        sender_id=sender,
        device_id=by.id if isinstance(by, Device) else None,
        matter=command.matter,
        remark_id=journal.kept(session, text) if text else None,
        at=now,
    )
    session.add(relay)
    session.flush()
    told = {*_people(session, occupants), *journal.staff_of(session, piece.facility_id, now)} - {sender}
    session.add_all(RelayReceiver(relay_id=relay.id, user_id=each) for each in sorted(told))
    # About no reservation: a letter that named one would say in its headers that two belong together.
    payload = _said(relay, piece) | {"remark": relay.remark_id}
    journal.post(session, "relay", told, now=now, payload=payload)
    return relay.public_id


def _said(relay: Relay, piece: Equipment) -> dict[str, Any]:
    return {
        "path": f"/relay/{relay.public_id}",
        "equipment": piece.name,
        "matter": relay.matter,
        "at": relay.at,
        "zone": piece.facility.time_zone,
    }


def _too_many(session: Session, by: Viewer | Device, now: datetime) -> bool:
    own = Relay.sender_id if isinstance(by, Viewer) else Relay.device_id
    count = session.scalar(select(func.count()).where(own == by.id, Relay.at > now - timedelta(hours=1)))
    return (count or 0) >= AN_HOUR


def _occupants(session: Session, equipment_id: int, number: int | None, now: datetime) -> list[int]:
    """The reservations that stand there now. What overran still does, whoever's turn it is on its place."""
    query = (
        select(Allocation.place_id, Reservation.id, Reservation.status)
        .join(Place, Allocation.place_id == Place.id)
        .join(Reservation, Allocation.reservation_id == Reservation.id)
        .where(
            Place.equipment_id == equipment_id,
            Allocation.blocking,
            Allocation.change_id.is_(None),
            Allocation.starts_at <= now,
            or_(Allocation.ends_at > now, Reservation.status == Status.IN_USE),
        )
    )
    if number is not None:
        query = query.where(Place.number == number)
    by_place: dict[int, list[Row[*tuple[Any, ...]]]] = {}
    for row in session.execute(query):
        by_place.setdefault(row.place_id, []).append(row)
    found: set[int] = set()
    for rows in by_place.values():
        running = [row.id for row in rows if row.status == Status.IN_USE]
        found.update(running or [row.id for row in rows])
    return sorted(found)


def _people(session: Session, reservation_ids: Sequence[int]) -> set[int]:
    holders = select(Reservation.holder_id).where(Reservation.id.in_(reservation_ids))
    participants = select(Participant.user_id).where(Participant.reservation_id.in_(reservation_ids))
    return {*session.scalars(holders), *session.scalars(participants)}


def find(session: Session, public_id: str, *, viewer: Viewer) -> RelayView:
    """As its sender or one of its receivers sees it; ``NotFound`` to everybody else."""
    told = aliased(RelayReceiver)
    row = session.execute(
        select(Relay, told.user_id)
        .outerjoin(told, and_(told.relay_id == Relay.id, told.user_id == viewer.id))
        .where(Relay.public_id == public_id)
        .options(*_LOADING)
    ).one_or_none()
    if row is None or (row[1] is None and row[0].sender_id != viewer.id):
        raise NotFound("relay")
    relay: Relay = row[0]
    return _view(relay, mine=relay.sender_id == viewer.id, told=row[1] is not None)


def answer(session: Session, public_id: str, text: str, *, actor: Viewer, now: datetime) -> None:
    """The first answer goes back, and says as little of whose it is as the question did."""
    wrong = text_problems(text, "text", limit=TEXT_LIMIT, required=True, lines=True)

    def work() -> None:
        view = find(session, public_id, viewer=actor)
        relay = session.scalars(
            select(Relay)
            .where(Relay.public_id == public_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).one()
        if view.mine:
            raise NotFound("relay")
        problems = [*wrong, *([Problem("relay_answered")] if relay.answered_at is not None else [])]
        if problems:
            raise Refused(problems)
        relay.answer_id = journal.kept(session, text.strip())
        relay.answered_at, relay.answered_by_id = now, actor.id
        if relay.sender_id is not None:
            payload = _said(relay, relay.equipment) | {"remark": relay.answer_id}
            journal.post(session, "relay_answer", [relay.sender_id], now=now, payload=payload)

    transaction.write(session, work)


def sent_from(session: Session, device: Device, *, now: datetime) -> list[RelayView]:
    """What was sent from a tablet lately, the newest first: for whoever stands there and waits."""
    rows = session.scalars(
        select(Relay)
        .where(Relay.device_id == device.id, Relay.at > now - SHOWN_FOR)
        .options(*_LOADING)
        .order_by(Relay.at.desc(), Relay.id.desc())
        .limit(3)
    )
    return [_view(row, mine=True, told=False) for row in rows]


_LOADING = (
    joinedload(Relay.equipment, innerjoin=True).joinedload(Equipment.facility, innerjoin=True),
    joinedload(Relay.remark),
    joinedload(Relay.answer),
)


def _view(relay: Relay, *, mine: bool, told: bool) -> RelayView:
    piece = relay.equipment
    return RelayView(
        id=relay.public_id,
        equipment=piece.slug,
        equipment_name=piece.name,
        zone=piece.facility.time_zone,
        duty_phone=piece.facility.duty_phone,
        matter=relay.matter,
        text=relay.remark.text if relay.remark else "",
        at=relay.at,
        answer=relay.answer.text if relay.answer else "",
        answered_at=relay.answered_at,
        mine=mine,
        answerable=told and not mine and relay.answered_at is None,
    )
