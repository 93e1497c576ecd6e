"""What somebody wants to hear of and how, and which invitations their calendar has had."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from labbook.models.base import Base


class NotificationPreference(Base):
    """``topic`` groups kinds of messages (``domain.notification``); without a row its default holds."""

    __tablename__ = "notification_preferences"
    __table_args__ = (CheckConstraint("mode IN ('at_once','daily','never')", name="mode"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    topic: Mapped[str] = mapped_column(primary_key=True)
    mode: Mapped[str]


class SentInvitation(Base):
    """The newest state of a reservation that somebody's calendar was sent by mail.

    ``method`` is ``REQUEST`` or ``CANCEL``; ``sequence`` grows with every one that is sent. ``fingerprint``
    is what it showed, ``revision`` the reservation's when that was last compared: nothing new is sent while
    the one is the same, nothing is looked at while the other is. ``starts_at`` and ``ends_at`` are the times
    that were sent, which a ``CANCEL`` repeats.
    """

    __tablename__ = "sent_invitations"
    __table_args__ = (
        CheckConstraint("method IN ('REQUEST','CANCEL')", name="method"),
        Index("ix_sent_invitations_open", "ends_at",
              postgresql_where=text("method = 'REQUEST'"), sqlite_where=text("method = 'REQUEST'")),
    )  # fmt: skip

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    reservation_id: Mapped[int] = mapped_column(ForeignKey("reservations.id"), primary_key=True, index=True)
    sequence: Mapped[int]
    method: Mapped[str]
    fingerprint: Mapped[str]
    revision: Mapped[int]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    sent_at: Mapped[datetime]
