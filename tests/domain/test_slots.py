"""The earliest slots, found if and only if they exist."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from labbook.domain.slots import Ask, Budget, Closed, Found, Piece, Span, Wish, instant, search, ticks

ZONE = ZoneInfo("Europe/Copenhagen")
HOUR = 3_600_000_000
MONDAY = ticks(datetime(2026, 9, 14, tzinfo=UTC))


def span(start: float, end: float) -> Span:
    return MONDAY + int(start * HOUR), MONDAY + int(end * HOUR)


def at(hours: float) -> int:
    return MONDAY + int(hours * HOUR)


def wish(*asks: Ask, hours: float = 2, until: float = 72, **rest: object) -> Wish:
    return Wish(asks=asks, duration=int(hours * HOUR), since=MONDAY, until=at(until), zone=ZONE, **rest)  # type: ignore[arg-type]


def catalogue(*pieces: Piece) -> dict[str, Piece]:
    return {piece.slug: piece for piece in pieces}


def starts(found: Found) -> list[int]:
    return [slot.start for slot in found.slots]


def test_instants_come_back_as_they_went() -> None:
    assert ticks(instant(MONDAY + 1)) == MONDAY + 1


def test_the_first_start_is_where_the_first_gap_is_long_enough() -> None:
    scope = Piece(slug="scope", places=[[span(0, 3), span(4, 9)]])
    found = search(wish(Ask(1, {"scope": 0})), catalogue(scope), {}, limit=2)
    assert starts(found) == [at(9), at(9.25)]


def test_two_needs_never_get_the_same_piece() -> None:
    pieces = catalogue(Piece(slug="a", places=[[]]), Piece(slug="b", places=[[span(0, 5)]]))
    either = Ask(1, {"a": 0, "b": 0})
    found = search(wish(either, either), pieces, {}, limit=1)
    assert [(slot.start, set(slot.chosen)) for slot in found.slots] == [(at(5), {"a", "b"})]


def test_a_budget_holds_at_every_instant_of_set_up_and_tear_down() -> None:
    pieces = catalogue(Piece(slug="a", places=[[]], setup=HOUR, draws={"feeder": 60}))
    feeder = Budget(100, [(at(0), at(4), 50)])
    assert starts(search(wish(Ask(1, {"a": 0})), pieces, {"feeder": feeder}, limit=1)) == [at(5)]


def test_who_needs_a_piece_whole_gets_every_place_that_it_has() -> None:
    small = Piece(slug="small", places=[[], [span(0, 9)]])
    great = Piece(slug="great", places=[[span(0, 5)], [], []])
    found = search(wish(Ask(None, {"small": 0, "great": 1})), catalogue(small, great), {}, limit=1)
    assert [(slot.start, slot.chosen) for slot in found.slots] == [(at(5), ("great",))]


def reasons(found: Found) -> list[tuple[str, str, int]]:
    return [(each.reason, each.subject, each.until) for each in found.because]


def test_what_was_taken_is_told_with_the_start_from_which_it_could_be_had() -> None:
    pieces = catalogue(
        Piece(slug="source-1", places=[[span(0, 14)]]),
        Piece(slug="source-2", places=[[span(0, 20)]], setup=HOUR),
        Piece(slug="bench", places=[[]]),
    )
    found = search(wish(Ask(1, {"source-1": 0, "source-2": 0}), Ask(1, {"bench": 0})), pieces, {}, limit=1)
    assert starts(found) == [at(14)]
    assert reasons(found) == [("taken", "source-1", at(14)), ("taken", "source-2", at(14))]


def test_what_has_to_be_set_up_now_and_is_taken_until_later_is_taken() -> None:
    set_up = Closed("set_up", (at(-100), at(0)))
    source = Piece(slug="source", places=[[span(3, 14)]], setup=HOUR, closed=[set_up])
    found = search(wish(Ask(1, {"source": 0}), hours=4), catalogue(source), {}, limit=1)
    assert starts(found) == [at(15)]
    assert reasons(found) == [("taken", "source", at(15))]


def test_nothing_stood_in_the_way_of_what_can_start_at_once() -> None:
    pieces = catalogue(Piece(slug="a", places=[[]]), Piece(slug="b", places=[[span(0, 9)]]))
    found = search(wish(Ask(1, {"a": 1, "b": 0})), pieces, {}, limit=3)
    assert [slot.surplus for slot in found.slots] == [1, 1, 1]
    assert not found.because


def test_a_budget_in_the_way_is_told_with_its_figures() -> None:
    pieces = catalogue(Piece(slug="a", places=[[]], draws={"feeder": 60}))
    feeder = Budget(250, [(at(0), at(4), 150), (at(1), at(6), 80)])
    found = search(wish(Ask(1, {"a": 0})), pieces, {"feeder": feeder}, limit=1)
    assert starts(found) == [at(4)]
    assert reasons(found) == [("over_budget", "feeder", at(4))]
    assert found.because[0].params == {"peak": 230, "wanted": 60, "capacity": 250, "at": at(1)}


def test_every_reason_of_a_piece_has_its_own_word() -> None:
    pieces = catalogue(
        Piece(slug="closed", places=[[]], closed=[Closed("unstaffed", span(0, 80))]),
        Piece(slug="later", places=[[]], earliest=at(90)),
        Piece(slug="horizon", places=[[]], latest=MONDAY - 1),
        Piece(slug="leaves", places=[[]], ends_by=at(1)),
        Piece(slug="brief", places=[[]], longest=HOUR),
        Piece(slug="long", places=[[]], shortest=3 * HOUR),
        Piece(slug="daily", places=[[]], grid=24 * HOUR),
    )
    found = search(wish(Ask(1, dict.fromkeys(pieces, 0))), pieces, {}, limit=1)
    assert not found.slots
    assert {(each.subject, each.reason) for each in found.because} == {
        ("closed", "unstaffed"),
        ("later", "lead_time"),
        ("horizon", "horizon"),
        ("leaves", "ends_by"),
        ("brief", "too_long"),
        ("long", "too_short"),
        ("daily", "off_grid"),
    }


def test_a_need_that_nothing_serves_is_unmet_whatever_the_others_have() -> None:
    found = search(wish(Ask(1, {"a": 0}), Ask(1, {})), catalogue(Piece(slug="a", places=[[]])), {}, limit=1)
    assert reasons(found) == [("unmet", "1", at(72))]


def test_two_needs_for_the_same_only_piece_are_told_that_there_are_too_few() -> None:
    only = Ask(1, {"a": 0})
    found = search(wish(only, only), catalogue(Piece(slug="a", places=[[]])), {}, limit=1)
    assert reasons(found) == [("too_few", "a", at(72))]


def test_no_more_than_twenty_reasons_are_given_and_the_most_binding_first() -> None:
    pieces = catalogue(*(Piece(slug=f"{n:02}", places=[[span(0, 40 + n / 4)]]) for n in range(30)))
    found = search(wish(Ask(1, dict.fromkeys(pieces, 0)), until=45), pieces, {}, limit=1)
    assert starts(found) == [at(40)]
    assert len(found.because) == 20


def test_a_window_shorter_than_the_use_says_so() -> None:
    found = search(wish(Ask(1, {"a": 0}), until=1), catalogue(Piece(slug="a", places=[[]])), {}, limit=1)
    assert reasons(found) == [("window", "", at(1))]


def test_a_recipes_parts_all_take_the_longest_set_up_of_those_chosen() -> None:
    pieces = catalogue(
        Piece(slug="bench", places=[[span(-5, 0)]]),
        Piece(slug="slow", places=[[]], setup=3 * HOUR),
        Piece(slug="quick", places=[[span(0, 9)]], setup=HOUR),
    )
    asks = (Ask(1, {"bench": 0}), Ask(1, {"slow": 0, "quick": 0}))
    assert starts(search(wish(*asks), pieces, {}, limit=1)) == [at(0)]
    assert starts(search(wish(*asks, recipe=True), pieces, {}, limit=1)) == [at(3)]
    assert starts(search(wish(*asks, recipe=True, setup=0), pieces, {}, limit=1)) == [at(0)]


def test_a_pool_has_room_whenever_the_count_says_so() -> None:
    places = [[span(0, 2)], [span(2, 4)]]
    fixed, pool = Piece(slug="a", places=places), Piece(slug="a", places=places, pool=True)
    need = wish(Ask(1, {"a": 0}), hours=4)
    assert starts(search(need, catalogue(pool), {}, limit=1)) == [at(0)]
    assert starts(search(need, catalogue(fixed), {}, limit=1)) == [at(2)]


def test_what_a_recipe_names_replaces_the_sum_of_its_parts() -> None:
    pieces = catalogue(Piece(slug="a", places=[[]], setup=HOUR, draws={"feeder": 500}))
    feeder = {"feeder": Budget(100, [(at(0), at(4), 70)])}
    need = Ask(1, {"a": 0})
    assert starts(search(wish(need, recipe=True, draws={"feeder": 30}), pieces, feeder, limit=1)) == [at(0)]
    assert starts(search(wish(need, recipe=True, draws={"feeder": 31}), pieces, feeder, limit=1)) == [at(5)]
    assert not search(wish(need, recipe=True), pieces, feeder, limit=1).slots


def test_grids_that_do_not_divide_one_another_meet_where_both_have_a_point() -> None:
    minute = HOUR // 60
    pieces = catalogue(
        Piece(slug="a", places=[[span(0, 1)]], grid=25 * minute),
        Piece(slug="b", places=[[]], grid=15 * minute),
    )
    found = search(wish(Ask(1, {"a": 0}), Ask(1, {"b": 0}), hours=2.5), pieces, {}, limit=2)
    assert starts(found) == [at(1.75), at(3)]  # 03:45 and 05:00 in Copenhagen


def test_a_day_of_the_lab_ends_at_midnight_on_both_sides_of_the_clocks_change() -> None:
    daily = catalogue(Piece(slug="a", places=[[]], grid=24 * HOUR))
    saturday = ticks(datetime(2026, 3, 27, 23, tzinfo=UTC))
    week = Wish(
        asks=[Ask(1, {"a": 0})], duration=23 * HOUR, since=saturday, until=saturday + 200 * HOUR, zone=ZONE
    )
    assert starts(search(week, daily, {}, limit=9)) == [saturday + 24 * HOUR]


def test_of_equal_starts_the_least_surplus_is_chosen_within_the_budget() -> None:
    pieces = catalogue(
        Piece(slug="strong", places=[[]], draws={"feeder": 80}),
        Piece(slug="weak", places=[[]], draws={"feeder": 20}),
        Piece(slug="bench", places=[[]], draws={"feeder": 30}),
    )
    asks = (Ask(1, {"strong": 0, "weak": 2}), Ask(1, {"bench": 0}))
    rich, poor = Budget(110, []), Budget(109, [])
    assert search(wish(*asks), pieces, {"feeder": rich}, limit=1).slots[0].chosen == ("strong", "bench")
    assert search(wish(*asks), pieces, {"feeder": poor}, limit=1).slots[0].chosen == ("weak", "bench")
