"""Signs of life of the processes that enforce slot windows."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from labbook.models.base import Base


class SchedulerHeartbeat(Base):
    """One row per scheduler process; ``seen_at`` is its last completed sweep.

    What it has done since it started: steps ``swept`` and ``failed``, messages ``sent``, and how late the
    steps were: ``lateness_ms`` summed, ``lateness`` counted in buckets (``services.heartbeats``).
    """

    __tablename__ = "scheduler_heartbeats"

    name: Mapped[str] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime]
    started_at: Mapped[datetime]
    swept: Mapped[int] = mapped_column(server_default="0", default=0)
    failed: Mapped[int] = mapped_column(server_default="0", default=0)
    sent: Mapped[int] = mapped_column(server_default="0", default=0)
    lateness_ms: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    lateness: Mapped[list[int]] = mapped_column(JSON, server_default="[]", default=list)
