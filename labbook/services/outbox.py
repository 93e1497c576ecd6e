"""Sending what waits in the outbox. Bookings never wait for mail, and mail never undoes a booking.

A message is claimed first (its ``due_at`` moves to the next attempt), then sent outside of any
transaction, then marked as sent. Who dies in between leaves it due again: a mail may arrive twice, with
the same Message-ID, and never not at all.

What its reader wants once a day is put back until then (``digest``). All that is due to one reader at one
instant is claimed, sent and marked together, and stays together over every attempt, so that a daily mail
keeps its Message-ID too.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session

from labbook.domain.notification import Mode
from labbook.formats.mail import compose, compose_digest
from labbook.models import OutboxMessage, User
from labbook.services import letters, transaction
from labbook.services.letters import Due
from labbook.services.post import Carrier, NotNow, Office, Undeliverable

__all__ = ["Office", "send_due"]

BATCH = 50
PAUSES = tuple(timedelta(minutes=m) for m in (1, 2, 5, 15, 30, 60, 120, 240))
GIVE_UP_AFTER = timedelta(days=7)
UNSEEN = "its reader may no longer see it, or another has overtaken it"
UNWANTED = "its reader wants no mail of this"
_ERROR_LIMIT = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claim:
    """Messages that are this process's until the next attempt is due: one, or a daily mail's."""

    row_ids: tuple[int, ...]
    user_id: int
    attempts: int
    digest: bool

    @property
    def named(self) -> str:
        return ", ".join(map(str, self.row_ids))


def send_due(session: Session, carrier: Carrier, office: Office, *, now: datetime) -> Counter[str]:
    """Send what is due at ``now``; how many mails were ``sent``, and how many messages ``postponed``,
    ``given_up``, ``kept`` for the daily mail, ``dropped`` (not theirs to see any more, or overtaken) or
    ``unwanted``.

    When nobody answers at the other end, the rest of the pass is left for later.
    """
    done: Counter[str] = Counter()
    begun = time.monotonic()

    def clock() -> datetime:
        return now + timedelta(seconds=int(time.monotonic() - begun))

    for claim in _claimed(session, now, clock):
        try:
            done.update(_send(session, carrier, office, claim, now))
        except NotNow as error:
            done.update(_postpone(session, claim, error, now))
        except OSError as error:
            done.update(_postpone(session, claim, error, now))
            break
    return done


def _claimed(session: Session, now: datetime, clock: Callable[[], datetime]) -> Iterator[Claim]:
    """What is due at ``now``, one after the other, claimed just before it is sent.

    Counted from when it is claimed and not from when the pass began: a pass may last for minutes, and what it
    sends last would be due to another process meanwhile.
    """
    while rows := _due(session, now):
        for row in rows:
            if row_ids := _claim(session, row, clock()):
                yield Claim(row_ids, row.user_id, row.attempts + 1, row.digest)


def _due(session: Session, now: datetime) -> Sequence[Row[*tuple[Any, ...]]]:
    query = (
        select(
            OutboxMessage.id,
            OutboxMessage.due_at,
            OutboxMessage.attempts,
            OutboxMessage.user_id,
            OutboxMessage.digest,
        )
        .where(OutboxMessage.due_at.is_not(None), OutboxMessage.due_at <= now)
        .order_by(OutboxMessage.due_at, OutboxMessage.id)
        .limit(BATCH)
    )
    found = session.execute(query).all()
    session.rollback()
    return found


def _claim(session: Session, row: Row[*tuple[Any, ...]], now: datetime) -> tuple[int, ...]:
    """Compare and set: nothing when another process was faster."""
    daily = (OutboxMessage.user_id == row.user_id, OutboxMessage.digest)
    which = daily if row.digest else (OutboxMessage.id == row.id,)

    def work() -> tuple[int, ...]:
        claimed = session.scalars(
            update(OutboxMessage)
            .where(*which, OutboxMessage.due_at == row.due_at)
            .values(due_at=now + PAUSES[min(row.attempts, len(PAUSES) - 1)], attempts=row.attempts + 1)
            .returning(OutboxMessage.id)
            .execution_options(synchronize_session=False)
        )
        return tuple(sorted(claimed))

    return transaction.write(session, work)


def _send(session: Session, carrier: Carrier, office: Office, claim: Claim, now: datetime) -> Counter[str]:
    try:
        dues = letters.load(session, claim.row_ids, now)
        if claim.digest:
            return _send_daily(session, carrier, office, claim, dues, now)
        return Counter([_send_one(session, carrier, office, claim, dues[0], now)])
    except Undeliverable as error:
        log.warning("message %s cannot be delivered: %s", claim.named, error)
        return _give_up(session, claim, str(error), now, refusal=error.answer)
    except ValueError as error:  # the same every time
        log.warning("message %s cannot be written: %s", claim.named, error)
        return _give_up(session, claim, str(error), now)


def _send_one(
    session: Session, carrier: Carrier, office: Office, claim: Claim, due: Due, now: datetime
) -> str:
    mode, digest_at = letters.mode_of(session, due, now)
    letter = letters.letter_of(session, due, office)
    known_refusal = due.message.user.mail_refused_at is not None
    session.rollback()
    if letter is None:
        _finish(session, claim.row_ids, withheld_at=now, error=UNSEEN)
        return "dropped"
    if mode is Mode.NEVER:
        _finish(session, claim.row_ids, withheld_at=now, error=UNWANTED)
        return "unwanted"
    if mode is Mode.DAILY:
        _keep(session, claim, digest_at)
        return "kept"
    carrier.send(compose(letter, sender=office.sender))
    _finish(
        session, claim.row_ids, sent_at=now, error=None, taken_by=claim.user_id if known_refusal else None
    )
    return "sent"


def _send_daily(
    session: Session, carrier: Carrier, office: Office, claim: Claim, dues: Sequence[Due], now: datetime
) -> Counter[str]:
    """One mail with a line of each message that its reader may still see, and still wants."""
    done: Counter[str] = Counter()
    unwanted = letters.unwanted(session, dues, now)
    lines = letters.lines_of([d for d in dues if d.message.id not in unwanted], office)
    shown = {line.message_id for line in lines}
    sent = [d.message.id for d in dues if d.message.message_id in shown]
    unseen = sorted(set(claim.row_ids) - unwanted - set(sent))
    known_refusal = dues[0].message.user.mail_refused_at is not None
    session.rollback()
    if unwanted:
        _finish(session, sorted(unwanted), withheld_at=now, error=UNWANTED)
        done["unwanted"] = len(unwanted)
    if unseen:
        _finish(session, unseen, withheld_at=now, error=UNSEEN)
        done["dropped"] = len(unseen)
    if lines:
        carrier.send(compose_digest(lines, sender=office.sender))
        _finish(session, sent, sent_at=now, error=None, taken_by=claim.user_id if known_refusal else None)
        done["sent"] = 1
    return done


def _keep(session: Session, claim: Claim, until: datetime) -> None:
    """For the daily mail; looking at it was no attempt."""

    def work() -> None:
        session.execute(
            update(OutboxMessage)
            .where(OutboxMessage.id.in_(claim.row_ids))
            .values(due_at=until, digest=True, attempts=0)
            .execution_options(synchronize_session=False)
        )

    transaction.write(session, work)


def _postpone(session: Session, claim: Claim, error: OSError, now: datetime) -> Counter[str]:
    said = f"{type(error).__name__}: {error}"[:_ERROR_LIMIT]
    log.warning("message %s waits for attempt %s: %s", claim.named, claim.attempts + 1, said)

    def work() -> Counter[str]:
        done: Counter[str] = Counter()
        waiting = (OutboxMessage.id.in_(claim.row_ids), OutboxMessage.due_at.is_not(None))
        for message in session.scalars(select(OutboxMessage).where(*waiting)):
            message.error = said
            if now - message.created_at < GIVE_UP_AFTER:
                done["postponed"] += 1
            else:
                message.failed_at, message.due_at = now, None
                done["given_up"] += 1
        return done

    return transaction.write(session, work)


def _give_up(
    session: Session, claim: Claim, said: str, now: datetime, refusal: str | None = None
) -> Counter[str]:
    """``refusal``: what the mail server of their reader answered, for them and their managers to read."""

    def work() -> Counter[str]:
        if refusal is not None:
            session.execute(
                update(User)
                .where(User.id == claim.user_id)
                .values(mail_refused_at=now, mail_refusal=refusal)
                .execution_options(synchronize_session=False)
            )
        settled = _settle(session, claim.row_ids, failed_at=now, error=said[:_ERROR_LIMIT])
        return Counter({"given_up": settled})

    return transaction.write(session, work)


def _finish(session: Session, row_ids: Sequence[int], *, taken_by: int | None = None, **values: Any) -> None:
    """Settled. ``taken_by``: whose mail server takes mail again, after it had refused some."""

    def work() -> None:
        _settle(session, row_ids, **values)
        if taken_by is not None:
            session.execute(
                update(User)
                .where(User.id == taken_by)
                .values(mail_refused_at=None, mail_refusal=None)
                .execution_options(synchronize_session=False)
            )

    transaction.write(session, work)


def _settle(session: Session, row_ids: Sequence[int], **values: Any) -> int:
    """A payload may hold a link that opens an account: it is not kept."""
    settled = session.scalars(
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(row_ids), OutboxMessage.due_at.is_not(None))
        .values(due_at=None, payload={}, **values)
        .returning(OutboxMessage.id)
        .execution_options(synchronize_session=False)
    )
    return len(settled.all())
