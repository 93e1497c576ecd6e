"""Waiting for what is taken: joining, withdrawing, taking what is offered or letting it go."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from labbook.domain import policy
from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, Problem, Refused, WrongStatus
from labbook.domain.interval import Interval
from labbook.domain.reservation import Action, Party, Status
from labbook.domain.waiting import ENTRIES_LIMIT, MODES, WINDOW_LIMIT
from labbook.domain.words import TITLE_LIMIT, text_problems
from labbook.models import (
    Equipment,
    Organisation,
    Reservation,
    WaitlistEntry,
    WaitlistWant,
)
from labbook.models.project import ACTIVITIES
from labbook.services import facts, free_time, journal, people, reservations, transaction, waitlist
from labbook.services.commands import Wanted
from labbook.services.facts import Plan
from labbook.services.opening import changed, opened
from labbook.services.reservations import Asking
from labbook.services.steps import advance
from labbook.services.waitlist_views import EntryView, stored, visible

_TIMES = frozenset({"earliest", "latest", "duration"})
_OF_OTHERS = frozenset({"over_budget", "other_ambient"})
"""What only others' reservations stand in the way of."""


@dataclass(frozen=True)
class JoinWaitlist:
    """``duration`` of any one of ``equipment`` (slugs, each with ``places``) within ``[earliest, latest]``.

    ``mode``: ``offer`` it for a limited time, or ``book`` at once.
    """

    equipment: tuple[str, ...]
    earliest: datetime
    latest: datetime
    duration: timedelta
    title: str
    mode: str = "offer"
    places: int = 1
    project: str | None = None
    activity: str | None = None


def join(session: Session, command: JoinWaitlist, *, actor: Viewer, now: datetime) -> EntryView:
    """Raises ``Refused`` with everything that would ever stand in the way; that it is taken does not."""

    def work() -> EntryView:
        problems = _written(command, now)
        slugs = tuple(dict.fromkeys(command.equipment))
        wanted = [Wanted(slug, command.places) for slug in slugs]
        pieces = facts.load_equipment(session, wanted, lock=False)
        problems += facts.unknown_equipment(wanted, pieces)
        facilities = {equipment.facility_id for equipment, _ in pieces}
        if len(facilities) > 1:
            problems.append(Problem("several_facilities", "equipment"))
        if len(facilities) != 1:
            raise Refused(problems)
        facility_id = facilities.pop()
        named = people.resolve(
            session, actor=actor, facility_id=facility_id, holder=None, project=command.project
        )
        problems += named.problems
        if not any(p.field in _TIMES for p in problems):
            for equipment, _ in pieces:
                problems += _never(session, command, equipment, actor, now)
        problems += _too_much(session, command, {equipment.id for equipment, _ in pieces}, actor)
        if problems:
            raise Refused(problems)
        activity = command.activity or (named.project.activity if named.project else "research")
        entry = WaitlistEntry(
            public_id=secrets.token_hex(8),
            user_id=actor.id,
            facility_id=facility_id,
            mode=command.mode,
            state="waiting",
            earliest=command.earliest,
            latest=command.latest,
            duration=int(command.duration.total_seconds()),
            places=command.places,
            title=command.title.strip(),
            project_id=named.project.id if named.project else None,
            activity=activity,
            created_at=now,
            due_at=now,
            wants=[WaitlistWant(equipment_id=equipment.id) for equipment, _ in pieces],
        )
        session.add(entry)
        session.flush()
        return stored(session, entry.public_id, actor)

    return transaction.write(session, work)


def withdraw(session: Session, public_id: str, *, actor: Viewer, now: datetime) -> EntryView:
    """Wait no longer; what is offered is let go with it."""

    def work() -> EntryView:
        entry = _own(session, public_id, "withdraw", actor)
        if entry.state == "offered":
            _let_go(session, entry, "withdraw", actor, now)
        else:
            _locked(session, entry, "withdraw", "waiting")
            entry.state, entry.closed_at, entry.due_at = "withdrawn", now, None
        return stored(session, public_id, actor)

    return transaction.write(session, work)


def take(session: Session, public_id: str, *, actor: Viewer, now: datetime) -> EntryView:
    """Make what is offered a request like any other: booked at once, or for a manager to decide."""

    def work() -> EntryView:
        entry = _own(session, public_id, "take", actor)
        reservation = _offered(session, entry, "take", actor)
        if now >= (reservation.decide_by or reservation.starts_at):
            raise WrongStatus("take", Status.EXPIRED)
        plan = _checked(session, reservation, actor, now)
        reservation.hold, reservation.decide_by = None, facts.decide_by(plan, now)
        changed(reservation, now)
        session.flush()
        journal.record(session, reservation, "take", actor=actor, now=now, new={"hold": None})
        if policy.needs_manager(plan.facts):
            reservations.tell_managers(session, reservation, actor, now)
        else:
            reservation.approved_at = now
            advance(session, reservation, Action.APPROVE, actor=None, now=now, rule="automatic")
        entry.state, entry.closed_at = "taken", now
        return stored(session, public_id, actor)

    return transaction.write(session, work)


def let_go(session: Session, public_id: str, *, actor: Viewer, now: datetime) -> EntryView:
    """Decline what is offered: it goes to the next in line, and the entry is over."""

    def work() -> EntryView:
        entry = _own(session, public_id, "let_go", actor)
        _let_go(session, entry, "let_go", actor, now)
        return stored(session, public_id, actor)

    return transaction.write(session, work)


def _let_go(session: Session, entry: WaitlistEntry, action: str, actor: Viewer, now: datetime) -> None:
    reservation = _offered(session, entry, action, actor)
    reservation.cancel_cause = "user"
    advance(session, reservation, Action.CANCEL, actor=actor, now=now, new={"cause": "user"})
    waitlist.released(session, [reservation], now)


