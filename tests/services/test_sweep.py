from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from labbook.domain.reservation import Step
from labbook.models import Allocation, Change, Deputy, HistoryEntry, OutboxMessage, Reservation
from labbook.services import changes, decisions, step_records, sweep
from labbook.services.commands import ChangeReservation, Decide
from labbook.services.due import FAILED
from tests.cast import NOW, Cast, at
from tests.services.test_reservations import book

TOMORROW = at("2026-03-24 10:00")  # the chamber is set up from 09:30 on, and released at 12:30


def stored(session: Session, public_id: str) -> Reservation:
    session.rollback()
    found = session.scalar(select(Reservation).where(Reservation.public_id == public_id))
    assert found is not None
    return found


def approved_chamber(session: Session, cast: Cast, **more: object) -> str:
    view = book(session, cast.anna, "chamber", **more)
    return decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW).id


def steps_of(session: Session, public_id: str) -> list[str]:
    row = stored(session, public_id)
    query = select(HistoryEntry.action).where(
        HistoryEntry.reservation_id == row.id, HistoryEntry.rule == "scheduler"
    )
    return list(session.scalars(query.order_by(HistoryEntry.id)))


def kinds_told(session: Session, user_id: int) -> list[str]:
    query = select(OutboxMessage.kind).where(OutboxMessage.user_id == user_id).order_by(OutboxMessage.id)
    return list(session.scalars(query))


def test_nothing_happens_before_its_time(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "scope")
    assert sweep.sweep(session, now=TOMORROW - timedelta(microseconds=1)) == {}


def test_a_window_opens_and_closes_by_itself(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "scope")
    assert sweep.sweep(session, now=TOMORROW) == {Step.STARTED: 1}
    assert stored(session, view.id).status == "in_use"
    assert sweep.sweep(session, now=at("2026-03-24 12:00")) == {Step.COMPLETED: 1}
    row = stored(session, view.id)
    assert (row.status, row.ended_at, row.due_at) == ("completed", at("2026-03-24 12:00"), None)


def test_a_scheduler_that_slept_catches_up_in_order_and_says_when_each_step_was_due(
    session: Session, cast: Cast
) -> None:
    view = book(session, cast.anna, "scope")
    late = at("2026-03-26 10:00")
    assert sweep.sweep(session, now=late) == {Step.STARTED: 1, Step.COMPLETED: 1}
    entries = session.scalars(
        select(HistoryEntry).where(HistoryEntry.rule == "scheduler").order_by(HistoryEntry.id)
    ).all()
    assert [(e.action, e.at, e.new["due"]) for e in entries] == [
        ("start", late, at("2026-03-24 10:00").isoformat()),
        ("finish", late, at("2026-03-24 12:00").isoformat()),
    ]
    assert stored(session, view.id).ended_at == at("2026-03-24 12:00")


def test_sweeping_again_changes_nothing(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "scope")
    sweep.sweep(session, now=TOMORROW)
    before = stored(session, view.id).revision
    assert sweep.sweep(session, now=TOMORROW) == {}
    assert stored(session, view.id).revision == before


def test_a_clock_that_jumps_back_does_no_harm(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "scope")
    sweep.sweep(session, now=TOMORROW)
    assert sweep.sweep(session, now=NOW) == {}
    assert sweep.sweep(session, now=at("2026-03-24 12:00")) == {Step.COMPLETED: 1}
    assert steps_of(session, view.id) == ["start", "finish"]


def test_an_undecided_request_expires_at_its_start_and_frees_the_slot(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "chamber")
    assert sweep.sweep(session, now=TOMORROW) == {Step.EXPIRED: 1}
    assert stored(session, view.id).status == "expired"
    assert not session.scalars(select(Allocation).where(Allocation.blocking)).all()
    assert "expired" in kinds_told(session, cast.anna.id)
    assert "expired" in kinds_told(session, cast.mia.id)


def test_after_a_long_sleep_managers_are_reminded_of_a_request_once(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "chamber")
    before_its_start = TOMORROW - timedelta(minutes=1)  # both reminders are due, with nobody standing in
    assert sweep.sweep(session, now=before_its_start) == {Step.DECISION_REMINDER: 1, Step.DEPUTY: 1}
    assert kinds_told(session, cast.mia.id) == ["requested", "decision_reminder"]


