"""What happens inside a long test: read-outs and visits in staffed time, and pauses of its clock."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from labbook.models.base import Base, Key
from labbook.models.history import Remark
from labbook.models.reservation import Reservation
from labbook.models.user import User


class Visit(Base):
    """Somebody comes to the running test: a ``readout`` after so many seconds of running, or a ``visit``.

    ``planned_at`` is laid into staffed time and moves with the pauses of the test, as long as it is not
    ``done_at``; one that somebody moved is ``fixed`` and stays while it can. ``staffed``: the lab has people
    there throughout. ``length`` in seconds. ``due_at`` is when the scheduler says so, None once it has; it
    has said so of the time in ``announced_for``.
    """

    __tablename__ = "visits"
    __table_args__ = (
        CheckConstraint("kind IN ('readout','visit')", name="kind"),
        CheckConstraint("length > 0", name="length"),
        Index("ix_visits_reservation", "reservation_id", "planned_at"),
        Index("ix_visits_due", "due_at", postgresql_where=text("due_at IS NOT NULL"),
              sqlite_where=text("due_at IS NOT NULL")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    reservation_id: Mapped[int] = mapped_column(ForeignKey("reservations.id"))
    kind: Mapped[str]
    after: Mapped[int | None]
    planned_at: Mapped[datetime]
    length: Mapped[int]
    fixed: Mapped[bool] = mapped_column(server_default=text("false"))
    staffed: Mapped[bool] = mapped_column(server_default=text("true"))
    remark_id: Mapped[int | None] = mapped_column(ForeignKey("remarks.id"))
    done_at: Mapped[datetime | None]
    done_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    dropped_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    announced_for: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    due_attempts: Mapped[int] = mapped_column(server_default="0")
    due_error: Mapped[str | None]

    reservation: Mapped[Reservation] = relationship()
    remark: Mapped[Remark | None] = relationship()
    done_by: Mapped[User | None] = relationship()


class Pause(Base):
    """The test stood still over ``[starts_at, ends_at)``, or still does: nothing accrues meanwhile."""

    __tablename__ = "pauses"
    __table_args__ = (
        CheckConstraint("ends_at > starts_at", name="order"),
        Index("ix_pauses_reservation", "reservation_id", "starts_at"),
        Index("uq_pauses_open", "reservation_id", unique=True,
              postgresql_where=text("ends_at IS NULL"), sqlite_where=text("ends_at IS NULL")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    reservation_id: Mapped[int] = mapped_column(ForeignKey("reservations.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    remark_id: Mapped[int | None] = mapped_column(ForeignKey("remarks.id"))

    reservation: Mapped[Reservation] = relationship()
    remark: Mapped[Remark | None] = relationship()
