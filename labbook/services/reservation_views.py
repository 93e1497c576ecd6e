"""Reservations as their readers may see them: frozen, complete, already decided by ``domain.visibility``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, bindparam, cast, func, literal, or_, select, true, tuple_, union
from sqlalchemy.orm import InstrumentedAttribute, Session, joinedload, selectinload

from labbook.domain.access import Viewer, parties
from labbook.domain.errors import NotFound, Problem, Refused
from labbook.domain.interval import Interval
from labbook.domain.reservation import BLOCKING, TRANSITIONS, Party, Status
from labbook.domain.utility import peak, written
from labbook.domain.visibility import Scope, Subject, scope_of, sees_customer, sees_in_full
from labbook.models import (
    Change,
    Draw,
    Environment,
    EnvironmentVersion,
    Equipment,
    Facility,
    HistoryEntry,
    Instant,
    Message,
    Participant,
    Piece,
    Remark,
    Reservation,
    User,
)
from labbook.services import journal, visit_views
from labbook.services.known_recipes import known_recipe
from labbook.services.visit_views import LongTestView


@dataclass(frozen=True)
class Person:
    id: int
    name: str
    email: str


@dataclass(frozen=True)
class PieceView:
    """``whole``: every place of a piece that has several."""

    slug: str
    name: Mapping[str, str]
    places: int
    check_in: str = "none"
    whole: bool = False


@dataclass(frozen=True)
class DrawnView:
    """What a reservation draws of a utility at most, in words; ``stated`` by a manager."""

    utility: str
    name: Mapping[str, str]
    amount: str
    stated: bool


@dataclass(frozen=True)
class HistoryView:
    at: datetime
    actor: str | None
    rule: str | None
    action: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    reason: str


@dataclass(frozen=True)
class MessageView:
    at: datetime
    author: str
    by_staff: bool
    text: str


@dataclass(frozen=True)
class ChangeView:
    """An undecided change: ``kind`` is ``change`` (the holder's) or ``proposal`` (a manager's)."""

    id: int
    kind: str
    proposed_by: str
    start: datetime
    end: datetime
    equipment: Sequence[PieceView]
    created_at: datetime


@dataclass(frozen=True)
class Standby:
    """What runs with nobody there: whom to call, and what the set-up falls into."""

    on_call: str
    safe_state: str


@dataclass(frozen=True)
class ReservationView:
    """A reservation in full. ``allowed`` are the steps that this viewer may take now, ``is_staff`` whether
    they are staff of its facility. ``hold``: an ``offer`` from the waitlist or an ``option`` of the lab's,
    held until ``decide_by``; ``customer`` is for staff only. ``environment_known``: whether the viewer may
    open the recipe. ``long_test``: None for what is short and not visited, and in lists."""

    id: str
    kind: str
    status: str
    facility: str
    facility_name: Mapping[str, str]
    zone: str
    start: datetime
    end: datetime
    occupied_start: datetime
    occupied_end: datetime
    expected_end: datetime | None
    equipment: Sequence[PieceView]
    environment: str | None
    environment_name: Mapping[str, str] | None
    environment_version: int | None
    environment_known: bool
    standby: Standby | None
    title: str
    notes: str
    project: str | None
    project_name: str | None
    activity: str
    organisation: str
    organisation_name: str
    holder: Person
    requested_by: Person
    participants: Sequence[Person]
    check_in: str
    traceable: bool
    approved_at: datetime | None
    checked_in_at: datetime | None
    checked_out_at: datetime | None
    overrun_since: datetime | None
    flagged_at: datetime | None
    displaced_since: datetime | None
    cancel_cause: str | None
    decide_by: datetime | None
    overridden: Sequence[str]
    pending_change: ChangeView | None
    revision: int
    created_at: datetime
    changed_at: datetime
    allowed: frozenset[str]
    is_staff: bool = False
    permit_required: bool = False
    permit_signed_at: datetime | None = None
    long_test: LongTestView | None = None
    history: Sequence[HistoryView] = ()
    messages: Sequence[MessageView] = ()
    problems: Sequence[Problem] = field(default=())
    hold: str | None = None
    customer: str = ""
    draws: Sequence[DrawnView] = ()

    @property
    def permit_signed_by(self) -> str:
        """The name in the history of whoever signed last."""
        signed = [entry.actor for entry in self.history if entry.action == "permit"]
        return (signed[-1] if signed else None) or ""


def in_scope(scope: Scope) -> ColumnElement[bool]:
    """``Scope.has`` as SQL: what somebody sees in full."""
    if scope.everything:
        return true()
    return or_(
        Reservation.organisation_id == scope.organisation_id,
        Reservation.facility_id.in_(sorted(scope.facility_ids)),
        Reservation.project_id.in_(sorted(scope.project_ids)),
    )


def subject_of(reservation: Reservation) -> Subject:
    return Subject(
        facility_id=reservation.facility_id,
        organisation_id=reservation.organisation_id,
        project_id=reservation.project_id,
        holder_id=reservation.holder_id,
        requested_by_id=reservation.requested_by_id,
        participant_ids=frozenset(p.user_id for p in reservation.participants),
    )


def loading() -> list[Any]:
    """What a view needs, in a constant number of queries however many reservations there are."""
    return [
        joinedload(Reservation.facility, innerjoin=True),
        joinedload(Reservation.organisation, innerjoin=True),
        joinedload(Reservation.project),
        joinedload(Reservation.holder, innerjoin=True),
        joinedload(Reservation.requested_by, innerjoin=True),
        joinedload(Reservation.environment_version).joinedload(EnvironmentVersion.environment),
        selectinload(Reservation.pieces).joinedload(Piece.equipment, innerjoin=True),
        selectinload(Reservation.draws).joinedload(Draw.utility, innerjoin=True),
        selectinload(Reservation.participants).joinedload(Participant.user, innerjoin=True),
        selectinload(Reservation.changes.and_(Change.state == "open")).joinedload(
            Change.proposed_by, innerjoin=True
        ),
    ]


def find(session: Session, public_id: str, *, viewer: Viewer) -> ReservationView:
    """One reservation with history and thread; ``NotFound`` to whoever may not see it in full."""
    reservation = session.scalar(
        select(Reservation).where(Reservation.public_id == public_id).options(*loading())
    )
    if reservation is None or not sees_in_full(viewer, subject_of(reservation)):
        raise NotFound("reservation")
    return view_of(session, reservation, viewer=viewer)


def view_of(
    session: Session, reservation: Reservation, *, viewer: Viewer, problems: Sequence[Problem] = ()
) -> ReservationView:
    """The full view of a reservation that the viewer is known to see, with history and thread."""
    asked = {"reservation_id": reservation.id}
    history = history_views(session.scalars(_HISTORY, asked).all(), reservation, session)
    notes = {entry.new["visit"]: entry.reason for entry in history if entry.action == "visit_done"}
    return summary_of(
        reservation,
        viewer=viewer,
        problems=problems,
        long_test=visit_views.of(session, reservation, notes),
        history=history,
        messages=[
            MessageView(
                at=message.at,
                author=message.author.name,
                by_staff=message.author.role != "engineer",
                text=message.remark.text,
            )
            for message in session.scalars(_THREAD, asked)
        ],
    )


# Built once: putting these statements together takes longer than running them.
_HISTORY = (
    select(HistoryEntry)
    .where(HistoryEntry.reservation_id == bindparam("reservation_id"))
    .order_by(HistoryEntry.id)
    .options(joinedload(HistoryEntry.actor), joinedload(HistoryEntry.remark))
)
_THREAD = (
    select(Message)
    .where(Message.reservation_id == bindparam("reservation_id"))
    .order_by(Message.id)
    .options(joinedload(Message.author, innerjoin=True), joinedload(Message.remark, innerjoin=True))
)


def history_views(
    entries: Sequence[HistoryEntry], reservation: Reservation, session: Session | None = None
) -> list[HistoryView]:
    """The entries with the names of what they keep numbers of.

    Without ``session`` nothing is looked up that the loaded reservation does not say.
    """
    sides = [side for entry in entries for side in (entry.old, entry.new)]
    names = _names_in(sides, reservation, session)
    return [
        HistoryView(
            at=entry.at,
            actor=entry.actor.name if entry.actor else None,
            rule=entry.rule,
            action=entry.action,
            old=names.named(entry.old),
            new=names.named(entry.new),
            reason=entry.remark.text if entry.remark else "",
        )
        for entry in entries
    ]


@dataclass(frozen=True)
class _Names:
    """By number: slugs of equipment, e-mail addresses of people, and texts that erasure can empty."""

    equipment: Mapping[int, str]
    people: Mapping[int, str]
    texts: Mapping[int, str]

    def named(self, side: Mapping[str, Any]) -> Mapping[str, Any]:
        return {name: self._named(name, value) for name, value in side.items()}

    def _named(self, name: str, value: Any) -> Any:
        if name == "equipment":
            return [{"slug": self.equipment.get(row, ""), "places": places} for row, places in value]
        if name == "participants":
            return sorted(self.people[row] for row in value if row in self.people)
        if name == "holder":
            return self.people.get(value, "")
        if name in journal.TEXTS and type(value) is int:
            return self.texts.get(value, "")
        return value


def _names_in(
    sides: Sequence[Mapping[str, Any]], reservation: Reservation, session: Session | None
) -> _Names:
    equipment = {p.equipment_id: p.equipment.slug for p in reservation.pieces}
    on_it = (reservation.holder, reservation.requested_by, *(p.user for p in reservation.participants))
    people = {user.id: user.email for user in on_it}
    texts: dict[int, str] = {}
    if session is not None:
        pieces = {row for side in sides for row, _ in side.get("equipment", ())}
        named = {row for side in sides for row in (*side.get("participants", ()), side.get("holder"))}
        written = {side[name] for side in sides for name in journal.TEXTS if type(side.get(name)) is int}
        for known, missing, columns in (
            (equipment, pieces - set(equipment), (Equipment.id, Equipment.slug)),
            (people, named - set(people) - {None}, (User.id, User.email)),
            (texts, written, (Remark.id, Remark.text)),
        ):
            if missing:
                found = session.execute(select(*columns).where(columns[0].in_(sorted(missing))))
                known.update((row[0], row[1]) for row in found)
    return _Names(equipment, people, texts)


def _knows(viewer: Viewer, recipe: EnvironmentVersion) -> bool:
    """A project's member from elsewhere reads by what a reservation was made, and not that recipe itself."""
    home = recipe.environment
    return scope_of(viewer).has_recipe(home.facility_id, home.organisation_id)


