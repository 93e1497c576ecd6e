"""Whether the service can do its work: the database, its schema, its guards, and the scheduler's pulse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from labbook.models import SchedulerHeartbeat, guards

SILENT_AFTER = timedelta(seconds=60)


@dataclass(frozen=True)
class Health:
    """``schema`` is the Alembic revision stored; ``heard`` the newest heartbeat of any scheduler."""

    database: bool
    schema: str | None = None
    missing_guards: tuple[str, ...] = ()
    heard: datetime | None = None

    def scheduler_silent(self, now: datetime) -> bool:
        return self.heard is None or now - self.heard > SILENT_AFTER


def examine(session: Session, *, now: datetime) -> Health:
    """A look at everything that must be there; never raises for a database that is not."""
    try:
        connection = session.connection()
        tables = set(inspect(connection).get_table_names())
        if "alembic_version" not in tables or "reservations" not in tables:
            return Health(database=True)
        return Health(
            database=True,
            schema=session.scalar(text("SELECT version_num FROM alembic_version")),
            missing_guards=tuple(guards.missing(connection)),
            heard=session.scalar(select(func.max(SchedulerHeartbeat.seen_at))),
        )
    except DBAPIError:
        return Health(database=False)
    finally:
        session.rollback()
