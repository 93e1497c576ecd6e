"""Equipment fails, a test slips: what is touched is moved in one step, or nothing is."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.capability import parse_offer
from labbook.domain.errors import Forbidden, NotFound, Refused
from labbook.domain.interval import Interval
from labbook.models import Equipment, HistoryEntry, OutboxMessage, Reservation, Utility
from labbook.services import reservations, swaps, verify
from labbook.services.commands import RequestReservation, Wanted
from labbook.services.swaps import Move, Outage, Slip, Swap, SwapPlan
from tests.cast import NOW, Cast, at

TEN, NOON, TWO = at("2026-03-24 10:00"), at("2026-03-24 12:00"), at("2026-03-24 14:00")
DAY = Interval(NOW, at("2026-03-25 10:00"))


def book(session: Session, who: Viewer, slug: str, start: datetime, end: datetime, title: str = "T") -> str:
    asked = RequestReservation((Wanted(slug),), start, end, title)
    return reservations.request(session, asked, actor=who, now=NOW).id


def offers(session: Session, **voltages: str) -> None:
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    for slug, most in voltages.items():
        row = session.scalars(select(Equipment).where(Equipment.slug == slug.replace("_", "-"))).one()
        row.capabilities = {"dc_voltage": parse_offer(most).stored()}
    session.scalars(select(Utility)).one().capacity = 100_000
    session.commit()


def planned(session: Session, cast: Cast, what: Outage | Slip) -> SwapPlan:
    return swaps.plan(session, what, actor=cast.mia, now=NOW)


def first_of_all(plan: SwapPlan) -> tuple[Move, ...]:
    return tuple(Move(each.id, each.revision, each.choices[0]) for each in plan.touched)


def pieces(session: Session, public_id: str) -> tuple[datetime, list[str]]:
    session.rollback()
    row = session.scalars(select(Reservation).where(Reservation.public_id == public_id)).one()
    return row.starts_at, sorted(piece.equipment.slug for piece in row.pieces)


def test_what_fails_is_replaced_at_the_same_time_by_what_offers_as_much(session: Session, cast: Cast) -> None:
    offers(session, source="800 V", source_2="1500 V")
    anna = book(session, cast.anna, "source", TEN, NOON)
    plan = planned(session, cast, Outage("source", DAY))
    (touched,) = plan.touched
    assert touched.id == anna
    assert [w.slug for w in touched.choices[0].pieces] == ["source-2"]
    assert touched.choices[0].use == Interval(TEN, NOON)
    assert not touched.choices[0].weaker
    done = swaps.swap(
        session,
        Swap(Outage("source", DAY), first_of_all(plan), "The output stage burnt", block=True),
        actor=cast.mia,
        now=NOW,
    )
    assert (done.moved, done.cancelled) == (1, 0)
    assert pieces(session, anna) == (TEN, ["source-2"])
    told = session.scalars(select(OutboxMessage.kind).where(OutboxMessage.user_id == cast.anna.id)).all()
    assert "moved" in told
    with pytest.raises(Refused):  # it is kept out of use
        book(session, cast.bo, "source", TEN, NOON)
    assert verify.verify(session) == []


def test_what_offers_less_is_said_to(session: Session, cast: Cast) -> None:
    offers(session, source="1500 V", source_2="600 V")
    book(session, cast.anna, "source", TEN, NOON)
    (touched,) = planned(session, cast, Outage("source", DAY)).touched
    assert touched.choices[0].weaker
    assert [w.slug for w in touched.choices[0].pieces] == ["source-2"]


def test_the_plan_fits_together_and_changes_nothing(session: Session, cast: Cast) -> None:
    """Two that overlap with one replacement between them: the second comes later, and not on top."""
    offers(session, source="800 V", source_2="800 V")
    first = book(session, cast.anna, "source", TEN, NOON)
    book(session, cast.carla, "source-2", NOON, TWO)
    second = book(session, cast.bo, "source", NOON, TWO)
    before = session.scalar(select(Reservation.revision).where(Reservation.public_id == first))
    plan = planned(session, cast, Outage("source", Interval(NOW, at("2026-03-24 20:00"))))
    assert [each.id for each in plan.touched] == [first, second]
    assert plan.touched[0].choices[0].use == Interval(TEN, NOON)
    assert plan.touched[1].choices[0].use.start == TWO
    session.rollback()
    assert session.scalar(select(Reservation.revision).where(Reservation.public_id == first)) == before
    swaps.swap(
        session,
        Swap(Outage("source", DAY), first_of_all(plan), "Repair"),
        actor=cast.mia,
        now=NOW,
    )
    assert verify.verify(session) == []


def test_a_test_that_slips_moves_whoever_comes_next(session: Session, cast: Cast) -> None:
    slipping = book(session, cast.anna, "scope", TEN, NOON)
    following = book(session, cast.carla, "scope", NOON, TWO)
    slip = Slip(slipping, at("2026-03-24 13:00"))
    plan = planned(session, cast, slip)
    (touched,) = plan.touched
    assert touched.id == following
    later = next(c for c in touched.choices if [w.slug for w in c.pieces] == ["scope"])
    assert later.use.start == at("2026-03-24 13:00")
    move = Move(following, touched.revision, later)
    swaps.swap(session, Swap(slip, (move,), "It is not through yet"), actor=cast.mia, now=NOW)
    assert pieces(session, following) == (at("2026-03-24 13:00"), ["scope"])
    row = session.scalars(select(Reservation).where(Reservation.public_id == slipping)).one()
    assert row.ends_at == at("2026-03-24 13:00")
    assert verify.verify(session) == []


def test_all_of_it_happens_or_none_of_it(session: Session, cast: Cast) -> None:
    offers(session, source="800 V", source_2="800 V")
    first = book(session, cast.anna, "source", TEN, NOON)
    second = book(session, cast.bo, "source", NOON, TWO)
    plan = planned(session, cast, Outage("source", DAY))
    moves = first_of_all(plan)
    # Between the look and the step somebody takes what the second was to have.
    book(session, cast.carla, "source-2", NOON, TWO)
    with pytest.raises(Refused):
        swaps.swap(session, Swap(Outage("source", DAY), moves, "Repair"), actor=cast.mia, now=NOW)
    assert pieces(session, first) == (TEN, ["source"])
    assert pieces(session, second) == (NOON, ["source"])
    moved = session.scalars(select(HistoryEntry).where(HistoryEntry.action == "move")).all()
    assert moved == []


def test_two_that_change_places_wait_for_each_other_within_the_step(session: Session, cast: Cast) -> None:
    first = book(session, cast.anna, "scope", TEN, NOON)
    second = book(session, cast.bo, "scope", NOON, TWO)
    what = Outage("scope-2", DAY)
    moves = (
        Move(first, 1, swaps.Choice(Interval(NOON, TWO), (Wanted("scope"),))),
        Move(second, 1, swaps.Choice(Interval(TWO, TWO + timedelta(hours=2)), (Wanted("scope"),))),
    )
    swaps.swap(session, Swap(what, moves, "Order"), actor=cast.mia, now=NOW)
    assert pieces(session, first)[0] == NOON
    assert pieces(session, second)[0] == TWO


def test_what_cannot_be_replaced_is_cancelled_with_the_faults_cause(session: Session, cast: Cast) -> None:
    held = book(session, cast.anna, "scope", TEN, NOON)
    what = Outage("scope", DAY)
    swaps.swap(session, Swap(what, (Move(held, 1, None),), "It fell"), actor=cast.mia, now=NOW)
    row = session.scalars(select(Reservation).where(Reservation.public_id == held)).one()
    assert (row.status, row.cancel_cause) == ("cancelled", "fault")


def test_it_is_for_those_who_manage_the_facility(session: Session, cast: Cast) -> None:
    held = book(session, cast.anna, "scope", TEN, NOON)
    for who in (cast.anna, cast.carla, cast.tom):
        with pytest.raises(Forbidden):
            swaps.plan(session, Outage("scope", DAY), actor=who, now=NOW)
    with pytest.raises(NotFound):  # of a competitor's there is nothing to know
        swaps.plan(session, Slip(held, TWO), actor=cast.carla, now=NOW)
    with pytest.raises(NotFound):
        swaps.plan(session, Outage("nothing", DAY), actor=cast.mia, now=NOW)
    what = Swap(Outage("scope", DAY), (Move(held, 1, None),), "Why not")
    with pytest.raises(Forbidden):
        swaps.swap(session, what, actor=cast.carla, now=NOW)


def test_a_reason_is_asked_for(session: Session, cast: Cast) -> None:
    with pytest.raises(Refused) as refused:
        swaps.swap(session, Swap(Outage("scope", DAY), (), " "), actor=cast.mia, now=NOW)
    assert [p.code for p in refused.value.problems] == ["reason_missing"]
