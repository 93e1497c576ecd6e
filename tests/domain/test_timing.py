from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from labbook.domain.timing import NO_SHOWS, UNSTATED, Timing, of_all, overlaid, timing_from

HOUR = timedelta(hours=1)
lengths = st.none() | st.integers(0, 10**6).map(lambda s: timedelta(seconds=s))
timings = st.builds(Timing, lengths, lengths, lengths, st.none() | st.sampled_from(NO_SHOWS))


def test_the_short_and_simple_is_neither_reminded_of_nor_warned_about() -> None:
    simple = UNSTATED.settled(guarded=False)
    assert (simple.remind, simple.warn) == (timedelta(0), timedelta(0))
    assert UNSTATED.settled(guarded=True).remind == timedelta(days=1)
    assert Timing(remind=HOUR).settled(guarded=False).remind == HOUR, "unless somebody says so"


def test_a_piece_states_what_its_facility_says_otherwise() -> None:
    facility, piece = Timing(remind=HOUR, no_show="flag"), Timing(remind=timedelta(0))
    assert overlaid(facility, piece) == Timing(remind=timedelta(0), no_show="flag")


def test_of_several_pieces_the_one_that_asks_for_more_care_decides() -> None:
    careful = Timing(nudge=HOUR, remind=2 * HOUR, no_show="flag")
    assert of_all([Timing(nudge=3 * HOUR, warn=HOUR, no_show="release"), careful]) == Timing(
        nudge=HOUR, remind=2 * HOUR, warn=HOUR, no_show="flag"
    )


@given(timings)
def test_what_is_stored_comes_out_again(timing: Timing) -> None:
    assert timing_from(timing.stored()) == timing


@given(timings, timings)
def test_nothing_stated_changes_nothing(one: Timing, other: Timing) -> None:
    assert overlaid(UNSTATED, one) == overlaid(one, UNSTATED) == of_all([one, UNSTATED]) == one
    assert of_all([one, other]) == of_all([other, one])
