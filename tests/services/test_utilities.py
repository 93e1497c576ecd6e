"""What is drawn over time: exactly to the staff; to others their own, and one sum in round figures."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from labbook.domain.errors import NotFound, Refused
from labbook.domain.interval import Interval
from labbook.models import EquipmentDraw, Utility
from labbook.services import reservations, utilities
from labbook.services.commands import RequestReservation, Wanted
from labbook.services.utilities import Load
from tests.cast import NOW, Cast, at
from tests.services.test_reservations import book, codes

TUESDAY = Interval(at("2026-03-24 00:00"), at("2026-03-25 00:00"))


def steps(load: Load) -> list[tuple[datetime, int, int]]:
    return [(level.at, level.drawn, level.seen) for level in load.levels]


@pytest.fixture
def drawn(session: Session, cast: Cast) -> None:
    """2.3 kVA of anna's from 8 to 12, and 6 of carla's from 10 to 14; there are 10."""
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    source = "SELECT id FROM equipment WHERE slug = 'source'"
    session.execute(
        update(EquipmentDraw)
        .where(EquipmentDraw.equipment_id == session.connection().exec_driver_sql(source).scalar())
        .values(amount=2_310)
    )
    session.commit()
    book(session, cast.anna, "source", start="2026-03-24 08:00", end="2026-03-24 12:00")
    book(session, cast.carla, "source-2", start="2026-03-24 10:00", end="2026-03-24 14:00")


def test_the_staff_see_every_figure_and_whose_it_is(session: Session, cast: Cast, drawn: None) -> None:
    for who in (cast.mia, cast.tom, cast.ada):
        load = utilities.read(session, "feeder-a", TUESDAY, viewer=who)
        assert load.exact
        assert steps(load) == [
            (TUESDAY.start, 0, 0),
            (at("2026-03-24 08:00"), 2_310, 2_310),
            (at("2026-03-24 10:00"), 8_310, 8_310),
            (at("2026-03-24 12:00"), 6_000, 6_000),
            (at("2026-03-24 14:00"), 0, 0),
        ]
        assert [d.amount for d in load.drawings] == [2_310, 6_000]


def test_a_competitor_sees_their_own_and_the_rest_in_round_figures(
    session: Session, cast: Cast, drawn: None
) -> None:
    load = utilities.read(session, "feeder-a", TUESDAY, viewer=cast.carla)
    assert not load.exact
    assert steps(load) == [
        (TUESDAY.start, 0, 0),
        (at("2026-03-24 08:00"), 2_500, 0),
        (at("2026-03-24 10:00"), 8_500, 6_000),
        (at("2026-03-24 12:00"), 6_000, 6_000),
        (at("2026-03-24 14:00"), 0, 0),
    ]
    assert [(d.title, d.amount) for d in load.drawings] == [("A test", 6_000)]
    assert "2310" not in str(load)


def test_what_rounds_to_the_same_is_no_step(session: Session, cast: Cast, drawn: None) -> None:
    """Else the instants alone would tell of each that begins and ends."""
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    session.execute(update(EquipmentDraw).values(amount=100))
    session.commit()
    for slug, start, end in (("source", "09:00", "11:00"), ("source-2", "10:00", "11:00")):
        book(session, cast.anna, slug, start=f"2026-03-26 {start}", end=f"2026-03-26 {end}")
    thursday = Interval(at("2026-03-26 00:00"), at("2026-03-27 00:00"))
    load = utilities.read(session, "feeder-a", thursday, viewer=cast.carla)
    assert steps(load) == [
        (thursday.start, 0, 0),
        (at("2026-03-26 09:00"), 500, 0),
        (at("2026-03-26 11:00"), 0, 0),
    ]


def test_a_refusal_tells_the_staff_exactly_and_others_in_round_figures(
    session: Session, cast: Cast, drawn: None
) -> None:
    peaks = {}
    for who in (cast.dorte, cast.mia):
        wish = RequestReservation(
            (Wanted("source-2"),), at("2026-03-24 08:00"), at("2026-03-24 09:00"), "A test"
        )
        session.rollback()
        session.connection(execution_options={"labbook_write": True})
        session.execute(update(Utility).values(capacity=8_310))
        session.execute(update(EquipmentDraw).values(amount=6_010))
        session.commit()
        with pytest.raises(Refused) as refused:
            reservations.request(session, wish, actor=who, now=NOW)
        assert codes(refused) == {"over_budget"}
        peaks[who.name] = refused.value.problems[0].params["peak"]
    assert peaks == {"Dorte": 8.51, "Mia": 8.32}


def test_nothing_is_told_of_more_than_there_is(session: Session, cast: Cast, drawn: None) -> None:
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    session.execute(update(Utility).values(capacity=8_310))
    session.commit()
    load = utilities.read(session, "feeder-a", TUESDAY, viewer=cast.carla)
    assert max(level.drawn for level in load.levels) == 8_310


def test_what_does_not_block_draws_nothing_and_the_window_cuts(
    session: Session, cast: Cast, drawn: None
) -> None:
    within = Interval(at("2026-03-24 09:00"), at("2026-03-24 11:00"))
    load = utilities.read(session, "feeder-a", within, viewer=cast.mia)
    assert steps(load) == [(within.start, 2_310, 2_310), (at("2026-03-24 10:00"), 8_310, 8_310)]
    with pytest.raises(NotFound):
        utilities.read(session, "feeder-b", within, viewer=cast.mia)
    years = Interval(within.start, within.start + timedelta(days=401))
    with pytest.raises(Refused):
        utilities.read(session, "feeder-a", years, viewer=cast.mia)
    assert [u.slug for u in utilities.of_facility(session, "cie")] == ["feeder-a"]
    assert utilities.read_all(session, "nowhere", within, viewer=cast.mia) == []
    assert session.scalar(select(Utility.slug)) == "feeder-a"
