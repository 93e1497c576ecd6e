from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from labbook.domain.errors import Refused
from labbook.domain.reservation import Step
from labbook.models import Allocation, Draw, Equipment, Reservation, Webhook, WebhookDelivery
from labbook.services import changes, decisions, reservation_views, sweep, transaction
from labbook.services.commands import ChangeReservation, Decide
from labbook.services.rig_access import access
from labbook.services.verify import verify
from tests.cast import NOW, Cast, at
from tests.services.test_reservations import book
from tests.services.test_sweep import approved_chamber, kinds_told, stored

NOON = at("2026-03-24 12:00")  # the first one's end of use; its tear-down lasts until 12:30


@pytest.fixture
def first(session: Session, cast: Cast) -> str:
    """In the chamber from 10:00 to 12:00, torn down until 12:30, checked in and not out."""
    public_id = approved_chamber(session, cast)
    decisions.check_in(session, Decide(public_id), actor=cast.anna, now=at("2026-03-24 10:00"))
    return public_id


@pytest.fixture
def second(session: Session, cast: Cast, first: str) -> str:
    """The competitor's, set up from 13:00 on and used from 13:30 to 17:00."""
    view = book(session, cast.carla, "chamber", start="2026-03-24 13:30", end="2026-03-24 17:00")
    return decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW).id


def sweep_at(session: Session, when: str) -> dict[str, int]:
    return dict(sweep.sweep(session, now=at(when)))


def test_what_overruns_occupies_on_at_every_quarter_with_its_tear_down_ahead(
    session: Session, first: str
) -> None:
    assert sweep_at(session, "2026-03-24 12:00") == {Step.OVERRUN: 1}
    assert stored(session, first).occupied_until == at("2026-03-24 13:00")
    assert sweep_at(session, "2026-03-24 12:14") == {}
    assert sweep_at(session, "2026-03-24 12:15") == {Step.GROWN: 1}
    assert stored(session, first).occupied_until == at("2026-03-24 13:15")
    assert verify(session) == []


def test_it_grows_up_to_the_next_reservation_and_never_into_it(
    session: Session, first: str, second: str
) -> None:
    sweep_at(session, "2026-03-24 12:00")
    sweep_at(session, "2026-03-24 12:45")
    assert stored(session, first).occupied_until == at("2026-03-24 13:00")
    assert stored(session, second).status == "approved"
    assert verify(session) == []


def test_from_there_the_next_one_is_displaced_and_no_clock_runs_against_it(
    session: Session, cast: Cast, first: str, second: str
) -> None:
    sweep_at(session, "2026-03-24 12:55")
    assert sweep_at(session, "2026-03-24 13:00") == {Step.DISPLACED: 1, Step.GROWN: 1}
    row = stored(session, second)
    assert (row.status, row.displaced_since) == ("approved", at("2026-03-24 13:00"))
    assert kinds_told(session, cast.carla.id)[-1] == "displaced"
    assert kinds_told(session, cast.mia.id)[-1] == "displaced"
    assert "displaced" not in kinds_told(session, cast.anna.id)
    assert Step.NO_SHOW not in sweep_at(session, "2026-03-24 15:00"), "its grace clock stands still"


def test_who_is_displaced_cannot_check_in_and_can_once_the_place_is_given_back(
    session: Session, cast: Cast, first: str, second: str
) -> None:
    sweep_at(session, "2026-03-24 13:00")
    with pytest.raises(Refused) as refused:
        decisions.check_in(session, Decide(second), actor=cast.carla, now=at("2026-03-24 13:40"))
    assert [problem.code for problem in refused.value.problems] == ["displaced"]
    decisions.check_out(session, Decide(first), actor=cast.anna, now=at("2026-03-24 14:00"))
    row = stored(session, second)
    assert (row.displaced_since, row.freed_at) == (None, at("2026-03-24 14:00"))
    assert kinds_told(session, cast.carla.id)[-1] == "freed"
    inside = decisions.check_in(session, Decide(second), actor=cast.carla, now=at("2026-03-24 14:10"))
    assert inside.status == "in_use"
    assert verify(session) == []


def test_the_place_counts_as_taken_before_any_sweep_has_said_so(
    session: Session, cast: Cast, first: str, second: str
) -> None:
    with pytest.raises(Refused):
        decisions.check_in(session, Decide(second), actor=cast.carla, now=at("2026-03-24 13:10"))


def test_the_grace_time_begins_anew_when_the_place_is_given_back(
    session: Session, cast: Cast, first: str, second: str
) -> None:
    sweep_at(session, "2026-03-24 13:00")
    decisions.check_out(session, Decide(first), actor=cast.anna, now=at("2026-03-24 14:00"))
    assert sweep_at(session, "2026-03-24 14:29") == {Step.OPENED: 1}
    assert sweep_at(session, "2026-03-24 14:30") == {Step.NO_SHOW: 1}


