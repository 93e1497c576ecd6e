from __future__ import annotations

import inspect
import re
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from labbook.domain import policy
from labbook.domain.errors import Refused
from labbook.models import (
    Allocation,
    Draw,
    Environment,
    EnvironmentVersion,
    Equipment,
    HistoryEntry,
    OutboxMessage,
    Project,
    Qualification,
    Remark,
    Reservation,
    User,
)
from labbook.services import changes, decisions, reservation_views, reservations, verify
from labbook.services.commands import ChangeReservation, Decide, Wanted
from labbook.services.reservation_views import ReservationView
from tests.cast import NOW, Cast, at
from tests.services.test_reservations import book, codes, wish
from tests.services.test_verify import only_guard_may_miss, tamper

ANY_SCOPE = {"category": "oscilloscope", "capabilities": {}, "count": 1, "places": 1}
THE_SOURCE = {"equipment": "source", "count": 1, "places": 1}
SOAK: dict[str, Any] = {
    "run": 3_600_000,
    "description": {"en": "Bias is logged."},
    "needs": [{"equipment": "cycler", "count": 1, "places": 1, "whole": True}],
    "staffing": "unattended",
    "on_call": "Tom, 4711",
    "safe_state": "Bias off",
    "qualifications": ["hv"],
}
THE_CYCLER = {"equipment": "cycler", "count": 1, "places": 1}


def recipe(session: Session, cast: Cast, slug: str = "loop", **more: Any) -> None:
    """A recipe with two hours of set-up, one of tear-down, that draws 2 kVA instead of the source's 6."""
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    row = Environment(slug=slug, facility_id=cast.facility_id, version=1)
    session.add(row)
    session.flush()
    values: dict[str, Any] = {
        "name": {"en": slug},
        "setup": 7200,
        "teardown": 3600,
        "ambient": {},
        "draws": {"feeder-a": 2_000},
        "needs": [ANY_SCOPE, THE_SOURCE],
    }
    session.add(EnvironmentVersion(environment_id=row.id, number=1, **(values | more)))
    session.commit()


def book_recipe(session: Session, cast: Cast, slug: str = "loop", **more: Any) -> ReservationView:
    command = replace(wish(), environment=slug, **more)
    return reservations.request(session, command, actor=cast.anna, now=NOW)


def feeder(session: Session, public_id: str) -> list[tuple[int, datetime, datetime]]:
    rows = session.execute(
        select(Draw.amount, Draw.starts_at, Draw.ends_at)
        .join(Reservation, Draw.reservation_id == Reservation.id)
        .where(Reservation.public_id == public_id)
    )
    return [(amount, start, end) for amount, start, end in rows]


def move(session: Session, public_id: str, actor: Any, now: datetime = NOW, **wished: Any) -> ReservationView:
    return changes.change(
        session, public_id, ChangeReservation(**wished), revision=None, actor=actor, now=now
    )


TOMORROW: dict[str, Any] = {"start": at("2026-03-25 10:00"), "end": at("2026-03-25 12:00")}


def test_an_environment_that_is_moved_keeps_its_recipe(session: Session, cast: Cast) -> None:
    recipe(session, cast)
    booked = book_recipe(session, cast)
    assert (booked.occupied_start, booked.occupied_end) == (at("2026-03-24 08:00"), at("2026-03-24 13:00"))
    assert [p.slug for p in booked.equipment] == ["scope", "source"]
    for more in (
        {},
        {"equipment": (Wanted("source"), Wanted("scope"))},
        {"equipment": (Wanted("scope-2"), Wanted("source"))},
    ):
        moved = move(session, booked.id, cast.anna, **TOMORROW, **more)
        assert (moved.occupied_start, moved.occupied_end) == (at("2026-03-25 08:00"), at("2026-03-25 13:00"))
        assert moved.environment == "loop"
        assert feeder(session, booked.id) == [(2_000, at("2026-03-25 08:00"), at("2026-03-25 13:00"))]
    assert [p.slug for p in moved.equipment] == ["scope-2", "source"]
    assert verify.verify(session) == []


