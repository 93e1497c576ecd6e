"""The queue step of the waitlist: the first in line is offered what became free, or it is booked for them.

Who is in line before whom follows from the entries' numbers, and it holds however many schedulers run:

1. A step has its entry locked, and locks the equipment that the entry wants before it looks, so that nobody
   looks for the same equipment at the same time. It never waits for such a lock (whoever has it may be about
   to wake this very entry): where one is missing it stands aside for a second.
2. What it finds on a piece it takes only when nobody who came earlier could take that piece: each earlier
   entry is tried by the same rules. One that fits is woken, and the later one stands aside for a second.
3. What is given back wakes all who want it in the transaction that frees it, which waits for the steps under
   way: none of them sees time that another was not told of.

The rules are the ones of every request: ``free_time`` proposes, ``reservations.check_plan`` decides, and
``reservations.make`` asks in the entry's user's name.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain import policy
from labbook.domain.access import Viewer
from labbook.domain.errors import Problem
from labbook.domain.interval import Interval
from labbook.domain.waiting import GIVE_WAY, LOOK_AGAIN, SHORTEST_OFFER, last_start, offered_until
from labbook.models import Equipment, EquipmentDraw, Organisation, Reservation, User, Utility, WaitlistEntry
from labbook.models import WaitlistWant as Want
from labbook.services import facts, free_time, journal, people, reservations, viewers
from labbook.services.commands import RequestReservation, Wanted
from labbook.services.due import Queue
from labbook.services.facts import Plan
from labbook.services.reservations import Asking

OFFERED, BOOKED, OVER = "waitlist_offer", "waitlist_booked", "waitlist_over"
"""The names of the steps, and of the messages that tell of them."""

_TRIES = 60
_PASSES = frozenset({"in_the_past", "lead_time", "off_grid", "unstaffed", "shutdown", "over_budget",
                     "other_ambient"})  # fmt: skip
"""What may be otherwise a little later; everything else stands in the way of the whole search."""


@dataclass(frozen=True)
class Fit:
    """A period on a piece in which all rules allow it."""

    equipment: Equipment
    use: Interval


def step(session: Session, entry: WaitlistEntry, now: datetime) -> str | None:
    """What is due for one locked entry. The name of what was done; None where it goes on waiting."""
    if entry.state != "waiting":
        entry.due_at = None
        return None
    closing = last_start(entry.latest, timedelta(seconds=entry.duration))
    if now >= closing:
        entry.state, entry.closed_at, entry.due_at = "ended", now, None
        payload = {"path": "/waitlist", "words": entry.title}
        journal.post(session, OVER, [entry.user_id], now=now, payload=payload)
        return OVER
    if not _locked(session, [want.equipment_id for want in entry.wants]):
        entry.due_at = now + GIVE_WAY
        return None
    asker = _asker(session, entry, now)
    found = asker and _first(session, entry, asker, now)
    if asker is None or not found:
        entry.due_at = min(now + LOOK_AGAIN, closing)
        return None
    if _somebody_is_before(session, entry, found.equipment, now):
        entry.due_at = now + GIVE_WAY
        return None
    return _give(session, entry, asker, found, now)


QUEUE = Queue("waitlist", WaitlistEntry, step)


def _locked(session: Session, equipment_ids: Collection[int]) -> bool:
    """Lock the equipment and the utilities it draws from, in the one order of locks, without waiting."""
    equipment = select(Equipment.id).where(Equipment.id.in_(sorted(equipment_ids)))
    utilities = select(Utility.id).where(
        Utility.id.in_(select(EquipmentDraw.utility_id).where(EquipmentDraw.equipment_id.in_(equipment)))
    )
    for query, key in ((equipment, Equipment.id), (utilities, Utility.id)):
        wanted = len(session.scalars(query).all())
        taken = session.scalars(query.order_by(key).with_for_update(key_share=True, skip_locked=True)).all()
        if len(taken) < wanted:
            return False
    return True


def _asker(session: Session, entry: WaitlistEntry, now: datetime) -> Viewer | None:
    """In whose name it is asked for; None when they may no longer, or no longer charge the project."""
    user = session.get_one(User, entry.user_id)
    asker = viewers.by_user_id(session, user.id, user.session_epoch, now)
    if asker is None:
        return None
    project = entry.project.slug if entry.project is not None else None
    named = people.resolve(session, actor=asker, facility_id=entry.facility_id, holder=None, project=project)
    return None if named.problems else asker


def _first(session: Session, entry: WaitlistEntry, asker: Viewer, now: datetime) -> Fit | None:
    """The earliest on any of its equipment; of equally early ones that which was entered first."""
    wanted = sorted((want.equipment for want in entry.wants), key=lambda equipment: equipment.id)
    found = [fit for equipment in wanted if (fit := fit_on(session, entry, equipment, asker, now))]
    return min(found, key=lambda fit: fit.use.start, default=None)


def fit_on(
    session: Session, entry: WaitlistEntry, equipment: Equipment, asker: Viewer, now: datetime
) -> Fit | None:
    """The first period on this piece that every rule allows to whoever asks."""
    organisation = facts.organisation_facts(session.get_one(Organisation, asker.organisation_id))
    wanted = [Wanted(equipment.slug, entry.places)]
    pieces = facts.load_equipment(session, wanted, lock=False)
    asking = Asking(actor=asker, holder_id=asker.id, organisation=organisation, now=now)
    length = timedelta(seconds=entry.duration)
    start = max(entry.earliest, now + (SHORTEST_OFFER if entry.mode == "offer" else timedelta(0)))
    for _ in range(_TRIES):
        use = free_time.next_free(session, wanted, start, length, now=now, until=entry.latest)
        if use is None:
            return None
        checked = reservations.check_plan(session, Plan(pieces, use), asking)
        wrong = policy.blocking(checked.problems)
        if not wrong and not checked.placing.conflicts:
            return Fit(equipment, use)
        if not _passes(wrong):
            return None
        start = use.start + timedelta(seconds=max(equipment.slot_grid, 60))
    return None


def _passes(problems: Collection[Problem]) -> bool:
    return {problem.code for problem in problems} <= _PASSES


def _somebody_is_before(session: Session, entry: WaitlistEntry, equipment: Equipment, now: datetime) -> bool:
    """Whether somebody who came earlier could take this piece: the first of them is woken.

    What was put aside with an error does not hold up the rest.
    """
    earlier = session.scalars(
        select(WaitlistEntry)
        .join(Want, Want.entry_id == WaitlistEntry.id)
        .where(
            Want.equipment_id == equipment.id,
            WaitlistEntry.id < entry.id,
            WaitlistEntry.state == "waiting",
            WaitlistEntry.due_error.is_(None),
        )
        .order_by(WaitlistEntry.id)
    ).all()
    for other in earlier:
        asker = _asker(session, other, now)
        if asker is not None and fit_on(session, other, equipment, asker, now) is not None:
            _wake(session, other.id, now)
            return True
    return False


def _wake(session: Session, entry_id: int, now: datetime) -> None:
    """Where another process has it, it is being looked at already."""
    other = session.scalar(
        select(WaitlistEntry)
        .where(WaitlistEntry.id == entry_id, WaitlistEntry.state == "waiting")
        .with_for_update(of=WaitlistEntry, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if other is not None and (other.due_at is None or other.due_at > now):
        other.due_at = now


def _give(session: Session, entry: WaitlistEntry, asker: Viewer, found: Fit, now: datetime) -> str:
    offering = entry.mode == "offer"
    made = reservations.make(
        session,
        RequestReservation(
            equipment=(Wanted(found.equipment.slug, entry.places),),
            start=found.use.start,
            end=found.use.end,
            title=entry.title,
            project=entry.project.slug if entry.project is not None else None,
            activity=entry.activity,
            hold="offer" if offering else None,
            decide_by=offered_until(now, found.use.start) if offering else None,
            waited=True,
        ),
        actor=asker,
        now=now,
    )
    reservation = session.scalars(select(Reservation).where(Reservation.public_id == made.id)).one()
    entry.reservation, entry.due_at = reservation, None
    entry.state, told = ("offered", OFFERED) if offering else ("taken", BOOKED)
    if offering:
        entry.offered_at = now
    else:
        entry.closed_at = now
    journal.post(session, told, [entry.user_id], now=now, reservation=reservation)
    return told