def test_who_was_kept_waiting_until_the_end_is_cancelled_by_the_labs_cause(
    session: Session, cast: Cast, first: str, second: str
) -> None:
    sweep_at(session, "2026-03-24 13:00")
    assert sweep_at(session, "2026-03-24 17:30")[Step.CANCELLED] == 1
    row = stored(session, second)
    assert (row.status, row.cancel_cause) == ("cancelled", "lab")
    assert kinds_told(session, cast.carla.id)[-1] == "cancelled"
    assert verify(session) == []


def test_after_a_long_sleep_the_next_one_is_displaced_all_the_same(
    session: Session, first: str, second: str
) -> None:
    """Neither step was taken in time; that the first one still stands there follows from its row."""
    found = sweep_at(session, "2026-03-24 14:00")
    assert found[Step.OVERRUN] == found[Step.DISPLACED] == 1
    assert stored(session, second).status == "approved"


def test_a_block_of_the_labs_own_waits_too_and_starts_by_itself_once_it_can(
    session: Session, cast: Cast, first: str
) -> None:
    view = book(session, cast.mia, "chamber", start="2026-03-24 13:30", end="2026-03-24 17:00", kind="block")
    sweep_at(session, "2026-03-24 13:00")
    assert stored(session, view.id).displaced_since is not None
    decisions.check_out(session, Decide(first), actor=cast.anna, now=at("2026-03-24 14:00"))
    assert sweep_at(session, "2026-03-24 14:00") == {Step.STARTED: 1}


def test_who_is_displaced_may_be_moved_and_the_overrun_grows_on(
    session: Session, cast: Cast, first: str, second: str
) -> None:
    sweep_at(session, "2026-03-24 13:00")
    wish = ChangeReservation(start=at("2026-03-25 13:30"), end=at("2026-03-25 17:00"))
    changes.change(session, second, wish, revision=None, actor=cast.mia, now=at("2026-03-24 13:05"))
    row = stored(session, second)
    assert (row.displaced_since, row.freed_at) == (None, None)
    sweep_at(session, "2026-03-24 13:15")
    assert stored(session, first).occupied_until == at("2026-03-24 14:15")
    assert verify(session) == []


@pytest.fixture
def shared(session: Session, cast: Cast) -> tuple[str, str]:
    """On the oscilloscope until 10:00, and the competitor from then on, whose chamber is set up at 09:30."""
    asks = update(Equipment).where(Equipment.slug == "scope").values(check_in="required")
    transaction.write(session, lambda: session.execute(asks))
    before = book(session, cast.anna, "scope", start="2026-03-24 08:00", end="2026-03-24 10:00").id
    decisions.check_in(session, Decide(before), actor=cast.anna, now=at("2026-03-24 08:00"))
    after = book(session, cast.carla, "chamber", "scope", start="2026-03-24 10:00", end="2026-03-24 12:00")
    return before, decisions.approve(session, Decide(after.id), actor=cast.mia, now=NOW).id


def test_who_sets_up_one_piece_is_not_displaced_by_whose_turn_it_still_is_on_another(
    session: Session, cast: Cast, shared: tuple[str, str]
) -> None:
    _, after = shared
    assert sweep_at(session, "2026-03-24 09:30") == {Step.OPENED: 1}
    inside = decisions.check_in(session, Decide(after), actor=cast.carla, now=at("2026-03-24 09:40"))
    assert inside.status == "in_use"


def test_nobody_is_missed_while_another_piece_of_theirs_is_not_given_back(
    session: Session, cast: Cast, shared: tuple[str, str]
) -> None:
    before, after = shared
    sweep_at(session, "2026-03-24 09:30")
    with pytest.raises(Refused) as refused:
        decisions.check_in(session, Decide(after), actor=cast.carla, now=at("2026-03-24 10:05"))
    assert [problem.code for problem in refused.value.problems] == ["displaced"]
    done = sweep_at(session, "2026-03-24 10:30")
    assert (done[Step.DISPLACED], Step.NO_SHOW in done) == (1, False)
    decisions.check_out(session, Decide(before), actor=cast.anna, now=at("2026-03-24 10:40"))
    assert decisions.check_in(session, Decide(after), actor=cast.carla, now=at("2026-03-24 10:45"))
    assert verify(session) == []


