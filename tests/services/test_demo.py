"""The demo fills an empty database, breaks no promise, and adds nothing when it is run again."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from labbook.models import Environment, Reservation
from labbook.services import accounts, demo, verify
from tests.cast import at


def count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Reservation)) or 0


@pytest.mark.parametrize("now", [at("2026-03-25 11:00"), at("2026-10-25 23:30")])
def test_a_week_with_life_in_it_whatever_day_it_is(session: Session, now: datetime) -> None:
    found = demo.fill(session, now=now)
    made = count(session)
    assert made >= len(demo.WEEK) - 4  # what falls on a holiday is left out
    statuses = set(session.scalars(select(Reservation.status).distinct()))
    assert {"requested", "approved", "in_use", "completed", "cancelled", "declined"} <= statuses
    assert verify.verify(session) == []
    session.rollback()
    assert accounts.authenticate(session, found[0].email, demo.PASSWORD) is not None
    demo.fill(session, now=now)
    assert session.scalar(select(func.count()).where(Environment.organisation_id.is_not(None))) == 1
    assert count(session) == made
