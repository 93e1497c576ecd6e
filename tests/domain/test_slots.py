"""The earliest slots, found if and only if they exist."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from labbook.domain.slots import Ask, Budget, Piece, Span, Wish, instant, search, ticks

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


def starts(found: object) -> list[int]:
    return [slot.start for slot in found.slots]  # type: ignore[attr-defined]


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
