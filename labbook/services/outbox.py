"""Sending what waits in the outbox. Bookings never wait for mail, and mail never undoes a booking.

A message is claimed first (its ``due_at`` moves to the next attempt), then sent outside of any
transaction, then marked as sent. Who dies in between leaves it due again: a mail may arrive twice, with
the same Message-ID, and never not at all.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session, joinedload

from labbook.domain.access import Viewer
from labbook.domain.visibility import sees_in_full
from labbook.formats.mail import Letter, Proposed, Subject, compose
from labbook.formats.words import localised
from labbook.models import OutboxMessage, Reservation
from labbook.services import transaction, viewers
from labbook.services.post import Carrier, NotNow, Undeliverable
from labbook.services.reservation_views import (
    ChangeView,
    PieceView,
    ReservationView,
    loading,
    subject_of,
    view_of,
)

BATCH = 50
PAUSES = tuple(timedelta(minutes=m) for m in (1, 2, 5, 15, 30, 60, 120, 240))
GIVE_UP_AFTER = timedelta(days=7)
_ERROR_LIMIT = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Office:
    """Where links lead, and who writes."""

    base_url: str
    sender: str


def send_due(session: Session, carrier: Carrier, office: Office, *, now: datetime) -> Counter[str]:
    """Send what is due at ``now``; how many were ``sent``, ``postponed``, ``dropped`` and ``given_up``.

    When nobody answers at the other end, the rest of the pass is left for later.
    """
    done: Counter[str] = Counter()
    for row_id, attempts in _claimed(session, now):
        try:
            done[_send(session, carrier, office, row_id, now)] += 1
        except NotNow as error:
            done[_postpone(session, row_id, error, attempts, now)] += 1
        except OSError as error:
            done[_postpone(session, row_id, error, attempts, now)] += 1
            break
    return done


def _claimed(session: Session, now: datetime) -> Iterator[tuple[int, int]]:
    """One after the other, claimed just before it is sent; each with the number of its attempt."""
    while rows := _due(session, now):
        for row_id, due_at, attempts in rows:
            if _claim(session, row_id, due_at, attempts, now):
                yield row_id, attempts + 1


def _due(session: Session, now: datetime) -> list[tuple[int, datetime, int]]:
    query = (
        select(OutboxMessage.id, OutboxMessage.due_at, OutboxMessage.attempts)
        .where(OutboxMessage.due_at.is_not(None), OutboxMessage.due_at <= now)
        .order_by(OutboxMessage.due_at, OutboxMessage.id)
        .limit(BATCH)
    )
    found = [(row.id, row.due_at, row.attempts) for row in session.execute(query)]
    session.rollback()
    return found


def _claim(session: Session, row_id: int, due_at: datetime, attempts: int, now: datetime) -> bool:
    """Compare and set: False when another process was faster."""

    def work() -> bool:
        claimed = session.execute(
            update(OutboxMessage)
            .where(OutboxMessage.id == row_id, OutboxMessage.due_at == due_at)
            .values(due_at=now + PAUSES[min(attempts, len(PAUSES) - 1)], attempts=attempts + 1)
            .returning(OutboxMessage.id)
            .execution_options(synchronize_session=False)
        )
        return claimed.first() is not None

    return transaction.write(session, work)


def _send(session: Session, carrier: Carrier, office: Office, row_id: int, now: datetime) -> str:
    try:
        letter = _letter(session, row_id, office)
        session.rollback()
        if letter is None:
            _finish(session, row_id, failed_at=now, error="its reader may no longer see it")
            return "dropped"
        carrier.send(compose(letter, sender=office.sender))
    except (Undeliverable, ValueError) as error:  # the same every time
        log.warning("message %s cannot be delivered: %s", row_id, error)
        _finish(session, row_id, failed_at=now, error=str(error)[:_ERROR_LIMIT])
        return "given_up"
    _finish(session, row_id, sent_at=now, error=None)
    return "sent"


def _postpone(session: Session, row_id: int, error: OSError, attempts: int, now: datetime) -> str:
    said = f"{type(error).__name__}: {error}"[:_ERROR_LIMIT]
    log.warning("message %s waits for attempt %s: %s", row_id, attempts + 1, said)

    def work() -> str:
        message = session.get_one(OutboxMessage, row_id)
        message.error = said
        if now - message.created_at < GIVE_UP_AFTER:
            return "postponed"
        message.failed_at, message.due_at = now, None
        return "given_up"

    return transaction.write(session, work)


def _finish(session: Session, row_id: int, **values: Any) -> None:
    """Settled. A payload may hold a link that opens an account: it is not kept."""

    def work() -> None:
        session.execute(
            update(OutboxMessage)
            .where(OutboxMessage.id == row_id)
            .values(due_at=None, payload={}, **values)
            .execution_options(synchronize_session=False)
        )

    transaction.write(session, work)


def _letter(session: Session, row_id: int, office: Office) -> Letter | None:
    """What the reader may see of it now; None when that is nothing."""
    message = session.scalar(
        select(OutboxMessage).where(OutboxMessage.id == row_id).options(joinedload(OutboxMessage.user))
    )
    if message is None or not message.user.active:
        return None
    user = message.user
    letter = Letter(
        kind=message.kind,
        message_id=message.message_id,
        locale=user.locale,
        name=user.name,
        address=user.email,
        url=office.base_url + str(message.payload.get("path", "/")),
        written_at=message.created_at,
    )
    if message.reservation_id is None:
        return letter
    reader = viewers.by_user_id(session, user.id, user.session_epoch)
    reservation = session.scalar(
        select(Reservation).where(Reservation.id == message.reservation_id).options(*loading())
    )
    if reader is None or reservation is None:
        return None
    if not sees_in_full(reader, subject_of(reservation)):
        # Who is relieved learns that they are, whatever they may see of it afterwards.
        url = f"{office.base_url}/reservations/{reservation.public_id}"
        return replace(letter, kind="relieved", url=url) if letter.kind == "transferred" else None
    return _about(session, letter, reservation, reader, office)


def _about(
    session: Session, letter: Letter, reservation: Reservation, reader: Viewer, office: Office
) -> Letter:
    view = view_of(session, reservation, viewer=reader)
    told = [entry for entry in view.history if entry.at == letter.written_at]
    entry = told[-1] if told else None
    said = [m for m in view.messages if m.at == letter.written_at] if letter.kind == "message" else []
    words, actor = (said[-1].text, said[-1].author) if said else ("", (entry and entry.actor) or "")
    return Letter(
        kind=letter.kind,
        message_id=letter.message_id,
        locale=letter.locale,
        name=letter.name,
        address=letter.address,
        url=f"{office.base_url}/reservations/{view.id}",
        written_at=letter.written_at,
        about=_subject(view, letter.locale),
        actor=actor or view.requested_by.name,
        reason=entry.reason if entry and not said else "",
        words=words,
    )


def _subject(view: ReservationView, locale: str) -> Subject:
    change = view.pending_change
    return Subject(
        id=view.id,
        title=view.title,
        status=view.status,
        start=view.start,
        end=view.end,
        zone=view.zone,
        facility=localised(view.facility_name, locale),
        equipment=_names(view.equipment, locale),
        holder=view.holder.name,
        organisation=view.organisation_name,
        project=view.project_name,
        cause=view.cancel_cause,
        proposed=_proposed(change, locale) if change else None,
    )


def _proposed(change: ChangeView, locale: str) -> Proposed:
    return Proposed(change.start, change.end, _names(change.equipment, locale))


def _names(pieces: Any, locale: str) -> list[str]:
    def named(piece: PieceView) -> str:
        name = localised(piece.name, locale) or piece.slug
        return f"{name} × {piece.places}" if piece.places > 1 else name

    return [named(piece) for piece in pieces]
