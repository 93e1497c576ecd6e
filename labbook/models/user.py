"""People, their roles, and what they are trained for."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from labbook.models.base import Base, Key
from labbook.models.organisation import Organisation

ROLES = ("engineer", "technician", "manager", "admin")


class User(Base):
    """A person of one organisation.

    ``password_hash`` is None until an invitation was accepted. ``session_epoch`` grows when
    every session must end (password changed, deactivated); sessions carry the number they began with.
    ``calendar_by``: whether their calendar learns of reservations by feed or by invitations in mail, one of
    the two. ``kiosk_code_hash``: SHA-256 of the code by which a kiosk knows them. ``mail_refused_at`` and
    ``mail_refusal``: when and how their mail server refused a message for good.
    """

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("role IN ('engineer','technician','manager','admin')", name="role"),
        CheckConstraint("email = lower(email)", name="email_lower"),
        CheckConstraint("calendar_by IN ('feed','invitation')", name="calendar_by"),
        Index("uq_users_kiosk_code_hash", "kiosk_code_hash", unique=True),
        # Looked at every few seconds, and mostly for nothing.
        Index("ix_users_invited", "id", postgresql_where=text("calendar_by = 'invitation'"),
              sqlite_where=text("calendar_by = 'invitation'")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), index=True)
    role: Mapped[str]
    locale: Mapped[str] = mapped_column(server_default="en")
    password_hash: Mapped[str | None]
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    calendar_by: Mapped[str] = mapped_column(server_default="feed")
    kiosk_code_hash: Mapped[str | None]
    mail_refused_at: Mapped[datetime | None]
    mail_refusal: Mapped[str | None]
    session_epoch: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime]

    organisation: Mapped[Organisation] = relationship()
    facilities: Mapped[list[StaffMembership]] = relationship(
        back_populates="user", cascade="all, delete-orphan"
    )


class StaffMembership(Base):
    """A technician or manager belongs to named facilities."""

    __tablename__ = "staff_memberships"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facilities.id"), primary_key=True, index=True)

    user: Mapped[User] = relationship(back_populates="facilities")


class QualificationKind(Base):
    """A training or instruction; made when the catalogue first names it."""

    __tablename__ = "qualification_kinds"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)


class Qualification(Base):
    """A user holds a qualification, until a date (inclusive) or for good."""

    __tablename__ = "qualifications"
    __table_args__ = (Index("ix_qualifications_user", "user_id", "kind_id", unique=True),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    kind_id: Mapped[int] = mapped_column(ForeignKey("qualification_kinds.id"))
    valid_until: Mapped[date | None]
    granted_by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    granted_at: Mapped[datetime]
