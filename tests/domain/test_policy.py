"""The rules, one by one: what they refuse, what they let pass, and at which instant that changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbook.domain import policy
from labbook.domain.interval import Interval
from labbook.domain.policy import (
    BudgetFacts,
    Facts,
    OrganisationFacts,
    Phase,
    PieceFacts,
    SlotPolicy,
    blocking,
    check,
    set_aside,
)
from labbook.domain.wall_time import Hours

ZONE = ZoneInfo("Europe/Copenhagen")
DAY = timedelta(days=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


NOW = at("2026-03-23 09:00")
TOMORROW = Interval(at("2026-03-24 10:00"), at("2026-03-24 12:00"))
STAFFED = {day: [["08:00", "16:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
PIECE = PieceFacts(
    slug="chamber",
    category="climate-chamber",
    state="in_service",
    places=1,
    wanted=1,
    attended=False,
    approval="manager",
    check_in="required",
    policy=SlotPolicy(),
)


def facts(use: Interval = TOMORROW, piece: PieceFacts = PIECE, **more: object) -> Facts:
    hours = Hours(zone=ZONE, staffed=STAFFED, country=None)
    values: dict[str, object] = {"now": NOW, "use": use, "occupied": use, "pieces": [piece], "hours": hours}
    return Facts(**(values | more))  # type: ignore[arg-type]


def codes(asked: Facts, phase: Phase = Phase.REQUEST) -> set[str]:
    return {problem.code for problem in check(asked, phase)}


def shut(start: str, end: str) -> Hours:
    closed = Interval(at(start), at(end))
    return Hours(zone=ZONE, staffed=STAFFED, country=None, shutdowns=(closed,))


def test_what_is_sound_passes_every_phase() -> None:
    for phase in Phase:
        assert codes(facts(), phase) == set()


def test_everything_that_is_wrong_is_said_at_once() -> None:
    piece = replace(PIECE, state="out_of_service", wanted=3, attended=True, policy=SlotPolicy(lead=2 * DAY))
    asked = facts(
        Interval(at("2026-03-24 05:07"), at("2026-03-24 05:12")),
        piece,
        organisation=OrganisationFacts(frozenset({"oscilloscope"}), date(2026, 3, 1)),
    )
    assert codes(asked) == {
        "out_of_service",
        "too_many_places",
        "lead_time",
        "too_short",
        "off_grid",
        "unstaffed",
        "organisation_until",
        "organisation_category",
    }


def test_a_manager_is_free_of_the_grid_and_of_nothing_else() -> None:
    piece = replace(PIECE, policy=SlotPolicy(lead=2 * DAY))
    asked = facts(Interval(at("2026-03-24 10:07"), at("2026-03-24 12:07")), piece, free_of_grid=True)
    assert codes(asked) == {"lead_time"}
    assert codes(replace(asked, enter_past=True)) == {"lead_time"}
    assert codes(replace(asked, free_of_lead=True)) == set()
    assert codes(replace(asked, is_block=True)) == set()


def test_only_who_enters_what_happened_begins_in_the_past() -> None:
    past = facts(Interval(NOW - timedelta(hours=1), NOW + timedelta(hours=1)), free_of_grid=True)
    assert codes(past) == {"in_the_past"}
    assert codes(replace(past, enter_past=True)) == set()


def test_attended_equipment_is_staffed_over_its_own_set_up_and_not_over_its_neighbours() -> None:
    use = Interval(at("2026-03-24 08:00"), at("2026-03-24 09:00"))
    chamber = replace(PIECE, occupied=use.widened(timedelta(minutes=30), timedelta(0)))
    hipot = replace(PIECE, slug="hipot", attended=True, occupied=use)
    both = facts(use, occupied=chamber.occupied, pieces=[chamber, hipot])
    assert codes(both) == set()
    assert codes(replace(both, pieces=[chamber, replace(hipot, occupied=chamber.occupied)])) == {"unstaffed"}


def test_a_shutdown_refuses_everything_it_touches_at_every_phase() -> None:
    asked = facts(hours=shut("2026-03-24 11:00", "2026-03-24 18:00"))
    for phase in Phase:
        assert codes(asked, phase) == {"shutdown"}
    beside = facts(hours=shut("2026-03-24 12:00", "2026-03-24 18:00"))
    assert codes(beside) == set()


def test_at_check_in_a_shutdown_that_is_over_does_not_count() -> None:
    asked = facts(hours=shut("2026-03-24 08:00", "2026-03-24 10:30"))
    assert codes(asked, Phase.APPROVAL) == {"shutdown"}
    assert codes(replace(asked, now=at("2026-03-24 10:20")), Phase.CHECK_IN) == {"shutdown"}
    assert codes(replace(asked, now=at("2026-03-24 10:30")), Phase.CHECK_IN) == set()


def test_what_ends_at_midnight_does_not_touch_the_next_day() -> None:
    day = date(2026, 3, 24)
    until_midnight = Interval(at("2026-03-24 10:00"), at("2026-03-25 00:00"))
    piece = replace(PIECE, qualifications=frozenset({"hv"}), calibration_due=day)
    asked = facts(until_midnight, piece, organisation=OrganisationFacts(until=day), qualified={"hv": day})
    assert codes(asked) == set()
    later = replace(asked, use=Interval(until_midnight.start, until_midnight.end + timedelta(minutes=15)))
    assert codes(later) == {"organisation_until", "qualification_ends", "calibration_ends"}


def test_a_qualification_that_runs_out_warns_first_and_refuses_at_check_in() -> None:
    piece = replace(PIECE, qualifications=frozenset({"hv"}))
    long = Interval(TOMORROW.start, TOMORROW.start + 3 * DAY)
    ends = facts(long, piece, qualified={"hv": date(2026, 3, 25)})
    assert [p.weight for p in check(ends)] == ["warning"]
    assert [p.weight for p in check(ends, Phase.CHECK_IN)] == ["blocking"]
    assert codes(replace(ends, qualified={})) == {"qualification_missing"}
    assert codes(replace(ends, qualified={"hv": None})) == set()


def test_a_calibration_that_runs_out_refuses_at_check_in_only_what_must_be_traceable() -> None:
    long = Interval(TOMORROW.start, TOMORROW.start + 6 * DAY)
    asked = facts(long, replace(PIECE, calibration_due=date(2026, 3, 25)))
    assert [(p.code, p.weight) for p in check(asked)] == [("calibration_ends", "warning")]
    assert codes(asked, Phase.CHECK_IN) == set()
    assert codes(replace(asked, traceable=True), Phase.CHECK_IN) == {"calibration_lapsed"}
    short = facts(TOMORROW, replace(PIECE, calibration_due=date(2026, 3, 25)), traceable=True)
    assert codes(short, Phase.CHECK_IN) == set()


def test_a_budget_is_exceeded_above_its_capacity_and_not_at_it() -> None:
    full = BudgetFacts("feeder-a", 10_000, 10_000, NOW, "kVA")
    assert codes(facts(budgets=[full])) == set()
    assert codes(facts(budgets=[replace(full, peak=10_001)])) == {"over_budget"}


def test_staff_block_what_is_out_of_service_and_not_what_is_gone() -> None:
    broken = facts(piece=replace(PIECE, state="out_of_service"))
    assert codes(broken) == {"out_of_service"}
    assert codes(replace(broken, is_block=True)) == set()
    assert codes(facts(piece=replace(PIECE, state="retired"), is_block=True)) == {"retired"}


@given(length=st.integers(min_value=1, max_value=200), least=st.integers(1, 100), most=st.integers(1, 200))
def test_a_slot_is_too_short_or_too_long_exactly_outside_its_bounds(
    length: int, least: int, most: int
) -> None:
    quarter = timedelta(minutes=15)
    bounds = SlotPolicy(shortest=least * quarter, longest=most * quarter)
    use = Interval(TOMORROW.start, TOMORROW.start + length * quarter)
    found = codes(facts(use, replace(PIECE, policy=bounds)))
    assert found == {c for c, wrong in (("too_short", length < least), ("too_long", length > most)) if wrong}


def test_only_what_occurs_and_may_be_set_aside_is_set_aside() -> None:
    piece = replace(PIECE, attended=True, wanted=2)
    problems = check(facts(Interval(at("2026-03-24 17:00"), at("2026-03-24 18:00")), piece))
    assert {p.code for p in problems} == {"unstaffed", "too_many_places"}
    aside = set_aside(problems, ["unstaffed", "too_many_places", "too_long", "whatever"])
    assert aside == {"unstaffed"}
    assert [p.code for p in blocking(problems, aside)] == ["too_many_places"]


@pytest.mark.parametrize("code", sorted(policy.OF_THE_HOLDER))
def test_what_is_set_aside_for_a_person_is_among_what_may_be(code: str) -> None:
    assert code in policy.OVERRIDABLE
