"""Tablets beside the equipment, faults reported there, and words passed on to whoever is not named."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from labbook.models.base import Base, Key
from labbook.models.equipment import Equipment
from labbook.models.history import Remark
from labbook.models.organisation import Organisation
from labbook.models.reservation import Reservation
from labbook.models.user import User


class KioskDevice(Base):
    """A tablet at one piece of equipment. It is nobody: it sees in full only what is ``organisation``'s."""

    __tablename__ = "kiosk_devices"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    equipment_id: Mapped[int] = mapped_column(ForeignKey("equipment.id"), index=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"))
    name: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    equipment: Mapped[Equipment] = relationship()
    organisation: Mapped[Organisation] = relationship()


class FaultReport(Base):
    """Somebody says that equipment does not work; staff close it when it does again."""

    __tablename__ = "fault_reports"
    __table_args__ = (
        CheckConstraint("severity IN ('unusable','impaired','note')", name="severity"),
        Index("ix_fault_reports_equipment", "equipment_id", "closed_at"),
        Index("ix_fault_reports_reporter", "reported_by_id", "at"),
        Index("ix_fault_reports_device", "device_id", "at"),
        Index("ix_fault_reports_open", "at", postgresql_where=text("closed_at IS NULL"),
              sqlite_where=text("closed_at IS NULL")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    equipment_id: Mapped[int] = mapped_column(ForeignKey("equipment.id"))
    reported_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    device_id: Mapped[int | None] = mapped_column(ForeignKey("kiosk_devices.id"))
    severity: Mapped[str]
    remark_id: Mapped[int] = mapped_column(ForeignKey("remarks.id"))
    at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    equipment: Mapped[Equipment] = relationship()
    reported_by: Mapped[User | None] = relationship(foreign_keys=reported_by_id)
    closed_by: Mapped[User | None] = relationship(foreign_keys=closed_by_id)
    remark: Mapped[Remark] = relationship()


class Relay(Base):
    """Words for the people of whatever occupies the equipment, who stay unnamed, as does the sender.

    ``matter`` is coded (``alarm``, ``leak``, ``smell``, ``noise``, ``other``). The answer goes back the
    same way. ``reservation_id`` where it went to the people of exactly one.
    """

    __tablename__ = "relays"
    __table_args__ = (
        Index("ix_relays_equipment", "equipment_id", "at"),
        Index("ix_relays_sender", "sender_id", "at"),
        Index("ix_relays_device", "device_id", "at"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    equipment_id: Mapped[int] = mapped_column(ForeignKey("equipment.id"))
    reservation_id: Mapped[int | None] = mapped_column(ForeignKey("reservations.id"), index=True)
    sender_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    device_id: Mapped[int | None] = mapped_column(ForeignKey("kiosk_devices.id"))
    matter: Mapped[str]
    remark_id: Mapped[int | None] = mapped_column(ForeignKey("remarks.id"))
    at: Mapped[datetime]
    answer_id: Mapped[int | None] = mapped_column(ForeignKey("remarks.id"))
    answered_at: Mapped[datetime | None]
    answered_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    equipment: Mapped[Equipment] = relationship()
    reservation: Mapped[Reservation | None] = relationship()
    remark: Mapped[Remark | None] = relationship(foreign_keys=remark_id)
    answer: Mapped[Remark | None] = relationship(foreign_keys=answer_id)


class RelayReceiver(Base):
    """Who was told, and may answer: fixed when it was passed on, whatever becomes of the reservation."""

    __tablename__ = "relay_receivers"

    relay_id: Mapped[int] = mapped_column(ForeignKey("relays.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
