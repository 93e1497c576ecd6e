"""The second sign-off: approval of the time is not permission to energise."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, Problem, WrongStatus
from labbook.domain.reservation import Party, Status
from labbook.models import Reservation
from labbook.services import journal, transaction, visits, webhooks
from labbook.services.commands import Decide
from labbook.services.opening import changed, opened
from labbook.services.reservation_views import ReservationView, is_its_own, view_of
from labbook.services.reservations import refuse_if_any, written_problems


def sign(session: Session, command: Decide, *, actor: Viewer, now: datetime) -> ReservationView:
    """Signed at the set-up by a manager who is not at it themselves, not even where they are the only one."""

    def work() -> ReservationView:
        reservation = opened(
            session,
            command.reservation,
            actor=actor,
            allowed=frozenset({Party.MANAGER}),
            action="permit",
            revision=command.revision,
        )
        if is_its_own(reservation, actor):
            raise Forbidden("permit")
        refuse_if_any(_problems(reservation, command, now), ())
        if reservation.status not in (Status.APPROVED, Status.IN_USE):
            raise WrongStatus("permit", reservation.status)
        reservation.permit_signed_at, reservation.permit_signed_by_id = now, actor.id
        visits.relay(session, reservation, now)
        reservation.freed_at = now  # until now it was the lab that kept its people waiting
        changed(reservation, now)
        session.flush()
        journal.record(
            session,
            reservation,
            "permit",
            actor=actor,
            now=now,
            old={"permit": None},
            new={"permit": now},
            reason=command.reason,
        )
        if reservation.status == Status.IN_USE:
            webhooks.opened(session, [reservation.id], now)
        told = [reservation.holder_id, reservation.requested_by_id]
        journal.post(session, "permit", told, now=now, reservation=reservation, apart_from=actor.id)
        return view_of(session, reservation, viewer=actor)

    return transaction.write(session, work)


def _problems(reservation: Reservation, command: Decide, now: datetime) -> list[Problem]:
    problems = written_problems(None, None, command.reason)
    if not reservation.permit_required:
        problems.append(Problem("no_permit_needed"))
    elif reservation.permit_signed_at is not None:
        problems.append(Problem("permit_signed", params={"signed": reservation.permit_signed_at}))
    if now < reservation.occupied_from:
        problems.append(Problem("permit_too_early", params={"earliest": reservation.occupied_from}))
    elif reservation.status == Status.APPROVED and now >= reservation.occupied_until:
        problems.append(Problem("too_late", params={"end": reservation.occupied_until}))
    return problems
