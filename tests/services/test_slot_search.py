"""What is found can be booked, and what can be booked is found: the search against the rules themselves."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from labbook.domain.errors import LabbookError, Refused
from labbook.domain.matching import Need
from labbook.models import Environment, EnvironmentVersion
from labbook.services import reservations, slot_search
from labbook.services.commands import RequestReservation, Wanted
from labbook.services.slot_search import FindSlots
from tests.cast import NOW, Cast, at

SINCE, UNTIL = at("2026-03-24 06:00"), at("2026-03-24 20:00")
QUARTER = timedelta(minutes=15)
SOURCES, SCOPES = ("source", "source-2"), ("scope", "scope-2")


def recipe(session: Session, cast: Cast, *, staffing: str | None, setup: int | None) -> None:
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    row = Environment(slug="pair", facility_id=cast.facility_id)
    row.versions.append(
        EnvironmentVersion(
            number=1,
            name={"en": "Pair"},
            ambient={},
            draws={},
            setup=setup,
            staffing=staffing,
            needs=[{"category": "dc-source", "capabilities": {}}, {"category": "oscilloscope"}],
        )
    )
    session.add(row)
    session.commit()


def crowd(session: Session, cast: Cast, chance: random.Random) -> None:
    """Whatever of a random lot finds room."""
    for _ in range(7):
        start = SINCE + QUARTER * chance.randrange(56)
        length = QUARTER * chance.randrange(2, 14)
        slug = chance.choice((*SOURCES, *SCOPES))
        asked = RequestReservation((Wanted(slug),), start, start + length, "Somebody's")
        try:
            reservations.request(session, asked, actor=cast.carla, now=NOW)
        except Refused:
            continue


def bookable(session: Session, cast: Cast, length: timedelta) -> Iterator[datetime]:
    """The starts at which the rules let some choice of pieces pass, each tried as it would be booked."""
    start = SINCE
    while start + length <= UNTIL:
        for pieces in product(SOURCES, SCOPES):
            asked = RequestReservation(
                tuple(map(Wanted, pieces)), start, start + length, "T", environment="pair", dry_run=True
            )
            try:
                reservations.request(session, asked, actor=cast.anna, now=NOW)
            except LabbookError:
                continue
            yield start
            break
        start += QUARTER


@pytest.mark.parametrize(
    ("seed", "staffing", "setup"), [(1, None, None), (2, "attended", 1800), (3, "unattended", 2700)]
)
def test_the_starts_that_are_found_are_those_that_the_rules_let_pass(
    session: Session, cast: Cast, seed: int, staffing: str | None, setup: int | None
) -> None:
    recipe(session, cast, staffing=staffing, setup=setup)
    crowd(session, cast, random.Random(seed))
    length = timedelta(hours=1)
    asked = FindSlots(length, SINCE, UNTIL, environment="pair", limit=100)
    found = slot_search.find(session, asked, viewer=cast.anna, now=NOW)
    starts = [slot.use.start for slot in found.slots]
    assert starts == list(bookable(session, cast, length))
    assert starts
    for slot in found.slots[::7]:
        wish = RequestReservation(
            slot.pieces, slot.use.start, slot.use.end, "T", environment="pair", dry_run=True
        )
        assert reservations.request(session, wish, actor=cast.anna, now=NOW).id


def test_it_asks_the_database_as_often_however_much_there_is(session: Session, cast: Cast) -> None:
    counts = []
    for rounds in (1, 4):
        for seed in range(rounds):
            crowd(session, cast, random.Random(seed))
        asked: list[str] = []

        def note(*given: object, into: list[str] = asked) -> None:
            into.append(str(given[2]))

        event.listen(session.get_bind(), "before_cursor_execute", note)
        needs = (Need(category="dc-source"), Need(category="oscilloscope"))
        session.expire_all()
        slot_search.find(session, FindSlots(QUARTER * 8, SINCE, needs=needs), viewer=cast.anna, now=NOW)
        event.remove(session.get_bind(), "before_cursor_execute", note)
        counts.append(len([statement for statement in asked if statement.startswith("SELECT")]))
    assert counts[0] == counts[1] <= 16


def test_whoever_lacks_the_training_is_told_and_whoever_has_it_finds_a_time(
    session: Session, cast: Cast
) -> None:
    asked = FindSlots(timedelta(hours=2), SINCE, UNTIL, equipment=(Wanted("hipot"),), limit=1)
    none = slot_search.find(session, asked, viewer=cast.anna, now=NOW)
    assert none.slots == []
    assert [each.reason for each in none.because] == ["qualification_missing"]
    found = slot_search.find(session, asked, viewer=cast.bo, now=NOW)
    assert found.slots[0].use.start == at("2026-03-24 08:00")
    # It runs out at the end of April: nothing that begins later.
    later = FindSlots(timedelta(hours=2), at("2026-05-04 08:00"), equipment=(Wanted("hipot"),), limit=1)
    assert slot_search.find(session, later, viewer=cast.bo, now=NOW).slots == []
