"""Test environments: versioned recipes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from labbook.models.base import Base, Key
from labbook.models.facility import Facility


class Environment(Base):
    """A recipe; what it says stands in its versions, of which the newest is current."""

    __tablename__ = "environments"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facilities.id"), index=True)
    version: Mapped[int] = mapped_column(server_default="1")

    facility: Mapped[Facility] = relationship()
    versions: Mapped[list[EnvironmentVersion]] = relationship(
        back_populates="environment", order_by="EnvironmentVersion.number"
    )


class EnvironmentVersion(Base):
    """One state of a recipe; reservations keep the number they were made with.

    ``needs``: ``[{"equipment": slug} | {"category": c, "capabilities": {name: range}}, "count", "places"]``.
    ``setup``, ``teardown`` in seconds, None for "the longest of its parts'". ``draws`` maps the slug of a
    utility to thousandths of its unit, instead of the sum of the parts'. ``readouts``: after how many seconds
    of running the test is read out.
    """

    __tablename__ = "environment_versions"
    __table_args__ = (
        Index("uq_environment_versions_environment_number", "environment_id", "number", unique=True),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id"))
    number: Mapped[int]
    name: Mapped[dict[str, str]]
    setup: Mapped[int | None]
    teardown: Mapped[int | None]
    ambient: Mapped[dict[str, Any]]
    draws: Mapped[dict[str, Any]]
    permit: Mapped[bool] = mapped_column(server_default=text("false"))
    readouts: Mapped[list[int]] = mapped_column(JSON, server_default="[]", default=list)
    needs: Mapped[list[dict[str, Any]]] = mapped_column(JSON)

    environment: Mapped[Environment] = relationship(back_populates="versions")
