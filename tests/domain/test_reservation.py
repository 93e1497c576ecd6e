from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from labbook.domain.errors import WrongStatus
from labbook.domain.reservation import (
    BLOCKING,
    TRANSITIONS,
    Action,
    Clock,
    Occupation,
    Party,
    Status,
    Step,
    next_step,
    transition,
)

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
    decide_by=None,
    flagged=False,
    overrun=False,
)


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
    assert next_step(replace(CLOCK, decide_by=START - HOUR)) == (Step.EXPIRED, START - HOUR)
    assert next_step(replace(CLOCK, decide_by=START + HOUR)) == (Step.EXPIRED, START)


def test_a_missed_check_in_releases_a_short_slot_and_flags_a_long_one() -> None:
    approved = replace(CLOCK, status=Status.APPROVED)
    assert next_step(approved) == (Step.NO_SHOW, START + HOUR / 2)
    assert next_step(replace(approved, grace=9 * HOUR)) == (Step.NO_SHOW, START + 2 * HOUR)
    long = replace(approved, ends_at=START + 24 * HOUR, occupied_until=START + 25 * HOUR)
    assert next_step(long) == (Step.FLAGGED, START + HOUR / 2)
    assert next_step(replace(long, flagged=True)) == (Step.NO_SHOW, START + 25 * HOUR)


def test_without_check_in_the_window_opens_and_closes_by_itself() -> None:
    simple = replace(CLOCK, check_in="none", status=Status.APPROVED)
    assert next_step(simple) == (Step.STARTED, CLOCK.occupied_from)
    assert next_step(replace(simple, status=Status.IN_USE)) == (Step.COMPLETED, CLOCK.occupied_until)


def test_with_check_in_nothing_running_is_ended_by_the_clock() -> None:
    running = replace(CLOCK, status=Status.IN_USE)
    assert next_step(running) == (Step.OVERRUN, CLOCK.ends_at)
    assert next_step(replace(running, overrun=True)) is None
