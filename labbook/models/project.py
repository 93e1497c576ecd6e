"""Projects: what a reservation is charged to, and who else may see it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from labbook.models.base import Base, Key
from labbook.models.organisation import Organisation
from labbook.models.user import User

ACTIVITIES = ("economic", "collaboration", "research", "teaching", "maintenance")
ACTIVITY_CHECK = "activity IN ('economic','collaboration','research','teaching','maintenance')"


class Project(Base):
    """Charged and described; its members may come from several organisations."""

    __tablename__ = "projects"
    __table_args__ = (CheckConstraint(ACTIVITY_CHECK, name="activity"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), index=True)
    activity: Mapped[str]
    account_reference: Mapped[str] = mapped_column(server_default="")
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime]

    organisation: Mapped[Organisation] = relationship()
    members: Mapped[list[ProjectMember]] = relationship(
        back_populates="project", cascade="all, delete-orphan"
    )


class ProjectMember(Base):
    __tablename__ = "project_members"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)

    project: Mapped[Project] = relationship(back_populates="members")
    user: Mapped[User] = relationship()