def standby_of(recipe: EnvironmentVersion | None) -> Standby | None:
    """None where the recipe says neither."""
    if recipe is None or not (recipe.on_call or recipe.safe_state):
        return None
    return Standby(recipe.on_call, recipe.safe_state)


def summary_of(
    reservation: Reservation,
    *,
    viewer: Viewer,
    problems: Sequence[Problem] = (),
    long_test: LongTestView | None = None,
    history: Sequence[HistoryView] = (),
    messages: Sequence[MessageView] = (),
) -> ReservationView:
    """The view of a loaded reservation, without asking the database again."""
    recipe = reservation.environment_version
    pending = next((c for c in reservation.changes if c.state == "open"), None)
    return ReservationView(
        id=reservation.public_id,
        kind=reservation.kind,
        status=reservation.status,
        facility=reservation.facility.slug,
        facility_name=reservation.facility.name,
        zone=reservation.facility.time_zone,
        start=reservation.starts_at,
        end=reservation.ends_at,
        occupied_start=reservation.occupied_from,
        occupied_end=reservation.occupied_until,
        expected_end=reservation.expected_end,
        equipment=_pieces(reservation),
        environment=recipe.environment.slug if recipe else None,
        environment_name=recipe.name if recipe else None,
        environment_version=recipe.number if recipe else None,
        environment_known=recipe is not None and _knows(viewer, recipe),
        standby=standby_of(recipe),
        title=reservation.title,
        notes=reservation.notes,
        project=reservation.project.slug if reservation.project else None,
        project_name=reservation.project.name if reservation.project else None,
        activity=reservation.activity,
        organisation=reservation.organisation.slug,
        organisation_name=reservation.organisation.name,
        holder=_person(reservation.holder),
        requested_by=_person(reservation.requested_by),
        participants=[_person(p.user) for p in reservation.participants],
        check_in=reservation.check_in,
        traceable=reservation.traceable,
        approved_at=reservation.approved_at,
        checked_in_at=reservation.checked_in_at,
        checked_out_at=reservation.checked_out_at,
        overrun_since=reservation.overrun_since,
        flagged_at=reservation.flagged_at,
        displaced_since=reservation.displaced_since,
        cancel_cause=reservation.cancel_cause,
        decide_by=_decide_by(reservation),
        overridden=reservation.overridden,
        pending_change=_change(reservation, pending) if pending else None,
        revision=reservation.revision,
        created_at=reservation.created_at,
        changed_at=reservation.changed_at,
        allowed=allowed_steps(reservation, viewer, pending) | _clock_steps(reservation, viewer, long_test),
        is_staff=viewer.is_staff_of(reservation.facility_id),
        permit_required=reservation.permit_required,
        permit_signed_at=reservation.permit_signed_at,
        long_test=long_test,
        history=history,
        messages=messages,
        problems=problems,
        hold=reservation.hold if reservation.status == Status.REQUESTED else None,
        customer=reservation.customer if sees_customer(viewer, subject_of(reservation)) else "",
        draws=_drawn(reservation),
    )


