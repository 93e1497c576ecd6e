"""Summer time begins on Sunday 2026-03-29; 2026-04-02 to 04-06 are Easter holidays."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, NotFound, Refused, StaleRevision, WrongStatus
from labbook.models import OutboxMessage, Pause, Visit
from labbook.services import (
    changes,
    closures,
    decisions,
    due,
    long_tests,
    permits,
    reservation_views,
    today,
    visit_calls,
    visits,
)
from labbook.services.closures import AddClosure
from labbook.services.commands import ChangeReservation, Decide, OnTest, OnVisit, PlanVisit
from labbook.services.reservation_views import ReservationView
from tests.cast import NOW, Cast, at
from tests.services import long_world
from tests.services.long_world import HOUR, clock_of, starts
from tests.services.test_reservations import book, codes

FIRST, SECOND = "2026-03-25 10:00", "2026-03-31 11:00"  # 24 h, and 168 h over the change of the clocks
NIGHT = at("2026-03-27 02:00")


def plan(
    session: Session, view: ReservationView, actor: Viewer, now: Any = NOW, **more: Any
) -> ReservationView:
    return long_tests.plan(session, PlanVisit(view.id, **more), actor=actor, now=now)


def step(
    session: Session, name: str, view: ReservationView, actor: Viewer, now: Any, **more: Any
) -> ReservationView:
    command = OnTest(view.id, **more) if name in ("pause", "resume", "expect") else OnVisit(view.id, **more)
    return getattr(long_tests, name)(session, command, actor=actor, now=now)  # type: ignore[no-any-return]


def again(session: Session, view: ReservationView, viewer: Viewer) -> ReservationView:
    return reservation_views.find(session, view.id, viewer=viewer)


def told(session: Session) -> list[int]:
    query = select(OutboxMessage.user_id).where(OutboxMessage.kind == "visit").order_by(OutboxMessage.id)
    return list(session.scalars(query))


# --- planned with the booking -------------------------------------------------------------------------


def test_what_the_recipe_says_is_planned_when_it_is_booked(session: Session, cast: Cast) -> None:
    long_world.make_recipe(session, cast)
    view = long_world.requested(session, cast)
    assert starts(view) == [FIRST, SECOND]
    assert [v.after for v in clock_of(view).visits] == [24 * HOUR, 168 * HOUR]
    assert view.problems == []
    assert clock_of(again(session, view, cast.anna)).visits == clock_of(view).visits


def test_a_read_out_without_staffed_time_before_the_end_is_a_warning_and_is_laid_once_there_is(
    session: Session, cast: Cast
) -> None:
    long_world.make_recipe(session, cast, (24, 195))  # on Wednesday 2026-04-01 at 14:00
    early = long_world.requested(session, cast)
    assert early.problems == []
    session.rollback()
    shorter = changes.change(
        session,
        early.id,
        ChangeReservation(end=at("2026-04-01 14:15")),
        revision=None,
        actor=cast.anna,
        now=NOW,
    )
    assert [p.code for p in shorter.problems] == ["readout_no_room"]
    assert [v.laid for v in clock_of(shorter).visits] == [True, False]
    assert [v.laid for v in clock_of(again(session, early, cast.anna)).visits] == [True, False]
    longer = changes.change(
        session,
        early.id,
        ChangeReservation(end=at("2026-04-08 16:00")),
        revision=None,
        actor=cast.anna,
        now=NOW,
    )
    assert starts(longer) == [FIRST, "2026-04-01 14:00"]
    assert all(v.laid for v in clock_of(longer).visits)


def test_a_rehearsal_keeps_no_read_outs(session: Session, cast: Cast) -> None:
    long_world.make_recipe(session, cast)
    view = long_world.requested(session, cast, dry_run=True)
    assert starts(view) == [FIRST, SECOND]
    assert session.scalars(select(Visit)).all() == []


def test_what_is_short_and_not_visited_has_no_clock(session: Session, cast: Cast) -> None:
    assert book(session, cast.anna, "scope").long_test is None
    assert again(session, book(session, cast.anna, "scope-2"), cast.anna).long_test is None


# --- the clock ----------------------------------------------------------------------------------------


def test_the_clock_begins_with_the_use_however_early_somebody_checked_in(
    session: Session, cast: Cast
) -> None:
    view = long_world.running(session, cast, "2026-03-24 09:30")
    test = clock_of(view)
    assert test.accrued(at("2026-03-24 10:00")) == 0 * HOUR
    assert test.accrued(at("2026-03-29 10:00")) == 119 * HOUR  # that night has an hour less
    assert test.planned(NOW) == 168 * HOUR
    assert starts(view) == [FIRST, SECOND]


def test_nothing_has_accrued_before_somebody_checked_in(session: Session, cast: Cast) -> None:
    view = long_world.approved(session, cast)
    assert clock_of(view).accrued(at("2026-03-25 10:00")) == 0 * HOUR


def test_it_does_not_run_before_its_permit_is_signed(session: Session, cast: Cast) -> None:
    long_world.make_recipe(session, cast, permit=True)
    view = long_world.requested(session, cast)
    decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    decisions.check_in(session, Decide(view.id), actor=cast.anna, now=at("2026-03-24 10:00"))
    noon = at("2026-03-24 12:00")
    assert clock_of(again(session, view, cast.anna)).accrued(noon) == 0 * HOUR
    signed = permits.sign(session, Decide(view.id), actor=cast.max, now=noon)
    assert clock_of(signed).accrued(noon + HOUR) == HOUR
    assert starts(signed) == ["2026-03-25 12:00", "2026-03-31 13:00"]


def test_who_comes_late_is_read_out_late(session: Session, cast: Cast) -> None:
    view = long_world.running(session, cast, "2026-03-24 16:30")
    assert starts(view) == ["2026-03-26 08:00", "2026-04-01 08:00"]
    assert [h.action for h in view.history][-2:] == ["laid_anew", "check_in"]


def test_a_pause_stops_the_clock_and_when_it_goes_on_the_read_outs_are_laid_anew(
    session: Session, cast: Cast
) -> None:
    view = long_world.running(session, cast)
    long_tests.done(session, OnVisit(view.id, clock_of(view).visits[0].id), actor=cast.tom, now=at(FIRST))
    stopped = step(session, "pause", view, cast.tom, NIGHT, reason="Water alarm")
    test = clock_of(stopped)
    assert (test.paused_since, test.pause_reason) == (NIGHT, "Water alarm")
    assert test.accrued(NIGHT + 9 * HOUR) == 64 * HOUR
    assert test.next_readout is not None
    assert test.next_readout.waits
    resumed = step(session, "resume", view, cast.anna, NIGHT + 9 * HOUR)
    assert starts(resumed) == [FIRST, "2026-04-01 08:00"]  # 20:00 of the evening before is not staffed
    assert clock_of(resumed).paused_since is None
    assert clock_of(resumed).accrued(NIGHT + 10 * HOUR) == 65 * HOUR
    assert [h.action for h in resumed.history][-3:] == ["pause", "laid_anew", "resume"]


def test_a_pause_may_be_entered_afterwards_within_what_has_run(session: Session, cast: Cast) -> None:
    view = long_world.running(session, cast)
    morning = at("2026-03-27 08:00")
    for wrong in (at("2026-03-24 09:59"), morning + timedelta(seconds=1)):
        with pytest.raises(Refused) as refused:
            step(session, "pause", view, cast.tom, morning, at=wrong)
        assert codes(refused) == {"pause_outside"}
    step(session, "pause", view, cast.tom, morning, at=NIGHT)
    with pytest.raises(Refused):
        step(session, "resume", view, cast.tom, morning, at=NIGHT - HOUR)
    resumed = step(session, "resume", view, cast.tom, morning, at=NIGHT + 2 * HOUR)
    assert clock_of(resumed).accrued(morning) == 68 * HOUR
    with pytest.raises(Refused) as refused:  # half of it would count twice
        step(session, "pause", view, cast.tom, morning, at=NIGHT + HOUR)
    assert codes(refused) == {"pause_outside"}


def test_a_pause_that_was_none_leaves_no_trace_in_the_clock(session: Session, cast: Cast) -> None:
    view = long_world.running(session, cast)
    step(session, "pause", view, cast.tom, NIGHT)
    step(session, "resume", view, cast.tom, NIGHT + HOUR, at=NIGHT)
    assert session.scalars(select(Pause)).all() == []
    assert starts(again(session, view, cast.anna)) == [FIRST, SECOND]


def test_only_what_runs_is_paused_and_only_what_is_paused_goes_on(session: Session, cast: Cast) -> None:
    view = long_world.approved(session, cast)
    with pytest.raises(WrongStatus):
        step(session, "pause", view, cast.anna, NOW)
    decisions.check_in(session, Decide(view.id), actor=cast.anna, now=at("2026-03-24 09:30"))
    with pytest.raises(Refused) as refused:
        step(session, "pause", view, cast.anna, at("2026-03-24 09:45"))
    assert codes(refused) == {"not_running_yet"}
    with pytest.raises(WrongStatus):
        step(session, "resume", view, cast.anna, NIGHT)
    step(session, "pause", view, cast.anna, NIGHT)
    with pytest.raises(WrongStatus):
        step(session, "pause", view, cast.anna, NIGHT + HOUR)


def test_the_clock_stops_with_the_test(session: Session, cast: Cast) -> None:
    view = long_world.running(session, cast)
    ended = decisions.check_out(session, Decide(view.id), actor=cast.anna, now=NIGHT)
    assert clock_of(ended).accrued(NIGHT + 100 * HOUR) == 64 * HOUR
    assert clock_of(ended).over
    assert clock_of(ended).next_readout is None
    with pytest.raises(WrongStatus):
        plan(session, view, cast.anna, NIGHT, after=90 * HOUR)


# --- by hand ------------------------------------------------------------------------------------------


def test_a_read_out_by_hand_is_laid_into_staffed_time(session: Session, cast: Cast) -> None:
    view = long_world.running(session, cast)
    added = plan(session, view, cast.anna, at("2026-03-24 12:00"), after=90 * HOUR, note="Leakage current")
    assert starts(added) == [FIRST, "2026-03-30 08:00", SECOND]  # Saturday 04:00 is not staffed
    found = clock_of(added).visits[1]
    assert (found.kind, found.after, found.note, found.end - found.start) == (
        "readout", 90 * HOUR, "Leakage current", HOUR / 2,
    )  # fmt: skip


def test_one_of_hours_that_have_accrued_is_next_and_stays_there(session: Session, cast: Cast) -> None:
    view = long_world.running(session, cast)
    added = plan(session, view, cast.anna, at("2026-03-26 17:00"), after=48 * HOUR)
    assert "2026-03-27 08:00" in starts(added)
    step(session, "pause", view, cast.anna, at("2026-03-26 18:00"))
    resumed = step(session, "resume", view, cast.anna, at("2026-03-26 19:00"))
    assert "2026-03-27 08:00" in starts(resumed)


def test_a_visit_is_when_it_is_asked_for_and_a_warning_says_where_nobody_of_the_lab_is_there(
    session: Session, cast: Cast
) -> None:
    view = long_world.approved(session, cast)
    seen = plan(session, view, cast.anna, at=at("2026-03-26 13:00"), length=2 * HOUR, note="Customer comes")
    assert seen.problems == []
    late = plan(session, view, cast.anna, at=at("2026-03-28 13:00"))
    assert [(p.code, p.weight) for p in late.problems] == [("visit_unstaffed", "warning")]
    assert starts(late) == [FIRST, "2026-03-26 13:00", "2026-03-28 13:00", SECOND]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "missing"),
        ({"after": HOUR, "at": NIGHT}, "after_or_at"),
        ({"after": 24 * HOUR}, "readout_there"),
        ({"after": 400 * HOUR}, "readout_no_room"),
        ({"after": 20_000 * 24 * HOUR}, "readout_no_room"),
        ({"at": at("2026-03-24 09:59")}, "visit_outside"),
        ({"at": at("2026-04-01 15:31")}, "visit_outside"),
        ({"at": NIGHT, "length": timedelta(0)}, "visit_length"),
        ({"at": NIGHT, "length": 25 * HOUR}, "visit_length"),
        ({"at": NIGHT, "note": "x" * 10_001}, "text_too_long"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    session: Session, cast: Cast, asked: dict[str, Any], code: str
) -> None:
    view = long_world.approved(session, cast)
    with pytest.raises(Refused) as refused:
        plan(session, view, cast.anna, **asked)
    assert codes(refused) == {code}
    assert starts(again(session, view, cast.anna)) == [FIRST, SECOND]


def test_a_read_out_is_moved_within_the_use_and_never_before_its_hours(session: Session, cast: Cast) -> None:
    view = long_world.running(session, cast)
    visit = clock_of(view).visits[0].id
    with pytest.raises(Refused) as refused:
        step(session, "move", view, cast.tom, at("2026-03-24 12:00"), visit=visit, at=at("2026-03-25 09:59"))
    assert codes(refused) == {"readout_early"}
    moved = step(
        session, "move", view, cast.tom, at("2026-03-24 12:00"), visit=visit, at=at("2026-03-25 14:00"),
        note="After the course",
    )  # fmt: skip
    assert starts(moved) == ["2026-03-25 14:00", SECOND]
    assert (moved.history[-1].action, moved.history[-1].reason) == ("visit_moved", "After the course")
    step(session, "pause", view, cast.tom, at("2026-03-24 12:00"))
    short = step(session, "resume", view, cast.tom, at("2026-03-24 13:00"))
    assert starts(short)[0] == "2026-03-25 14:00"  # it is still late enough
    step(session, "pause", view, cast.tom, at("2026-03-24 14:00"))
    long = step(session, "resume", view, cast.tom, at("2026-03-24 19:00"))
    assert starts(long)[0] == "2026-03-26 08:00"


def test_what_is_done_says_by_whom_and_what_was_found_and_cannot_be_done_again(
    session: Session, cast: Cast
) -> None:
    view = long_world.running(session, cast)
    visit = clock_of(view).visits[0].id
    when = at("2026-03-25 10:20")
    found = clock_of(step(session, "done", view, cast.tom, when, visit=visit, note="Vth +2 %")).visits[0]
    assert (found.done_at, found.done_by, found.done_note) == (when, "Tom", "Vth +2 %")
    for name in ("done", "drop"):
        with pytest.raises(WrongStatus):
            step(session, name, view, cast.tom, when, visit=visit)
    other = again(session, view, cast.anna)
    test = clock_of(other)
    assert test.next_readout is not None
    assert test.next_readout.after == 168 * HOUR


def test_before_it_runs_nothing_is_done(session: Session, cast: Cast) -> None:
    view = long_world.approved(session, cast)
    with pytest.raises(WrongStatus):
        step(session, "done", view, cast.tom, NOW, visit=clock_of(view).visits[0].id)


def test_what_is_dropped_is_kept_and_waits_for_nobody(session: Session, cast: Cast) -> None:
    view = long_world.running(session, cast)
    visit = clock_of(view).visits[0].id
    dropped = step(session, "drop", view, cast.anna, NOW, visit=visit, note="Not needed")
    test = clock_of(dropped)
    assert test.visits[0].dropped_at == NOW
    assert not test.visits[0].is_overdue(at("2026-03-26 10:00"))
    assert test.visits[1].is_overdue(at("2026-04-01 10:00"))
    assert test.next_readout == test.visits[1]
    assert due.run(session, visits.QUEUE, now=at("2026-03-26 10:00")) == {}


def test_a_visit_of_another_reservation_is_not_found(session: Session, cast: Cast) -> None:
    view = long_world.running(session, cast)
    other = book(session, cast.anna, "scope", end="2026-03-26 10:00")
    with pytest.raises(NotFound):
        step(session, "drop", other, cast.anna, NOW, visit=clock_of(view).visits[0].id)


def test_whoever_may_be_present_may_plan_and_a_competitor_knows_of_nothing(
    session: Session, cast: Cast
) -> None:
    view = long_world.approved(session, cast, participants=("bo@alpha.example",))
    for number, actor in enumerate((cast.anna, cast.bo, cast.tom, cast.mia, cast.ada)):
        plan(session, view, actor, after=(30 + number) * HOUR)
    with pytest.raises(NotFound):
        plan(session, view, cast.carla, after=50 * HOUR)
    with pytest.raises(NotFound):
        step(session, "drop", view, cast.carla, NOW, visit=clock_of(view).visits[0].id)


def test_a_colleague_sees_and_does_not_touch(session: Session, cast: Cast) -> None:
    view = long_world.approved(session, cast)
    assert "visit" in again(session, view, cast.anna).allowed
    assert not {"visit", "pause", "expect"} & again(session, view, cast.bo).allowed
    with pytest.raises(Forbidden):
        plan(session, view, cast.bo, after=50 * HOUR)


def test_an_older_form_changes_nothing(session: Session, cast: Cast) -> None:
    view = long_world.approved(session, cast)
    plan(session, view, cast.anna, after=30 * HOUR, revision=view.revision)
    with pytest.raises(StaleRevision):
        plan(session, view, cast.anna, after=31 * HOUR, revision=view.revision)


def test_visits_at_the_same_time_are_a_warning_to_whoever_may_know_of_them(
    session: Session, cast: Cast
) -> None:
    view = long_world.approved(session, cast)
    carlas = book(session, cast.carla, "scope", start="2026-03-24 08:00", end="2026-03-27 08:00")
    when = at("2026-03-25 10:15")
    blind = plan(session, carlas, cast.carla, at=when)
    assert blind.problems == []
    staff = plan(session, carlas, cast.tom, at=when)
    assert [(p.code, p.params["count"]) for p in staff.problems] == [("visits_at_once", 2)]
    assert again(session, view, cast.tom).status == "approved"


# --- moved with its reservation -----------------------------------------------------------------------


def test_a_test_that_is_moved_takes_its_visits_with_it(session: Session, cast: Cast) -> None:
    long_world.make_recipe(session, cast)
    view = long_world.requested(session, cast)
    plan(session, view, cast.anna, at=at("2026-03-26 09:00"))
    week = timedelta(days=7, hours=-1)
    wish = ChangeReservation(start=view.start + week, end=view.end + week)
    moved = changes.change(session, view.id, wish, revision=None, actor=cast.anna, now=NOW)
    # a week later on the wall, and after Easter what would have been on a holiday
    assert starts(moved) == ["2026-04-01 10:00", "2026-04-07 08:00", "2026-04-07 10:00"]


def test_a_closure_lays_anew_what_it_meets(session: Session, cast: Cast) -> None:
    view = long_world.approved(session, cast)
    before = view.revision
    day = AddClosure("cie", "unstaffed", at("2026-03-25 00:00"), at("2026-03-26 00:00"))
    closures.add(session, day, actor=cast.mia, now=NOW)
    met = again(session, view, cast.anna)
    assert starts(met) == ["2026-03-26 08:00", SECOND]
    assert met.revision == before + 1


# --- announced ----------------------------------------------------------------------------------------


def test_those_who_come_and_those_whose_test_it_is_are_told_the_working_day_before(
    session: Session, cast: Cast
) -> None:
    long_world.running(session, cast, participants=("bo@alpha.example",))
    day_before = at("2026-03-24 10:00")
    assert due.run(session, visits.QUEUE, now=day_before) == {"visit": 1}
    assert told(session) == sorted([cast.anna.id, cast.bo.id, cast.tom.id])
    assert due.run(session, visits.QUEUE, now=day_before) == {}
    assert due.run(session, visits.QUEUE, now=at("2026-03-30 07:59")) == {}
    assert due.run(session, visits.QUEUE, now=at("2026-03-30 08:00")) == {"visit": 1}


def test_one_that_was_announced_is_announced_again_only_where_its_time_is_another(
    session: Session, cast: Cast
) -> None:
    view = long_world.running(session, cast)
    noon = at("2026-03-24 12:00")
    due.run(session, visits.QUEUE, now=noon)
    visit = clock_of(view).visits[0].id
    step(session, "move", view, cast.tom, noon, visit=visit, at=at("2026-03-25 14:00"))
    assert due.run(session, visits.QUEUE, now=noon) == {"visit": 1}
    step(session, "move", view, cast.tom, noon, visit=visit, at=at("2026-03-25 14:00"))
    assert due.run(session, visits.QUEUE, now=noon) == {}


def test_while_the_test_stands_still_no_read_out_is_announced(session: Session, cast: Cast) -> None:
    view = long_world.running(session, cast)
    due.run(session, visits.QUEUE, now=at("2026-03-25 12:00"))
    step(session, "pause", view, cast.tom, at("2026-03-25 12:00"))
    assert due.run(session, visits.QUEUE, now=at("2026-03-30 12:00")) == {}
    step(session, "resume", view, cast.tom, at("2026-03-30 12:00"))
    assert (
        due.run(session, visits.QUEUE, now=at("2026-04-01 12:00")) == {}
    )  # now it has no room before the end


def test_what_is_not_approved_is_not_announced_and_what_is_over_is_dropped_without_a_word(
    session: Session, cast: Cast
) -> None:
    long_world.make_recipe(session, cast)
    view = long_world.requested(session, cast)
    evening = at("2026-03-24 09:00")
    assert due.run(session, visits.QUEUE, now=evening) == {}
    assert told(session) == []
    decisions.approve(session, Decide(view.id), actor=cast.mia, now=evening)
    assert due.run(session, visits.QUEUE, now=evening) == {"visit": 1}
    decisions.cancel(session, Decide(view.id), actor=cast.anna, now=evening)
    assert due.run(session, visits.QUEUE, now=at("2026-04-01 12:00")) == {}
    session.rollback()
    row = session.scalars(select(Visit).order_by(Visit.planned_at)).all()[1]
    assert (row.dropped_at, row.due_at) == (at("2026-04-01 12:00"), None)


def test_a_scheduler_that_slept_too_long_announces_nothing_that_is_past(session: Session, cast: Cast) -> None:
    long_world.running(session, cast)
    assert due.run(session, visits.QUEUE, now=at("2026-04-01 08:00")) == {}
    assert told(session) == []


# --- the end that is expected -------------------------------------------------------------------------


def test_a_participant_says_when_the_end_is_expected_and_the_latest_stays_what_is_occupied(
    session: Session, cast: Cast
) -> None:
    view = long_world.running(session, cast, participants=("bo@alpha.example",))
    said = step(session, "expect", view, cast.bo, NIGHT, at=at("2026-03-31 12:00"), reason="Faster")
    assert (said.expected_end, said.end, said.occupied_end) == (
        at("2026-03-31 12:00"),
        view.end,
        view.occupied_end,
    )
    assert clock_of(said).expected_end == at("2026-03-31 12:00")
    with pytest.raises(Refused) as refused:
        step(session, "expect", view, cast.bo, NIGHT, at=view.end + HOUR)
    assert codes(refused) == {"expected_end_outside"}
    assert step(session, "expect", view, cast.bo, NIGHT).expected_end is None


def test_without_read_outs_what_is_planned_is_what_will_have_run_by_the_end_expected(
    session: Session, cast: Cast
) -> None:
    view = book(session, cast.anna, "scope", end="2026-03-27 10:00", expected_end=at("2026-03-26 10:00"))
    assert clock_of(view).planned(NOW) == 48 * HOUR


# --- for those who plan a day -------------------------------------------------------------------------


def test_a_day_shows_its_visits_and_on_request_what_was_left_undone(session: Session, cast: Cast) -> None:
    view = long_world.running(session, cast)
    day = (at("2026-03-31 00:00"), at("2026-04-01 00:00"))
    [call] = visit_calls.visits_between(session, cast.facility_id, *day, viewer=cast.tom)
    assert (call.reservation, call.title, call.holder, call.organisation) == (
        view.id,
        "A test",
        "Anna",
        "Alpha",
    )
    assert (call.rooms, [name["en"] for name in call.equipment]) == (["climate"], ["Chamber"])
    late = visit_calls.visits_between(session, cast.facility_id, *day, viewer=cast.tom, with_overdue=True)
    assert [c.visit.after for c in late] == [24 * HOUR, 168 * HOUR]
    assert visit_calls.visits_between(session, cast.facility_id, *day, viewer=cast.carla) == []
    step(session, "pause", view, cast.tom, NIGHT)
    assert visit_calls.visits_between(session, cast.facility_id, *day, viewer=cast.tom) == []


def test_today_has_what_is_to_be_read_out_and_what_was_left_undone(session: Session, cast: Cast) -> None:
    long_world.running(session, cast)
    morning = at("2026-03-31 09:00")
    found = today.read(session, "cie", None, viewer=cast.tom, now=morning).moments
    assert [(m.kind, m.visit and m.visit.after) for m in found] == [
        ("readout", 24 * HOUR), ("readout", 168 * HOUR),
    ]  # fmt: skip
    other = today.read(session, "cie", date(2026, 3, 30), viewer=cast.tom, now=morning).moments
    assert other == []
