"""Reservations for the calendars of those who want them by mail: what is due follows from the rows.

What somebody's calendar was last sent (``SentInvitation``) is compared with what it should show now, and
only where the reservation's revision is another one than was last looked at. So no use case has to remember
it, a crash loses nothing, and what changes nothing in a calendar, such as a check-in, sends nothing.

What was sent is written down in the transaction that puts the mail into the outbox. A mail that another one
has overtaken before it left is not sent.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Literal

from sqlalchemy import ColumnElement, Select, Subquery, and_, literal_column, or_, select, union_all
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, joinedload, selectinload

from labbook.domain.access import Viewer
from labbook.domain.errors import StorageTrouble
from labbook.domain.policy import is_attended
from labbook.domain.reservation import BLOCKING
from labbook.domain.visibility import sees_in_full
from labbook.formats.feed_words import words
from labbook.formats.icalendar import CalendarEntry, Invitation
from labbook.formats.words import localised
from labbook.models import OutboxMessage, Participant, Piece, Reservation, SentInvitation, User
from labbook.services import journal, transaction, viewers
from labbook.services.feed_entries import GONE, SHOWN_AS, location
from labbook.services.post import Office
from labbook.services.reservation_views import subject_of

KINDS: dict[str, Literal["REQUEST", "CANCEL"]] = {"calendar": "REQUEST", "calendar_cancelled": "CANCEL"}

BATCH = 50

log = logging.getLogger(__name__)

# Said in the words of the partial indexes, without which SQLite does not take them.
_INVITED = User.calendar_by == literal_column("'invitation'")
_OPEN = SentInvitation.method == literal_column("'REQUEST'")


def enqueue_due(session: Session, *, now: datetime, thorough: bool = False) -> int:
    """Put a mail into the outbox for each calendar entry that is new, changed or gone; how many.

    Costs one small query where nobody wants invitations, and a second one where nothing changed. What can
    change without the reservation (a room, a project's members) is found only when ``thorough``.
    """
    anybody = session.scalar(select(User.id).where(_INVITED, User.active).limit(1))
    if anybody is None:
        session.rollback()
        return 0
    pairs: dict[int, set[int]] = {}
    for user_id, reservation_id in session.execute(select(_to_compare(now, thorough=thorough))):
        pairs.setdefault(user_id, set()).add(reservation_id)
    session.rollback()
    return sum(_attempt(session, user_id, sorted(pairs[user_id]), now, thorough) for user_id in sorted(pairs))


def _attempt(session: Session, user_id: int, ids: Sequence[int], now: datetime, thorough: bool) -> int:
    """In small transactions: on SQLite nobody else writes meanwhile."""
    done = 0
    try:
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            if not thorough or _differs(session, user_id, batch, now):
                done += _bring_up_to_date(session, user_id, batch, now)
    except (StorageTrouble, OperationalError):
        raise  # nobody's fault
    except Exception:  # one calendar that cannot be compared must not hold up the rest
        log.exception("the calendar of user %s could not be compared", user_id)
    return done


def _to_compare(now: datetime, *, thorough: bool) -> Subquery:
    """``user_id`` and ``reservation_id`` of what may differ from what was sent."""
    live = union_all(_held(now), _taken_part_in(now)).subquery("live")
    same = and_(
        SentInvitation.user_id == live.c.user_id, SentInvitation.reservation_id == live.c.reservation_id
    )
    upcoming = select(live.c.user_id, live.c.reservation_id).outerjoin(SentInvitation, same)
    sent = (
        select(SentInvitation.user_id, SentInvitation.reservation_id)
        .join(Reservation, Reservation.id == SentInvitation.reservation_id)
        .join(User, User.id == SentInvitation.user_id)
        .where(_OPEN, SentInvitation.ends_at > now, _INVITED, User.active)
    )
    if not thorough:
        upcoming = upcoming.where(
            or_(SentInvitation.revision.is_(None), SentInvitation.revision != live.c.revision)
        )
        sent = sent.where(SentInvitation.revision != Reservation.revision)
    return union_all(upcoming, sent).subquery("pairs")


def _held(now: datetime) -> Select[int, int, int]:
    """What lies ahead or runs, of those who want invitations; each kind of part in it by its index."""
    columns = (User.id.label("user_id"), Reservation.id.label("reservation_id"), Reservation.revision)
    query = select(*columns).join(Reservation, Reservation.holder_id == User.id)
    return query.where(_INVITED, User.active, _shown(), _ahead(now))


def _taken_part_in(now: datetime) -> Select[int, int, int]:
    columns = (User.id.label("user_id"), Reservation.id.label("reservation_id"), Reservation.revision)
    query = select(*columns).join(Participant, Participant.user_id == User.id)
    query = query.join(Reservation, Reservation.id == Participant.reservation_id)
    return query.where(_INVITED, User.active, _shown(), _ahead(now))


def _shown() -> ColumnElement[bool]:
    """An offer to somebody on the waitlist is nothing to keep free for yet."""
    return and_(
        Reservation.status.in_(sorted(BLOCKING)),
        or_(Reservation.hold.is_(None), Reservation.hold != "offer"),
    )


def _ahead(now: datetime) -> ColumnElement[bool]:
    return and_(Reservation.occupied_until > now, Reservation.ends_at > now)


def _bring_up_to_date(session: Session, user_id: int, ids: Sequence[int], now: datetime) -> int:
    """A part of one user's calendar, with their row locked: of two processes one sends."""

    def work() -> int:
        session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
        reader = _reader(session, user_id, now)
        if reader is None:
            return 0
        compared = [_compare(session, row, reader, sent, now) for row, sent in _loaded(session, user_id, ids)]
        return sum(compared)

    return transaction.write(session, work)


def _differs(session: Session, user_id: int, ids: Sequence[int], now: datetime) -> bool:
    """Whether there is anything to write, found out without holding up those who do."""
    reader = _reader(session, user_id, now)
    found = reader is not None and any(
        sent is None or sent.revision != row.revision or _due(row, reader, sent, now) is not None
        for row, sent in _loaded(session, user_id, ids)
    )
    session.rollback()
    return found


def _reader(session: Session, user_id: int, now: datetime) -> Viewer | None:
    epoch = session.scalar(select(User.session_epoch).where(User.id == user_id, _INVITED, User.active))
    return None if epoch is None else viewers.by_user_id(session, user_id, epoch, now)


def _loaded(
    session: Session, user_id: int, ids: Sequence[int]
) -> list[tuple[Reservation, SentInvitation | None]]:
    """What a fingerprint needs and no more, each with what was sent of it."""
    known = select(SentInvitation).where(
        SentInvitation.user_id == user_id, SentInvitation.reservation_id.in_(ids)
    )
    fresh = {"populate_existing": True}
    sent = {row.reservation_id: row for row in session.scalars(known, execution_options=fresh)}
    query = (
        select(Reservation)
        .where(Reservation.id.in_(ids))
        .order_by(Reservation.starts_at, Reservation.id)
        .options(
            joinedload(Reservation.environment_version),
            selectinload(Reservation.pieces).joinedload(Piece.equipment, innerjoin=True),
            selectinload(Reservation.participants),
        )
    )
    rows = session.scalars(query, execution_options=fresh).all()
    return [(row, sent.get(row.id)) for row in rows]


def _compare(
    session: Session, reservation: Reservation, reader: Viewer, sent: SentInvitation | None, now: datetime
) -> bool:
    """Whether a mail was due. What was looked at is not looked at again before it changes."""
    kind = _due(reservation, reader, sent, now)
    if kind is not None:
        mark = _fingerprint(reservation, reader) if kind == "calendar" else ""
        _post(session, kind, reservation, reader, sent, mark, now)
        return True
    if sent is None:  # nothing to show, and nothing to take back
        session.add(_row(reservation, reader, "CANCEL", 0, "", now))
    else:
        sent.revision = reservation.revision
    return False


def _due(reservation: Reservation, reader: Viewer, sent: SentInvitation | None, now: datetime) -> str | None:
    """Which of ``KINDS`` brings a calendar up to date; None where it is."""
    known = sent is not None and sent.method == "REQUEST"
    if _is_shown(reservation, reader) and (known or reservation.ends_at > now):
        same = sent is not None and known and sent.fingerprint == _fingerprint(reservation, reader)
        return None if same else "calendar"
    return "calendar_cancelled" if known and _is_gone(reservation, reader) else None


def _is_theirs(reservation: Reservation, reader: Viewer) -> bool:
    subject = subject_of(reservation)
    theirs = reader.id == subject.holder_id or reader.id in subject.participant_ids
    return theirs and sees_in_full(reader, subject)


def _is_shown(reservation: Reservation, reader: Viewer) -> bool:
    live = reservation.status in BLOCKING and reservation.hold != "offer"
    return live and _is_theirs(reservation, reader)


def _is_gone(reservation: Reservation, reader: Viewer) -> bool:
    """What was used stays in the calendar."""
    return reservation.status in GONE or not _is_theirs(reservation, reader)


def _fingerprint(reservation: Reservation, reader: Viewer) -> str:
    """Of what an entry says: names of equipment apart, which tell nobody to come at another time."""
    shown = (
        reservation.title,
        reservation.starts_at.isoformat(),
        reservation.ends_at.isoformat(),
        SHOWN_AS[reservation.status],
        reservation.facility_id,
        sorted((p.equipment_id, p.places, p.equipment.room_id or 0) for p in reservation.pieces),
        reader.id == reservation.holder_id,
    )
    return sha256(repr(shown).encode()).hexdigest()[:32]


def _post(
    session: Session,
    kind: str,
    reservation: Reservation,
    reader: Viewer,
    sent: SentInvitation | None,
    mark: str,
    now: datetime,
) -> None:
    sequence = max(reservation.revision, sent.sequence + 1 if sent else 0)
    if sent is None:
        session.add(_row(reservation, reader, KINDS[kind], sequence, mark, now))
    else:
        sent.method, sent.sequence, sent.fingerprint = KINDS[kind], sequence, mark
        sent.revision, sent.sent_at = reservation.revision, now
        if sent.method == "REQUEST":  # what is taken back repeats what was sent: the rest may be secret now
            sent.starts_at, sent.ends_at = reservation.starts_at, reservation.ends_at
    journal.post(session, kind, [reader.id], now=now, reservation=reservation, payload={"sequence": sequence})


def _row(
    reservation: Reservation, reader: Viewer, method: str, sequence: int, mark: str, now: datetime
) -> SentInvitation:
    return SentInvitation(
        user_id=reader.id,
        reservation_id=reservation.id,
        sequence=sequence,
        method=method,
        fingerprint=mark,
        revision=reservation.revision,
        starts_at=reservation.starts_at,
        ends_at=reservation.ends_at,
        sent_at=now,
    )


def invitation_of(
    session: Session, message: OutboxMessage, reservation: Reservation, reader: Viewer, office: Office
) -> Invitation | None:
    """What a message of these ``KINDS`` carries; None once it was overtaken, or is no longer wanted."""
    sent = session.get(SentInvitation, (message.user_id, reservation.id))
    overtaken = sent is None or sent.sequence != message.payload.get("sequence")
    if sent is None or overtaken or message.user.calendar_by != "invitation":
        return None
    method = KINDS[message.kind]
    if method == "REQUEST" and not _is_shown(reservation, reader):
        return None
    entry = _entry(reservation, reader, sent, message.created_at, office.base_url)
    return Invitation(
        method=method,
        entry=entry,
        organiser=office.sender,
        organiser_name="Labbook",
        attendee=message.user.email,
        attendee_name=message.user.name,
        optional=reader.id != reservation.holder_id,
    )


def _entry(
    reservation: Reservation, reader: Viewer, sent: SentInvitation, made_at: datetime, base_url: str
) -> CalendarEntry:
    """The same UID as in a feed. Taken back, it says no more than its reader may see by now."""
    say = words(reader.locale)
    uid, url = f"{reservation.public_id}@labbook", f"{base_url}/reservations/{reservation.public_id}"
    in_sight = sees_in_full(reader, subject_of(reservation))
    title = reservation.title if in_sight else say.reference.format(reservation.public_id)
    if sent.method == "CANCEL":
        return CalendarEntry(
            uid, sent.sequence, made_at, sent.starts_at, sent.ends_at, title, "CANCELLED", url=url
        )
    pieces = sorted(reservation.pieces, key=lambda p: p.equipment.slug)
    named = [(localised(p.equipment.name, reader.locale) or p.equipment.slug, p.places) for p in pieces]
    listed = ", ".join(f"{name} × {places}" if places > 1 else name for name, places in named)
    rooms = [p.equipment.room.slug if p.equipment.room else None for p in pieces]
    return CalendarEntry(
        uid=uid,
        sequence=sent.sequence,
        changed_at=made_at,
        starts_at=reservation.starts_at,
        ends_at=reservation.ends_at,
        summary=title,
        status=SHOWN_AS[reservation.status],
        transparent=_runs_by_itself(reservation),
        description=say.equipment.format(listed),
        location=location(rooms, localised(reservation.facility.name, reader.locale)),
        url=url,
    )


def _runs_by_itself(reservation: Reservation) -> bool:
    """As a feed has it: a test makes nobody busy between a set-up and a tear-down by hand."""
    phases = (
        reservation.occupied_from < reservation.starts_at or reservation.occupied_until > reservation.ends_at
    )
    recipe = reservation.environment_version
    parts = (piece.equipment.attended for piece in reservation.pieces)
    return phases and not is_attended(parts, recipe.staffing if recipe else None)