def _own(session: Session, public_id: str, action: str, actor: Viewer) -> WaitlistEntry:
    """Its owner acts on it; managers see it."""
    entry = visible(session, public_id, actor)
    if entry.user_id != actor.id:
        raise Forbidden(action)
    return entry


def _offered(session: Session, entry: WaitlistEntry, action: str, actor: Viewer) -> Reservation:
    """What is offered, locked before its entry is: the order of everything that ends a reservation."""
    if entry.state != "offered" or entry.reservation is None:
        raise WrongStatus(action, entry.state)
    reservation = opened(
        session,
        entry.reservation.public_id,
        actor=actor,
        allowed=frozenset({Party.HOLDER}),
        action=action,
        revision=None,
        takes=(),
    )
    _locked(session, entry, action, "offered")
    return reservation


def _locked(session: Session, entry: WaitlistEntry, action: str, state: str) -> None:
    session.refresh(entry, ["state", "reservation_id", "due_at"], with_for_update=True)
    if entry.state != state:
        raise WrongStatus(action, entry.state)


def _checked(session: Session, reservation: Reservation, actor: Viewer, now: datetime) -> Plan:
    """Asked once more; it was offered at this time, so that grid and lead time no longer count."""
    wanted = [Wanted(piece.equipment.slug, piece.places) for piece in reservation.pieces]
    pieces = facts.load_equipment(session, wanted, lock=True)
    plan = Plan(pieces, Interval(reservation.starts_at, reservation.ends_at))
    checked = reservations.check_plan(
        session,
        plan,
        Asking(
            actor=actor,
            holder_id=reservation.holder_id,
            organisation=facts.organisation_facts(reservation.organisation),
            now=now,
            reservation_id=reservation.id,
            keep_start=True,
            proposed=True,
        ),
    )
    reservations.refuse_if_any(checked.problems, checked.placing.conflicts, frozenset(reservation.overridden))
    return plan


# --- what is wrong with a wish ------------------------------------------------------------------------


def _written(command: JoinWaitlist, now: datetime) -> list[Problem]:
    problems = text_problems(command.title, "title", limit=TITLE_LIMIT, required=True)
    if command.mode not in MODES:
        problems.append(Problem("not_one_of", "mode", params={"choices": list(MODES)}))
    if command.activity is not None and command.activity not in ACTIVITIES:
        problems.append(Problem("unknown_activity", "activity", params={"activity": command.activity}))
    if not command.equipment:
        problems.append(Problem("missing", "equipment"))
    if len(command.equipment) > reservations.PIECES_LIMIT:
        limit = {"limit": reservations.PIECES_LIMIT}
        problems.append(Problem("too_many_pieces", "equipment", params=limit))
    return problems + _window_problems(command, now)


def _window_problems(command: JoinWaitlist, now: datetime) -> list[Problem]:
    wrong = reservations.when_problems(command.earliest, command.latest)
    if wrong:
        names = {"start": "earliest", "end": "latest"}
        return [Problem(p.code, names.get(p.field or "", p.field), params=p.params) for p in wrong]
    window = command.latest - command.earliest
    problems = []
    if window > WINDOW_LIMIT:
        problems.append(Problem("period_too_long", "latest", params={"days": WINDOW_LIMIT.days}))
    if not timedelta(0) < command.duration <= window:
        problems.append(Problem("window_too_short", "duration"))
    elif command.latest - command.duration <= now:
        problems.append(Problem("window_over", "latest"))
    return problems


def _never(
    session: Session, command: JoinWaitlist, equipment: Equipment, actor: Viewer, now: datetime
) -> list[Problem]:
    """What would stand in the way even if nobody else had booked anything."""
    use = free_time.next_free(
        session,
        [Wanted(equipment.slug, command.places)],
        command.earliest,
        command.duration,
        now=now,
        until=command.latest,
        empty=True,
    )
    tried = use or Interval(command.earliest, command.earliest + command.duration)
    organisation = facts.organisation_facts(session.get_one(Organisation, actor.organisation_id))
    asking = Asking(actor=actor, holder_id=actor.id, organisation=organisation, now=now)
    checked = reservations.check_plan(session, Plan([(equipment, command.places)], tried), asking)
    found = [p for p in policy.blocking(checked.problems) if p.code not in _OF_OTHERS]
    if use is None and command.duration < command.latest - command.earliest:
        # The earliest time is one of many: what is wrong with it alone does not explain anything.
        found = [p for p in found if p.field != "start"]
    if use is None and not found:
        found = [Problem("never_fits", "latest", params={"equipment": equipment.slug})]
    return [Problem(p.code, _FIELDS.get(p.field or "", p.field), params=p.params) for p in found]


_FIELDS = {"start": "earliest", "end": "duration", "holder": "equipment"}
"""Where a rule's problem stands in a form that asks for a window."""


def _too_much(
    session: Session, command: JoinWaitlist, equipment_ids: set[int], actor: Viewer
) -> list[Problem]:
    """One wish is entered once, and nobody waits for everything."""
    present = session.scalars(
        select(WaitlistEntry)
        .where(WaitlistEntry.user_id == actor.id, WaitlistEntry.state.in_(("waiting", "offered")))
        .options(selectinload(WaitlistEntry.wants))
    ).all()
    problems = []
    if len(present) >= ENTRIES_LIMIT:
        problems.append(Problem("too_many_entries", params={"limit": ENTRIES_LIMIT}))
    wish = (command.earliest, command.latest, int(command.duration.total_seconds()), equipment_ids)
    if any((e.earliest, e.latest, e.duration, {w.equipment_id for w in e.wants}) == wish for e in present):
        problems.append(Problem("waits_already", "equipment"))
    return problems