def test_who_only_gives_back_an_hour_at_the_end_is_still_displaced_and_told_once(
    session: Session, cast: Cast, first: str, second: str
) -> None:
    sweep_at(session, "2026-03-24 13:00")
    wish = ChangeReservation(end=at("2026-03-24 16:00"))
    changes.change(session, second, wish, revision=None, actor=cast.carla, now=at("2026-03-24 13:05"))
    assert stored(session, second).displaced_since == at("2026-03-24 13:00")
    assert Step.DISPLACED not in sweep_at(session, "2026-03-24 13:10")
    assert kinds_told(session, cast.carla.id).count("displaced") == 1


def test_who_gives_back_an_hour_at_the_end_keeps_the_grace_time_from_when_they_could_come(
    session: Session, cast: Cast, first: str, second: str
) -> None:
    sweep_at(session, "2026-03-24 13:00")
    decisions.check_out(session, Decide(first), actor=cast.anna, now=at("2026-03-24 14:20"))
    wish = ChangeReservation(end=at("2026-03-24 16:00"))
    changes.change(session, second, wish, revision=None, actor=cast.carla, now=at("2026-03-24 14:25"))
    assert Step.NO_SHOW not in sweep_at(session, "2026-03-24 14:49")
    assert sweep_at(session, "2026-03-24 14:50") == {Step.NO_SHOW: 1}


def test_an_overrun_is_over_when_it_was_extended_while_nobody_is_next(
    session: Session, cast: Cast, first: str
) -> None:
    sweep_at(session, "2026-03-24 12:00")
    longer = Decide(first, until=at("2026-03-24 14:00"))
    decisions.extend(session, longer, actor=cast.anna, now=at("2026-03-24 12:05"))
    row = stored(session, first)
    assert (row.overrun_since, row.occupied_until) == (None, at("2026-03-24 14:30"))
    assert sweep_at(session, "2026-03-24 13:45") == {Step.ENDING: 1}
    assert sweep_at(session, "2026-03-24 14:00") == {Step.OVERRUN: 1}


def test_nobody_extends_into_what_has_passed(session: Session, cast: Cast, first: str) -> None:
    longer = Decide(first, until=at("2026-03-24 12:10"))
    with pytest.raises(Refused) as refused:
        decisions.extend(session, longer, actor=cast.anna, now=at("2026-03-24 12:20"))
    assert [problem.code for problem in refused.value.problems] == ["in_the_past"]


def test_what_overruns_draws_on_within_the_budget_and_no_further(session: Session, cast: Cast) -> None:
    session.connection(execution_options={"labbook_write": True})
    for source in session.scalars(select(Equipment).where(Equipment.slug.like("source%"))):
        source.check_in = "required"
    session.commit()
    view = book(session, cast.anna, "source", start="2026-03-24 10:00", end="2026-03-24 12:00")
    decisions.check_in(session, Decide(view.id), actor=cast.anna, now=at("2026-03-24 10:00"))
    # The other source takes the budget from 12:15 on: six of ten are drawn, four are left.
    book(session, cast.carla, "source-2", start="2026-03-24 12:15", end="2026-03-24 14:00")
    sweep_at(session, "2026-03-24 12:00")
    row = stored(session, view.id)
    assert row.occupied_until == at("2026-03-24 12:30"), "it stands there"
    drawn = session.scalar(select(Draw.ends_at).where(Draw.reservation_id == row.id))
    assert drawn == NOON, "and its share beyond that is the other's"
    assert verify(session) == []


def test_the_busy_block_of_an_overrun_grows_for_a_stranger_too(session: Session, first: str) -> None:
    before = session.scalars(select(Allocation.sequence)).one()
    sweep_at(session, "2026-03-24 12:00")
    assert session.scalars(select(Allocation.sequence)).one() == before + 1


def test_an_early_return_frees_the_rest_at_once(session: Session, cast: Cast, first: str) -> None:
    decisions.check_out(session, Decide(first), actor=cast.anna, now=at("2026-03-24 11:00"))
    assert book(session, cast.carla, "chamber", start="2026-03-24 11:30", end="2026-03-24 12:30").id
    assert stored(session, first).due_at is None


def test_who_checks_out_late_is_no_longer_due(session: Session, cast: Cast, first: str) -> None:
    sweep_at(session, "2026-03-24 12:00")
    decisions.check_out(session, Decide(first), actor=cast.anna, now=at("2026-03-24 12:20"))
    session.rollback()
    assert session.scalar(select(Reservation.due_at)) is None
    assert session.scalars(select(Allocation.ends_at)).one() == at("2026-03-24 12:20")
    assert sweep.next_due(session) is None
    assert sweep.sweep(session, now=NOON + timedelta(days=1)) == {}


def test_who_says_a_new_expected_end_is_asked_again_then(session: Session, cast: Cast, first: str) -> None:
    for hour in ("11:00", "11:30"):
        wish = ChangeReservation(expected_end=at(f"2026-03-24 {hour}"))
        changes.change(session, first, wish, revision=None, actor=cast.anna, now=at("2026-03-24 10:05"))
        assert sweep_at(session, f"2026-03-24 {hour}") == {Step.EXPECTED_END: 1}


