"""Signs of life of the processes that enforce slot windows, and what each of them has done."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from labbook.models import SchedulerHeartbeat
from labbook.services import transaction

EVERY = timedelta(seconds=10)
WHILE_BUSY = timedelta(seconds=3)
FORGOTTEN_AFTER = timedelta(days=1)

BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""How late a step was, in seconds: each bucket counts those up to here and above the one before. One more
counts those that were later than all of them."""


@dataclass
class Done:
    """What was done meanwhile. ``lateness`` has a count for each bucket."""

    swept: int = 0
    failed: int = 0
    sent: int = 0
    lateness_ms: int = 0
    lateness: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))

    def __bool__(self) -> bool:
        return bool(self.swept or self.failed or self.sent)

    def include(self, other: Done) -> None:
        self.swept += other.swept
        self.failed += other.failed
        self.sent += other.sent
        self.lateness_ms += other.lateness_ms
        self.lateness = [a + b for a, b in zip(self.lateness, other.lateness, strict=True)]


class Tally:
    """What this process has done since it last said so. Its jobs add from threads of their own."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._done = Done()

    def add(self, late: timedelta) -> None:
        """A step of the scheduler was taken, so much later than it was due."""
        seconds = max(late.total_seconds(), 0.0)  # a clock that jumps back makes nothing early
        with self._lock:
            self._done.swept += 1
            self._done.lateness_ms += round(seconds * 1000)
            self._done.lateness[bisect_left(BUCKETS, seconds)] += 1

    def count(self, *, failed: int = 0, sent: int = 0) -> None:
        """Rows that were put aside, and messages that have left."""
        with self._lock:
            self._done.failed += failed
            self._done.sent += sent

    def __bool__(self) -> bool:
        with self._lock:
            return bool(self._done)

    def take(self) -> Done:
        with self._lock:
            found, self._done = self._done, Done()
        return found

    def give_back(self, done: Done) -> None:
        """It could not be written down."""
        with self._lock:
            self._done.include(done)


def beat(
    session: Session, name: str, *, started_at: datetime, now: datetime, tally: Tally | None = None
) -> None:
    """This process is alive and has just swept; those that died long ago are forgotten.

    Written every few seconds only, however often it sweeps: what it has done since goes along. A process that
    is killed takes the count of its last few seconds with it, and nothing else.
    """
    seen = session.scalar(select(SchedulerHeartbeat.seen_at).where(SchedulerHeartbeat.name == name))
    session.rollback()
    pause = WHILE_BUSY if tally else EVERY
    if seen is not None and timedelta(0) <= now - seen < pause:
        return
    done = tally.take() if tally is not None else Done()

    def work() -> None:
        row = session.get(SchedulerHeartbeat, name)
        if row is None:
            row = SchedulerHeartbeat(name=name, seen_at=now, started_at=started_at)
            row.swept = row.failed = row.sent = row.lateness_ms = 0
            row.lateness = []
            session.add(row)
            old = SchedulerHeartbeat.seen_at < now - FORGOTTEN_AFTER
            session.execute(delete(SchedulerHeartbeat).where(old))
        row.seen_at = now
        _add(row, done)

    try:
        transaction.write(session, work)
    except BaseException:
        if tally is not None:
            tally.give_back(done)
        raise


def _add(row: SchedulerHeartbeat, done: Done) -> None:
    row.swept += done.swept
    row.failed += done.failed
    row.sent += done.sent
    row.lateness_ms += done.lateness_ms
    row.lateness = [a + b for a, b in zip(counts(row.lateness), done.lateness, strict=True)]


def counts(stored: list[int]) -> list[int]:
    """One count for each bucket, also of a row that was written when there were fewer."""
    return [*stored, *([0] * (len(BUCKETS) + 1 - len(stored)))][: len(BUCKETS) + 1]


def forget(session: Session, name: str) -> None:
    """This process ended in good order."""

    def work() -> None:
        session.execute(delete(SchedulerHeartbeat).where(SchedulerHeartbeat.name == name))

    transaction.write(session, work)