def _drawn(reservation: Reservation) -> list[DrawnView]:
    """At its peak, of each utility; what a change holds in addition is not counted."""
    by_utility: dict[str, list[Draw]] = {}
    for row in reservation.draws:
        if row.change_id is None:
            by_utility.setdefault(row.utility.slug, []).append(row)
    found = []
    for slug, rows in sorted(by_utility.items()):
        utility = rows[0].utility
        within = Interval(min(r.starts_at for r in rows), max(r.ends_at for r in rows))
        top, _ = peak([(Interval(r.starts_at, r.ends_at), r.amount) for r in rows], within)
        stated = slug in reservation.draws_stated
        found.append(DrawnView(slug, utility.name, written(top, utility.unit), stated))
    return found


def _decide_by(reservation: Reservation) -> datetime | None:
    """The deadline that was stated, and at the latest the start: nothing is decided after that."""
    return min(reservation.decide_by, reservation.starts_at) if reservation.decide_by else None


def allowed_steps(reservation: Reservation, viewer: Viewer, pending: Change | None) -> frozenset[str]:
    """What the viewer may do now: for buttons, not for guards."""
    mine = parties(viewer, subject_of(reservation))
    status = Status(reservation.status)
    steps: set[str] = {t.action for t in TRANSITIONS if t.source is status and t.parties & mine}
    if reservation.check_in == "none" or reservation.displaced_since is not None:
        steps.discard("check_in")
    live = status in (Status.REQUESTED, Status.APPROVED, Status.IN_USE)
    if live and mine & {Party.HOLDER, Party.MANAGER}:
        steps |= {"edit", "transfer"}
        if status is not Status.IN_USE:
            steps.add("move")
    if status is Status.IN_USE and mine:
        steps.add("extend")
    if mine:
        steps.add("message")
    if Party.MANAGER in mine and status in (Status.REQUESTED, Status.APPROVED):
        steps.add("propose")
    if Party.MANAGER in mine and live and (viewer.id != reservation.holder_id or _is_the_labs(reservation)):
        steps.add("draws")
    if Party.MANAGER in mine and _lacks_permit(reservation) and not is_its_own(reservation, viewer):
        steps.add("permit")
    if pending is not None:
        steps |= _steps_of_change(pending, mine)
    if reservation.hold is not None and status is Status.REQUESTED:
        return _steps_of_hold(reservation, viewer, steps, mine)
    return frozenset(steps)


