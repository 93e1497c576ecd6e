"""Signs of life of the processes that enforce slot windows."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from labbook.models import SchedulerHeartbeat
from labbook.services import transaction

EVERY = timedelta(seconds=10)
FORGOTTEN_AFTER = timedelta(days=1)


def beat(session: Session, name: str, *, started_at: datetime, now: datetime) -> None:
    """This process is alive and has just swept; those that died long ago are forgotten.

    Written every few seconds only, however often it sweeps.
    """
    seen = session.scalar(select(SchedulerHeartbeat.seen_at).where(SchedulerHeartbeat.name == name))
    session.rollback()
    if seen is not None and timedelta(0) <= now - seen < EVERY:
        return

    def work() -> None:
        row = session.get(SchedulerHeartbeat, name)
        if row is None:
            session.add(SchedulerHeartbeat(name=name, seen_at=now, started_at=started_at))
            old = SchedulerHeartbeat.seen_at < now - FORGOTTEN_AFTER
            session.execute(delete(SchedulerHeartbeat).where(old))
        else:
            row.seen_at = now

    transaction.write(session, work)


def forget(session: Session, name: str) -> None:
    """This process ended in good order."""

    def work() -> None:
        session.execute(delete(SchedulerHeartbeat).where(SchedulerHeartbeat.name == name))

    transaction.write(session, work)
