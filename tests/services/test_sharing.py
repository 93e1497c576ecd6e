"""A shared piece runs one profile at a time, over its own span; and one may take it whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Refused
from labbook.models import Allocation, Facility, Reservation
from labbook.services import changes, decisions, reservations, sweep, verify
from labbook.services.commands import ChangeReservation, Decide, RequestReservation, Wanted
from labbook.services.reservation_views import ReservationView
from tests.cast import NOW, Cast, at, equipment
from tests.services.test_changes import recipe
from tests.services.test_reservations import codes

RANGE = {"text": "-70..180 degC", "low": 203.15, "high": 453.15, "unit": "K"}
A_SHELF = [{"equipment": "shelves", "count": 1, "places": 1}]
A_CHANNEL = [{"equipment": "channels", "count": 1, "places": 1}]


def temperature(degrees: float) -> dict[str, Any]:
    kelvin = degrees + 273.15
    return {"temperature": {"text": f"{degrees} degC", "low": kelvin, "high": kelvin, "unit": "K"}}


HOT, COLD = temperature(85), temperature(-40)


@pytest.fixture
def shelves(session: Session, cast: Cast) -> None:
    """``shelves``: a chamber of four places, an hour to set up; ``channels``: four, of no temperature."""
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    lab = session.get_one(Facility, cast.facility_id)
    chamber = {"places": 4, "approval": "automatic", "setup": 3600, "check_in": "required"}
    equipment(session, lab, "shelves", capabilities={"temperature": RANGE}, **chamber)
    volts = {"dc_voltage": {"text": "0..5 V", "low": 0, "high": 5, "unit": "V"}}
    equipment(session, lab, "channels", places=4, approval="automatic", capabilities=volts)
    session.commit()


def hour(number: float) -> datetime:
    return at(f"2026-03-24 {int(number):02}:{round(number % 1 * 60):02}")


def take(
    session: Session,
    actor: Viewer,
    start: float,
    end: float,
    ambient: Mapping[str, Any],
    slug: str = "shelves",
    **more: Any,
) -> ReservationView:
    command = RequestReservation(
        (Wanted(slug, **more.pop("piece", {})),), hour(start), hour(end), "Soak", ambient=ambient
    )
    return reservations.request(session, replace(command, **more), actor=actor, now=NOW)


def test_what_was_asked_for_without_a_recipe_counts_as_a_recipes_profile_does(
    session: Session, cast: Cast, shelves: None
) -> None:
    recipe(session, cast, "hot", ambient=HOT, draws={}, setup=None, teardown=None, needs=A_SHELF)
    take(session, cast.anna, 10, 12, {}, environment="hot")
    take(session, cast.carla, 10, 12, HOT)
    with pytest.raises(Refused) as refused:
        take(session, cast.carla, 10, 12, COLD)
    assert codes(refused) == {"other_ambient"}
    with pytest.raises(Refused) as refused:
        take(session, cast.carla, 10, 12, {})
    assert codes(refused) == {"unstated_ambient"}


def test_who_states_none_shares_with_who_states_none(session: Session, cast: Cast, shelves: None) -> None:
    take(session, cast.anna, 10, 12, {})
    take(session, cast.carla, 10, 12, {})
    with pytest.raises(Refused) as refused:
        take(session, cast.dorte, 10, 12, HOT)
    assert codes(refused) == {"unstated_ambient"}
    override = {"holder": cast.dorte.email, "override": ("unstated_ambient",), "reason": "It bears 85 °C"}
    take(session, cast.mia, 10, 12, HOT, **override)


def test_a_block_of_staff_says_nothing_of_a_profile_and_minds_none(
    session: Session, cast: Cast, shelves: None
) -> None:
    take(session, cast.anna, 10, 12, HOT)
    take(session, cast.tom, 10, 12, {}, kind="block")
    take(session, cast.carla, 10, 12, HOT)


def test_on_what_makes_no_temperature_hot_and_cold_tests_are_neighbours(
    session: Session, cast: Cast, shelves: None
) -> None:
    take(session, cast.anna, 10, 12, HOT, "channels")
    take(session, cast.carla, 10, 12, COLD, "channels")
    take(session, cast.dorte, 10, 12, {}, "channels")


def test_it_is_the_pieces_own_span_that_counts_and_not_the_longest_of_all(
    session: Session, cast: Cast, shelves: None
) -> None:
    """The channels need no set-up; the shelves are another's until 9, and set up from then on."""
    take(session, cast.carla, 7, 9, COLD)
    both = RequestReservation(
        (Wanted("shelves"), Wanted("channels")), hour(10), hour(12), "Both", ambient=HOT
    )
    reservations.request(session, both, actor=cast.anna, now=NOW)
    chamber = replace(both, equipment=(Wanted("channels"), Wanted("chamber")), start=hour(8), end=hour(9.5))
    take(session, cast.dorte, 8, 9, COLD, "channels")
    reservations.request(session, chamber, actor=cast.bo, now=NOW)
    with pytest.raises(Refused):
        take(session, cast.dorte, 10, 11, COLD)


