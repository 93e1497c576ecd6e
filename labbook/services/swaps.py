"""When equipment fails or a test slips: everything it touches, what could replace it, and one step to move.

The plan is reckoned as it would be carried out, each reservation after the ones before it, and then taken
back: so what is shown fits together. Carrying it out is one transaction: all of it, or none of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, NotFound, Problem, Refused
from labbook.domain.interval import Interval
from labbook.domain.matching import Need
from labbook.domain.reservation import BLOCKING, Party, Status
from labbook.models import Allocation, Equipment, Reservation
from labbook.services import changes, decisions, environments, facts, reservations, slot_search, transaction
from labbook.services.commands import ChangeReservation, Decide, RequestReservation, Wanted
from labbook.services.facts import Plan
from labbook.services.opening import lock_equipment, may_decide, opened
from labbook.services.reservation_views import loading
from labbook.services.slot_search import FindSlots, FoundSlot

TOUCHED_LIMIT = 40
"""Each costs several searches, and nobody else writes to their equipment meanwhile."""

LOOK_AHEAD = timedelta(days=180)
_MANAGER = frozenset({Party.MANAGER})


@dataclass(frozen=True)
class Outage:
    """A piece cannot be used over ``within``."""

    equipment: str
    within: Interval


@dataclass(frozen=True)
class Slip:
    """A test goes on until ``until``, which is later than it was booked."""

    reservation: str
    until: datetime


@dataclass(frozen=True)
class Choice:
    """What a reservation could become; ``weaker``: a piece of it may offer less than the one it replaces."""

    use: Interval
    pieces: tuple[Wanted, ...]
    weaker: bool = False


@dataclass(frozen=True)
class Touched:
    """One reservation that cannot stay as it is.

    ``stays``: why it is not to be moved: it is ``running``, it is an ``offer`` to somebody who waits, or the
    manager's ``own``, which another has to move. Whoever may not have a choice is not offered it.
    """

    id: str
    revision: int
    title: str
    status: str
    holder: str
    organisation: str
    use: Interval
    pieces: tuple[Wanted, ...]
    stays: str | None
    choices: Sequence[Choice]


@dataclass(frozen=True)
class SwapPlan:
    """``names``: of every piece that is mentioned. ``subject``: what failed, or the title of what slips.

    ``more``: it touches more than are shown, which are the first.
    """

    facility: str
    zone: str
    subject: Mapping[str, str]
    within: Interval
    touched: Sequence[Touched]
    names: Mapping[str, Mapping[str, str]]
    more: bool = False


@dataclass(frozen=True)
class Move:
    """``choice`` None: it is cancelled, and the lab or the fault is the cause."""

    reservation: str
    revision: int
    choice: Choice | None


@dataclass(frozen=True)
class Swap:
    """``block``: keep the failed piece out of use for as long. What is not moved is left as it is."""

    what: Outage | Slip
    moves: tuple[Move, ...]
    reason: str
    block: bool = False


@dataclass(frozen=True)
class Done:
    moved: int
    cancelled: int
    facility_id: int = field(repr=False, default=0)


def plan(session: Session, what: Outage | Slip, *, actor: Viewer, now: datetime) -> SwapPlan:
    """Everything that is touched, and what each could become. For the facility's managers.

    Raises ``NotFound``, ``Forbidden``, ``Refused``.
    """
    return transaction.rehearse(session, lambda: _Planning(session, what, actor, now).plan())


def swap(session: Session, command: Swap, *, actor: Viewer, now: datetime) -> Done:
    """Move and cancel as was chosen, extend what slips, keep what failed out of use; everybody is told.

    Raises ``Refused`` with every problem and conflict, and then nothing has changed.
    """

    def work() -> Done:
        _lock(session, command)
        scene = _Scene(session, command.what, actor)
        if not command.reason.strip():
            raise Refused([Problem("reason_missing", "reason")])
        cause = "fault" if isinstance(command.what, Outage) else "lab"
        gone = [move for move in command.moves if move.choice is None]
        for move in gone:
            asked = Decide(move.reservation, move.revision, command.reason, cause)
            decisions.cancelled(session, asked, actor=actor, now=now)
        _in_turn(session, [m for m in command.moves if m.choice is not None], command.reason, actor, now)
        if isinstance(command.what, Slip):
            wish = ChangeReservation(end=command.what.until, reason=command.reason)
            changes.move_now(session, command.what.reservation, wish, revision=None, actor=actor, now=now)
        elif command.block:
            _block(session, scene, command, actor, now)
        return Done(len(command.moves) - len(gone), len(gone), scene.facility_id)

    return transaction.write(session, work)


class _Scene:
    """What happened: the piece or the test, where, over which time. Raises what keeps somebody from it."""

    def __init__(self, session: Session, what: Outage | Slip, actor: Viewer) -> None:
        self.without: dict[str, Interval] = {}
        if isinstance(what, Outage):
            piece = session.scalar(select(Equipment).where(Equipment.slug == what.equipment))
            if piece is None:
                raise NotFound("equipment")
            self.facility_id = piece.facility_id
            self._permit(actor)
            self.facility = piece.facility
            self.subject: Mapping[str, str] = piece.name
            self.within = what.within
            self.slipping: Reservation | None = None
            self.without = {piece.slug: what.within}
            self.places = [place.id for place in piece.place_rows]
            self.size = piece.places
        else:
            self._of_slip(session, what, actor)

    def _of_slip(self, session: Session, what: Slip, actor: Viewer) -> None:
        slipping = opened(
            session,
            what.reservation,
            actor=actor,
            allowed=_MANAGER,
            action="move",
            revision=None,
            takes=(),
        )
        self.facility_id = slipping.facility_id
        self._permit(actor)
        if what.until <= slipping.ends_at:
            raise Refused([Problem("not_longer", "until", params={"end": slipping.ends_at})])
        if reservations.when_problems(slipping.starts_at, what.until):
            raise Refused([Problem("out_of_range", "until")])
        pieces = facts.load_equipment(session, facts.wanted_of(slipping), lock=False)
        use = Interval(slipping.starts_at, what.until)
        later = Plan(pieces, use, slipping.environment_version)
        self.facility = slipping.facility
        self.subject = {"en": slipping.title}
        self.within = Interval(slipping.ends_at, later.occupied.end)
        self.slipping = slipping
        self.places = sorted({each.place_id for each in slipping.allocations if each.blocking})
        self.own = later

    def _permit(self, actor: Viewer) -> None:
        if not actor.manages(self.facility_id):
            raise Forbidden("swap")

    def touched(self, session: Session) -> list[Reservation]:
        """Whatever occupies one of the places then, by start; where it is more than is shown, one more."""
        slipping = self.slipping.id if self.slipping is not None else 0
        on_it = select(Allocation.reservation_id).where(
            Allocation.place_id.in_(self.places),
            Allocation.blocking,
            Allocation.starts_at < self.within.end,
            Allocation.ends_at > self.within.start,
        )
        query = (
            select(Reservation)
            .where(Reservation.id.in_(on_it), Reservation.status.in_(BLOCKING), Reservation.id != slipping)
            .order_by(Reservation.occupied_from, Reservation.id)
            .limit(TOUCHED_LIMIT + 1)
            .options(*loading(), selectinload(Reservation.allocations))
        )
        return list(session.scalars(query))


class _Planning:
    def __init__(self, session: Session, what: Outage | Slip, actor: Viewer, now: datetime) -> None:
        self.session = session
        self.scene = _Scene(session, what, actor)
        self.actor = actor
        self.now = now

    def plan(self) -> SwapPlan:
        found = self.scene.touched(self.session)
        rows = found[:TOUCHED_LIMIT]
        if self.scene.slipping is not None:
            self._make_room(found)
        touched = [self._touched(row) for row in rows]
        mentioned = {w.slug for each in touched for w in each.pieces} | {
            w.slug for each in touched for choice in each.choices for w in choice.pieces
        }
        names = dict(
            self.session.execute(
                select(Equipment.slug, Equipment.name).where(Equipment.slug.in_(mentioned))
            ).all()
        )
        return SwapPlan(
            self.scene.facility.slug,
            self.scene.facility.time_zone,
            self.scene.subject,
            self.scene.within,
            touched,
            names,
            more=len(found) > len(rows),
        )

    def _make_room(self, rows: Sequence[Reservation]) -> None:
        """As if what slips had its longer time already, and those in its way were nowhere."""
        assert self.scene.slipping is not None
        for row in rows:
            if row.status != Status.IN_USE:
                changes.settle(self.session, row, facts.Placing((), ()), self.now)
        for each in self.scene.slipping.allocations:
            if each.blocking and each.change_id is None:
                each.ends_at = max(each.ends_at, self.scene.own.occupied.end)
        self.session.flush()

    def _touched(self, row: Reservation) -> Touched:
        use = Interval(row.starts_at, row.ends_at)
        pieces, revision = tuple(facts.wanted_of(row)), row.revision
        stays = self._stays(row)
        choices = [] if stays else self._choices(row, use)
        if choices:
            self._take(row, choices[0])
        return Touched(
            id=row.public_id,
            revision=revision,
            title=row.title,
            status=row.status,
            holder=row.holder.name,
            organisation=row.organisation.name,
            use=use,
            pieces=tuple(sorted(pieces, key=lambda wanted: wanted.slug)),
            stays=stays,
            choices=choices,
        )

    def _stays(self, row: Reservation) -> str | None:
        if row.status == Status.IN_USE:
            return "running"
        if row.hold == "offer" and row.status == Status.REQUESTED:
            return "offer"
        return None if may_decide(self.session, row, self.actor) else "own"

    def _choices(self, row: Reservation, use: Interval) -> list[Choice]:
        """At its own time with what would replace the piece; later with anything; later as it was."""
        needs, weaker = self._needs(row)
        named = [Need(equipment=wanted.slug, places=wanted.places) for wanted in facts.wanted_of(row)]
        found: list[Choice] = []
        for asked_needs, until, less in (
            (needs, use.end, False),
            (weaker, use.end, True),
            (named, use.end + LOOK_AHEAD, False),
            (needs, use.end + LOOK_AHEAD, False),
        ):
            if not asked_needs or (less and found):
                continue
            slot = self._first(row, asked_needs, use, until)
            if slot is None or any((slot.use, slot.pieces) == (each.use, each.pieces) for each in found):
                continue
            if self._is_theirs(row, slot):
                found.append(Choice(slot.use, slot.pieces, less))
        return sorted(found, key=lambda choice: (choice.use.start, choice.weaker))

    def _first(
        self, row: Reservation, needs: Sequence[Need], use: Interval, until: datetime
    ) -> FoundSlot | None:
        asked = FindSlots(
            duration=use.duration,
            since=use.start,
            until=until,
            facility=self.scene.facility.slug,
            limit=1,
            apart_from=(row.id,),
            without=self.scene.without,
            ambient=row.ambient,
            agreed=until == use.end,
        )
        try:
            slots = slot_search.find_for(
                self.session, asked, row.environment_version, needs, viewer=self.actor, now=self.now
            ).slots
        except Refused:
            return None
        return slots[0] if slots else None

    def _needs(self, row: Reservation) -> tuple[list[Need], list[Need]]:
        """What it was made for; and, for named pieces, the same sort of equipment whatever it offers."""
        if row.environment_version is not None:
            return environments.needs_of(row.environment_version), []
        if row.needs:
            return environments.read_needs(row.needs), []
        exact, weaker = [], []
        for piece in row.pieces:
            named = Need(equipment=piece.equipment.slug, places=piece.places)
            if piece.equipment.slug not in self.scene.without:
                exact.append(named)
                weaker.append(named)
                continue
            category = piece.equipment.category
            exact.append(
                Need(category=category, capabilities=piece.equipment.capabilities, places=piece.places)
            )
            weaker.append(Need(category=category, places=piece.places))
        return exact, weaker

    def _is_theirs(self, row: Reservation, slot: FoundSlot) -> bool:
        """The search asks what the piece and the hour allow; the rules ask as well what its holder may."""
        wish = ChangeReservation(start=slot.use.start, end=slot.use.end, equipment=slot.pieces)
        try:
            changes.would_pass(self.session, row, wish, actor=self.actor, now=self.now)
        except Refused:
            return False
        return True

    def _take(self, row: Reservation, choice: Choice) -> None:
        """As it would be once it is moved, for whoever is looked at next."""
        wish = ChangeReservation(start=choice.use.start, end=choice.use.end, equipment=choice.pieces)
        changes.apply_now(self.session, row, wish, actor=self.actor, now=self.now, action="move")


def _lock(session: Session, command: Swap) -> None:
    """Every piece that is left or taken, in the one order, before any reservation."""
    slugs = {w.slug for move in command.moves if move.choice is not None for w in move.choice.pieces}
    ids = [move.reservation for move in command.moves]
    if isinstance(command.what, Outage):
        slugs.add(command.what.equipment)
    else:
        ids.append(command.what.reservation)
    lock_equipment(session, Reservation.public_id.in_(ids), slugs)


def _in_turn(session: Session, moves: Sequence[Move], reason: str, actor: Viewer, now: datetime) -> None:
    """Each when there is room for it, since one may wait for another to be gone; raises what never was."""
    left = list(moves)
    while left:
        refused: list[tuple[Move, Refused]] = []
        for move in left:
            assert move.choice is not None
            wish = ChangeReservation(
                start=move.choice.use.start,
                end=move.choice.use.end,
                equipment=move.choice.pieces,
                reason=reason,
            )
            try:
                with session.begin_nested():
                    changes.move_now(
                        session, move.reservation, wish, revision=move.revision, actor=actor, now=now
                    )
            except Refused as refusal:
                refused.append((move, refusal))
        if len(refused) == len(left):
            raise Refused(
                [p for _, refusal in refused for p in refusal.problems],
                [c for _, refusal in refused for c in refusal.conflicts],
            )
        left = [move for move, _ in refused]


def _block(session: Session, scene: _Scene, command: Swap, actor: Viewer, now: datetime) -> None:
    """The failed piece is out of use from now on, under the same guard as everything else."""
    assert isinstance(command.what, Outage)
    slug = command.what.equipment
    start = max(scene.within.start, now)
    reservations.make(
        session,
        RequestReservation(
            equipment=(Wanted(slug, scene.size),),
            start=start,
            end=scene.within.end,
            title=command.reason.strip()[:300],
            kind="block",
            activity="maintenance",
        ),
        actor=actor,
        now=now,
    )


def require_any(actor: Viewer) -> None:
    """Raise ``Forbidden`` for whoever manages nothing."""
    if not (actor.is_admin or actor.manages_at):
        raise Forbidden("swap")