def _steps_of_hold(
    reservation: Reservation, viewer: Viewer, steps: set[str], mine: frozenset[Party]
) -> frozenset[str]:
    """What is held for somebody is not a manager's to decide: an offer is its holder's to take or let go, an
    option a manager's to make a reservation of.
    """
    if reservation.hold == "offer":
        own = {"take", "let_go"} if viewer.id == reservation.holder_id else set()
        return frozenset(steps & {"message"} | own)
    own = {"convert", "prolong"} if Party.MANAGER in mine else set()
    return frozenset(steps - {"approve", "decline", "propose", "transfer"} | own)


def _is_the_labs(reservation: Reservation) -> bool:
    """Without a customer who has an account: what its manager states, they do not state for themselves."""
    return reservation.kind == "block" or reservation.hold == "option"


def _lacks_permit(reservation: Reservation) -> bool:
    lacks = reservation.permit_required and reservation.permit_signed_at is None
    return lacks and reservation.status in (Status.APPROVED, Status.IN_USE)


def is_its_own(reservation: Reservation, viewer: Viewer) -> bool:
    """Whether the viewer holds it or operates it: who does signs no permit of it."""
    return viewer.id == reservation.holder_id or viewer.id in {p.user_id for p in reservation.participants}


def _clock_steps(reservation: Reservation, viewer: Viewer, test: LongTestView | None) -> frozenset[str]:
    """What may be done to the clock of a test, and to what is planned while it runs."""
    if reservation.status not in BLOCKING or reservation.hold or not parties(viewer, subject_of(reservation)):
        return frozenset()
    steps = {"visit", "expect"}
    if test is not None and reservation.status == Status.IN_USE:
        steps.add("resume" if test.paused_since else "pause")
    return frozenset(steps)