def test_a_move_a_change_and_a_proposal_are_asked_the_same(
    session: Session, cast: Cast, shelves: None
) -> None:
    take(session, cast.carla, 14, 16, COLD)
    mine = take(session, cast.anna, 8, 10, HOT)
    wish = ChangeReservation(start=hour(14), end=hour(16), reason="Later")
    for step, actor in ((changes.change, cast.anna), (changes.propose, cast.mia)):
        with pytest.raises(Refused) as refused:
            step(session, mine.id, wish, revision=None, actor=actor, now=NOW)
        assert codes(refused) == {"other_ambient"}
    longer = ChangeReservation(end=hour(13.5))
    with pytest.raises(Refused):
        changes.change(session, mine.id, longer, revision=None, actor=cast.anna, now=NOW)
    changes.change(session, mine.id, replace(longer, end=hour(13)), revision=None, actor=cast.anna, now=NOW)


def test_who_comes_late_finds_what_runs_there_by_then(session: Session, cast: Cast, shelves: None) -> None:
    mine = take(session, cast.anna, 8, 12, HOT)
    sweep.sweep(session, now=hour(8.5))
    command = RequestReservation((Wanted("shelves"),), hour(10), hour(11), "Cold", ambient=COLD)
    reservations.request(session, command, actor=cast.carla, now=hour(8.5))
    with pytest.raises(Refused) as refused:
        decisions.check_in(session, Decide(mine.id), actor=cast.anna, now=hour(8.75))
    assert codes(refused) == {"other_ambient"}


def test_an_overrun_goes_on_until_another_profile_begins_which_waits_for_it_to_end(
    session: Session, cast: Cast, shelves: None
) -> None:
    same = take(session, cast.dorte, 8, 10, HOT)
    mine = take(session, cast.anna, 8, 10, HOT)
    cold = take(session, cast.carla, 11.25, 13, COLD)
    decisions.check_in(session, Decide(mine.id), actor=cast.anna, now=hour(8))
    for quarter in range(4):
        sweep.sweep(session, now=hour(10 + quarter / 4))
    ends = session.scalars(select(Allocation.ends_at).join(Reservation).where(
        Reservation.public_id == mine.id)).all()  # fmt: skip
    assert ends == [hour(10.25)]
    session.rollback()
    with pytest.raises(Refused) as refused:
        decisions.check_in(session, Decide(cold.id), actor=cast.carla, now=hour(11.25))
    assert codes(refused) == {"other_ambient"}
    decisions.check_out(session, Decide(mine.id), actor=cast.anna, now=hour(11.25))
    decisions.check_in(session, Decide(cold.id), actor=cast.carla, now=hour(11.25))
    assert same.status == "approved"
    assert verify.verify(session) == []


# --- whole ------------------------------------------------------------------------------------------


def test_a_piece_taken_whole_is_all_its_places_and_shown_so(
    session: Session, cast: Cast, shelves: None
) -> None:
    mine = take(session, cast.anna, 10, 12, HOT, piece={"whole": True})
    assert [(p.places, p.whole) for p in mine.equipment] == [(4, True)]
    with pytest.raises(Refused) as refused:
        take(session, cast.carla, 10, 12, HOT)
    assert refused.value.conflicts
    less = ChangeReservation(equipment=(Wanted("shelves", 3),))
    changed = changes.change(session, mine.id, less, revision=None, actor=cast.anna, now=NOW)
    assert [(p.places, p.whole) for p in changed.equipment] == [(3, False)]
    again = ChangeReservation(equipment=(Wanted("shelves", whole=True),))
    changed = changes.change(session, mine.id, again, revision=None, actor=cast.anna, now=NOW)
    assert [(p.places, p.whole) for p in changed.equipment] == [(4, True)]
    one = take(session, cast.anna, 10, 12, {}, "scope", piece={"whole": True})
    assert [(p.places, p.whole) for p in one.equipment] == [(1, False)], "of one place nobody says so"
    assert verify.verify(session) == []


def test_a_recipes_piece_may_be_taken_whole_to_have_it_to_oneself(
    session: Session, cast: Cast, shelves: None
) -> None:
    recipe(session, cast, "hot", ambient=HOT, draws={}, setup=None, teardown=None, needs=A_SHELF)
    with pytest.raises(Refused) as refused:
        take(session, cast.anna, 10, 12, {}, environment="hot", piece={"places": 2})
    assert codes(refused) == {"environment_mismatch"}
    mine = take(session, cast.anna, 10, 12, {}, environment="hot", piece={"whole": True})
    assert [(p.slug, p.places) for p in mine.equipment] == [("shelves", 4)]
    wish = ChangeReservation(start=hour(14), end=hour(16))
    moved = changes.change(session, mine.id, wish, revision=None, actor=cast.anna, now=NOW)
    assert [(p.slug, p.places) for p in moved.equipment] == [("shelves", 4)]