def test_a_missed_check_in_is_a_no_show_after_the_grace_time(session: Session, cast: Cast) -> None:
    public_id = approved_chamber(session, cast)
    assert sweep.sweep(session, now=at("2026-03-24 10:29")) == {Step.OPENED: 1}
    assert sweep.sweep(session, now=at("2026-03-24 10:30")) == {Step.NO_SHOW: 1}
    assert stored(session, public_id).status == "no_show"
    assert "no_show" in kinds_told(session, cast.anna.id)
    assert "no_show" in kinds_told(session, cast.max.id)
    assert book(session, cast.carla, "chamber", start="2026-03-24 11:00", end="2026-03-24 12:00").id


def test_who_comes_late_while_it_is_still_free_checks_in_all_the_same(session: Session, cast: Cast) -> None:
    public_id = approved_chamber(session, cast)
    sweep.sweep(session, now=at("2026-03-24 10:30"))
    late = decisions.check_in(session, Decide(public_id), actor=cast.anna, now=at("2026-03-24 10:40"))
    assert late.status == "in_use"


def test_a_long_slot_missed_is_flagged_for_a_human_and_stays(session: Session, cast: Cast) -> None:
    public_id = approved_chamber(session, cast, end="2026-03-27 10:00")
    assert sweep.sweep(session, now=at("2026-03-24 10:30")) == {Step.FLAGGED: 1}
    row = stored(session, public_id)
    assert (row.status, row.flagged_at) == ("approved", at("2026-03-24 10:30"))
    assert "flagged" in kinds_told(session, cast.mia.id)
    assert sweep.sweep(session, now=at("2026-03-27 10:30")) == {Step.NO_SHOW: 1}


def test_who_does_not_check_out_overruns_and_is_not_cut_off(session: Session, cast: Cast) -> None:
    public_id = approved_chamber(session, cast)
    decisions.check_in(session, Decide(public_id), actor=cast.anna, now=TOMORROW)
    assert sweep.sweep(session, now=at("2026-03-24 12:00")) == {Step.OVERRUN: 1}
    row = stored(session, public_id)
    assert (row.status, row.overrun_since) == ("in_use", at("2026-03-24 12:00"))
    assert sweep.sweep(session, now=at("2026-03-24 12:00")) == {}


def test_a_pending_change_lapses_when_its_reservation_is_missed(session: Session, cast: Cast) -> None:
    public_id = approved_chamber(session, cast)
    wish = ChangeReservation(start=at("2026-03-25 10:00"), end=at("2026-03-25 12:00"))
    changes.change(session, public_id, wish, revision=None, actor=cast.anna, now=NOW)
    sweep.sweep(session, now=at("2026-03-24 10:30"))
    assert session.scalars(select(Change.state)).all() == ["lapsed"]
    assert not session.scalars(select(Allocation).where(Allocation.change_id.is_not(None))).all()


def test_a_pending_change_lapses_at_check_out(session: Session, cast: Cast) -> None:
    public_id = approved_chamber(session, cast)
    wish = ChangeReservation(end=at("2026-03-24 14:00"))
    changes.change(session, public_id, wish, revision=None, actor=cast.anna, now=NOW)
    decisions.check_in(session, Decide(public_id), actor=cast.anna, now=TOMORROW)
    decisions.check_out(session, Decide(public_id), actor=cast.anna, now=at("2026-03-24 11:00"))
    assert session.scalars(select(Change.state)).all() == ["lapsed"]


