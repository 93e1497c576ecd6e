"""What happened to a reservation, append-only; free text lives beside it, where erasure can reach it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from labbook.models.base import Base, Key
from labbook.models.user import User


class Remark(Base):
    """Free text that a person wrote: a reason, a message. Erasing empties ``text``; the entry stays."""

    __tablename__ = "remarks"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    text: Mapped[str]


class HistoryEntry(Base):
    """Who, when, what, from what to what, and why.

    ``actor_id`` is None for the scheduler and for rules; ``rule`` then names it. ``old`` and ``new``
    hold only the fields that changed, and never free text. The database refuses updates and deletes.
    """

    __tablename__ = "history"
    __table_args__ = (Index("ix_history_reservation", "reservation_id", "id"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    reservation_id: Mapped[int] = mapped_column(ForeignKey("reservations.id"))
    at: Mapped[datetime]
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    rule: Mapped[str | None]
    action: Mapped[str]
    old: Mapped[dict[str, Any]]
    new: Mapped[dict[str, Any]]
    remark_id: Mapped[int | None] = mapped_column(ForeignKey("remarks.id"))

    actor: Mapped[User | None] = relationship()
    remark: Mapped[Remark | None] = relationship()


class Message(Base):
    """One entry of the thread on a reservation: a manager asks, the holder answers."""

    __tablename__ = "messages"
    __table_args__ = (Index("ix_messages_reservation", "reservation_id", "id"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    reservation_id: Mapped[int] = mapped_column(ForeignKey("reservations.id"))
    author_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    at: Mapped[datetime]
    remark_id: Mapped[int] = mapped_column(ForeignKey("remarks.id"))

    author: Mapped[User] = relationship()
    remark: Mapped[Remark] = relationship()
