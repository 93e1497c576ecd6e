from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from labbook.jobs.steadiness import QUIET, TOLERANCE, Steadiness

NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_clock_that_keeps_pace_is_steady_however_long_nobody_looked() -> None:
    clock = Steadiness(NOON, 1000.0)
    assert clock.look(NOON + 3600 * SECOND, 4600.0) is None
    assert clock.look(NOON + 3600 * SECOND + TOLERANCE, 4600.0) is None, "clocks are steered a little"
    assert clock.is_steady(4600.0)


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1), 11 * SECOND])
def test_a_clock_that_was_set_is_trusted_again_after_a_quiet_minute(jump: timedelta) -> None:
    clock = Steadiness(NOON, 0.0)
    assert clock.look(NOON + jump + SECOND, 1.0) == jump
    assert not clock.is_steady(1.0)
    assert clock.look(NOON + jump + 30 * SECOND, 30.0) is None
    assert not clock.is_steady(60.9)
    assert clock.is_steady(1.0 + QUIET.total_seconds())


def test_setting_it_right_again_begins_the_wait_anew() -> None:
    clock = Steadiness(NOON, 0.0)
    clock.look(NOON + timedelta(hours=1), 0.0)
    assert clock.look(NOON + 20 * SECOND, 20.0) == timedelta(hours=-1)
    assert not clock.is_steady(79.9)
    assert clock.is_steady(80.0)
