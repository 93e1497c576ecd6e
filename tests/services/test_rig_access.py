"""May whoever stands at the rig energise it, now? In every status, at every edge, for everybody."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, update
from sqlalchemy.orm import Session

from labbook.domain.errors import NotFound
from labbook.domain.reservation import Status
from labbook.domain.rig import Hold, energised_until, may_energise
from labbook.models import Reservation
from labbook.services import decisions, sweep, transaction
from labbook.services.commands import Decide
from labbook.services.rig_access import Access, access
from tests.cast import NOW, Cast, at
from tests.services.test_reservations import book
from tests.services.test_sweep import approved_chamber

SET_UP, START, END, DOWN = (
    at(f"2026-03-24 {time}") for time in ("09:30", "10:00", "12:00", "12:30")
)  # of the chamber
INSTANT = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
NO = Access(False)


def hold(**more: Any) -> Hold:
    values: dict[str, Any] = {
        "status": "in_use",
        "check_in": "required",
        "start": SET_UP,
        "end": DOWN,
        "displaced": False,
        "permit_missing": False,
    }
    return Hold(**(values | more))


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("check_in", ["none", "required"])
def test_within_the_window_it_is_for_what_is_used_and_without_check_in_for_what_is_approved(
    status: Status, check_in: str
) -> None:
    allowed = status is Status.IN_USE or (check_in == "none" and status is Status.APPROVED)
    assert may_energise(hold(status=status, check_in=check_in), START) is allowed


def test_the_window_is_half_open_and_what_was_checked_in_runs_on_past_it() -> None:
    by_clock, checked_in = hold(check_in="none"), hold()
    edges = (SET_UP - INSTANT, SET_UP, DOWN - INSTANT, DOWN)
    assert [may_energise(by_clock, edge) for edge in edges] == [False, True, True, False]
    assert [may_energise(checked_in, edge) for edge in edges] == [False, True, True, True]
    assert [energised_until(checked_in, edge) for edge in edges] == [DOWN, DOWN, DOWN, None]


@pytest.mark.parametrize("why", ["displaced", "permit_missing"])
def test_not_while_something_else_stands_there_or_the_permit_is_missing(why: str) -> None:
    assert not may_energise(hold(**{why: True}), START)


def ask(session: Session, viewer: Any, now: datetime, slug: str = "chamber") -> Access:
    session.rollback()
    return access(session, slug, viewer=viewer, now=now)


def test_from_check_in_to_hand_back_and_never_outside(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "chamber")
    assert ask(session, cast.anna, START) == NO  # requested
    decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    assert ask(session, cast.anna, START) == NO  # nobody has checked in
    decisions.check_in(session, Decide(view.id), actor=cast.anna, now=SET_UP)
    assert ask(session, cast.anna, SET_UP - INSTANT) == NO
    assert ask(session, cast.anna, SET_UP) == Access(True, view.id, DOWN)
    decisions.check_out(session, Decide(view.id), actor=cast.anna, now=START + MINUTE)
    assert ask(session, cast.anna, START + MINUTE) == NO


def test_by_the_clock_whether_or_not_the_scheduler_has_come_by(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "scope")
    yes = Access(True, view.id, END)
    assert ask(session, cast.anna, START - INSTANT, "scope") == NO
    assert ask(session, cast.anna, START, "scope") == yes
    sweep.sweep(session, now=START)
    assert ask(session, cast.anna, END - INSTANT, "scope") == yes
    assert ask(session, cast.anna, END, "scope") == NO


def test_an_overrun_goes_on(session: Session, cast: Cast) -> None:
    public_id = approved_chamber(session, cast)
    decisions.check_in(session, Decide(public_id), actor=cast.anna, now=START)
    sweep.sweep(session, now=END)
    assert ask(session, cast.anna, END).allowed
    late = ask(session, cast.anna, DOWN + timedelta(hours=5))
    assert (late.allowed, late.reservation) == (True, public_id)


def test_neither_a_no_show_nor_a_cancelled_one_opens_anything(session: Session, cast: Cast) -> None:
    approved_chamber(session, cast)
    sweep.sweep(session, now=START + 30 * MINUTE)
    assert ask(session, cast.anna, START + 40 * MINUTE) == NO
    scope = book(session, cast.anna, "scope")
    decisions.cancel(session, Decide(scope.id), actor=cast.anna, now=NOW)
    assert ask(session, cast.anna, START, "scope") == NO


def test_what_is_displaced_waits(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "scope")
    displaced = update(Reservation).values(displaced_since=START)
    transaction.write(session, lambda: session.execute(displaced))
    assert ask(session, cast.anna, START, "scope") == NO


def test_it_is_for_its_own_people_and_no_key_of_staff_opens_it(session: Session, cast: Cast) -> None:
    view = book(session, cast.mia, "scope", holder=cast.anna.email, participants=(cast.bo.email,))
    allowed = {
        name: ask(session, getattr(cast, name), START, "scope").reservation
        for name in ("anna", "bo", "mia", "carla", "dorte", "max", "tom", "ada")
    }
    assert {name for name, id_ in allowed.items() if id_ == view.id} == {"anna", "bo", "mia"}
    assert {id_ for id_ in allowed.values() if id_} == {view.id}


def test_a_member_of_its_project_is_no_participant(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "scope", project="joint")
    assert ask(session, cast.dorte, START, "scope") == NO


def test_staff_are_let_at_their_own_blocks(session: Session, cast: Cast) -> None:
    view = book(session, cast.tom, "scope", kind="block")
    assert ask(session, cast.tom, START, "scope").reservation == view.id
    assert ask(session, cast.mia, START, "scope") == NO


def test_a_part_counts_from_its_own_set_up_on(session: Session, cast: Cast) -> None:
    before = book(session, cast.carla, "scope", start="2026-03-24 09:00", end="2026-03-24 10:00").id
    view = book(session, cast.anna, "scope", "chamber")
    decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    decisions.check_in(session, Decide(view.id), actor=cast.anna, now=SET_UP)
    assert ask(session, cast.carla, SET_UP, "scope").reservation == before
    assert ask(session, cast.anna, SET_UP, "scope") == NO
    assert ask(session, cast.anna, SET_UP).reservation == view.id
    assert ask(session, cast.anna, START, "scope") == Access(True, view.id, END)
    assert ask(session, cast.carla, START, "scope") == NO


def test_of_several_the_one_that_lasts_longest_counts(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "cycler:1")
    longer = book(session, cast.anna, "cycler:2", end="2026-03-24 15:00").id
    assert ask(session, cast.anna, START, "cycler") == Access(True, longer, at("2026-03-24 15:00"))


def test_what_is_not_there_is_not_found(session: Session, cast: Cast) -> None:
    with pytest.raises(NotFound):
        ask(session, cast.anna, START, "nothing")


def test_it_is_one_query(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "scope")
    seen: list[str] = []
    event.listen(session.get_bind(), "before_cursor_execute", lambda *given: seen.append(given[2]))
    assert ask(session, cast.anna, START, "scope").allowed
    assert len(seen) == 1
    if session.get_bind().dialect.name == "sqlite":
        assert "blocking = 1" in seen[0]  # else the index of what blocks is not taken
