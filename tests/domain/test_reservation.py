from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from labbook.domain.errors import WrongStatus
from labbook.domain.reservation import (
    ACTIONS,
    BLOCKING,
    TRANSITIONS,
    Action,
    Clock,
    Occupation,
    Party,
    Status,
    Step,
    after,
    grown_until,
    grows_next,
    is_overtaken,
    next_step,
    transition,
)
from labbook.domain.timing import Settled

START = datetime(2026, 3, 24, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
CLOCK = Clock(
    status=Status.REQUESTED,
    starts_at=START,
    ends_at=START + 2 * HOUR,
    occupied_from=START - HOUR / 2,
    occupied_until=START + 2.5 * HOUR,
    check_in="required",
    grace=HOUR / 2,
    requested_at=START - 100 * HOUR,
    timing=Settled(nudge=timedelta(0)),
)
END = CLOCK.ends_at


def test_only_three_statuses_block() -> None:
    assert {"requested", "approved", "in_use"} == BLOCKING


def test_a_step_that_the_table_does_not_have_is_refused() -> None:
    with pytest.raises(WrongStatus):
        transition(Action.APPROVE, Status.CANCELLED)


def test_every_step_out_of_blocking_releases_and_none_within_does() -> None:
    for step in TRANSITIONS:
        gives_back = step.occupation in (Occupation.RELEASE, Occupation.CUT)
        assert gives_back == (step.source in BLOCKING and step.target not in BLOCKING)
        assert (step.occupation is Occupation.RETAKE) == (step.source not in BLOCKING)


def test_what_has_ended_stays_ended_but_for_a_late_check_in() -> None:
    ended = set(Status) - BLOCKING
    assert {(t.source, t.action) for t in TRANSITIONS if t.source in ended} == {
        (Status.NO_SHOW, Action.CHECK_IN)
    }


def test_only_managers_approve_and_only_the_clock_expires() -> None:
    assert transition(Action.APPROVE, Status.REQUESTED).parties == {Party.MANAGER}
    assert transition(Action.EXPIRE, Status.REQUESTED).parties == {Party.CLOCK}


def test_a_request_expires_at_its_deadline_and_at_the_latest_at_its_start() -> None:
    assert next_step(CLOCK) == (Step.EXPIRED, START)
    assert next_step(CLOCK._replace(decide_by=START - HOUR)) == (Step.EXPIRED, START - HOUR)
    assert next_step(CLOCK._replace(decide_by=START + HOUR)) == (Step.EXPIRED, START)


def test_a_missed_check_in_releases_a_short_slot_and_flags_a_long_one() -> None:
    approved = CLOCK._replace(status=Status.APPROVED)
    approved = approved._replace(taken=frozenset({Step.OPENED}))
    assert next_step(approved) == (Step.NO_SHOW, START + HOUR / 2)
    assert next_step(approved._replace(grace=9 * HOUR)) == (Step.NO_SHOW, START + 2 * HOUR)
    long = approved._replace(ends_at=START + 24 * HOUR, occupied_until=START + 25 * HOUR)
    assert next_step(long) == (Step.FLAGGED, START + HOUR / 2)
    assert next_step(long._replace(flagged_at=START)) == (Step.NO_SHOW, START + 25 * HOUR)


def test_without_check_in_the_window_opens_and_closes_by_itself() -> None:
    simple = CLOCK._replace(check_in="none", status=Status.APPROVED)
    assert next_step(simple) == (Step.STARTED, CLOCK.occupied_from)
    assert next_step(simple._replace(status=Status.IN_USE)) == (Step.COMPLETED, CLOCK.occupied_until)


def test_with_check_in_nothing_running_is_ended_by_the_clock() -> None:
    running = CLOCK._replace(status=Status.IN_USE)
    assert next_step(running) == (Step.OVERRUN, CLOCK.ends_at)
    assert next_step(running._replace(overrun_since=END, grow_at=END + HOUR)) == (Step.GROWN, END + HOUR)


OPENED = CLOCK._replace(status=Status.APPROVED, taken=frozenset({Step.OPENED}))


def steps_of(clock: Clock, until: datetime) -> list[tuple[Step, datetime]]:
    """What the scheduler does by itself up to ``until``, each step at the instant it is due."""
    found: list[tuple[Step, datetime]] = []
    while (coming := next_step(clock)) is not None and coming[1] <= until and len(found) < 50:
        found.append(coming)
        clock = after(clock, *coming, coming[1])
    return found


def test_managers_are_reminded_and_then_their_deputies_before_any_deadline() -> None:
    waiting = CLOCK._replace(timing=Settled(nudge=24 * HOUR))
    assert steps_of(waiting, START) == [
        (Step.DECISION_REMINDER, START - 76 * HOUR),
        (Step.DEPUTY, START - 52 * HOUR),
        (Step.EXPIRED, START),
    ]


def test_what_was_asked_for_shortly_before_is_reminded_of_in_the_time_that_is_left() -> None:
    short = CLOCK._replace(requested_at=START - 4 * HOUR, timing=Settled(nudge=24 * HOUR))
    assert steps_of(short, START) == [
        (Step.DECISION_REMINDER, START - 2 * HOUR),
        (Step.DEPUTY, START - HOUR),
        (Step.EXPIRED, START),
    ]


def test_nobody_is_asked_to_decide_an_option_or_an_offer() -> None:
    offer = CLOCK._replace(held=True, decide_by=START - HOUR, timing=Settled(nudge=24 * HOUR))
    assert steps_of(offer, START) == [(Step.EXPIRED, START - HOUR)]


def test_a_reservation_is_reminded_of_unless_it_was_approved_just_now() -> None:
    far = CLOCK._replace(
        status=Status.APPROVED, timing=Settled(remind=24 * HOUR), approved_at=START - 48 * HOUR
    )
    assert steps_of(far, START) == [
        (Step.REMINDER, START - 24.5 * HOUR),
        (Step.OPENED, START - HOUR / 2),
    ]
    near = far._replace(approved_at=START - 20 * HOUR)
    assert steps_of(near, START) == [(Step.OPENED, START - HOUR / 2)]


def test_what_runs_is_warned_before_its_end_and_asked_at_the_end_that_was_expected() -> None:
    running = CLOCK._replace(status=Status.IN_USE, timing=Settled(warn=HOUR / 4), expected_end=START + HOUR)
    assert steps_of(running, END) == [
        (Step.EXPECTED_END, START + HOUR),
        (Step.ENDING, END - HOUR / 4),
        (Step.OVERRUN, END),
    ]


def test_a_policy_may_release_what_is_long_and_flag_what_is_short() -> None:
    flag = OPENED._replace(timing=Settled(no_show="flag"))
    assert steps_of(flag, END + 3 * HOUR) == [
        (Step.FLAGGED, START + HOUR / 2),
        (Step.NO_SHOW, CLOCK.occupied_until),
    ]
    long = OPENED._replace(ends_at=START + 48 * HOUR, timing=Settled(no_show="release"))
    assert next_step(long) == (Step.NO_SHOW, START + HOUR / 2)


def test_no_clock_runs_against_whoever_is_displaced_and_it_starts_again_when_they_may_come() -> None:
    displaced = after(
        CLOCK._replace(status=Status.APPROVED), Step.DISPLACED, CLOCK.occupied_from, CLOCK.occupied_from
    )
    assert next_step(displaced) == (Step.CANCELLED, CLOCK.occupied_until)
    freed = displaced._replace(displaced_since=None, freed_at=START + HOUR)
    assert steps_of(freed, END) == [(Step.OPENED, START + HOUR), (Step.NO_SHOW, START + 1.5 * HOUR)]


def test_whoever_may_come_only_after_the_end_has_missed_nothing() -> None:
    too_late = OPENED._replace(freed_at=END + HOUR / 4)
    assert next_step(too_late) == (Step.CANCELLED, CLOCK.occupied_until)


def test_no_clock_runs_while_the_permit_is_missing() -> None:
    unsigned = OPENED._replace(permit_missing=True)
    assert next_step(unsigned) == (Step.CANCELLED, CLOCK.occupied_until)
    signed = unsigned._replace(permit_missing=False, freed_at=START + HOUR)
    assert next_step(signed) == (Step.NO_SHOW, START + 1.5 * HOUR)


def test_without_check_in_the_displaced_starts_when_it_is_freed() -> None:
    simple = CLOCK._replace(check_in="none", status=Status.APPROVED)
    displaced = after(simple, Step.DISPLACED, CLOCK.occupied_from, CLOCK.occupied_from)
    assert next_step(displaced._replace(displaced_since=None, freed_at=START)) == (Step.STARTED, START)


def test_an_overrun_grows_at_every_quarter_of_an_hour_and_is_always_ahead() -> None:
    at = END + timedelta(minutes=7)
    overrun = after(CLOCK._replace(status=Status.IN_USE), Step.OVERRUN, END, at)
    assert next_step(overrun) == (Step.GROWN, END + timedelta(minutes=15))
    assert grown_until(at) == END + timedelta(minutes=30)
    assert grows_next(END) == END + timedelta(minutes=15)


def test_a_notice_that_comes_too_late_is_not_given() -> None:
    approved = CLOCK._replace(status=Status.APPROVED)
    assert not is_overtaken(approved, Step.REMINDER, CLOCK.occupied_from - HOUR)
    assert is_overtaken(approved, Step.REMINDER, CLOCK.occupied_from)
    assert is_overtaken(approved, Step.OPENED, START + HOUR / 2)
    assert is_overtaken(CLOCK, Step.DEPUTY, START)
    assert is_overtaken(CLOCK._replace(status=Status.IN_USE), Step.ENDING, END)
    assert not is_overtaken(approved, Step.NO_SHOW, END + 100 * HOUR)


def test_every_step_of_the_clock_along_the_table_is_the_clocks_to_take() -> None:
    for step, action in ACTIONS.items():
        assert any(t.action is action and Party.CLOCK in t.parties for t in TRANSITIONS), step
