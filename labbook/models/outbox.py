"""Messages waiting to leave, committed with what they tell of; and answers kept for repeated requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from labbook.models.base import Base, Key
from labbook.models.user import User


class OutboxMessage(Base):
    """A mail to one user. ``kind`` names its template, ``payload`` what the template needs.

    ``due_at`` is when to try next and None once it has left (``sent_at``) or was given up (``failed_at``)
    or was not to be sent after all, because its reader no longer may see it or wants none (``withheld_at``).
    ``digest``: it leaves together with the others of its user that are due then.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_due", "due_at", postgresql_where=text("due_at IS NOT NULL"),
              sqlite_where=text("due_at IS NOT NULL")),
        Index("ix_outbox_failed", "failed_at", postgresql_where=text("failed_at IS NOT NULL"),
              sqlite_where=text("failed_at IS NOT NULL")),
        Index("ix_outbox_digest", "user_id", "due_at", postgresql_where=text("digest"),
              sqlite_where=text("digest = 1")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    message_id: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    reservation_id: Mapped[int | None] = mapped_column(ForeignKey("reservations.id"), index=True)
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    error: Mapped[str | None]
    sent_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    withheld_at: Mapped[datetime | None]
    digest: Mapped[bool] = mapped_column(server_default=text("false"))

    user: Mapped[User] = relationship()


class IdempotencyKey(Base):
    """The reservation that a client's ``Idempotency-Key`` made; ``fingerprint``: SHA-256 of the body."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("uq_idempotency_keys_user_key", "user_id", "key", unique=True),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    key: Mapped[str]
    fingerprint: Mapped[str]
    reservation_id: Mapped[int] = mapped_column(ForeignKey("reservations.id"))
    created_at: Mapped[datetime]