@pytest.fixture
def poisoned(session: Session, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> str:
    """A reservation whose history cannot be written, beside a healthy one."""
    bad = book(session, cast.anna, "scope")
    book(session, cast.anna, "scope-2")
    row_id = stored(session, bad.id).id
    entry = step_records._entry

    def failing(taken: step_records.Taken, now: datetime) -> dict[str, Any]:
        if taken.row.id == row_id:
            raise RuntimeError("poisoned")
        return entry(taken, now)

    monkeypatch.setattr(step_records, "_entry", failing)
    return bad.id


def test_a_row_that_fails_is_put_aside_and_the_rest_go_on(session: Session, poisoned: str) -> None:
    assert sweep.sweep(session, now=TOMORROW) == {Step.STARTED: 1, FAILED: 1}
    row = stored(session, poisoned)
    assert (row.status, row.due_attempts, row.due_error) == ("approved", 1, "RuntimeError: poisoned")
    assert row.due_at == TOMORROW + timedelta(minutes=1)


def test_the_pauses_of_a_failing_row_double_up_to_an_hour(session: Session, poisoned: str) -> None:
    now, pauses = TOMORROW, []
    for _ in range(8):
        sweep.sweep(session, now=now)
        due = stored(session, poisoned).due_at
        assert due is not None
        pauses.append((due - now) // timedelta(minutes=1))
        now = due
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_healed_row_takes_its_step_at_the_next_attempt(
    session: Session, poisoned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep.sweep(session, now=TOMORROW)
    monkeypatch.undo()
    assert sweep.sweep(session, now=TOMORROW + timedelta(minutes=1)) == {Step.STARTED: 1}
    row = stored(session, poisoned)
    assert (row.status, row.due_attempts, row.due_error) == ("in_use", 0, None)


def test_a_due_instant_that_came_too_early_is_corrected(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "scope")
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    session.execute(update(Reservation).values(due_at=NOW))
    session.commit()
    assert sweep.sweep(session, now=NOW) == {}
    assert stored(session, view.id).due_at == TOMORROW


def test_the_next_due_instant_is_known(session: Session, cast: Cast) -> None:
    assert sweep.next_due(session) is None
    book(session, cast.anna, "scope")
    assert sweep.next_due(session) == TOMORROW


def test_a_limit_leaves_the_rest_for_the_next_pass(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "scope")
    book(session, cast.anna, "scope-2")
    assert sweep.sweep(session, now=TOMORROW, limit=1) == {Step.STARTED: 1}
    assert sweep.sweep(session, now=TOMORROW) == {Step.STARTED: 1}


def test_a_notice_that_slept_too_long_is_not_given(session: Session, cast: Cast) -> None:
    approved_chamber(session, cast, start="2026-03-27 10:00", end="2026-03-27 12:00")
    told = len(kinds_told(session, cast.anna.id))
    assert sweep.sweep(session, now=at("2026-03-27 10:30")) == {Step.NO_SHOW: 1}
    assert kinds_told(session, cast.anna.id)[told:] == ["no_show"]


def test_a_day_before_its_people_are_reminded_and_told_when_they_may_come(
    session: Session, cast: Cast
) -> None:
    public_id = approved_chamber(
        session, cast, start="2026-03-27 10:00", end="2026-03-27 12:00", participants=("bo@alpha.example",)
    )
    before = stored(session, public_id).revision
    assert sweep.sweep(session, now=at("2026-03-26 09:30")) == {Step.REMINDER: 1}
    assert sweep.sweep(session, now=at("2026-03-27 09:30")) == {Step.OPENED: 1}
    assert kinds_told(session, cast.anna.id)[-2:] == ["reminder", "opened"]
    assert kinds_told(session, cast.bo.id)[-2:] == ["reminder", "opened"]
    assert stored(session, public_id).revision == before, "nothing that a calendar shows has changed"


def test_what_was_moved_is_reminded_of_again(session: Session, cast: Cast) -> None:
    public_id = approved_chamber(session, cast, start="2026-03-27 10:00", end="2026-03-27 12:00")
    sweep.sweep(session, now=at("2026-03-26 09:30"))
    wish = ChangeReservation(start=at("2026-04-01 10:00"), end=at("2026-04-01 12:00"))
    changes.change(session, public_id, wish, revision=None, actor=cast.mia, now=at("2026-03-26 10:00"))
    assert sweep.sweep(session, now=at("2026-03-31 09:30")) == {Step.REMINDER: 1}


def test_managers_are_reminded_to_decide_and_then_whoever_stands_in_for_them(
    session: Session, cast: Cast
) -> None:
    book(session, cast.anna, "chamber", start="2026-03-30 10:00", end="2026-03-30 12:00")
    session.add(
        Deputy(
            facility_id=cast.facility_id, manager_id=cast.mia.id, deputy_id=cast.tom.id, created_at=NOW,
            starts_at=NOW, ends_at=NOW + timedelta(days=14),
        )
    )  # fmt: skip
    session.commit()
    assert sweep.sweep(session, now=NOW + timedelta(days=1)) == {Step.DECISION_REMINDER: 1}
    assert kinds_told(session, cast.max.id)[-1] == "decision_reminder"
    assert sweep.sweep(session, now=NOW + timedelta(days=2)) == {Step.DEPUTY: 1}
    assert kinds_told(session, cast.tom.id)[-1] == "deputy"
    assert sweep.sweep(session, now=NOW + timedelta(days=2)) == {}
