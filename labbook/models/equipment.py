"""Equipment, its places, and what it draws and asks for."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from labbook.models.base import Base, Key
from labbook.models.facility import Facility, Room, Utility
from labbook.models.user import QualificationKind


class Equipment(Base):
    """A bookable item. Durations are whole seconds; ``decision`` None means "no deadline".

    ``capabilities`` maps a name to ``{"text", "low", "high", "unit"}`` (``domain.capability``).
    ``calibration_interval`` is an ISO 8601 duration; None means that none is needed. ``timing`` holds what
    it says of reminders and grace otherwise than its facility (``domain.timing``).
    """

    __tablename__ = "equipment"
    __table_args__ = (
        CheckConstraint("state IN ('in_service','out_of_service','retired')", name="state"),
        CheckConstraint("approval IN ('manager','automatic')", name="approval"),
        CheckConstraint("check_in IN ('none','required')", name="check_in"),
        CheckConstraint("places >= 1", name="places"),
        CheckConstraint("setup >= 0 AND teardown >= 0", name="buffers"),
        Index("ix_equipment_facility", "facility_id", "slug"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facilities.id"))
    room_id: Mapped[int | None] = mapped_column(ForeignKey("rooms.id"))
    name: Mapped[dict[str, str]]
    category: Mapped[str] = mapped_column(index=True)
    description: Mapped[dict[str, str]]
    maker: Mapped[str] = mapped_column(server_default="")
    type: Mapped[str] = mapped_column(server_default="")
    serial: Mapped[str] = mapped_column(server_default="")
    documents: Mapped[list[str]]
    portable: Mapped[bool] = mapped_column(server_default=text("false"))
    places: Mapped[int] = mapped_column(server_default="1")
    pool: Mapped[bool] = mapped_column(server_default=text("false"))
    attended: Mapped[bool] = mapped_column(server_default=text("false"))
    setup: Mapped[int] = mapped_column(server_default="0")
    teardown: Mapped[int] = mapped_column(server_default="0")
    approval: Mapped[str] = mapped_column(server_default="manager")
    check_in: Mapped[str] = mapped_column(server_default="none")
    state: Mapped[str] = mapped_column(server_default="in_service")
    capabilities: Mapped[dict[str, Any]]
    parallel: Mapped[bool] = mapped_column(server_default=text("false"))
    hazards: Mapped[list[str]]
    calibration_interval: Mapped[str | None]
    calibrated_on: Mapped[date | None]
    slot_shortest: Mapped[int] = mapped_column(server_default="900")
    slot_longest: Mapped[int] = mapped_column(server_default="7776000")
    slot_grid: Mapped[int] = mapped_column(server_default="900")
    slot_lead: Mapped[int] = mapped_column(server_default="0")
    slot_horizon: Mapped[int] = mapped_column(server_default="31536000")
    slot_grace: Mapped[int] = mapped_column(server_default="1800")
    slot_decision: Mapped[int | None]
    timing: Mapped[dict[str, Any]] = mapped_column(server_default="{}", default=dict)

    facility: Mapped[Facility] = relationship()
    room: Mapped[Room | None] = relationship()
    place_rows: Mapped[list[Place]] = relationship(back_populates="equipment", order_by="Place.number")
    """Every place there ever was; what may be taken now is ``current_places``."""
    draws: Mapped[list[EquipmentDraw]] = relationship(
        back_populates="equipment", cascade="all, delete-orphan"
    )
    qualifications: Mapped[list[EquipmentQualification]] = relationship(
        back_populates="equipment", cascade="all, delete-orphan"
    )

    @property
    def current_places(self) -> list[Place]:
        return [place for place in self.place_rows if place.number <= self.places]


class Place(Base):
    """What is really occupied. Places are numbered from 1; those above ``Equipment.places`` are history."""

    __tablename__ = "places"
    __table_args__ = (Index("uq_places_equipment_number", "equipment_id", "number", unique=True),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    equipment_id: Mapped[int] = mapped_column(ForeignKey("equipment.id"))
    number: Mapped[int]

    equipment: Mapped[Equipment] = relationship(back_populates="place_rows")


class EquipmentDraw(Base):
    """What one occupied place draws from a utility, in thousandths of the utility's unit."""

    __tablename__ = "equipment_draws"

    equipment_id: Mapped[int] = mapped_column(ForeignKey("equipment.id"), primary_key=True)
    utility_id: Mapped[int] = mapped_column(ForeignKey("utilities.id"), primary_key=True)
    amount: Mapped[int] = mapped_column(BigInteger)

    equipment: Mapped[Equipment] = relationship(back_populates="draws")
    utility: Mapped[Utility] = relationship()


class EquipmentQualification(Base):
    __tablename__ = "equipment_qualifications"

    equipment_id: Mapped[int] = mapped_column(ForeignKey("equipment.id"), primary_key=True)
    kind_id: Mapped[int] = mapped_column(ForeignKey("qualification_kinds.id"), primary_key=True)

    equipment: Mapped[Equipment] = relationship(back_populates="qualifications")
    kind: Mapped[QualificationKind] = relationship()
