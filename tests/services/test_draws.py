"""What a reservation draws, stated by a manager: at the booking, at the approval, later, and ever after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.errors import Forbidden, Refused, WrongStatus
from labbook.models import Draw, Reservation
from labbook.services import changes, decisions, options, reservation_views, reservations, sweep, verify
from labbook.services.commands import ChangeReservation, Decide, RequestReservation, Wanted
from labbook.services.reservation_views import ReservationView
from tests.cast import NOW, Cast, at
from tests.services.test_changes import TOMORROW, feeder, move, recipe
from tests.services.test_reservations import book, codes

WHY = "Measured last week"
FOUR = {"feeder-a": "4 kVA"}
TODAY = (at("2026-03-24 10:00"), at("2026-03-24 12:00"))


def ask(slug: str = "source", **more: Any) -> RequestReservation:
    return replace(RequestReservation((Wanted(slug),), *TODAY, "A test"), **more)


def for_anna(session: Session, cast: Cast, slug: str = "source", **more: Any) -> ReservationView:
    """mia books for anna."""
    command = ask(slug, holder=cast.anna.email, reason=WHY, **more)
    return reservations.request(session, command, actor=cast.mia, now=NOW)


def state(session: Session, public_id: str, actor: Any, draws: Any, **more: Any) -> ReservationView:
    wish = ChangeReservation(draws=draws, **({"reason": WHY} | more))
    return changes.change(session, public_id, wish, revision=None, actor=actor, now=NOW)


def said(view: ReservationView) -> dict[str, tuple[str, bool]]:
    return {each.utility: (each.amount, each.stated) for each in view.draws}


def test_what_is_reckoned_is_shown_to_whoever_sees_it_in_full(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "source")
    assert said(view) == {"feeder-a": ("6 kVA", False)}
    assert said(reservation_views.find(session, view.id, viewer=cast.mia)) == said(view)
    assert said(book(session, cast.anna, "scope")) == {}


def test_a_manager_states_it_when_booking_for_somebody_and_others_fit_beside(
    session: Session, cast: Cast
) -> None:
    view = for_anna(session, cast, draws=FOUR)
    assert said(view) == {"feeder-a": ("4 kVA", True)}
    assert view.history[0].new["draws"] == {"feeder-a": "4 kVA"}
    assert view.history[0].reason == WHY
    book(session, cast.carla, "source-2")
    assert verify.verify(session) == []


def test_everything_that_is_wrong_with_it_is_said_at_once(session: Session, cast: Cast) -> None:
    wrong = {"feeder-a": "4 kg", "steam": "1 kg", "constructor": None}
    with pytest.raises(Refused) as refused:
        reservations.request(
            session, ask(holder=cast.anna.email, draws=wrong, title=""), actor=cast.mia, now=NOW
        )
    assert codes(refused) == {"missing", "unit_mismatch", "unknown_utility", "reason_missing"}
    assert [p.params["utility"] for p in refused.value.problems if p.code == "unknown_utility"] == [
        "steam",
        "constructor",
    ]


def test_it_is_nobodys_to_state_but_a_managers_and_not_for_themselves(session: Session, cast: Cast) -> None:
    for actor, holder in ((cast.anna, cast.anna), (cast.tom, cast.anna), (cast.mia, cast.mia)):
        command = ask(holder=holder.email, draws=FOUR, reason=WHY)
        with pytest.raises(Forbidden):
            reservations.request(session, command, actor=actor, now=NOW)
    view = book(session, cast.anna, "source")
    for actor in (cast.anna, cast.tom):
        with pytest.raises(Forbidden):
            state(session, view.id, actor, FOUR)
    assert "draws" not in view.allowed
    assert "draws" in reservation_views.find(session, view.id, viewer=cast.mia).allowed


def test_a_block_and_an_option_have_no_customer_yet_whose_figure_it_would_be(
    session: Session, cast: Cast
) -> None:
    block = ask(kind="block", draws={"feeder-a": "1 kVA"}, reason=WHY)
    view = reservations.request(session, block, actor=cast.mia, now=NOW)
    assert said(view) == {"feeder-a": ("1 kVA", True)}
    option = ask("source-2", draws=FOUR, reason=WHY, hold="option", customer="Somebody", decide_by=TODAY[0])
    held = options.create(session, option, actor=cast.mia, now=NOW)
    assert said(held) == {"feeder-a": ("4 kVA", True)}


def test_with_an_approval(session: Session, cast: Cast) -> None:
    recipe(session, cast, needs=[{"equipment": "chamber", "count": 1, "places": 1}])
    view = reservations.request(session, ask("chamber", environment="loop"), actor=cast.anna, now=NOW)
    assert said(view) == {"feeder-a": ("2 kVA", False)}
    step = Decide(view.id, draws={"feeder-a": "9 kVA"}, reason=WHY)
    approved = decisions.approve(session, step, actor=cast.mia, now=NOW)
    assert (approved.status, said(approved)) == ("approved", {"feeder-a": ("9 kVA", True)})
    assert [entry.action for entry in approved.history] == ["request", "draws", "approve"]
    with pytest.raises(Refused):
        book(session, cast.carla, "source")


def test_later_and_back_again_with_the_reason_in_the_history(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "source")
    stated = state(session, view.id, cast.mia, FOUR)
    assert said(stated) == {"feeder-a": ("4 kVA", True)}
    entry = stated.history[-1]
    assert (entry.action, entry.actor, entry.reason) == ("draws", "Mia", WHY)
    assert (entry.old, entry.new) == ({"draws": {}}, {"draws": {"feeder-a": "4 kVA"}})
    assert stated.revision == view.revision + 1
    assert state(session, view.id, cast.max, FOUR).revision == stated.revision, "nothing is different"
    none = state(session, view.id, cast.max, {"feeder-a": "0 kVA"})
    assert said(none) == {}
    assert said(state(session, view.id, cast.max, {"feeder-a": None})) == {"feeder-a": ("6 kVA", False)}
    assert verify.verify(session) == []


def test_what_would_not_fit_is_refused_beside_the_figure_and_nothing_is_changed(
    session: Session, cast: Cast
) -> None:
    view = for_anna(session, cast, draws=FOUR)
    book(session, cast.carla, "source-2")
    with pytest.raises(Refused) as refused:
        state(session, view.id, cast.mia, {"feeder-a": "4.1 kVA"})
    (problem,) = refused.value.problems
    assert (problem.code, problem.field, problem.params["peak"]) == ("over_budget", "draws", 10.1)
    assert said(reservation_views.find(session, view.id, viewer=cast.mia)) == {"feeder-a": ("4 kVA", True)}


def test_a_move_and_an_extension_keep_it(session: Session, cast: Cast) -> None:
    view = for_anna(session, cast, draws=FOUR)
    move(session, view.id, cast.anna, **TOMORROW)
    assert feeder(session, view.id) == [(4_000, TOMORROW["start"], TOMORROW["end"])]
    sweep.sweep(session, now=TOMORROW["start"])
    longer = Decide(view.id, until=at("2026-03-25 14:00"))
    decisions.extend(session, longer, actor=cast.anna, now=at("2026-03-25 11:00"))
    assert feeder(session, view.id) == [(4_000, TOMORROW["start"], at("2026-03-25 14:00"))]


def test_a_move_with_another_figure_takes_effect_whole(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "source")
    wish = ChangeReservation(draws=FOUR, reason=WHY, **TOMORROW)
    moved = changes.change(session, view.id, wish, revision=None, actor=cast.mia, now=NOW)
    assert feeder(session, view.id) == [(4_000, TOMORROW["start"], TOMORROW["end"])]
    entry = moved.history[-1]
    assert (entry.action, entry.new["draws"], entry.old["draws"]) == ("move", {"feeder-a": "4 kVA"}, {})


def test_a_change_that_waits_holds_what_it_adds_to_what_is_stated_now(session: Session, cast: Cast) -> None:
    recipe(session, cast, setup=0, teardown=0, needs=[{"equipment": "chamber", "count": 1, "places": 1}])
    view = reservations.request(session, ask("chamber", environment="loop"), actor=cast.anna, now=NOW)
    decisions.approve(session, Decide(view.id, draws=FOUR, reason=WHY), actor=cast.mia, now=NOW)
    noon, later = at("2026-03-24 12:00"), at("2026-03-24 13:00")
    move(session, view.id, cast.anna, end=later)
    assert sorted(feeder(session, view.id)) == [(4_000, *TODAY), (4_000, noon, later)]
    state(session, view.id, cast.mia, {"feeder-a": "7 kVA"})
    assert sorted(feeder(session, view.id)) == [(7_000, *TODAY), (7_000, noon, later)]
    with pytest.raises(Refused):
        book(session, cast.carla, "source", start="2026-03-24 12:00", end="2026-03-24 13:00")
    state(session, view.id, cast.mia, {"feeder-a": "4 kVA"})
    book(session, cast.carla, "source", start="2026-03-24 12:00", end="2026-03-24 13:00")
    accepted = decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    assert feeder(session, view.id) == [(4_000, TODAY[0], later)]
    assert said(accepted) == {"feeder-a": ("4 kVA", True)}
    assert verify.verify(session) == []


def test_what_overruns_draws_on_what_is_stated_and_may_be_stated_again(session: Session, cast: Cast) -> None:
    recipe(session, cast, setup=0, teardown=0, needs=[{"equipment": "chamber", "count": 1, "places": 1}])
    view = reservations.request(session, ask("chamber", environment="loop"), actor=cast.anna, now=NOW)
    decisions.approve(session, Decide(view.id, draws=FOUR, reason=WHY), actor=cast.mia, now=NOW)
    decisions.check_in(session, Decide(view.id), actor=cast.anna, now=TODAY[0])
    sweep.sweep(session, now=TODAY[1])
    grown = at("2026-03-24 12:30")
    assert feeder(session, view.id) == [(4_000, TODAY[0], grown)]
    wish = ChangeReservation(draws={"feeder-a": "5 kVA"}, reason=WHY)
    changes.change(session, view.id, wish, revision=None, actor=cast.mia, now=TODAY[1])
    assert feeder(session, view.id) == [(5_000, TODAY[0], grown)]
    assert verify.verify(session) == []


def test_what_is_over_draws_what_it_drew(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "source")
    decisions.cancel(session, Decide(view.id), actor=cast.anna, now=NOW)
    with pytest.raises(WrongStatus):
        state(session, view.id, cast.mia, FOUR)


def test_who_checks_in_late_draws_from_then_on_only(session: Session, cast: Cast) -> None:
    """What others drew while nobody came is not drawn a second time."""
    recipe(session, cast, setup=0, teardown=0, needs=[{"equipment": "chamber", "count": 1, "places": 1}])
    view = reservations.request(session, ask("chamber", environment="loop"), actor=cast.anna, now=NOW)
    step = Decide(view.id, draws={"feeder-a": "6 kVA"}, reason=WHY)
    decisions.approve(session, step, actor=cast.mia, now=NOW)
    missed = at("2026-03-24 10:30")
    sweep.sweep(session, now=missed)
    between = replace(ask("source-2", use_now=True), start=missed, end=at("2026-03-24 11:00"))
    reservations.request(session, between, actor=cast.carla, now=missed)
    late = at("2026-03-24 11:00")
    decisions.check_in(session, Decide(view.id), actor=cast.anna, now=late)
    assert feeder(session, view.id) == [(6_000, late, TODAY[1])]
    assert verify.verify(session) == []


def test_a_proposal_holds_what_it_adds_of_what_is_stated(session: Session, cast: Cast) -> None:
    view = for_anna(session, cast, draws=FOUR)
    wish = ChangeReservation(end=at("2026-03-24 14:00"), reason=WHY)
    changes.propose(session, view.id, wish, revision=None, actor=cast.mia, now=NOW)
    held = session.scalars(
        select(Draw.amount)
        .join(Reservation)
        .where(Reservation.public_id == view.id, Draw.change_id.is_not(None))
    ).all()
    assert held == [4_000]
