"""What waits in the outbox, as letters: what their reader may see of it now, and when they want to.

Read when a message is sent and not when it is written: who lost sight of a reservation meanwhile is told
nothing of it, and who chose otherwise meanwhile gets it otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from labbook.domain import notification
from labbook.domain.access import Viewer
from labbook.domain.notification import Mode, Slot, Topic
from labbook.domain.visibility import sees_in_full
from labbook.formats.mail import Letter, Proposed, Subject
from labbook.formats.words import localised
from labbook.models import Facility, HistoryEntry, NotificationPreference, OutboxMessage, Remark, Reservation
from labbook.services import invitations, viewers
from labbook.services.post import Office
from labbook.services.reservation_views import (
    ChangeView,
    HistoryView,
    PieceView,
    ReservationView,
    loading,
    subject_of,
    summary_of,
    view_of,
)


@dataclass(frozen=True)
class Due:
    """A message with its reader and what it is about, as they are now.

    ``reader`` is None for somebody deactivated, ``reservation`` for what is about none.
    """

    message: OutboxMessage
    reader: Viewer | None
    reservation: Reservation | None

    @property
    def in_sight(self) -> bool:
        """Whether its reader may see in full what it is about."""
        if self.reader is None:
            return False
        if self.message.reservation_id is None:
            return True
        return self.reservation is not None and sees_in_full(self.reader, subject_of(self.reservation))


def load(session: Session, row_ids: Iterable[int], now: datetime) -> list[Due]:
    """Messages of one reader, the oldest first, in a constant number of queries."""
    messages = session.scalars(
        select(OutboxMessage)
        .where(OutboxMessage.id.in_(sorted(row_ids)))
        .order_by(OutboxMessage.id)
        .options(joinedload(OutboxMessage.user))
    ).all()
    if not messages:
        return []
    user = messages[0].user
    reader = viewers.by_user_id(session, user.id, user.session_epoch, now)
    about = {message.reservation_id for message in messages} - {None}
    query = select(Reservation).where(Reservation.id.in_(sorted(about))).options(*loading())
    found = {row.id: row for row in session.scalars(query)} if about else {}
    return [Due(message, reader, found.get(message.reservation_id or 0)) for message in messages]


def mode_of(session: Session, due: Due, now: datetime) -> tuple[Mode, datetime]:
    """When its reader wants it, and when their next daily mail leaves."""
    mode = _chosen(session, [due])[due.message.id]
    if mode is Mode.AT_ONCE:  # as for most; the rest need not be read
        return mode, now
    digest_at, slot = _next_digest(session, due, now), _slots(session, [due]).get(due.message.id)
    return notification.how(due.message.kind, mode, slot=slot, now=now, digest_at=digest_at), digest_at


def unwanted(session: Session, dues: Sequence[Due], now: datetime) -> set[int]:
    """The messages of a daily mail that its reader came to want no more, by their id."""
    chosen = _chosen(session, dues)
    never = [due for due in dues if chosen[due.message.id] is Mode.NEVER]
    slots = _slots(session, never)
    found = set()
    for message in (due.message for due in never):
        slot = slots.get(message.id)
        mode = notification.how(message.kind, Mode.NEVER, slot=slot, now=now, digest_at=now)
        found |= {message.id} if mode is Mode.NEVER else set()
    return found


def _chosen(session: Session, dues: Sequence[Due]) -> dict[int, Mode]:
    """What their one reader wants of each message's topic."""
    topics = {due.message.id: notification.topic_of(due.message.kind) for due in dues}
    if not any(topics.values()):
        return dict.fromkeys(topics, Mode.AT_ONCE)
    query = select(NotificationPreference.topic, NotificationPreference.mode).where(
        NotificationPreference.user_id == dues[0].message.user_id
    )
    wanted = {**notification.DEFAULTS} | {Topic(topic): Mode(mode) for topic, mode in session.execute(query)}
    return {row_id: wanted[topic] if topic else Mode.AT_ONCE for row_id, topic in topics.items()}


def _next_digest(session: Session, due: Due, now: datetime) -> datetime:
    """One a day: what waits for a daily mail already decides when it leaves."""
    waiting = session.scalar(
        select(OutboxMessage.due_at)
        .where(
            OutboxMessage.user_id == due.message.user_id,
            OutboxMessage.digest,
            OutboxMessage.due_at > now,
            OutboxMessage.attempts == 0,
        )
        .order_by(OutboxMessage.due_at)
        .limit(1)
    )
    if waiting is not None:
        return waiting
    return notification.next_digest(now, _zone(session, due))


def _zone(session: Session, due: Due) -> ZoneInfo:
    if due.reservation is not None:
        return ZoneInfo(due.reservation.facility.time_zone)
    first = session.scalar(select(Facility.time_zone).order_by(Facility.id).limit(1))
    return ZoneInfo(first or "UTC")


