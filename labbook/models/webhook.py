"""Rigs that want to be told when a slot window opens and closes, and what was told to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from labbook.models.base import Base, Key
from labbook.models.equipment import Equipment


class Webhook(Base):
    """Where a rig listens. Off until ``active``. ``secret`` signs; it is kept as it is, since signing
    needs it. ``on_close``: ``signal`` asks the rig for its safe state when a window closes."""

    __tablename__ = "webhooks"
    __table_args__ = (CheckConstraint("on_close IN ('nothing','signal')", name="on_close"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    equipment_id: Mapped[int] = mapped_column(ForeignKey("equipment.id"), unique=True)
    url: Mapped[str]
    secret: Mapped[str]
    on_close: Mapped[str] = mapped_column(server_default="nothing")
    active: Mapped[bool] = mapped_column(server_default=text("false"))
    created_by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]

    equipment: Mapped[Equipment] = relationship()


class WebhookDelivery(Base):
    """One event for one rig, written with the step it tells of; ``due_at`` None once it is settled.

    Settled is what was delivered, what has failed for good, and, with neither, what was superseded: an
    opening whose window had closed before the rig could be told. ``id`` grows with each event of a webhook,
    so that the rig can tell old from new.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("event IN ('window.opened','window.closed','test')", name="event"),
        Index("ix_webhook_deliveries_due", "due_at", postgresql_where=text("due_at IS NOT NULL"),
              sqlite_where=text("due_at IS NOT NULL")),
        Index("ix_webhook_deliveries_failed", "failed_at", postgresql_where=text("failed_at IS NOT NULL"),
              sqlite_where=text("failed_at IS NOT NULL")),
        Index("ix_webhook_deliveries_webhook", "webhook_id", "id"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhooks.id"))
    reservation_id: Mapped[int | None] = mapped_column(ForeignKey("reservations.id"), index=True)
    event: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    error: Mapped[str | None]
    response_status: Mapped[int | None]
    delivered_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]

    webhook: Mapped[Webhook] = relationship()
