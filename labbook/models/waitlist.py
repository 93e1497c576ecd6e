"""Who waits for what to become free."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from labbook.models.base import Base, Key
from labbook.models.equipment import Equipment
from labbook.models.facility import Facility
from labbook.models.project import ACTIVITY_CHECK, Project
from labbook.models.reservation import Reservation
from labbook.models.user import User


class WaitlistEntry(Base):
    """``places`` places of any one of the wanted equipment for ``duration`` seconds within
    ``[earliest, latest)``.

    ``mode``: ``offer`` it for a limited time, or ``book`` at once. ``state``: ``waiting``; ``offered``
    (``reservation`` holds the slot until it is taken, let go or lapses); ``taken``; ``lapsed`` (an offer
    was not answered); ``withdrawn``; ``ended`` (its time is over). ``due_at``: when to look next.
    """

    __tablename__ = "waitlist"
    __table_args__ = (
        CheckConstraint("mode IN ('offer','book')", name="mode"),
        CheckConstraint(
            "state IN ('waiting','offered','taken','lapsed','withdrawn','ended')", name="state"
        ),
        CheckConstraint("latest > earliest AND duration > 0 AND places >= 1", name="order"),
        CheckConstraint(ACTIVITY_CHECK, name="activity"),
        Index("ix_waitlist_due", "due_at", postgresql_where=text("due_at IS NOT NULL"),
              sqlite_where=text("due_at IS NOT NULL")),
        Index("ix_waitlist_user", "user_id", "state"),
        Index("ix_waitlist_facility", "facility_id", "state"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    facility_id: Mapped[int] = mapped_column(ForeignKey("facilities.id"))
    mode: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="waiting")
    earliest: Mapped[datetime]
    latest: Mapped[datetime]
    duration: Mapped[int]
    places: Mapped[int] = mapped_column(server_default="1")
    title: Mapped[str]
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    activity: Mapped[str]
    reservation_id: Mapped[int | None] = mapped_column(ForeignKey("reservations.id"), index=True)
    created_at: Mapped[datetime]
    offered_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    due_attempts: Mapped[int] = mapped_column(server_default="0")
    due_error: Mapped[str | None]

    user: Mapped[User] = relationship()
    facility: Mapped[Facility] = relationship()
    project: Mapped[Project | None] = relationship()
    reservation: Mapped[Reservation | None] = relationship()
    wants: Mapped[list[WaitlistWant]] = relationship(back_populates="entry", cascade="all, delete-orphan")


class WaitlistWant(Base):
    """One piece of equipment that would do."""

    __tablename__ = "waitlist_wants"

    entry_id: Mapped[int] = mapped_column(ForeignKey("waitlist.id"), primary_key=True)
    equipment_id: Mapped[int] = mapped_column(ForeignKey("equipment.id"), primary_key=True, index=True)

    entry: Mapped[WaitlistEntry] = relationship(back_populates="wants")
    equipment: Mapped[Equipment] = relationship()