def test_a_change_of_an_environment_waits_and_is_accepted_with_its_recipe(
    session: Session, cast: Cast
) -> None:
    recipe(session, cast, needs=[{"equipment": "chamber", "count": 1, "places": 1}, THE_SOURCE])
    booked = book_recipe(session, cast)
    decisions.approve(session, Decide(booked.id), actor=cast.mia, now=NOW)
    waits = move(session, booked.id, cast.anna, **TOMORROW)
    assert waits.pending_change is not None
    accepted = decisions.approve(session, Decide(booked.id), actor=cast.mia, now=NOW)
    assert (accepted.occupied_start, accepted.occupied_end) == (
        at("2026-03-25 08:00"),
        at("2026-03-25 13:00"),
    )
    assert feeder(session, booked.id) == [(2_000, at("2026-03-25 08:00"), at("2026-03-25 13:00"))]
    proposed = ChangeReservation(start=at("2026-03-26 10:00"), end=at("2026-03-26 12:00"))
    changes.propose(session, booked.id, proposed, revision=None, actor=cast.mia, now=NOW)
    accepted = decisions.approve(session, Decide(booked.id), actor=cast.anna, now=NOW)
    assert accepted.occupied_start == at("2026-03-26 08:00")
    assert verify.verify(session) == []


@pytest.mark.parametrize(
    "slugs", [("scope",), ("scope", "source", "scope-2"), ("scope", "source-2"), ("scope:2", "source")]
)
def test_equipment_that_the_recipe_does_not_need_is_refused(
    session: Session, cast: Cast, slugs: tuple[str, ...]
) -> None:
    recipe(session, cast)
    with pytest.raises(Refused) as refused:
        reservations.request(session, replace(wish(*slugs), environment="loop"), actor=cast.anna, now=NOW)
    assert "environment_mismatch" in codes(refused)
    booked = book_recipe(session, cast)
    with pytest.raises(Refused) as refused:
        move(session, booked.id, cast.anna, equipment=wish(*slugs).equipment)
    assert codes(refused) == {"environment_mismatch"}


def test_pieces_of_one_category_with_different_places_meet_the_needs_in_whichever_order_they_are_named(
    session: Session, cast: Cast
) -> None:
    both = [THE_CYCLER | {"places": 2}, {"category": "oscilloscope", "capabilities": {}, "places": 1}]
    recipe(session, cast, needs=both)
    pieces = (Wanted("scope"), Wanted("cycler"), Wanted("cycler"))
    booked = book_recipe(session, cast, equipment=pieces)
    assert [(p.slug, p.places) for p in booked.equipment] == [("scope", 1), ("cycler", 2)]


def test_an_environment_that_nothing_in_service_meets_says_so(session: Session, cast: Cast) -> None:
    recipe(session, cast, needs=[{"category": "shaker", "capabilities": {}, "count": 1, "places": 1}])
    with pytest.raises(Refused) as refused:
        book_recipe(session, cast)
    assert codes(refused) == {"environment_unmet"}


def test_another_ambient_profile_on_a_shared_piece_is_refused_also_when_moved_there(
    session: Session, cast: Cast
) -> None:
    heat = {"temperature": {"low": 85, "high": 85, "unit": "degC"}}
    cold = {"temperature": {"low": -40, "high": -40, "unit": "degC"}}
    recipe(session, cast, "hot", ambient=heat, draws={}, needs=[THE_CYCLER])
    recipe(session, cast, "cold", ambient=cold, draws={}, needs=[THE_CYCLER])
    book_recipe(session, cast, "hot")
    with pytest.raises(Refused) as refused:
        book_recipe(session, cast, "cold")
    assert codes(refused) == {"other_ambient"}
    other = book_recipe(session, cast, "cold", **TOMORROW)
    with pytest.raises(Refused) as refused:
        move(
            session,
            other.id,
            cast.anna,
            start=at("2026-03-24 10:00"),
            end=at("2026-03-24 12:00"),
            equipment=(Wanted("cycler"),),
        )
    assert codes(refused) == {"other_ambient"}


def test_what_an_environment_draws_replaces_the_sum_of_its_parts(session: Session, cast: Cast) -> None:
    recipe(session, cast, needs=[THE_SOURCE])
    book_recipe(session, cast)
    book(session, cast.carla, "source-2")  # 2 + 6 of 10 kVA
    recipe(session, cast, "heavy", draws={"feeder-a": 9_000}, needs=[ANY_SCOPE])
    with pytest.raises(Refused) as refused:
        book_recipe(session, cast, "heavy")
    assert codes(refused) == {"over_budget"}


