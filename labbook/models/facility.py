"""Facilities with their rooms, closures, shared utilities, and a counter of what changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from labbook.models.base import Base, Key


class Facility(Base):
    """A laboratory.

    ``staffed`` maps a weekday (``mon``…``sun``) to ranges of wall time, ``[["08:00", "12:00"], …]``;
    a missing day is unstaffed. ``example`` says that its data are an example and no inventory. ``timing``:
    what holds of reminders and grace for all its equipment (``domain.timing``).
    """

    __tablename__ = "facilities"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[dict[str, str]]
    time_zone: Mapped[str]
    country: Mapped[str | None]
    staffed: Mapped[dict[str, Any]]
    duty_phone: Mapped[str | None]
    example: Mapped[bool] = mapped_column(server_default=text("false"))
    timing: Mapped[dict[str, Any]] = mapped_column(server_default="{}", default=dict)

    rooms: Mapped[list[Room]] = relationship(back_populates="facility", order_by="Room.position")


class Room(Base):
    __tablename__ = "rooms"
    __table_args__ = (Index("uq_rooms_facility_slug", "facility_id", "slug", unique=True),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facilities.id"))
    slug: Mapped[str]
    position: Mapped[int] = mapped_column(server_default="0")

    facility: Mapped[Facility] = relationship(back_populates="rooms")


class Closure(Base):
    """``unstaffed`` hinders attended use only; a ``shutdown`` refuses everything."""

    __tablename__ = "closures"
    __table_args__ = (
        CheckConstraint("kind IN ('unstaffed','shutdown')", name="kind"),
        CheckConstraint("ends_at > starts_at", name="order"),
        Index("ix_closures_facility", "facility_id", "starts_at"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facilities.id"))
    kind: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(server_default="")


class Utility(Base):
    """A shared, additive budget. ``capacity`` counts thousandths of ``unit`` (250 kVA = 250000)."""

    __tablename__ = "utilities"
    __table_args__ = (CheckConstraint("capacity >= 0", name="capacity"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facilities.id"), index=True)
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[dict[str, str]]
    capacity: Mapped[int] = mapped_column(BigInteger)
    unit: Mapped[str]

    facility: Mapped[Facility] = relationship()


class ChangeCounter(Base):
    """Grows with every committed change that a calendar of the facility may show.

    Feeds and timelines compare it instead of reading reservations again. Bumped last in
    its transaction, so that writers hold it for as short as can be.
    """

    __tablename__ = "change_counters"

    facility_id: Mapped[int] = mapped_column(
        ForeignKey("facilities.id"), primary_key=True, autoincrement=False
    )
    number: Mapped[int] = mapped_column(BigInteger, server_default="0")
