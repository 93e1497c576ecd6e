"""Test environments: versioned recipes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from labbook.models.base import Base, Key
from labbook.models.facility import Facility


class Environment(Base):
    """A recipe; what it says stands in its versions, of which the newest is current.

    ``organisation_id`` None: the lab's own, which everybody sees. Otherwise somebody's of that organisation
    (``owner_id``), who saved what they had asked for: nobody else's to see, apart from the facility's staff.
    ``open_from``: the version from which on its history is everybody's; what somebody's own recipe was before
    it was published stays theirs. ``retired_at``: not to be booked any more.
    """

    __tablename__ = "environments"
    __table_args__ = (Index("ix_environments_organisation", "organisation_id"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facilities.id"), index=True)
    version: Mapped[int] = mapped_column(server_default="1")
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisations.id"))
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    open_from: Mapped[int] = mapped_column(server_default="1")
    retired_at: Mapped[datetime | None]

    facility: Mapped[Facility] = relationship()
    versions: Mapped[list[EnvironmentVersion]] = relationship(
        back_populates="environment", order_by="EnvironmentVersion.number"
    )


class EnvironmentVersion(Base):
    """One state of a recipe; reservations keep the number they were made with.

    ``needs``: ``[{"equipment": slug} | {"category": c, "capabilities": {name: range}}, "count", "places"]``;
    ``"whole": true`` instead of ``places`` takes every place that the piece has.
    ``setup``, ``teardown`` in seconds, None for "the longest of its parts'". ``draws`` maps the slug of a
    utility to thousandths of its unit, instead of the sum of the parts'. ``readouts``: after how many seconds
    of running the test is read out.

    ``staffing``: ``attended`` (within staffed hours only), ``unattended`` (then ``on_call`` says who comes
    and ``safe_state`` what the set-up falls into), None for "as its parts say". ``run``: how many seconds of
    use it usually takes, None where that differs. ``qualifications`` and
    ``hazards`` are codes, in addition to its parts'. ``note``: what this version changed, by
    ``created_by_id``.
    """

    __tablename__ = "environment_versions"
    __table_args__ = (
        CheckConstraint("staffing IN ('attended','unattended')", name="staffing"),
        Index("uq_environment_versions_environment_number", "environment_id", "number", unique=True),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id"))
    number: Mapped[int]
    name: Mapped[dict[str, str]]
    setup: Mapped[int | None]
    teardown: Mapped[int | None]
    run: Mapped[int | None]
    ambient: Mapped[dict[str, Any]]
    draws: Mapped[dict[str, Any]]
    permit: Mapped[bool] = mapped_column(server_default=text("false"))
    readouts: Mapped[list[int]] = mapped_column(JSON, server_default="[]", default=list)
    needs: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    description: Mapped[dict[str, str]] = mapped_column(server_default="{}", default=dict)
    staffing: Mapped[str | None]
    on_call: Mapped[str] = mapped_column(server_default="")
    safe_state: Mapped[str] = mapped_column(server_default="")
    qualifications: Mapped[list[str]] = mapped_column(JSON, server_default="[]", default=list)
    hazards: Mapped[list[str]] = mapped_column(JSON, server_default="[]", default=list)
    note: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime | None]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    environment: Mapped[Environment] = relationship(back_populates="versions")