def _steps_of_change(pending: Change, mine: frozenset[Party]) -> set[str]:
    decider, proposer = (
        (Party.MANAGER, Party.HOLDER) if pending.kind == "change" else (Party.HOLDER, Party.MANAGER)
    )
    steps = set()
    if decider in mine:
        steps |= {"accept_change", "decline_change"}
    if proposer in mine:
        steps.add("withdraw_change")
    return steps


def _person(user: User) -> Person:
    return Person(user.id, user.name, user.email)


def _pieces(reservation: Reservation) -> list[PieceView]:
    return [
        PieceView(
            p.equipment.slug,
            p.equipment.name,
            p.places,
            p.equipment.check_in,
            whole=1 < p.equipment.places <= p.places,
        )
        for p in sorted(reservation.pieces, key=lambda p: p.equipment_id)
    ]


def _change(reservation: Reservation, change: Change) -> ChangeView:
    known = {p.equipment_id: p.equipment for p in reservation.pieces}
    return ChangeView(
        id=change.id,
        kind=change.kind,
        proposed_by=change.proposed_by.name,
        start=change.starts_at,
        end=change.ends_at,
        equipment=[
            PieceView(p["slug"], known[p["equipment_id"]].name if p["equipment_id"] in known else {},
                      p["places"])
            for p in change.pieces
        ],
        created_at=change.created_at,
    )  # fmt: skip


@dataclass(frozen=True)
class Page:
    """``next`` is the cursor of the following page; None at the end."""

    items: Sequence[ReservationView]
    next: tuple[datetime, str] | None


@dataclass(frozen=True)
class Search:
    """Which reservations: those that touch ``[start, end)``; every None matches all.

    ``of_projects``: those that the viewer is a member of; ``of_organisation``: the viewer's; ``text`` is
    looked for in titles and in the names of equipment.
    """

    start: datetime | None = None
    end: datetime | None = None
    facility: str | None = None
    equipment: tuple[str, ...] = ()
    environment: str | None = None
    status: tuple[str, ...] = ()
    mine: bool = False
    of_projects: bool = False
    of_organisation: bool = False
    text: str = ""
    newest_first: bool = False
    after: tuple[datetime, str] | None = None
    limit: int = 100


