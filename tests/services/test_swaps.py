"""Equipment fails, a test slips: what is touched is moved in one step, or nothing is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Insert, Update, event, insert, select, update
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.capability import parse_offer
from labbook.domain.errors import Forbidden, NotFound, Refused
from labbook.domain.interval import Interval
from labbook.models import (
    Equipment,
    EquipmentQualification,
    Facility,
    HistoryEntry,
    OutboxMessage,
    QualificationKind,
    Reservation,
    Utility,
)
from labbook.services import changes, reservations, swaps, verify
from labbook.services.commands import ChangeReservation, RequestReservation, Wanted
from labbook.services.swaps import Move, Outage, Slip, Swap, SwapPlan
from tests.cast import NOW, Cast, at, equipment

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


def test_what_fails_is_replaced_within_its_facility_where_another_has_the_like(
    session: Session, cast: Cast
) -> None:
    offers(session, source="800 V", source_2="1500 V")
    anna = book(session, cast.anna, "source", TEN, NOON)
    session.connection(execution_options={"labbook_write": True})
    lab = Facility(slug="hall", name={"en": "Hall"}, time_zone="Europe/Copenhagen", country="DK", staffed={})
    session.add(lab)
    session.flush()
    better = {"dc_voltage": parse_offer("800 V").stored()}
    equipment(session, lab, "far-source", category="dc-source", capabilities=better)
    session.commit()
    (touched,) = planned(session, cast, Outage("source", DAY)).touched
    assert touched.id == anna
    assert [w.slug for w in touched.choices[0].pieces] == ["source-2"]


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


def test_a_test_that_slips_beyond_all_calendars_is_refused_in_words(session: Session, cast: Cast) -> None:
    slipping = book(session, cast.anna, "chamber", TEN, NOON)
    with pytest.raises(Refused) as refused:
        planned(session, cast, Slip(slipping, datetime(9999, 12, 31, 23, 59, tzinfo=UTC)))
    assert [(p.code, p.field) for p in refused.value.problems] == [("out_of_range", "until")]


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


def set_up(session: Session, statement: Update | Insert) -> None:
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    session.execute(statement)
    session.commit()


def test_what_its_people_may_not_have_is_not_offered(session: Session, cast: Cast) -> None:
    """The manager may use the replacement; the holder, for whom it is, lacks what it asks for."""
    offers(session, source="800 V", source_2="800 V")
    kind = select(QualificationKind.id).where(QualificationKind.slug == "hv").scalar_subquery()
    piece = select(Equipment.id).where(Equipment.slug == "source-2").scalar_subquery()
    set_up(session, insert(EquipmentQualification).values(equipment_id=piece, kind_id=kind))
    book(session, cast.anna, "source", TEN, NOON)
    (touched,) = planned(session, cast, Outage("source", DAY)).touched
    assert touched.choices
    assert "source-2" not in {w.slug for choice in touched.choices for w in choice.pieces}


def test_at_its_own_time_no_lead_time_keeps_the_replacement_away(session: Session, cast: Cast) -> None:
    offers(session, source="800 V", source_2="800 V")
    set_up(session, update(Equipment).where(Equipment.slug == "source-2").values(slot_lead=30 * 86_400))
    held = book(session, cast.anna, "source", TEN, NOON)
    plan = planned(session, cast, Outage("source", DAY))
    choice = plan.touched[0].choices[0]
    assert (choice.use, choice.pieces) == (Interval(TEN, NOON), (Wanted("source-2"),))
    swaps.swap(session, Swap(Outage("source", DAY), first_of_all(plan), "Burnt"), actor=cast.mia, now=NOW)
    assert pieces(session, held) == (TEN, ["source-2"])


def test_an_offer_is_not_moved_and_the_plan_says_so(session: Session, cast: Cast) -> None:
    held = book(session, cast.anna, "scope", TEN, NOON)
    offered = update(Reservation).where(Reservation.public_id == held)
    set_up(session, offered.values(status="requested", hold="offer", decide_by=TEN))
    (touched,) = planned(session, cast, Outage("scope", DAY)).touched
    assert (touched.stays, list(touched.choices)) == ("offer", [])


def test_nobody_is_offered_to_move_their_own(session: Session, cast: Cast) -> None:
    held = book(session, cast.mia, "scope", TEN, NOON)
    (touched,) = planned(session, cast, Outage("scope", DAY)).touched
    assert (touched.stays, list(touched.choices)) == ("own", [])
    move = Move(held, 1, swaps.Choice(Interval(TEN, NOON), (Wanted("scope-2"),)))
    what = Swap(Outage("scope", DAY), (move,), "Why")
    with pytest.raises(Forbidden):
        swaps.swap(session, what, actor=cast.mia, now=NOW)


def test_participants_are_told_too(session: Session, cast: Cast) -> None:
    moved, gone = (book(session, cast.anna, slug, TEN, NOON) for slug in ("scope", "cycler"))
    for each in (moved, gone):
        wish = ChangeReservation(participants=(cast.bo.email,))
        changes.change(session, each, wish, revision=None, actor=cast.anna, now=NOW)
    move = Move(moved, 2, swaps.Choice(Interval(NOON, TWO), (Wanted("scope"),)))
    what = Swap(Outage("scope-2", DAY), (move, Move(gone, 2, None)), "The breaker fell")
    swaps.swap(session, what, actor=cast.mia, now=NOW)
    told = session.execute(select(OutboxMessage.user_id, OutboxMessage.kind)).all()
    for who in (cast.anna, cast.bo):
        assert {(who.id, "moved"), (who.id, "cancelled")} <= set(map(tuple, told))


def test_of_very_many_the_first_are_shown_and_it_is_said(
    session: Session, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swaps, "TOUCHED_LIMIT", 1)
    first = book(session, cast.anna, "scope", TEN, NOON)
    book(session, cast.bo, "scope", NOON, TWO)
    plan = planned(session, cast, Outage("scope", DAY))
    assert ([each.id for each in plan.touched], plan.more) == ([first], True)
    assert not planned(session, cast, Outage("scope", Interval(NOW, NOON))).more


def test_equipment_is_locked_before_the_reservation_that_slips(session: Session, cast: Cast) -> None:
    slipping = book(session, cast.anna, "scope", TEN, NOON)
    locked: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if "FOR UPDATE" in statement or "FOR NO KEY UPDATE" in statement:
            locked.append(statement.split("FROM ")[1].split()[0])

    event.listen(session.get_bind(), "before_cursor_execute", note)
    try:
        planned(session, cast, Slip(slipping, TWO))
        looked = locked[:1]
        locked.clear()
        swaps.swap(session, Swap(Slip(slipping, TWO), (), "Not through"), actor=cast.mia, now=NOW)
    finally:
        event.remove(session.get_bind(), "before_cursor_execute", note)
    if session.get_bind().dialect.name == "postgresql":  # SQLite has one writer, and no locks of rows
        assert looked == locked[:1] == ["equipment"]
