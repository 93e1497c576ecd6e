"""A lab of 50 pieces with over 100 000 reservations, about 19 a week on each, written in bulk."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from labbook.models import (
    Allocation,
    ApiToken,
    Base,
    ChangeCounter,
    Equipment,
    Facility,
    Feed,
    HistoryEntry,
    Organisation,
    Piece,
    Place,
    Reservation,
    StaffMembership,
    User,
)

PIECES = 50
EACH = 2_020
SPACING = timedelta(minutes=525)  # 19.2 a week
ORGANISATIONS = 31  # so that one of them has about 2000 entries in a feed
TOKEN = "bench-token-of-an-engineer"
STAFF_TOKEN = "bench-token-of-a-manager"
FEED_SECRET = "bench-feed-secret"


@dataclass(frozen=True)
class Lab:
    """``monday`` begins the week that is read; ``free_from`` is after the last reservation."""

    monday: datetime
    free_from: datetime
    reservations: int


def _sha(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def fill(session: Session, now: datetime) -> Lab:
    """Everything a bench needs; the busy time lies around ``now``."""
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    _people_and_equipment(session, now)
    first = _monday(now) - SPACING * (EACH // 2)
    places = list(session.scalars(select(Place.id).order_by(Place.id)))
    chance = random.Random(20260329)
    for index, place_id in enumerate(places):
        _reservations(session, index, place_id, first, now, chance)
    session.commit()
    if session.get_bind().dialect.name == "postgresql":
        _count_on(session)
    session.execute(text("ANALYZE"))
    session.commit()
    last = first + SPACING * EACH
    return Lab(_monday(now), _monday(last) + timedelta(days=7), PIECES * EACH)


def _count_on(session: Session) -> None:
    """The rows came with their ids: PostgreSQL's own counting goes on after them."""
    for table in Base.metadata.sorted_tables:
        if "id" in table.c:
            sequence = f"pg_get_serial_sequence('{table.name}', 'id')"
            session.execute(text(f"SELECT setval({sequence}, max(id)) FROM {table.name} HAVING max(id) > 0"))


def _monday(instant: datetime) -> datetime:
    day = instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())


def _people_and_equipment(session: Session, now: datetime) -> None:
    facility = Facility(id=1, slug="bench", name={"en": "Bench"}, time_zone="UTC", staffed={}, example=True)
    session.add(facility)
    session.flush()
    session.add(ChangeCounter(facility_id=1, number=1))
    for n in range(1, ORGANISATIONS + 1):
        session.add(Organisation(id=n, slug=f"org-{n}", name=f"Org {n}", kind="company", created_at=now))
        session.flush()
        email = f"engineer{n}@org-{n}.example"
        session.add(
            User(id=n, email=email, name=f"E {n}", organisation_id=n, role="engineer", created_at=now)
        )
    session.add(
        User(id=99, email="manager@lab.example", name="M", organisation_id=1, role="manager", created_at=now)
    )
    session.flush()
    session.add(StaffMembership(user_id=99, facility_id=1))
    for user_id, token in ((1, TOKEN), (99, STAFF_TOKEN)):
        session.add(ApiToken(user_id=user_id, name="bench", token_hash=_sha(token), created_at=now))
    session.add(
        Feed(user_id=1, scope="organisation", secret_hash=_sha(FEED_SECRET), created_at=now, target_id=1)
    )
    for n in range(1, PIECES + 1):
        session.add(
            Equipment(
                id=n,
                slug=f"item-{n:02}",
                facility_id=1,
                name={"en": f"Item {n}"},
                category="oscilloscope",
                description={},
                documents=[],
                capabilities={},
                hazards=["heat"],
                approval="automatic",
                slot_horizon=3_650 * 86_400,
            )
        )
    session.flush()
    session.add_all(Place(id=n, equipment_id=n, number=1) for n in range(1, PIECES + 1))
    session.flush()


def _reservations(
    session: Session, index: int, place_id: int, first: datetime, now: datetime, chance: random.Random
) -> None:
    reservations, pieces, allocations, history = [], [], [], []
    for k in range(EACH):
        identity = index * EACH + k + 1
        start = first + SPACING * k + timedelta(minutes=15 * chance.randrange(8))
        end = start + timedelta(minutes=15 * chance.randrange(2, 26))
        organisation = identity % ORGANISATIONS + 1
        status = "completed" if end < now else "approved"
        reservations.append(
            {
                "id": identity,
                "public_id": f"{identity:016x}",
                "facility_id": 1,
                "status": status,
                "title": f"Inverter test {identity}",
                "starts_at": start,
                "ends_at": end,
                "occupied_from": start,
                "occupied_until": end,
                "activity": "research",
                "organisation_id": organisation,
                "holder_id": organisation,
                "requested_by_id": organisation,
                "overridden": [],
                "created_at": first,
                "changed_at": first,
                "approved_at": first,
                "ended_at": end if status == "completed" else None,
                "due_at": None if status == "completed" else start,
            }
        )
        pieces.append({"reservation_id": identity, "equipment_id": place_id, "places": 1})
        allocations.append(
            {
                "reservation_id": identity,
                "place_id": place_id,
                "starts_at": start,
                "ends_at": end,
                "blocking": status == "approved",
                "opaque_id": f"o{identity:015x}",
                "changed_at": first,
            }
        )
        history += _told(identity, place_id, first, start, end, status)
    for model, rows in (
        (Reservation, reservations), (Piece, pieces), (Allocation, allocations), (HistoryEntry, history)
    ):  # fmt: skip
        session.execute(insert(model), rows)


def _told(
    reservation_id: int, place_id: int, made: datetime, start: datetime, end: datetime, status: str
) -> list[dict[str, Any]]:
    """The history it would have: booked, approved by itself, and used if its time is over."""
    equipment = [[place_id, 1]]
    asked = {"start": start.isoformat(), "end": end.isoformat(), "equipment": equipment, "overridden": []}
    steps = [
        ("request", made, None, {}, {"status": "requested", **asked}),
        ("approve", made, "automatic", {"status": "requested"}, {"status": "approved"}),
    ]
    if status == "completed":
        began, over = ({"due": at.isoformat()} for at in (start, end))
        steps += [
            ("start", start, "scheduler", {"status": "approved"}, {**began, "status": "in_use"}),
            ("finish", end, "scheduler", {"status": "in_use"}, {**over, "status": "completed"}),
        ]
    return [
        {"reservation_id": reservation_id, "at": at, "rule": rule, "action": action, "old": old, "new": new}
        for action, at, rule, old, new in steps
    ]
