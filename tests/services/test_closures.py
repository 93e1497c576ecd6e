"""Closing a laboratory: who hears of it, and what it does to what is there."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.errors import Forbidden, Refused
from labbook.models import OutboxMessage
from labbook.services import closures, decisions
from labbook.services.closures import AddClosure
from labbook.services.commands import Decide
from tests.cast import NOW, Cast, at
from tests.services.test_reservations import book, codes

MORNING = AddClosure("cie", "shutdown", at("2026-03-24 11:00"), at("2026-03-24 18:00"), "Power is off")


def told(session: Session) -> set[int]:
    return set(session.scalars(select(OutboxMessage.user_id).where(OutboxMessage.kind == "closed")))


def test_whoever_has_something_reserved_hears_of_a_shutdown_and_nobody_else(
    session: Session, cast: Cast
) -> None:
    book(session, cast.anna, "scope")
    book(session, cast.mia, "scope-2", holder=cast.carla.email)
    book(session, cast.bo, "cycler", start="2026-03-24 08:00", end="2026-03-24 11:00")
    closures.add(session, MORNING, actor=cast.mia, now=NOW)
    assert told(session) == {cast.anna.id, cast.carla.id}


def test_hours_without_staff_touch_nobodys_reservation(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "scope")
    unstaffed = AddClosure("cie", "unstaffed", MORNING.start, MORNING.end, "")
    closures.add(session, unstaffed, actor=cast.mia, now=NOW)
    assert told(session) == set()


def test_nobody_requests_into_a_shutdown_nor_checks_in_during_one(session: Session, cast: Cast) -> None:
    chamber = book(session, cast.anna, "chamber")
    decisions.approve(session, Decide(chamber.id), actor=cast.mia, now=NOW)
    closures.add(session, MORNING, actor=cast.mia, now=NOW)
    with pytest.raises(Refused) as refused:
        book(session, cast.bo, "scope")
    assert codes(refused) == {"shutdown"}
    with pytest.raises(Refused) as refused:
        decisions.check_in(session, Decide(chamber.id), actor=cast.anna, now=at("2026-03-24 10:00"))
    assert codes(refused) == {"shutdown"}


def test_only_the_labs_managers_close_it(session: Session, cast: Cast) -> None:
    for who in (cast.anna, cast.tom):
        with pytest.raises(Forbidden):
            closures.add(session, MORNING, actor=who, now=NOW)
