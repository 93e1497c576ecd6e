from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from labbook.domain.errors import StorageBusy
from labbook.models import SchedulerHeartbeat
from labbook.services import heartbeats, measures
from labbook.services.heartbeats import BUCKETS, Tally
from tests.cast import NOW

SECOND = timedelta(seconds=1)


def beat(session: Session, tally: Tally, after: timedelta) -> None:
    heartbeats.beat(session, "one", started_at=NOW, now=NOW + after, tally=tally)


def row(session: Session) -> SchedulerHeartbeat:
    session.rollback()
    return session.get_one(SchedulerHeartbeat, "one")


def test_a_process_adds_what_it_did_to_its_own_row(session: Session) -> None:
    tally = Tally()
    tally.add(0.004 * SECOND)
    tally.add(0.01 * SECOND)  # a bucket holds its upper edge
    tally.add(2 * SECOND)
    beat(session, tally, 0 * SECOND)
    tally.add(timedelta(days=2))
    tally.count(failed=1, sent=3)
    beat(session, tally, 4 * SECOND)
    found = row(session)
    assert (found.swept, found.failed, found.sent) == (4, 1, 3)
    assert found.lateness_ms == 4 + 10 + 2000 + 2 * 86_400_000
    assert {n: count for n, count in enumerate(found.lateness) if count} == {
        0: 2,
        BUCKETS.index(2.5): 1,
        len(BUCKETS): 1,
    }


def test_a_clock_that_jumped_back_makes_no_step_early() -> None:
    tally = Tally()
    tally.add(-5 * SECOND)
    assert (tally.take().lateness_ms, bool(tally)) == (0, False)


def test_a_busy_process_writes_every_three_seconds_and_an_idle_one_every_ten(session: Session) -> None:
    tally = Tally()
    beat(session, tally, 0 * SECOND)
    beat(session, tally, 9 * SECOND)
    assert row(session).seen_at == NOW
    tally.add(SECOND)
    beat(session, tally, 2.9 * SECOND)
    assert row(session).swept == 0
    beat(session, tally, 3 * SECOND)
    assert (row(session).swept, row(session).seen_at) == (1, NOW + 3 * SECOND)
    beat(session, tally, 6 * SECOND)
    assert row(session).seen_at == NOW + 3 * SECOND


def test_what_could_not_be_written_is_said_the_next_time(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise StorageBusy

    tally = Tally()
    tally.add(SECOND)
    with monkeypatch.context() as patch:
        patch.setattr(heartbeats.transaction, "write", busy)
        with pytest.raises(StorageBusy):
            beat(session, tally, 0 * SECOND)
    beat(session, tally, 0 * SECOND)
    assert row(session).swept == 1


def test_a_row_of_an_earlier_version_has_a_count_for_every_bucket(session: Session) -> None:
    session.add(SchedulerHeartbeat(name="one", seen_at=NOW, started_at=NOW, lateness=[7]))
    session.commit()
    tally = Tally()
    tally.add(0 * SECOND)
    beat(session, tally, 5 * SECOND)
    (process,) = measures.processes(session)
    assert process.lateness == [8] + [0] * len(BUCKETS)