def test_a_proposal_for_what_is_displaced_is_not_lost_with_its_start(
    session: Session, cast: Cast, first: str, second: str
) -> None:
    wish = ChangeReservation(start=at("2026-03-26 10:00"), end=at("2026-03-26 13:00"))
    changes.propose(session, second, wish, revision=None, actor=cast.mia, now=at("2026-03-24 12:30"))
    sweep_at(session, "2026-03-24 15:00")
    row = stored(session, second)
    assert row.displaced_since is not None
    assert [change.state for change in row.changes] == ["open"]
    decisions.approve(session, Decide(second), actor=cast.carla, now=at("2026-03-24 15:05"))
    assert stored(session, second).starts_at == at("2026-03-26 10:00")
    assert verify(session) == []


def test_who_comes_late_is_not_kept_out_by_whoever_was_there_until_just_now(
    session: Session, cast: Cast
) -> None:
    """The set-up of a late check-in lies before it, and takes nothing that is over."""
    missed = approved_chamber(session, cast, start="2026-03-24 10:00", end="2026-03-24 15:00")
    sweep_at(session, "2026-03-24 10:30")
    between = book(session, cast.carla, "chamber", start="2026-03-24 11:30", end="2026-03-24 12:00")
    decisions.approve(session, Decide(between.id), actor=cast.mia, now=at("2026-03-24 10:40"))
    decisions.check_in(session, Decide(between.id), actor=cast.carla, now=at("2026-03-24 11:00"))
    decisions.check_out(session, Decide(between.id), actor=cast.carla, now=at("2026-03-24 12:00"))
    late = decisions.check_in(session, Decide(missed), actor=cast.anna, now=at("2026-03-24 12:01"))
    assert late.status == "in_use"
    assert verify(session) == []


def test_a_bounded_pass_is_bounded_over_all_that_is_due(session: Session, cast: Cast) -> None:
    for slug in ("scope", "scope-2"):
        book(session, cast.anna, slug)
    assert sweep.sweep(session, now=at("2026-03-24 10:00"), limit=1).total() == 1


def test_of_two_who_are_at_one_place_only_the_one_before_may_energise(
    session: Session, cast: Cast, shared: tuple[str, str]
) -> None:
    before, after = shared
    decisions.check_in(session, Decide(after), actor=cast.carla, now=at("2026-03-24 09:40"))
    late = at("2026-03-24 10:05")
    assert access(session, "scope", viewer=cast.anna, now=late).reservation == before
    assert not access(session, "scope", viewer=cast.carla, now=late).allowed
    assert access(session, "chamber", viewer=cast.carla, now=late).allowed
    decisions.check_out(session, Decide(before), actor=cast.anna, now=at("2026-03-24 10:10"))
    assert access(session, "scope", viewer=cast.carla, now=at("2026-03-24 10:11")).reservation == after


def test_a_rig_is_told_the_same_as_it_is_answered_when_two_are_at_one_place(
    session: Session, cast: Cast, shared: tuple[str, str]
) -> None:
    before, after = shared
    equipment_id = session.scalars(select(Equipment.id).where(Equipment.slug == "scope")).one()
    hook = Webhook(
        equipment_id=equipment_id, url="http://rig.example", secret="s", active=True,
        created_by_id=cast.mia.id, created_at=NOW,
    )  # fmt: skip
    session.add(hook)
    session.commit()
    decisions.check_in(session, Decide(after), actor=cast.carla, now=at("2026-03-24 09:40"))
    decisions.check_out(session, Decide(before), actor=cast.anna, now=at("2026-03-24 10:10"))
    told = [row.payload for row in session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id))]
    assert [(each["reservation"], each["event"], each["allowed"]) for each in told] == [
        (after, "window.opened", False),
        (before, "window.closed", False),
        (after, "window.opened", True),
    ]


def test_what_begins_by_itself_counts_its_hours_from_when_it_was_let_in(
    session: Session, cast: Cast, first: str
) -> None:
    view = book(session, cast.mia, "chamber", start="2026-03-24 13:30", end="2026-04-01 17:00", kind="block")
    sweep_at(session, "2026-03-24 13:00")
    decisions.check_out(session, Decide(first), actor=cast.anna, now=at("2026-03-24 15:00"))
    sweep_at(session, "2026-03-24 15:00")
    test = reservation_views.find(session, view.id, viewer=cast.mia).long_test
    assert test is not None
    assert test.accrued(at("2026-03-24 18:00")) == timedelta(hours=3)
