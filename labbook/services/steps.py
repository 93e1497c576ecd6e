"""One step along the transition table: status, allocations, what is due next, and its line in the history."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.reservation import BLOCKING, Action, Occupation, Status, transition
from labbook.models import Reservation
from labbook.services import changes, journal, overruns, waitlist, webhooks
from labbook.services.occupancy import cut
from labbook.services.opening import changed


def advance(
    session: Session,
    reservation: Reservation,
    action: Action,
    *,
    actor: Viewer | None,
    now: datetime,
    reason: str = "",
    rule: str | None = None,
    new: dict[str, object] | None = None,
) -> None:
    """Part of a use case's transaction. Whatever change was undecided lapses with the reservation's end, and
    one of its start or equipment when it begins."""
    step = transition(action, Status(reservation.status))
    places = [allocation.place_id for allocation in reservation.allocations if allocation.change_id is None]
    if step.target not in BLOCKING:
        changes.lapse(session, reservation, now)
    elif step.target is Status.IN_USE:
        changes.lapse_begun(session, reservation, actor=actor, now=now, rule=rule)
    if step.occupation is Occupation.CUT:
        end_now(reservation, now)
    reservation.status = step.target
    reservation.displaced_since = None
    changed(reservation, now)
    session.flush()
    if step.source is Status.IN_USE:
        overruns.release(session, places, now)
    if step.target not in BLOCKING:
        waitlist.freed(session, [piece.equipment_id for piece in reservation.pieces], now)
    journal.record(
        session,
        reservation,
        action,
        actor=actor,
        now=now,
        old={"status": step.source},
        new={"status": step.target, **(new or {})},
        reason=reason,
        rule=rule,
    )
    webhooks.moved(session, reservation, step.source, now)
    if step.source is Status.IN_USE:
        webhooks.let_in(session, places, now)


def end_now(reservation: Reservation, now: datetime) -> None:
    """Give back what is left of the slot."""
    cut(reservation, now)
    reservation.ended_at = now
    least = reservation.occupied_from + timedelta(seconds=1)
    reservation.occupied_until = min(reservation.occupied_until, max(now, least))
