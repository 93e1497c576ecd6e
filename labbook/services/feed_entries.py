"""What a subscriber's calendar holds: each reservation in full or as busy blocks, never more.

Rows rather than objects are read, in a number of queries that doesn't depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Row, Select, and_, false, func, not_, or_, select
from sqlalchemy.orm import Session

from labbook.domain.access import Role, Viewer
from labbook.domain.reservation import Status
from labbook.domain.visibility import scope_of
from labbook.formats.feed_words import FeedWords, localised, words
from labbook.formats.icalendar import CalendarEntry, CalendarHead, EntryStatus, unattended
from labbook.models import (
    Allocation,
    Change,
    Environment,
    EnvironmentVersion,
    Equipment,
    Facility,
    Organisation,
    Participant,
    Piece,
    Place,
    Project,
    Reservation,
    Room,
    User,
)
from labbook.services.reservation_views import in_scope

_Row: TypeAlias = Row[*tuple[Any, ...]]

KEPT_BACK = timedelta(days=90)
CANCELLED_SHOWN = timedelta(days=30)
REFRESH = timedelta(minutes=15)

_STATUS: dict[str, EntryStatus] = {
    Status.REQUESTED: "TENTATIVE",
    Status.APPROVED: "CONFIRMED",
    Status.IN_USE: "CONFIRMED",
    Status.COMPLETED: "CONFIRMED",
    Status.ABORTED: "CONFIRMED",
    Status.DECLINED: "CANCELLED",
    Status.CANCELLED: "CANCELLED",
    Status.EXPIRED: "CANCELLED",
    Status.NO_SHOW: "CANCELLED",  # the slot was given away
}
_GONE = [status for status, shown in _STATUS.items() if shown == "CANCELLED"]


@dataclass(frozen=True)
class Subscription:
    """Who subscribes to what. ``target_id`` is the id of what the scope names, if it names something."""

    viewer: Viewer
    kind: str
    target_id: int | None
    reference_only: bool
    base_url: str


@dataclass(frozen=True)
class _Item:
    """What an entry says of a piece of equipment."""

    slug: str
    name: str
    category: str
    room: str | None
    attended: bool


@dataclass(frozen=True)
class _Facility:
    name: str
    zone: str


@dataclass(frozen=True)
class _Target:
    """What the scope names. ``equipment_ids`` is whose occupation it shows, None for a whole facility's."""

    name: str
    equipment_ids: frozenset[int] | None = frozenset()


