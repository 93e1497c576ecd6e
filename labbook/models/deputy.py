"""Who stands in for a manager, and when."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from labbook.models.base import Base, Key
from labbook.models.user import User


class Deputy(Base):
    """``deputy`` may do at the facility what ``manager`` may, over ``[starts_at, ends_at)``."""

    __tablename__ = "deputies"
    __table_args__ = (
        CheckConstraint("ends_at > starts_at", name="order"),
        CheckConstraint("deputy_id <> manager_id", name="another"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facilities.id"), index=True)
    manager_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    deputy_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    created_at: Mapped[datetime]

    manager: Mapped[User] = relationship(foreign_keys=manager_id)
    deputy: Mapped[User] = relationship(foreign_keys=deputy_id)