def test_a_set_up_that_is_not_the_environments_is_a_breach(session: Session, cast: Cast) -> None:
    recipe(session, cast)
    book_recipe(session, cast)
    tamper(session, "UPDATE environment_versions SET setup = 1800")
    assert only_guard_may_miss([breach.code for breach in verify.verify(session)]) == ["span_differs"]


def waiting_chamber(session: Session, cast: Cast, **wished: Any) -> str:
    """An approved chamber of 10 to 12, with a change that waits for a manager."""
    booked = book(session, cast.anna, "chamber")
    decisions.approve(session, Decide(booked.id), actor=cast.mia, now=NOW)
    assert move(session, booked.id, cast.anna, **wished).pending_change is not None
    return booked.id


def test_a_later_end_that_waits_can_be_accepted_after_check_in(session: Session, cast: Cast) -> None:
    public_id = waiting_chamber(session, cast, end=at("2026-03-24 15:00"))
    now = at("2026-03-24 10:05")
    begun = decisions.check_in(session, Decide(public_id), actor=cast.anna, now=now)
    assert begun.pending_change is not None
    accepted = decisions.approve(session, Decide(public_id), actor=cast.mia, now=now)
    assert (accepted.status, accepted.end, accepted.pending_change) == (
        "in_use",
        at("2026-03-24 15:00"),
        None,
    )
    assert verify.verify(session) == []


@pytest.mark.parametrize("wished", [TOMORROW, {"equipment": (Wanted("chamber"), Wanted("scope"))}])
def test_a_change_of_start_or_equipment_lapses_when_the_reservation_begins(
    session: Session, cast: Cast, wished: dict[str, Any]
) -> None:
    public_id = waiting_chamber(session, cast, **wished)
    begun = decisions.check_in(session, Decide(public_id), actor=cast.anna, now=at("2026-03-24 10:05"))
    assert begun.pending_change is None
    assert [h.action for h in begun.history][-2:] == ["change_lapsed", "check_in"]
    told = session.scalars(select(OutboxMessage.user_id).where(OutboxMessage.kind == "change_lapsed")).all()
    assert told == [cast.anna.id]
    assert not session.scalars(select(Allocation.id).where(Allocation.change_id.is_not(None))).all()
    assert verify.verify(session) == []


def test_naming_the_same_pieces_again_is_no_change_of_what_is_in_use(session: Session, cast: Cast) -> None:
    booked = book(session, cast.anna, "chamber")
    decisions.approve(session, Decide(booked.id), actor=cast.mia, now=NOW)
    now = at("2026-03-24 10:05")
    decisions.check_in(session, Decide(booked.id), actor=cast.anna, now=now)
    same = (Wanted("chamber"),)
    longer = move(session, booked.id, cast.anna, now=now, end=at("2026-03-24 13:00"), equipment=same)
    assert longer.end == at("2026-03-24 13:00")
    with pytest.raises(Refused) as refused:
        move(session, booked.id, cast.anna, now=now, equipment=(*same, Wanted("scope")))
    assert codes(refused) == {"already_begun"}


def edit_equipment(session: Session, slug: str, **values: Any) -> None:
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    session.execute(update(Equipment).where(Equipment.slug == slug).values(**values))
    session.commit()


def propose(session: Session, public_id: str, actor: Any, **wished: Any) -> ReservationView:
    return changes.propose(
        session, public_id, ChangeReservation(**wished), revision=None, actor=actor, now=NOW
    )


def test_what_a_manager_was_free_of_when_proposing_does_not_count_when_the_holder_accepts(
    session: Session, cast: Cast
) -> None:
    booked = book(session, cast.anna, "chamber", start="2026-03-26 10:00", end="2026-03-26 12:00")
    edit_equipment(session, "chamber", slot_lead=86_400, slot_shortest=3_600)
    propose(session, booked.id, cast.mia, start=at("2026-03-23 13:07"), end=at("2026-03-23 13:37"))
    accepted = decisions.approve(session, Decide(booked.id), actor=cast.anna, now=NOW)
    assert (accepted.status, accepted.start) == ("approved", at("2026-03-23 13:07"))


def test_a_proposal_whose_time_has_passed_is_not_accepted_into_the_past(session: Session, cast: Cast) -> None:
    booked = book(session, cast.anna, "chamber", start="2026-03-26 10:00", end="2026-03-26 12:00")
    propose(session, booked.id, cast.mia, start=at("2026-03-23 13:07"), end=at("2026-03-23 13:37"))
    with pytest.raises(Refused) as refused:
        decisions.approve(session, Decide(booked.id), actor=cast.anna, now=at("2026-03-23 13:10"))
    assert codes(refused) == {"in_the_past"}


