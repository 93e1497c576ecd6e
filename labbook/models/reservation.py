"""Reservations, the pieces they are made of, the places they occupy, and changes not yet decided."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    FetchedValue,
    ForeignKey,
    Index,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from labbook.domain.reservation import BLOCKING, Status
from labbook.models.base import Base, Key
from labbook.models.environment import EnvironmentVersion
from labbook.models.equipment import Equipment, Place
from labbook.models.facility import Facility, Utility
from labbook.models.organisation import Organisation
from labbook.models.project import ACTIVITY_CHECK, Project
from labbook.models.user import User

_STATUSES = ",".join(f"'{status}'" for status in Status)
BLOCKING_SQL = "status IN (" + ",".join(f"'{status}'" for status in sorted(BLOCKING)) + ")"


class Reservation(Base):
    """Equipment over one period for one project, with a status and a history.

    ``starts_at``/``ends_at`` are the time of use; ``occupied_from``/``occupied_until`` include set-up and
    tear-down, and end early when the rest was given back. ``public_id`` is what the outside sees.
    ``revision`` grows with every change (optimistic concurrency). ``due_at`` is when the scheduler must act
    next, None for never. ``overridden`` lists the problem codes a manager set aside.

    ``timing`` is what the equipment said of reminders and grace when it was booked (``domain.timing``),
    ``taken`` the steps of the scheduler that are behind it. ``hold``: an ``option`` of a manager for
    ``customer``, or an ``offer`` to somebody on the waitlist; both are requests that lapse at ``decide_by``.
    ``displaced_since``: what overran before it still stands on its place; ``freed_at``: since when nothing
    of the lab's keeps its people waiting any more. ``grow_at``: when an overrun's occupation grows next.
    ``permit_required``: nothing may be energised until ``permit_signed_at``.

    ``needs`` (as in ``EnvironmentVersion``) and ``ambient`` are what was asked for without a recipe.
    ``draws_stated``: utility -> thousandths of its unit that a manager stated instead of what was reckoned.
    """

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint(f"status IN ({_STATUSES})", name="status"),
        CheckConstraint("kind IN ('booking','block')", name="kind"),
        CheckConstraint("hold IN ('option','offer')", name="hold"),
        CheckConstraint(ACTIVITY_CHECK, name="activity"),
        CheckConstraint("ends_at > starts_at", name="order"),
        CheckConstraint("occupied_from <= starts_at AND occupied_until > occupied_from", name="occupied"),
        Index("ix_reservations_due", "due_at", postgresql_where=text("due_at IS NOT NULL"),
              sqlite_where=text("due_at IS NOT NULL")),
        Index("ix_reservations_put_aside", "facility_id", "due_at",
              postgresql_where=text("due_error IS NOT NULL"), sqlite_where=text("due_error IS NOT NULL")),
        Index("ix_reservations_holder", "holder_id", "occupied_until"),
        Index("ix_reservations_organisation", "organisation_id", "occupied_until"),
        Index("ix_reservations_project", "project_id", "occupied_until"),
        Index("ix_reservations_facility", "facility_id", "status", "occupied_until"),
        Index("ix_reservations_requested_by", "requested_by_id", "occupied_until"),
        Index("ix_reservations_start", "starts_at", "public_id"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facilities.id"))
    kind: Mapped[str] = mapped_column(server_default="booking")
    status: Mapped[str]
    title: Mapped[str]
    notes: Mapped[str] = mapped_column(server_default="")
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    occupied_from: Mapped[datetime]
    occupied_until: Mapped[datetime]
    expected_end: Mapped[datetime | None]
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    activity: Mapped[str]
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"))
    holder_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    requested_by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    environment_version_id: Mapped[int | None] = mapped_column(ForeignKey("environment_versions.id"))
    traceable: Mapped[bool] = mapped_column(server_default=text("false"))
    check_in: Mapped[str] = mapped_column(server_default="none")
    grace: Mapped[int] = mapped_column(server_default="1800")
    overridden: Mapped[list[str]]
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    approved_at: Mapped[datetime | None]
    checked_in_at: Mapped[datetime | None]
    checked_out_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    flagged_at: Mapped[datetime | None]
    overrun_since: Mapped[datetime | None]
    cancel_cause: Mapped[str | None]
    decide_by: Mapped[datetime | None]
    timing: Mapped[dict[str, Any]] = mapped_column(server_default="{}", default=dict)
    taken: Mapped[list[str]] = mapped_column(server_default="[]", default=list)
    hold: Mapped[str | None]
    customer: Mapped[str] = mapped_column(server_default="")
    displaced_since: Mapped[datetime | None]
    freed_at: Mapped[datetime | None]
    grow_at: Mapped[datetime | None]
    permit_required: Mapped[bool] = mapped_column(server_default=text("false"))
    permit_signed_at: Mapped[datetime | None]
    permit_signed_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    needs: Mapped[list[dict[str, Any]]] = mapped_column(JSON, server_default="[]", default=list)
    ambient: Mapped[dict[str, Any]] = mapped_column(server_default="{}", default=dict)
    draws_stated: Mapped[dict[str, Any]] = mapped_column(server_default="{}", default=dict)
    due_at: Mapped[datetime | None]
    due_attempts: Mapped[int] = mapped_column(server_default="0")
    due_error: Mapped[str | None]
    revision: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]

    facility: Mapped[Facility] = relationship()
    organisation: Mapped[Organisation] = relationship()
    project: Mapped[Project | None] = relationship()
    holder: Mapped[User] = relationship(foreign_keys=holder_id)
    requested_by: Mapped[User] = relationship(foreign_keys=requested_by_id)
    environment_version: Mapped[EnvironmentVersion | None] = relationship()
    pieces: Mapped[list[Piece]] = relationship(back_populates="reservation", cascade="all, delete-orphan")
    allocations: Mapped[list[Allocation]] = relationship(
        back_populates="reservation", cascade="all, delete-orphan"
    )
    draws: Mapped[list[Draw]] = relationship(back_populates="reservation", cascade="all, delete-orphan")
    participants: Mapped[list[Participant]] = relationship(
        back_populates="reservation", cascade="all, delete-orphan"
    )
    changes: Mapped[list[Change]] = relationship(back_populates="reservation", order_by="Change.id")


class Piece(Base):
    """A reservation takes ``places`` places of a piece of equipment."""

    __tablename__ = "pieces"
    __table_args__ = (CheckConstraint("places >= 1", name="places"),)

    reservation_id: Mapped[int] = mapped_column(ForeignKey("reservations.id"), primary_key=True)
    equipment_id: Mapped[int] = mapped_column(ForeignKey("equipment.id"), primary_key=True, index=True)
    places: Mapped[int]

    reservation: Mapped[Reservation] = relationship(back_populates="pieces")
    equipment: Mapped[Equipment] = relationship()


class Participant(Base):
    """May check in, extend and hand back."""

    __tablename__ = "participants"

    reservation_id: Mapped[int] = mapped_column(ForeignKey("reservations.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)

    reservation: Mapped[Reservation] = relationship(back_populates="participants")
    user: Mapped[User] = relationship()


class Allocation(Base):
    """One place, occupied over ``[starts_at, ends_at)``: the rows the overlap guard watches.

    ``blocking`` is derived by the database from the reservation's status (``models.guards``), which
    overrules whatever else is written. A row with ``change_id`` is what an undecided change holds in
    addition. ``opaque_id``, ``sequence`` and ``changed_at`` are what a stranger's calendar shows of it; they
    change with the interval and with nothing else.
    """

    __tablename__ = "allocations"
    __table_args__ = (
        CheckConstraint("ends_at > starts_at", name="order"),
        Index("ix_allocations_place", "place_id", "starts_at", "ends_at",
              postgresql_where=text("blocking"), sqlite_where=text("blocking = 1")),
        # What is over: read by a window bounded from below by the longest span of the place.
        Index("ix_allocations_past", "place_id", "starts_at", "ends_at",
              postgresql_where=text("NOT blocking"), sqlite_where=text("blocking = 0")),
        Index("ix_allocations_past_span", "place_id", text("(ends_at - starts_at)"),
              postgresql_where=text("NOT blocking"), sqlite_where=text("blocking = 0")),
        Index("ix_allocations_reservation", "reservation_id"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    reservation_id: Mapped[int] = mapped_column(ForeignKey("reservations.id"))
    change_id: Mapped[int | None] = mapped_column(ForeignKey("changes.id"), index=True)
    place_id: Mapped[int] = mapped_column(ForeignKey("places.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    blocking: Mapped[bool] = mapped_column(server_default=text("false"), server_onupdate=FetchedValue())
    opaque_id: Mapped[str] = mapped_column(unique=True)
    sequence: Mapped[int] = mapped_column(server_default="0")
    changed_at: Mapped[datetime]

    reservation: Mapped[Reservation] = relationship(back_populates="allocations")
    place: Mapped[Place] = relationship()


class Draw(Base):
    """What a reservation draws from a utility over ``[starts_at, ends_at)``, guarded like an allocation."""

    __tablename__ = "draws"
    __table_args__ = (
        CheckConstraint("ends_at > starts_at", name="order"),
        CheckConstraint("amount > 0", name="amount"),
        Index("ix_draws_utility", "utility_id", "starts_at", "ends_at",
              postgresql_where=text("blocking"), sqlite_where=text("blocking = 1")),
        Index("ix_draws_reservation", "reservation_id"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    reservation_id: Mapped[int] = mapped_column(ForeignKey("reservations.id"))
    change_id: Mapped[int | None] = mapped_column(ForeignKey("changes.id"), index=True)
    utility_id: Mapped[int] = mapped_column(ForeignKey("utilities.id"))
    amount: Mapped[int] = mapped_column(BigInteger)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    blocking: Mapped[bool] = mapped_column(server_default=text("false"), server_onupdate=FetchedValue())

    reservation: Mapped[Reservation] = relationship(back_populates="draws")
    utility: Mapped[Utility] = relationship()


class Change(Base):
    """A material change not yet decided: the holder's (a change request) or a manager's (a proposal).

    While open it holds only what it adds: allocations and draws with its ``change_id``.
    ``pieces`` is ``[{"equipment_id": n, "slug": s, "places": k}]``.
    """

    __tablename__ = "changes"
    __table_args__ = (
        CheckConstraint("kind IN ('change','proposal')", name="kind"),
        CheckConstraint("state IN ('open','accepted','declined','withdrawn','lapsed')", name="state"),
        CheckConstraint("ends_at > starts_at", name="order"),
        Index("uq_changes_open", "reservation_id", unique=True,
              postgresql_where=text("state = 'open'"), sqlite_where=text("state = 'open'")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    reservation_id: Mapped[int] = mapped_column(ForeignKey("reservations.id"))
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="open")
    proposed_by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    pieces: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    overridden: Mapped[list[str]]
    created_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    reservation: Mapped[Reservation] = relationship(back_populates="changes")
    proposed_by: Mapped[User] = relationship(foreign_keys=proposed_by_id)
