"""What of the catalogue is stored already, and what of it is reserved, in a constant number of queries."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, union_all
from sqlalchemy.orm import Session, joinedload, selectinload

from labbook.formats.catalogue_entries import Known, KnownEquipment, KnownFacility, KnownUtility
from labbook.models import (
    Allocation,
    Draw,
    Environment,
    Equipment,
    EquipmentDraw,
    EquipmentQualification,
    Facility,
    Place,
    Utility,
)


class Stored:
    """Every entry by slug, with the locks taken in the one order: equipment by id, then utilities by id."""

    def __init__(self, session: Session) -> None:
        self.equipment = {
            row.slug: row
            for row in session.scalars(
                select(Equipment)
                .order_by(Equipment.id)
                .with_for_update(key_share=True, of=Equipment)
                .execution_options(populate_existing=True)
                .options(
                    joinedload(Equipment.facility, innerjoin=True),
                    joinedload(Equipment.room),
                    selectinload(Equipment.place_rows),
                    selectinload(Equipment.draws).joinedload(EquipmentDraw.utility, innerjoin=True),
                    selectinload(Equipment.qualifications).joinedload(
                        EquipmentQualification.kind, innerjoin=True
                    ),
                )
            )
        }
        self.utilities = {
            row.slug: row
            for row in session.scalars(
                select(Utility)
                .order_by(Utility.id)
                .with_for_update(key_share=True, of=Utility)
                .execution_options(populate_existing=True)
                .options(joinedload(Utility.facility, innerjoin=True))
            )
        }
        self.facilities = {
            row.slug: row
            for row in session.scalars(
                select(Facility).order_by(Facility.id).options(selectinload(Facility.rooms))
            )
        }
        self.environments = {
            row.slug: row
            for row in session.scalars(
                select(Environment)
                .order_by(Environment.id)
                .options(joinedload(Environment.facility, innerjoin=True), selectinload(Environment.versions))
            )
        }

    def known(self, session: Session, now: datetime) -> Known:
        reserved = reserved_places(session, now)
        drawn = greatest_draws(session)
        return Known(
            facilities={
                slug: KnownFacility(frozenset(room.slug for room in row.rooms))
                for slug, row in self.facilities.items()
            },
            utilities={
                slug: KnownUtility(row.facility.slug, row.unit, drawn.get(row.id, 0))
                for slug, row in self.utilities.items()
            },
            equipment={
                slug: KnownEquipment(
                    row.facility.slug,
                    row.category,
                    row.places,
                    row.capabilities,
                    row.parallel,
                    reserved.get(row.id, 0),
                )
                for slug, row in self.equipment.items()
            },
            environments={slug: row.facility.slug for slug, row in self.environments.items()},
        )


def reserved_places(session: Session, now: datetime) -> dict[int, int]:
    """Equipment id -> the highest number of a place that is reserved from ``now`` on."""
    rows = session.execute(
        select(Place.equipment_id, func.max(Place.number))
        .join(Allocation, Allocation.place_id == Place.id)
        .where(Allocation.blocking, Allocation.ends_at > now)
        .group_by(Place.equipment_id)
    )
    return dict(rows.all())


def greatest_draws(session: Session) -> dict[int, int]:
    """Utility id -> the greatest sum that is drawn at any instant.

    A running total over the edges of all draws; where one ends as another begins, the end comes first.
    """
    edges = union_all(
        select(Draw.utility_id, Draw.starts_at.label("at"), Draw.amount.label("change")).where(Draw.blocking),
        select(Draw.utility_id, Draw.ends_at, -Draw.amount).where(Draw.blocking),
    ).subquery()
    running = select(
        edges.c.utility_id,
        func.sum(edges.c.change)
        .over(partition_by=edges.c.utility_id, order_by=(edges.c.at, edges.c.change))
        .label("total"),
    ).subquery()
    rows = session.execute(
        select(running.c.utility_id, func.max(running.c.total)).group_by(running.c.utility_id)
    )
    return {utility_id: int(total) for utility_id, total in rows.all()}