def _slots(session: Session, dues: Sequence[Due]) -> dict[int, Slot]:
    """What each message is about, by its id: a slot, or a visit during a long test."""
    about = {due.message.reservation_id for due in dues} - {None}
    told = select(HistoryEntry.reservation_id, HistoryEntry.at, HistoryEntry.old).where(
        HistoryEntry.reservation_id.in_(sorted(about)),
        HistoryEntry.at.in_(sorted({due.message.created_at for due in dues})),
    )
    rows = session.execute(told).all() if about else []
    left = [(row.reservation_id, row.at, row.old["start"]) for row in rows if "start" in row.old]
    slots = {}
    for due in dues:
        message = due.message
        was = [start for row, at, start in left if (row, at) == (message.reservation_id, message.created_at)]
        if slot := _slot(due, [datetime.fromisoformat(start) for start in was]):
            slots[message.id] = slot
    return slots


def _slot(due: Due, left: Sequence[datetime]) -> Slot | None:
    """What was moved away from tomorrow (``left``) is late for whoever would come tomorrow."""
    reservation, reader = due.reservation, due.reader
    if reservation is None or reader is None:
        return None
    subject = subject_of(reservation)
    people = {subject.holder_id, subject.requested_by_id, *subject.participant_ids}
    theirs = reader.id in people or not reader.is_staff_of(reservation.facility_id)
    if visit := due.message.payload.get("visit_from"):
        return Slot(datetime.fromisoformat(visit), theirs)
    proposed = (change.starts_at for change in reservation.changes if change.state == "open")
    return Slot(min([reservation.starts_at, *proposed, *left]), theirs)


def letter_of(session: Session, due: Due, office: Office) -> Letter | None:
    """What the reader may see of it now; None when that is nothing."""
    if due.reader is None:
        return None
    letter = _written(session, _addressed(due, office))
    if due.message.reservation_id is None:
        return letter
    if due.reservation is None:
        return None
    if due.message.kind in invitations.KINDS:
        carried = invitations.invitation_of(session, due.message, due.reservation, due.reader, office)
        if carried is None:
            return None
        letter = replace(letter, calendar=carried)
        if not due.in_sight:
            return letter
    elif not due.in_sight:
        return _relieved(letter)
    view = view_of(session, due.reservation, viewer=due.reader)
    told = [entry for entry in view.history if entry.at == letter.written_at]
    return _about(letter, view, told[-1] if told else None)


def lines_of(dues: Sequence[Due], office: Office) -> list[Letter]:
    """The same for a daily mail, which shows a line of each: nothing more is read for that."""
    found = []
    for due in dues:
        letter = _addressed(due, office)
        if due.reader is None:
            continue
        if due.message.reservation_id is None:
            found.append(letter)
        elif due.reservation is not None and due.in_sight:
            found.append(_about(letter, summary_of(due.reservation, viewer=due.reader), None))
        elif due.reservation is not None and (relieved := _relieved(letter)):
            found.append(relieved)
    return found


def _addressed(due: Due, office: Office) -> Letter:
    message, user = due.message, due.message.user
    path = str(message.payload.get("path", "/"))
    if due.reservation is not None:
        path = f"/reservations/{due.reservation.public_id}"
    return Letter(
        kind=message.kind,
        message_id=message.message_id,
        locale=user.locale,
        name=user.name,
        address=user.email,
        url=office.base_url + path,
        written_at=message.created_at,
        words=str(message.payload.get("words", "")),
        more={name: value for name, value in message.payload.items() if name != "path"},
        choice_url=f"{office.base_url}/account#mail" if notification.topic_of(message.kind) else "",
    )


def _written(session: Session, letter: Letter) -> Letter:
    """With the words that were kept beside it, where erasure can reach them."""
    remark = letter.more.get("remark")
    text = session.scalar(select(Remark.text).where(Remark.id == remark)) if remark else None
    return replace(letter, words=text) if text else letter


def _relieved(letter: Letter) -> Letter | None:
    """Who is relieved learns that they are, whatever they may see of it afterwards."""
    return replace(letter, kind="relieved") if letter.kind == "transferred" else None


def _about(letter: Letter, view: ReservationView, entry: HistoryView | None) -> Letter:
    said = [m for m in view.messages if m.at == letter.written_at] if letter.kind == "message" else []
    told = (letter.words, (entry and entry.actor) or "")
    words, actor = (said[-1].text, said[-1].author) if said else told
    return replace(
        letter,
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
        held_until=view.decide_by if view.hold else None,
    )


def _proposed(change: ChangeView, locale: str) -> Proposed:
    return Proposed(change.start, change.end, _names(change.equipment, locale))


def _names(pieces: Any, locale: str) -> list[str]:
    def named(piece: PieceView) -> str:
        name = localised(piece.name, locale) or piece.slug
        return f"{name} × {piece.places}" if piece.places > 1 else name

    return [named(piece) for piece in pieces]
