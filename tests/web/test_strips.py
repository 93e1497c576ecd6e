"""A strip is laid out on the facility's wall clock, in percent, with what overlaps beneath each other."""

from __future__ import annotations

from labbook.web.strips import HEAD, LANE, Block, lay_out
from tests.cast import at

ZONE = "Europe/Copenhagen"


def block(start: str, end: str, **more: object) -> Block:
    return Block("approved", "A test", at(start), at(end), **more)  # type: ignore[arg-type]


def test_a_block_stands_where_its_time_is() -> None:
    plot = lay_out([block("2026-03-24 06:00", "2026-03-24 18:00")], at("2026-03-24"), at("2026-03-25"), ZONE)
    (placed,) = plot.placed
    assert (placed.x, placed.width) == ("25.000%", "50.000%")
    assert placed.words == "A test, approved, Tue 24 Mar, 06:00–18:00 (12 h)"


def test_set_up_is_drawn_around_the_use() -> None:
    use = (at("2026-03-24 09:00"), at("2026-03-24 18:00"))
    plot = lay_out(
        [block("2026-03-24 06:00", "2026-03-24 18:00", use=use)], at("2026-03-24"), at("2026-03-25"), ZONE
    )
    assert (plot.placed[0].use_x, plot.placed[0].use_width) == ("25.000%", "75.000%")


def test_what_begins_before_the_strip_is_cut_to_it() -> None:
    plot = lay_out([block("2026-03-20", "2026-03-24 12:00")], at("2026-03-24"), at("2026-03-25"), ZONE)
    assert (plot.placed[0].x, plot.placed[0].width) == ("0.000%", "50.000%")


def test_what_overlaps_stands_beneath_each_other_and_what_touches_does_not() -> None:
    blocks = [
        block("2026-03-24 06:00", "2026-03-24 12:00"),
        block("2026-03-24 08:00", "2026-03-24 10:00"),
        block("2026-03-24 12:00", "2026-03-24 13:00"),
    ]
    plot = lay_out(blocks, at("2026-03-24"), at("2026-03-25"), ZONE)
    assert [(each.y - HEAD - 2) // LANE for each in plot.placed] == [0, 1, 0]
    assert plot.height == HEAD + 4 + 2 * LANE


def test_what_lies_outside_is_left_out() -> None:
    plot = lay_out([block("2026-03-25", "2026-03-26")], at("2026-03-24"), at("2026-03-25"), ZONE)
    assert not plot.placed
    assert plot.height == HEAD + 4 + LANE


def test_days_of_a_week_with_the_clocks_going_forward_are_marked_at_midnight() -> None:
    plot = lay_out([], at("2026-03-23"), at("2026-03-30"), ZONE)
    assert [t.label for t in plot.ticks][:2] == ["Mon 23 Mar", "Tue 24 Mar"]
    assert len(plot.ticks) == 7
    assert plot.weekends[0][0] == plot.ticks[5].x


def test_the_present_is_marked_only_within() -> None:
    now = at("2026-03-24 12:00")
    assert lay_out([], at("2026-03-24"), at("2026-03-25"), ZONE, now=now).now == "50.000%"
    assert lay_out([], at("2026-03-25"), at("2026-03-26"), ZONE, now=now).now is None
