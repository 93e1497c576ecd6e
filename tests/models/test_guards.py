"""The guards, from raw SQL: whoever writes the row, the database refuses."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from labbook.models import Allocation, Draw, HistoryEntry, Place, Reservation, Utility, guards
from labbook.services import decisions, reservations
from labbook.services.commands import Decide, RequestReservation, Wanted
from labbook.services.transaction import constraint_of
from tests.cast import NOW, Cast, at


@pytest.fixture
def booked(session: Session, cast: Cast) -> Reservation:
    """``source`` from 10 to 12, approved: it draws 6 of 10 kVA."""
    wish = RequestReservation((Wanted("source"),), at("2026-03-24 10:00"), at("2026-03-24 12:00"), "A test")
    view = reservations.request(session, wish, actor=cast.anna, now=NOW)
    return session.scalars(select(Reservation).where(Reservation.public_id == view.id)).one()


def refusal(session: Session, statement: object) -> str:
    with pytest.raises(DBAPIError) as refused:
        session.execute(statement)  # type: ignore[call-overload]
    session.rollback()
    return constraint_of(refused.value)


def row(booked: Reservation, start: datetime, end: datetime, **more: object) -> dict[str, object]:
    return {
        "reservation_id": booked.id,
        "starts_at": start,
        "ends_at": end,
        "place_id": booked.allocations[0].place_id,
        "opaque_id": "x",
        "changed_at": NOW,
    } | more


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-03-24 09:00", "2026-03-24 10:01"),
        ("2026-03-24 11:59", "2026-03-24 13:00"),
        ("2026-03-24 10:30", "2026-03-24 11:00"),
        ("2026-03-24 09:00", "2026-03-24 13:00"),
        ("2026-03-24 10:00", "2026-03-24 12:00"),
    ],
)
@pytest.mark.parametrize("claims_to_block", [True, False])
def test_an_overlap_is_refused_whatever_the_row_says_of_itself(
    session: Session, booked: Reservation, start: str, end: str, claims_to_block: bool
) -> None:
    statement = insert(Allocation).values(row(booked, at(start), at(end), blocking=claims_to_block))
    assert guards.NO_OVERLAP in refusal(session, statement)


def test_neighbours_are_taken(session: Session, booked: Reservation) -> None:
    for start, end, name in (("09:00", "10:00", "a"), ("12:00", "13:00", "b")):
        values = row(booked, at(f"2026-03-24 {start}"), at(f"2026-03-24 {end}"), opaque_id=name)
        session.execute(insert(Allocation).values(values))
    session.commit()


def test_a_row_cannot_be_moved_lengthened_or_handed_over_into_an_overlap(
    session: Session, booked: Reservation
) -> None:
    values = row(booked, at("2026-03-24 13:00"), at("2026-03-24 14:00"))
    session.execute(insert(Allocation).values(values))
    session.commit()
    other = update(Allocation).where(Allocation.opaque_id == "x")
    assert guards.NO_OVERLAP in refusal(session, other.values(starts_at=at("2026-03-24 11:00")))
    first = update(Allocation).where(Allocation.opaque_id != "x")
    assert guards.NO_OVERLAP in refusal(session, first.values(ends_at=at("2026-03-24 13:30")))


def test_a_status_that_blocks_again_is_refused_while_the_place_is_taken(
    session: Session, cast: Cast, booked: Reservation
) -> None:
    public_id, first = booked.public_id, booked.id
    decisions.cancel(session, Decide(public_id), actor=cast.anna, now=NOW)
    wish = RequestReservation((Wanted("source"),), at("2026-03-24 11:00"), at("2026-03-24 13:00"), "Next")
    reservations.request(session, wish, actor=cast.carla, now=NOW)
    revive = update(Reservation).where(Reservation.id == first).values(status="approved")
    assert guards.NO_OVERLAP in refusal(session, revive)


def test_blocking_follows_the_status_and_cannot_be_forged(session: Session, booked: Reservation) -> None:
    of = (Allocation.reservation_id == booked.id, Draw.reservation_id == booked.id)
    session.execute(update(Reservation).where(Reservation.id == booked.id).values(status="cancelled"))
    session.commit()
    assert session.scalars(select(Allocation.blocking).where(of[0])).all() == [False]
    assert session.scalars(select(Draw.blocking).where(of[1])).all() == [False]
    try:
        session.execute(text("UPDATE allocations SET blocking = true"))
        session.commit()
    except DBAPIError as refused:
        session.rollback()
        assert guards.DERIVED in constraint_of(refused)  # noqa: PT017 - one engine refuses, one overrules
    assert session.scalars(select(Allocation.blocking).where(of[0])).all() == [False]


def test_a_budget_is_kept_at_every_instant(session: Session, booked: Reservation) -> None:
    utility_id = session.scalar(select(Draw.utility_id))
    values = {"reservation_id": booked.id, "utility_id": utility_id, "blocking": False}

    def draw(start: str, end: str, amount: int) -> object:
        return insert(Draw).values(values | {"starts_at": at(start), "ends_at": at(end), "amount": amount})

    session.execute(draw("2026-03-24 11:00", "2026-03-24 14:00", 4_000))  # type: ignore[call-overload]
    session.commit()
    assert guards.WITHIN_BUDGET in refusal(session, draw("2026-03-24 09:00", "2026-03-24 11:30", 1))
    assert guards.WITHIN_BUDGET in refusal(session, draw("2026-03-24 13:00", "2026-03-24 15:00", 6_001))
    assert guards.WITHIN_BUDGET in refusal(session, update(Draw).values(amount=Draw.amount + 1))
    assert guards.WITHIN_BUDGET in refusal(session, update(Utility).values(capacity=9_999))
    session.execute(draw("2026-03-24 09:00", "2026-03-24 11:00", 4_000))  # type: ignore[call-overload]
    session.commit()


def test_the_history_is_append_only(session: Session, booked: Reservation) -> None:
    assert guards.APPEND_ONLY in refusal(session, update(HistoryEntry).values(action="nothing"))
    assert guards.APPEND_ONLY in refusal(session, text("DELETE FROM history"))
    if session.get_bind().dialect.name == "sqlite":
        columns = "id, reservation_id, at, actor_id, rule, action, old, new, remark_id"
        rewritten = columns.replace("action", "'nothing'")
        replace = text(f"INSERT OR REPLACE INTO history ({columns}) SELECT {rewritten} FROM history")
        assert guards.APPEND_ONLY in refusal(session, replace)
    assert "nothing" not in session.scalars(select(HistoryEntry.action)).all()


def test_the_check_walks_one_index_step(session: Session, booked: Reservation) -> None:
    """Whatever the number of rows of a place: the plan is a search by place and start."""
    if session.get_bind().dialect.name != "sqlite":
        plan = "SELECT count(*) FROM pg_indexes WHERE indexname = 'ex_allocations_no_overlap'"
        assert session.scalar(text(plan)) == 1
        return
    place_id = session.scalar(select(Place.id))
    query = """EXPLAIN QUERY PLAN SELECT ends_at FROM allocations
        WHERE place_id = :p AND blocking = 1 AND starts_at < 5 AND id IS NOT 3
        ORDER BY starts_at DESC LIMIT 1"""
    steps = [r[3] for r in session.execute(text(query), {"p": place_id})]
    assert len(steps) == 1
    assert "SEARCH allocations USING" in steps[0]
    assert "(place_id=? AND starts_at<?)" in steps[0]


def test_guards_are_put_back_after_they_were_lost(session: Session) -> None:
    on = "" if session.get_bind().dialect.name == "sqlite" else " ON draws"
    session.execute(text(f"DROP TRIGGER draws_derive{'_insert' if not on else ''}{on}"))
    assert guards.missing(session.connection()) != []
    guards.install(session.connection())
    assert guards.missing(session.connection()) == []
