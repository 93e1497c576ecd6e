"""Figures for whoever watches over Labbook: what is due, what failed, and what each scheduler has done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from labbook.models import (
    OutboxMessage,
    Reservation,
    SchedulerHeartbeat,
    Visit,
    WaitlistEntry,
    WebhookDelivery,
)
from labbook.services import heartbeats

DUE_ROWS = (Reservation, WaitlistEntry, Visit)
"""Whatever has steps of its own to take when it is due, with attempts and an error."""


@dataclass(frozen=True)
class Process:
    """One scheduler since it began. ``lateness``: a count for each of ``heartbeats.BUCKETS`` and one more."""

    name: str
    started_at: datetime
    seen_at: datetime
    swept: int
    failed: int
    sent: int
    lateness_ms: int
    lateness: Sequence[int]


@dataclass(frozen=True)
class Measures:
    """``due``: steps whose time has come; ``put_aside``: those that failed and wait for another attempt."""

    due: int
    put_aside: int
    mail_unsent: int
    mail_failed: int
    webhooks_due: int
    webhooks_failed: int
    waitlist_waiting: int
    schedulers: Sequence[Process]


def take(session: Session, *, now: datetime) -> Measures:
    """Two queries, each part of them by an index."""
    parts = [
        *(_count(model).where(model.due_at.is_not(None), model.due_at <= now) for model in DUE_ROWS),
        *(_count(model).where(model.due_error.is_not(None)) for model in DUE_ROWS),
        _count(OutboxMessage).where(OutboxMessage.due_at.is_not(None), OutboxMessage.due_at <= now),
        _count(OutboxMessage).where(OutboxMessage.failed_at.is_not(None)),
        _count(WebhookDelivery).where(WebhookDelivery.due_at.is_not(None), WebhookDelivery.due_at <= now),
        _count(WebhookDelivery).where(WebhookDelivery.failed_at.is_not(None)),
        _count(WaitlistEntry).where(WaitlistEntry.state == "waiting"),
    ]
    found = iter(session.execute(select(*(part.scalar_subquery() for part in parts))).one())
    return Measures(
        due=sum(next(found) for _ in DUE_ROWS),
        put_aside=sum(next(found) for _ in DUE_ROWS),
        mail_unsent=next(found),
        mail_failed=next(found),
        webhooks_due=next(found),
        webhooks_failed=next(found),
        waitlist_waiting=next(found),
        schedulers=processes(session),
    )


def processes(session: Session) -> list[Process]:
    """Every scheduler heard of lately."""
    return [
        Process(
            row.name,
            row.started_at,
            row.seen_at,
            row.swept,
            row.failed,
            row.sent,
            row.lateness_ms,
            heartbeats.counts(row.lateness),
        )
        for row in session.scalars(select(SchedulerHeartbeat).order_by(SchedulerHeartbeat.name))
    ]


def _count(model: Any) -> Select[int]:
    return select(func.count()).select_from(model)