def load(
    session: Session, subscription: Subscription, now: datetime
) -> tuple[CalendarHead, list[CalendarEntry]]:
    """The calendar of a subscription on the UTC day of ``now``: 90 days back and everything ahead."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return _Reader(session, subscription, today).read()


class _Reader:
    """One reading of one subscription."""

    def __init__(self, session: Session, subscription: Subscription, today: datetime) -> None:
        self.session = session
        self.subscription = subscription
        self.viewer = subscription.viewer
        self.today = today
        self.locale = subscription.viewer.locale
        self.words: FeedWords = words(self.locale)
        self.scope = scope_of(subscription.viewer)

    def read(self) -> tuple[CalendarHead, list[CalendarEntry]]:
        facilities = self._facilities()
        items = self._items()
        target = self._target(facilities)
        entries = self._in_full(target, items, facilities)
        if self.subscription.kind in ("equipment", "environment", "facility"):
            entries += self._busy(target, items, facilities)
        return CalendarHead(target.name, self._zone(facilities), REFRESH), entries

    # --- the catalogue, which is small ---------------------------------------------------------------

    def _facilities(self) -> dict[int, _Facility]:
        query = select(Facility.id, Facility.name, Facility.time_zone).order_by(Facility.id)
        return {
            id_: _Facility(localised(name, self.locale), zone)
            for id_, name, zone in self.session.execute(query)
        }

    def _items(self) -> dict[int, _Item]:
        query = select(
            Equipment.id, Equipment.slug, Equipment.name, Equipment.category, Equipment.attended, Room.slug
        ).outerjoin(Room, Equipment.room_id == Room.id)
        return {
            id_: _Item(slug, localised(name, self.locale), category, room, attended)
            for id_, slug, name, category, attended, room in self.session.execute(query)
        }

    def _target(self, facilities: dict[int, _Facility]) -> _Target:
        target_id = self.subscription.target_id
        match self.subscription.kind:
            case "equipment":
                name = self.session.scalar(select(Equipment.name).where(Equipment.id == target_id))
                return _Target(localised(name or {}, self.locale), frozenset([target_id or 0]))
            case "environment":
                return self._environment()
            case "facility":
                return _Target(facilities[target_id or 0].name, None)
            case "project":
                title = self.session.scalar(select(Project.name).where(Project.id == target_id))
                return _Target(title or "")
            case "organisation":
                query = select(Organisation.name).where(Organisation.id == self.viewer.organisation_id)
                return _Target(self.session.scalar(query) or "")
            case "approvals":
                return _Target(self.words.approvals)
            case _:
                return _Target(self.words.mine)

    def _environment(self) -> _Target:
        """An environment's calendar shows what occupies any equipment that it may use.

        Blocks of strangers are chosen by equipment and not by the environment they were booked for,
        which would link the pieces of one reservation to each other.
        """
        recipe = self.session.execute(
            select(EnvironmentVersion.name, EnvironmentVersion.needs, Environment.facility_id)
            .join(Environment, EnvironmentVersion.environment_id == Environment.id)
            .where(
                Environment.id == self.subscription.target_id,
                EnvironmentVersion.number == Environment.version,
            )
        ).one()
        slugs = [need["equipment"] for need in recipe.needs if "equipment" in need]
        categories = [need["category"] for need in recipe.needs if "category" in need]
        usable = select(Equipment.id).where(
            Equipment.facility_id == recipe.facility_id,
            or_(Equipment.slug.in_(slugs), Equipment.category.in_(categories)),
        )
        return _Target(localised(recipe.name, self.locale), frozenset(self.session.scalars(usable)))

    def _zone(self, facilities: dict[int, _Facility]) -> str:
        """The zone to show the calendar in: its facility's, or the first facility's."""
        target_id = self.subscription.target_id
        if self.subscription.kind == "facility" and target_id in facilities:
            return facilities[target_id].zone
        if self.subscription.kind in ("equipment", "environment"):
            noun: type[Equipment | Environment] = (
                Equipment if self.subscription.kind == "equipment" else Environment
            )
            id_ = self.session.scalar(select(noun.facility_id).where(noun.id == target_id))
            return facilities[id_ or 0].zone
        return next((facility.zone for facility in facilities.values()), "UTC")

    # --- reservations in full ------------------------------------------------------------------------

    def _in_full(
        self, target: _Target, items: dict[int, _Item], facilities: dict[int, _Facility]
    ) -> list[CalendarEntry]:
        shown = and_(in_scope(self.scope), self._in_time(), self._chosen(target))
        pieces = self._pieces(shown, items)
        rows = self.session.execute(
            select(
                Reservation.id,
                Reservation.public_id,
                Reservation.facility_id,
                Reservation.status,
                Reservation.title,
                Reservation.notes,
                Reservation.starts_at,
                Reservation.ends_at,
                Reservation.occupied_from,
                Reservation.occupied_until,
                Reservation.activity,
                Reservation.revision,
                Reservation.changed_at,
                Project.name.label("project"),
                Organisation.name.label("organisation"),
                User.name.label("holder"),
            )
            .join(Organisation, Reservation.organisation_id == Organisation.id)
            .join(User, Reservation.holder_id == User.id)
            .outerjoin(Project, Reservation.project_id == Project.id)
            .where(shown)
            .order_by(Reservation.starts_at, Reservation.public_id)
        )
        return [
            entry
            for row in rows
            for entry in self._entries(row, pieces.get(row.id, []), facilities[row.facility_id].name)
        ]

    def _in_time(self) -> ColumnElement[bool]:
        ended = func.coalesce(Reservation.ended_at, Reservation.changed_at, type_=Reservation.changed_at.type)
        return and_(
            Reservation.occupied_until > self.today - KEPT_BACK,
            or_(Reservation.status.not_in(_GONE), ended > self.today - CANCELLED_SHOWN),
        )

    def _chosen(self, target: _Target) -> ColumnElement[bool]:
        """Which of the reservations seen in full belong to the scope."""
        target_id = self.subscription.target_id
        match self.subscription.kind:
            case "mine":
                mine = select(Participant.reservation_id).where(Participant.user_id == self.viewer.id)
                return or_(Reservation.holder_id == self.viewer.id, Reservation.id.in_(mine))
            case "organisation":
                return Reservation.organisation_id == self.viewer.organisation_id
            case "project":
                return Reservation.project_id == target_id
            case "equipment":
                return Reservation.id.in_(_using(target))
            case "environment":
                versions = select(EnvironmentVersion.id).where(EnvironmentVersion.environment_id == target_id)
                return or_(
                    Reservation.environment_version_id.in_(versions), Reservation.id.in_(_using(target))
                )
            case "facility":
                return Reservation.facility_id == target_id
            case "approvals":
                return self._undecided()
            case _:
                return false()

    def _undecided(self) -> ColumnElement[bool]:
        """What waits for this manager: requests, and changes asked for of what is approved."""
        changing = select(Change.reservation_id).where(Change.state == "open", Change.kind == "change")
        waiting = or_(Reservation.status == Status.REQUESTED, Reservation.id.in_(changing))
        if self.viewer.is_admin:
            return waiting
        if self.viewer.role is not Role.MANAGER:
            return false()
        return and_(waiting, Reservation.facility_id.in_(sorted(self.viewer.facility_ids)))

    def _pieces(
        self, shown: ColumnElement[bool], items: dict[int, _Item]
    ) -> dict[int, list[tuple[_Item, int]]]:
        """Reservation id -> its equipment with the number of places, by name."""
        query = (
            select(Piece.reservation_id, Piece.equipment_id, Piece.places)
            .join(Reservation, Piece.reservation_id == Reservation.id)
            .where(shown)
        )
        found: dict[int, list[tuple[_Item, int]]] = {}
        for reservation_id, equipment_id, count in self.session.execute(query):
            found.setdefault(reservation_id, []).append((items[equipment_id], count))
        for pieces in found.values():
            pieces.sort(key=lambda piece: piece[0].slug)
        return found

    def _entries(
        self, row: _Row, pieces: Sequence[tuple[_Item, int]], facility: str
    ) -> tuple[CalendarEntry, ...]:
        reference_only = self.subscription.reference_only
        title = self.words.reference.format(row.public_id) if reference_only else row.title
        used = [item for item, _ in pieces]
        entry = CalendarEntry(
            uid=f"{row.public_id}@labbook",
            sequence=row.revision,
            changed_at=row.changed_at,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            summary=title,
            status=_STATUS[row.status],
            description="" if reference_only else self._description(row, pieces),
            location=_location(used, facility),
            categories=() if reference_only else (*_distinct(i.category for i in used), row.activity),
            url=f"{self.subscription.base_url}/reservations/{row.public_id}",
        )
        if any(item.attended for item in used):
            return (entry,)
        return unattended(
            entry,
            occupied_from=row.occupied_from,
            occupied_until=row.occupied_until,
            setup_summary=self.words.setup.format(title),
            teardown_summary=self.words.teardown.format(title),
        )

    def _description(self, row: _Row, pieces: Sequence[tuple[_Item, int]]) -> str:
        equipment = ", ".join(f"{item.name} × {n}" if n > 1 else item.name for item, n in pieces)
        lines = [
            f"{self.words.equipment}: {equipment}",
            f"{self.words.project}: {row.project}" if row.project else "",
            f"{self.words.holder}: {row.holder}, {row.organisation}",
            f"\n{row.notes}" if row.notes else "",
        ]
        return "\n".join(line for line in lines if line)

    # --- what others do, as busy blocks --------------------------------------------------------------

    def _busy(
        self, target: _Target, items: dict[int, _Item], facilities: dict[int, _Facility]
    ) -> list[CalendarEntry]:
        """One block for each allocation of a reservation that the subscriber may not see in full.

        Everything shown is the allocation's own, so that nothing but its interval can change a block.
        """
        rows = self.session.execute(_blocks().where(*self._hidden(target)))
        return [
            CalendarEntry(
                uid=f"{row.opaque_id}@labbook",
                sequence=row.sequence,
                changed_at=row.changed_at,
                starts_at=row.starts_at,
                ends_at=row.ends_at,
                summary=self.words.busy.format(items[row.equipment_id].name),
                location=_location([items[row.equipment_id]], facilities[row.facility_id].name),
            )
            for row in rows
        ]

    def _hidden(self, target: _Target) -> Iterable[ColumnElement[bool]]:
        yield Allocation.blocking.expression
        yield Allocation.ends_at > self.today - KEPT_BACK
        # Without a project the comparison is neither true nor false, and its negation would hide the block.
        yield not_(func.coalesce(in_scope(self.scope), false()))
        if target.equipment_ids is None:
            yield Reservation.facility_id == self.subscription.target_id
        else:
            yield Place.equipment_id.in_(sorted(target.equipment_ids))


def _blocks() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Allocation.opaque_id,
            Allocation.sequence,
            Allocation.changed_at,
            Allocation.starts_at,
            Allocation.ends_at,
            Place.equipment_id,
            Equipment.facility_id,
        )
        .join(Place, Allocation.place_id == Place.id)
        .join(Equipment, Place.equipment_id == Equipment.id)
        .join(Reservation, Allocation.reservation_id == Reservation.id)
        .order_by(Allocation.starts_at, Allocation.opaque_id)
    )


def _using(target: _Target) -> Select[*tuple[Any, ...]]:
    return select(Piece.reservation_id).where(Piece.equipment_id.in_(sorted(target.equipment_ids or ())))


def _location(items: Sequence[_Item], facility: str) -> str:
    return ", ".join([*_distinct(item.room for item in items if item.room), facility])


def _distinct(values: Iterable[str]) -> list[str]:
    return sorted(set(values))