def booked_at_night(session: Session, cast: Cast, *more: str) -> ReservationView:
    """Attended equipment on a Saturday, which a manager allowed bo; whatever else they named set aside."""
    command = wish("hipot", start="2026-03-28 10:00", end="2026-03-28 12:00", holder=cast.bo.email)
    named = replace(command, override=("unstaffed", *more), reason="Tom is in")
    return reservations.request(session, named, actor=cast.mia, now=NOW)


def test_only_what_stood_in_the_way_is_set_aside(session: Session, cast: Cast) -> None:
    booked = booked_at_night(session, cast, "too_long", "qualification_missing")
    assert booked.overridden == ["unstaffed"]
    assert booked.history[0].new["overridden"] == ["unstaffed"]


def test_what_no_rule_is_called_cannot_be_set_aside(session: Session, cast: Cast) -> None:
    for code in ("anything", "off_grid"):
        with pytest.raises(Refused) as refused:
            booked_at_night(session, cast, code)
        assert [(p.code, p.field) for p in refused.value.problems] == [("not_one_of", "override")]
    booked = book(session, cast.anna, "chamber")
    named = Decide(booked.id, override=("anything",), reason="x")
    with pytest.raises(Refused) as refused:
        decisions.approve(session, named, actor=cast.mia, now=NOW)
    assert codes(refused) == {"not_one_of"}
    with pytest.raises(Refused) as refused:
        move(session, booked.id, cast.mia, override=("anything",), **TOMORROW)
    assert codes(refused) == {"not_one_of"}


def test_every_rule_that_says_it_may_be_set_aside_is_one_that_may_be_named() -> None:
    source = inspect.getsource(policy)
    said = re.findall(r'Problem\(\s*"(\w+)",[^()]*overridable=True', source)
    assert set(said) == policy.OVERRIDABLE


def test_what_a_manager_set_aside_does_not_count_for_another_time_of_the_holders(
    session: Session, cast: Cast
) -> None:
    booked = booked_at_night(session, cast)
    with pytest.raises(Refused) as refused:
        move(session, booked.id, cast.bo, start=at("2026-04-03 10:00"), end=at("2026-04-03 12:00"))
    assert codes(refused) == {"unstaffed"}
    shorter = move(session, booked.id, cast.bo, end=at("2026-03-28 11:00"))
    assert shorter.overridden == ["unstaffed"]
    by_the_manager = move(session, booked.id, cast.mia, start=at("2026-03-28 08:00"))
    assert by_the_manager.overridden == ["unstaffed"]
    in_hours = move(session, booked.id, cast.bo, start=at("2026-03-30 10:00"), end=at("2026-03-30 12:00"))
    assert in_hours.overridden == []
    last = in_hours.history[-1]
    assert (last.old["overridden"], last.new["overridden"]) == (["unstaffed"], [])


def test_approving_and_checking_in_say_what_they_set_aside(session: Session, cast: Cast) -> None:
    edit_equipment(session, "hipot", approval="manager", check_in="required")
    command = wish("hipot", start="2026-03-24 10:00", end="2026-03-24 12:00")
    booked = reservations.request(session, command, actor=cast.bo, now=NOW)
    edit_equipment(session, "hipot", approval="manager")
    session.execute(delete(Qualification))
    session.commit()
    aside = Decide(booked.id, override=("qualification_missing", "unstaffed"), reason="Tom stands by")
    approved = decisions.approve(session, aside, actor=cast.mia, now=NOW)
    assert approved.overridden == ["qualification_missing"]
    assert approved.history[-1].new["overridden"] == ["qualification_missing"]


def test_what_was_set_aside_for_one_person_is_not_for_whom_they_hand_over_to(
    session: Session, cast: Cast
) -> None:
    command = wish("hipot", holder=cast.anna.email, override=("qualification_missing",), reason="Tom is in")
    booked = reservations.request(session, command, actor=cast.mia, now=NOW)
    session.execute(delete(Qualification))
    session.commit()
    with pytest.raises(Refused) as refused:
        decisions.transfer(session, Decide(booked.id, to=cast.bo.email), actor=cast.anna, now=NOW)
    assert codes(refused) == {"qualification_missing"}
    with pytest.raises(Refused) as refused:  # nor a manager's for themselves
        decisions.transfer(session, Decide(booked.id, to=cast.mia.email), actor=cast.mia, now=NOW)
    assert codes(refused) == {"qualification_missing"}
    decisions.transfer(session, Decide(booked.id, to=cast.bo.email), actor=cast.mia, now=NOW)


