"""Signs of life of the processes that enforce slot windows."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from labbook.models.base import Base


class SchedulerHeartbeat(Base):
    """One row per scheduler process; ``seen_at`` is its last completed sweep."""

    __tablename__ = "scheduler_heartbeats"

    name: Mapped[str] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime]
    started_at: Mapped[datetime]
