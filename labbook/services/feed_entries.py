"""What a subscriber's calendar holds: each reservation in full or as busy blocks, never more.

Rows rather than objects are read, in a number of queries that doesn't depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Row, Select, and_, false, func, not_, or_, select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.policy import is_attended
from labbook.domain.reservation import BLOCKING, Status
from labbook.domain.visibility import scope_of
from labbook.formats.feed_words import words
from labbook.formats.icalendar import CalendarEntry, CalendarHead, EntryStatus, unattended
from labbook.formats.moments import running
from labbook.formats.words import localised, word
from labbook.models import (
    Allocation,
    Change,
    Environment,
    EnvironmentVersion,
    Equipment,
    Facility,
    Organisation,
    Participant,
    Pause,
    Piece,
    Place,
    Project,
    Remark,
    Reservation,
    Room,
    User,
    Visit,
)
from labbook.services.known_recipes import NEWEST
from labbook.services.reservation_views import in_scope

_Row: TypeAlias = Row[*tuple[Any, ...]]

KEPT_BACK = timedelta(days=90)
CANCELLED_SHOWN = timedelta(days=30)
REFRESH = timedelta(minutes=15)

SHOWN_AS: dict[str, EntryStatus] = {
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
GONE = [status for status, shown in SHOWN_AS.items() if shown == "CANCELLED"]


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
    facility_id: int


@dataclass(frozen=True)
class _Facility:
    name: str
    zone: str


@dataclass(frozen=True)
class _Target:
    """What the scope names; ``equipment_ids`` is whose occupation its calendar shows."""

    name: str
    facility_id: int | None = None
    equipment_ids: frozenset[int] = frozenset()


class Reading:
    """The calendar of a subscription on the UTC day of ``now``: 90 days back and everything ahead."""

    def __init__(self, session: Session, subscription: Subscription, now: datetime) -> None:
        self.session = session
        self.subscription = subscription
        self.viewer = subscription.viewer
        self.today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        self.locale = subscription.viewer.locale
        self.words = words(self.locale)
        self.scope = scope_of(subscription.viewer)
        self.facilities = self._facilities()
        self.items = self._items()
        self.target = self._target()
        self.shown = and_(in_scope(self.scope), self._in_time(), self._chosen())
        self.shows_others = subscription.kind in ("equipment", "environment", "facility")

    def mark(self) -> Hashable:
        """Differs whenever what is to be seen does, at a fraction of the cost of reading it.

        Whatever changes has a new date, and whatever comes or goes a number. (Compared on one day only:
        what falls out of the time shown does so at midnight.)
        """
        counted = select(
            func.count(), func.sum(Reservation.id), func.sum(Reservation.revision),
            func.max(Reservation.changed_at),
        ).where(self.shown)  # fmt: skip
        marks: list[Hashable] = [tuple(self.session.execute(counted).one())]
        if self.shows_others:
            columns = (
                func.count(), func.sum(Allocation.id), func.sum(Allocation.sequence),
                func.max(Allocation.changed_at),
            )  # fmt: skip
            marks.append(tuple(self.session.execute(self._blocks(*columns)).one()))
        return (self.target, frozenset(self.items.items()), frozenset(self.facilities.items()), *marks)

    def head(self) -> CalendarHead:
        return CalendarHead(self.target.name, self._zone(), REFRESH)

    def entries(self) -> list[CalendarEntry]:
        return self._in_full() + (self._busy() if self.shows_others else [])

    # --- the catalogue, which is small ---------------------------------------------------------------

    def _facilities(self) -> dict[int, _Facility]:
        query = select(Facility.id, Facility.name, Facility.time_zone).order_by(Facility.id)
        return {
            id_: _Facility(localised(name, self.locale), zone)
            for id_, name, zone in self.session.execute(query)
        }

    def _items(self) -> dict[int, _Item]:
        query = select(
            Equipment.id, Equipment.slug, Equipment.name, Equipment.category, Room.slug, Equipment.attended,
            Equipment.facility_id,
        ).outerjoin(Room, Equipment.room_id == Room.id)  # fmt: skip
        return {
            id_: _Item(slug, localised(name, self.locale), category, room, attended, facility_id)
            for id_, slug, name, category, room, attended, facility_id in self.session.execute(query)
        }

    def _target(self) -> _Target:
        target_id = self.subscription.target_id
        match self.subscription.kind:
            case "equipment":
                item = self.items[target_id or 0]
                return _Target(item.name, item.facility_id, frozenset([target_id or 0]))
            case "environment":
                return self._environment()
            case "facility":
                inside = frozenset(id_ for id_, item in self.items.items() if item.facility_id == target_id)
                return _Target(self.facilities[target_id or 0].name, target_id, inside)
            case "project":
                title = self.session.scalar(select(Project.name).where(Project.id == target_id))
                return _Target(title or "")
            case "organisation":
                named = select(Organisation.name).where(Organisation.id == self.viewer.organisation_id)
                return _Target(self.session.scalar(named) or "")
            case "approvals":
                return _Target(self.words.approvals)
            case _:
                return _Target(self.words.mine)

    def _environment(self) -> _Target:
        """An environment's calendar shows what occupies any equipment that it may use.

        Blocks of strangers are chosen by equipment and not by the environment they were booked for,
        which would link the pieces of one reservation to each other.
        """
        row = self.session.execute(
            select(
                EnvironmentVersion.name,
                EnvironmentVersion.needs,
                Environment.facility_id,
                Environment.organisation_id,
            )
            .join(Environment, NEWEST)
            .where(Environment.id == self.subscription.target_id)
        ).one()
        name, needs, facility_id, organisation_id = row
        if not self.scope.has_recipe(facility_id, organisation_id):
            return _Target("")  # whoever subscribed has left the organisation that it belongs to
        slugs = {need["equipment"] for need in needs if "equipment" in need}
        categories = {need["category"] for need in needs if "category" in need}
        usable = frozenset(
            id_
            for id_, item in self.items.items()
            if item.facility_id == facility_id and (item.slug in slugs or item.category in categories)
        )
        return _Target(localised(name, self.locale), facility_id, usable)

    def _zone(self) -> str:
        """The zone to show the calendar in: its facility's, or the first facility's."""
        if self.target.facility_id is not None:
            return self.facilities[self.target.facility_id].zone
        return next((facility.zone for facility in self.facilities.values()), "UTC")

    # --- reservations in full ------------------------------------------------------------------------

    def _in_full(self) -> list[CalendarEntry]:
        pieces, visits = self._pieces(), self._visits()
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
                EnvironmentVersion.staffing,
            )
            .join(Organisation, Reservation.organisation_id == Organisation.id)
            .join(User, Reservation.holder_id == User.id)
            .outerjoin(Project, Reservation.project_id == Project.id)
            .outerjoin(EnvironmentVersion, Reservation.environment_version_id == EnvironmentVersion.id)
            .where(self.shown)
            .order_by(Reservation.starts_at, Reservation.public_id)
        )
        return [
            entry
            for row in rows
            for entry in self._entries(
                row, pieces.get(row.id, []), visits.get(row.id, []), self.facilities[row.facility_id].name
            )
        ]

    def _in_time(self) -> ColumnElement[bool]:
        ended = func.coalesce(Reservation.ended_at, Reservation.changed_at, type_=Reservation.changed_at.type)
        return and_(
            Reservation.occupied_until > self.today - KEPT_BACK,
            or_(Reservation.status.not_in(GONE), ended > self.today - CANCELLED_SHOWN),
        )

    def _chosen(self) -> ColumnElement[bool]:
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
                return Reservation.id.in_(self._using())
            case "environment":
                versions = select(EnvironmentVersion.id).where(EnvironmentVersion.environment_id == target_id)
                return or_(
                    Reservation.environment_version_id.in_(versions), Reservation.id.in_(self._using())
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
        asked = and_(Reservation.status == Status.REQUESTED, Reservation.hold.is_(None))
        waiting = or_(asked, Reservation.id.in_(changing))
        if self.viewer.is_admin:
            return waiting
        return and_(waiting, Reservation.facility_id.in_(sorted(self.viewer.manages_at)))

    def _pieces(self) -> dict[int, list[tuple[_Item, int]]]:
        """Reservation id -> its equipment with the number of places, by name."""
        query = (
            select(Piece.reservation_id, Piece.equipment_id, Piece.places)
            .join(Reservation, Piece.reservation_id == Reservation.id)
            .where(self.shown)
        )
        found: dict[int, list[tuple[_Item, int]]] = {}
        for reservation_id, equipment_id, count in self.session.execute(query):
            found.setdefault(reservation_id, []).append((self.items[equipment_id], count))
        for pieces in found.values():
            pieces.sort(key=lambda piece: piece[0].slug)
        return found

    def _entries(
        self, row: _Row, pieces: Sequence[tuple[_Item, int]], visits: Sequence[_Row], facility: str
    ) -> tuple[CalendarEntry, ...]:
        reference_only = self.subscription.reference_only
        title = self.words.reference.format(row.public_id) if reference_only else row.title
        used = [item for item, _ in pieces]
        entry = CalendarEntry(
            uid=f"{row.public_id}@labbook",
            sequence=row.revision,
            changed_at=row.changed_at,
            starts_at=row.starts_at,
            ends_at=_end_of_use(row),
            summary=title,
            status=SHOWN_AS[row.status],
            description="" if reference_only else self._description(row, pieces),
            location=location((item.room for item in used), facility),
            categories=()
            if reference_only
            else (*_distinct(word(i.category, self.locale) for i in used), row.activity),
            url=f"{self.subscription.base_url}/reservations/{row.public_id}",
        )
        visited = [each for visit in visits if (each := self._visit(visit, row, entry, title)) is not None]
        if is_attended((item.attended for item in used), row.staffing):
            return (entry, *visited)
        return unattended(
            entry,
            occupied_from=row.occupied_from,
            occupied_until=row.occupied_until,
            setup_summary=self.words.setup.format(title),
            teardown_summary=self.words.teardown.format(title),
            visits=visited,
        )

    def _visits(self) -> dict[int, list[_Row]]:
        """Reservation id -> what is to be done, or was, while it runs.

        Each change of one counts as a change of its reservation, so that ``mark`` has it too.
        """
        if self.subscription.kind == "approvals":
            return {}
        standing = select(Pause.id).where(
            Pause.reservation_id == Visit.reservation_id, Pause.ends_at.is_(None)
        )
        rows = self.session.execute(
            select(
                Visit.reservation_id, Visit.public_id, Visit.kind, Visit.after, Visit.planned_at,
                Visit.length, Visit.fixed, Visit.staffed, Visit.done_at, Visit.dropped_at, Visit.revision,
                Visit.changed_at,                Remark.text.label("note"), standing.exists().label("paused"),
            )
            .join(Reservation, Visit.reservation_id == Reservation.id)
            .outerjoin(Remark, Visit.remark_id == Remark.id)
            .where(
                self.shown,
                Reservation.status.not_in(GONE),
                or_(Visit.dropped_at.is_(None), Visit.dropped_at > self.today - CANCELLED_SHOWN),
            )
            .order_by(Visit.planned_at, Visit.public_id)
        )  # fmt: skip
        found: dict[int, list[_Row]] = {}
        for row in rows:
            found.setdefault(row.reservation_id, []).append(row)
        return found

    def _visit(self, visit: _Row, row: _Row, entry: CalendarEntry, title: str) -> CalendarEntry | None:
        """An appointment of its own; None where there is no room for it, and where its test ended without."""
        until = visit.planned_at + timedelta(seconds=visit.length)
        pending = visit.done_at is None and visit.dropped_at is None
        laid = (visit.staffed or visit.fixed) and row.starts_at <= visit.planned_at and until <= row.ends_at
        if pending and not (laid and row.status in BLOCKING):
            return None
        status = entry.status
        if visit.dropped_at is not None:
            status = "CANCELLED"
        elif pending and visit.paused and visit.kind == "readout":
            status = "TENTATIVE"  # when it is depends on when the test goes on
        summary = self.words.visit.format(title)
        if visit.after is not None:
            after = running(timedelta(seconds=visit.after), self.locale)
            summary = self.words.readout.format(after, title)
        return replace(
            entry,
            uid=f"{row.public_id}-{visit.public_id}@labbook",
            sequence=visit.revision,
            changed_at=visit.changed_at,
            starts_at=visit.planned_at,
            ends_at=until,
            summary=summary,
            status=status,
            description="" if self.subscription.reference_only else visit.note or "",
        )

    def _description(self, row: _Row, pieces: Sequence[tuple[_Item, int]]) -> str:
        equipment = ", ".join(f"{item.name} × {n}" if n > 1 else item.name for item, n in pieces)
        lines = [
            self.words.equipment.format(equipment),
            self.words.project.format(row.project) if row.project else "",
            self.words.holder.format(f"{row.holder}, {row.organisation}"),
            f"\n{row.notes}" if row.notes else "",
        ]
        return "\n".join(line for line in lines if line)

    # --- what others do, as busy blocks --------------------------------------------------------------

    def _busy(self) -> list[CalendarEntry]:
        """One block for each allocation of a reservation that the subscriber may not see in full.

        Everything shown is the allocation's own, so that nothing but its interval can change a block.
        """
        query = self._blocks(
            Allocation.opaque_id, Allocation.sequence, Allocation.changed_at, Allocation.starts_at,
            Allocation.ends_at, Place.equipment_id,
        ).order_by(Allocation.starts_at, Allocation.opaque_id)  # fmt: skip
        return [
            self._block(*row[:5], item=self.items[row.equipment_id]) for row in self.session.execute(query)
        ]

    def _block(
        self,
        opaque_id: str,
        sequence: int,
        changed_at: datetime,
        starts_at: datetime,
        ends_at: datetime,
        *,
        item: _Item,
    ) -> CalendarEntry:
        return CalendarEntry(
            uid=f"{opaque_id}@labbook",
            sequence=sequence,
            changed_at=changed_at,
            starts_at=starts_at,
            ends_at=ends_at,
            summary=self.words.busy.format(item.name),
            location=location([item.room], self.facilities[item.facility_id].name),
        )

    def _blocks(self, *columns: Any) -> Select[*tuple[Any, ...]]:
        """``columns`` of what blocks and isn't this subscriber's to see."""
        return (
            select(*columns)
            .select_from(Allocation)
            .join(Place, Allocation.place_id == Place.id)
            .join(Reservation, Allocation.reservation_id == Reservation.id)
            .where(
                Place.equipment_id.in_(sorted(self.target.equipment_ids)),
                Allocation.blocking.expression,  # as the partial index says it
                Allocation.ends_at > self.today - KEPT_BACK,
                # Without a project the comparison is neither true nor false, and its negation would
                # hide the block.
                not_(func.coalesce(in_scope(self.scope), false())),
            )
        )

    def _using(self) -> Select[int]:
        """The reservations that use equipment of the target."""
        ids = sorted(self.target.equipment_ids)
        return select(Piece.reservation_id).where(Piece.equipment_id.in_(ids))


def _end_of_use(row: _Row) -> datetime:
    """What was given back early is not shown as used."""
    cut = row.starts_at < row.occupied_until < row.ends_at
    return row.occupied_until if cut else row.ends_at  # type: ignore[no-any-return]


def location(rooms: Iterable[str | None], facility: str) -> str:
    return ", ".join([*_distinct(room for room in rooms if room), facility])


def _distinct(values: Iterable[str]) -> list[str]:
    return sorted(set(values))