@pytest.mark.parametrize("more", [{}, {"end": at("2026-03-24 13:00")}])
def test_an_expected_end_lies_within_the_time_of_use(
    session: Session, cast: Cast, more: dict[str, Any]
) -> None:
    booked = book(session, cast.anna, "scope")
    for wrong in (at("2026-12-24 12:00"), at("2026-03-24 10:00")):
        with pytest.raises(Refused) as refused:
            move(session, booked.id, cast.anna, expected_end=wrong, **more)
        assert codes(refused) == {"expected_end_outside"}
    right = move(session, booked.id, cast.anna, expected_end=at("2026-03-24 11:30"), **more)
    assert right.expected_end == at("2026-03-24 11:30")


def test_an_expected_end_after_an_end_that_is_not_yet_agreed_is_refused(session: Session, cast: Cast) -> None:
    booked = book(session, cast.anna, "chamber")
    decisions.approve(session, Decide(booked.id), actor=cast.mia, now=NOW)
    with pytest.raises(Refused) as refused:
        move(session, booked.id, cast.anna, end=at("2026-03-24 15:00"), expected_end=at("2026-03-24 14:00"))
    assert codes(refused) == {"expected_end_outside"}


def test_somebody_who_has_left_does_not_block_what_others_change(session: Session, cast: Cast) -> None:
    booked = book(session, cast.anna, "scope", participants=(cast.bo.email,), project="joint")
    session.execute(update(User).values(active=False).where(User.email.in_([cast.anna.email, cast.bo.email])))
    session.execute(update(Project).values(active=False))
    session.commit()
    both = (cast.bo.email, cast.dorte.email)
    assert len(move(session, booked.id, cast.mia, participants=both).participants) == 2
    assert move(session, booked.id, cast.mia, title="Other", project="joint").project == "joint"
    with pytest.raises(Refused) as refused:  # dorte sees it through the project only
        move(session, booked.id, cast.mia, project="")
    assert codes(refused) == {"unknown_participant"}
    alone = move(session, booked.id, cast.mia, project="", participants=(cast.bo.email,))
    assert (alone.project, len(alone.participants)) == (None, 1)
    with pytest.raises(Refused) as refused:
        move(session, booked.id, cast.mia, participants=(cast.anna.email,))
    assert codes(refused) == {"unknown_participant"}


def test_the_history_keeps_what_was_and_what_is_with_free_text_where_erasure_can_reach_it(
    session: Session, cast: Cast
) -> None:
    booked = book(session, cast.anna, "scope", notes="Bring gloves")
    edited = move(
        session,
        booked.id,
        cast.anna,
        title="Secret inverter",
        notes="",
        project="joint",
        participants=(cast.bo.email,),
        reason="The client asked",
    )
    told = edited.history[-1]
    assert told.old == {"title": "A test", "notes": "Bring gloves", "project": None, "participants": []}
    assert told.new == {
        "title": "Secret inverter",
        "notes": "",
        "project": "joint",
        "participants": [cast.bo.email],
    }
    assert told.reason == "The client asked"
    kept = session.execute(select(HistoryEntry.old, HistoryEntry.new)).all()
    assert not [word for word in ("Secret", "gloves", "A test", cast.bo.email) if word in str(kept)]
    moved = move(session, booked.id, cast.anna, equipment=(Wanted("scope-2"),), participants=())
    gone = decisions.transfer(session, Decide(moved.id, to=cast.bo.email), actor=cast.anna, now=NOW)
    told = next(h for h in gone.history if h.action == "move")
    assert (told.old["equipment"], told.new["equipment"]) == (
        [{"slug": "scope", "places": 1}],
        [{"slug": "scope-2", "places": 1}],
    )
    told = gone.history[-1]
    assert (told.old, told.new) == ({"holder": cast.anna.email}, {"holder": cast.bo.email})
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    session.execute(update(Remark).values(text=""))
    session.commit()
    found = reservation_views.find(session, booked.id, viewer=cast.anna)
    assert "Secret" not in str(found.history)