def _says(text: str) -> ColumnElement[bool]:
    """In the title, or in the name or short name of a piece."""
    named = or_(
        Equipment.slug.icontains(text, autoescape=True),
        func.lower(cast(Equipment.name, String)).contains(text.lower(), autoescape=True),
    )
    return or_(
        Reservation.title.icontains(text, autoescape=True), Reservation.pieces.any(Piece.equipment.has(named))
    )


def _unknown(session: Session, wanted: Search, viewer: Viewer) -> list[Problem]:
    filters: tuple[tuple[str, InstrumentedAttribute[str], Sequence[str | None]], ...] = (
        ("facility", Facility.slug, [wanted.facility]),
        ("equipment", Equipment.slug, wanted.equipment),
        ("environment", Environment.slug, [wanted.environment]),
    )
    theirs = known_recipe(scope_of(viewer))
    found = []
    for name, column, given in filters:
        slugs = {slug for slug in given if slug is not None}
        query = select(column).where(column.in_(slugs), theirs if name == "environment" else true())
        known = set(session.scalars(query)) if slugs else set()
        found += [Problem(f"unknown_{name}", name, params={name: slug}) for slug in sorted(slugs - known)]
    return found


def search(session: Session, wanted: Search, *, viewer: Viewer) -> Page:
    """A page of what the viewer sees in full, by start; at most ``limit`` of them.

    Raises ``Refused`` for a facility, equipment or an environment that there isn't.
    The cursor is the last row's start and public id: what is added meanwhile neither repeats nor hides a row.
    """
    if unknown := _unknown(session, wanted, viewer):
        raise Refused(unknown)
    order = (Reservation.starts_at, Reservation.public_id)
    query = select(Reservation).where(in_scope(scope_of(viewer))).options(*loading())
    if wanted.start is not None:
        query = query.where(Reservation.occupied_until > wanted.start)
    if wanted.end is not None:
        query = query.where(Reservation.occupied_from < wanted.end)
    if wanted.facility is not None:
        query = query.where(Reservation.facility.has(Facility.slug == wanted.facility))
    if wanted.equipment:
        query = query.where(Reservation.pieces.any(Piece.equipment.has(Equipment.slug.in_(wanted.equipment))))
    if wanted.environment is not None:
        query = query.where(
            Reservation.environment_version.has(
                EnvironmentVersion.environment.has(Environment.slug == wanted.environment)
            )
        )
    if wanted.status:
        query = query.where(Reservation.status.in_(wanted.status))
    if wanted.mine:
        query = query.where(
            Reservation.id.in_(
                union(
                    select(Reservation.id).where(Reservation.holder_id == viewer.id),
                    select(Participant.reservation_id).where(Participant.user_id == viewer.id),
                )
            )
        )
    if wanted.of_projects:
        query = query.where(Reservation.project_id.in_(sorted(viewer.project_ids)))
    if wanted.of_organisation:
        query = query.where(Reservation.organisation_id == viewer.organisation_id)
    if wanted.text:
        query = query.where(_says(wanted.text))
    if wanted.after is not None:
        row = tuple_(*order)
        after = tuple_(literal(wanted.after[0], Instant()), literal(wanted.after[1]))
        query = query.where(row < after if wanted.newest_first else row > after)
    query = query.order_by(*(c.desc() if wanted.newest_first else c for c in order))
    rows = session.scalars(query.limit(wanted.limit + 1)).all()
    more = len(rows) > wanted.limit
    rows = rows[: wanted.limit]
    return Page(
        [summary_of(row, viewer=viewer) for row in rows],
        (rows[-1].starts_at, rows[-1].public_id) if more else None,
    )
