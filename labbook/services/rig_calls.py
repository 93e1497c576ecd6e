"""Telling rigs what they wait for. Nothing of the laboratory's waits for a rig.

An event is claimed first (its ``due_at`` moves to the next attempt), then sent outside of any transaction,
then marked. Who dies in between leaves it due again: a rig may hear something twice, with the same
``webhook-id``, and never not at all. A rig's events go out one after the other in their order; one that has
become untrue meanwhile is left out. Rigs are called beside each other: one that hangs holds up only itself.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from labbook.formats import signature
from labbook.models import Webhook, WebhookDelivery
from labbook.services import calling, transaction
from labbook.services.calling import NoAnswer
from labbook.services.webhooks import CLOSED, LEASE, OPENED, TEST

PAUSES = (LEASE, *(timedelta(seconds=s) for s in (30, 60, 120, 300, 600)))
GIVE_UP_AFTER = timedelta(days=1)
AT_ONCE = 8
"""Rigs that are called at the same time."""

PASS = 2.0
"""Seconds after which a pass begins no further call; the next one does."""

PATIENCE = 12.0
"""Seconds after which a call is given up whatever became of it: looking up a name has no end of its own."""

_ERROR_LIMIT = 300

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Call:
    """One event on its way to its rig."""

    row_id: int
    event: str
    url: str
    secret: str
    public_id: str
    payload: dict[str, Any]
    attempt: int
    created_at: datetime
    due_at: datetime


def deliver_due(session: Session, *, now: datetime) -> Counter[str]:
    """Tell what is due; how many were ``delivered``, ``postponed``, ``given_up`` and ``superseded``.

    Begins calls for two seconds, and ends within the time that one call may take.
    """
    done: Counter[str] = Counter()
    begun = time.monotonic()
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="rig")
    calls: dict[Future[int], Call] = {}

    def clock() -> datetime:
        return now + timedelta(seconds=time.monotonic() - begun)

    try:
        while True:
            left_out = 0
            if time.monotonic() - begun < PASS:
                for row_id in _due(session, clock(), AT_ONCE - len(calls)):
                    call = _claim(session, row_id, clock())
                    if isinstance(call, Call):
                        calls[pool.submit(_tell, call, clock())] = call
                    elif call is not None:
                        done[call] += 1
                        left_out += 1
            if not calls and not left_out:
                return done
            if not calls:  # what comes after it is first in its row now
                continue
            finished, _ = wait(calls, timeout=PATIENCE, return_when=FIRST_COMPLETED)
            for future in finished or list(calls):
                done[_settle(session, calls.pop(future), future, clock())] += 1
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def next_due(session: Session) -> datetime | None:
    """When the next event is due; None when nothing waits."""
    found = session.scalar(
        select(func.min(WebhookDelivery.due_at)).where(WebhookDelivery.due_at.is_not(None))
    )
    session.rollback()
    return found


def _due(session: Session, now: datetime, size: int) -> Sequence[int]:
    """What is first in its rig's row and due. A test stands in no row; what is not due for the first time
    yet (a piece that opens later) holds up nothing."""
    if size <= 0:
        return ()
    before = aliased(WebhookDelivery)
    held = exists().where(
        before.webhook_id == WebhookDelivery.webhook_id,
        before.id < WebhookDelivery.id,
        before.due_at.is_not(None),
        before.event != TEST,
        or_(before.due_at <= now, before.attempts > 0),
    )
    query = (
        select(WebhookDelivery.id)
        .where(
            WebhookDelivery.due_at.is_not(None),
            WebhookDelivery.due_at <= now,
            or_(WebhookDelivery.event == TEST, ~held),
        )
        .order_by(WebhookDelivery.due_at, WebhookDelivery.id)
        .limit(size)
    )
    found = list(session.scalars(query))
    session.rollback()
    return found


def _claim(session: Session, row_id: int, now: datetime) -> Call | str | None:
    """The call to make; ``superseded`` where there is nothing left to tell; None when another process was
    faster."""

    def work() -> Call | str | None:
        row = session.scalar(
            select(WebhookDelivery)
            .where(WebhookDelivery.id == row_id, WebhookDelivery.due_at <= now)
            .with_for_update(of=WebhookDelivery, skip_locked=True)
            .execution_options(populate_existing=True)
        )
        if row is None:
            return None
        hook = session.get_one(Webhook, row.webhook_id, populate_existing=True)
        if (row.event != TEST and not hook.active) or _is_stale(session, row):
            row.due_at = None
            return "superseded"
        row.attempts += 1
        row.due_at = now + PAUSES[min(row.attempts, len(PAUSES)) - 1]
        said = dict(row.payload)
        if said.get("safe_state") and _opened_since(session, row):
            said["safe_state"] = False
        return Call(
            row.id,
            row.event,
            hook.url,
            hook.secret,
            row.public_id,
            said,
            row.attempts,
            row.created_at,
            row.due_at,
        )

    return transaction.write(session, work)


def _is_stale(session: Session, row: WebhookDelivery) -> bool:
    """An opening whose window has closed: a rig must not hear of it after the closing."""
    return row.event == OPENED and _follows(session, row, CLOSED, row.reservation_id)


def _opened_since(session: Session, row: WebhookDelivery) -> bool:
    """Somebody uses the rig again: a closing that comes late does not stop them."""
    return _follows(session, row, OPENED, None)


def _follows(session: Session, row: WebhookDelivery, event: str, reservation_id: int | None) -> bool:
    later = exists().where(
        WebhookDelivery.webhook_id == row.webhook_id,
        WebhookDelivery.id > row.id,
        WebhookDelivery.event == event,
    )
    if reservation_id is not None:
        later = later.where(WebhookDelivery.reservation_id == reservation_id)
    return bool(session.scalar(select(later)))


def _tell(call: Call, now: datetime) -> int:
    body = orjson.dumps(call.payload)
    signed = signature.headers(call.secret, call.public_id, int(now.timestamp()), body)
    plain = {"Content-Type": "application/json", "User-Agent": "Labbook", "Connection": "close"}
    return calling.post(call.url, plain | signed, body)


def _settle(session: Session, call: Call, future: Future[int], now: datetime) -> str:
    status, error = None, None
    try:
        status = future.result(timeout=0)
        if not 200 <= status < 300:
            error = f"answered {status}"
    except TimeoutError:
        error = "no answer in time"
    except NoAnswer as why:
        error = str(why)[:_ERROR_LIMIT]
    except Exception as defect:  # one rig's call must not hold up the others'
        log.exception("calling a rig failed")
        error = f"{type(defect).__name__}: {defect}"[:_ERROR_LIMIT]

    def work() -> str:
        row = session.get_one(WebhookDelivery, call.row_id, populate_existing=True, with_for_update=True)
        row.response_status, row.error = status, error
        if error is None:
            row.delivered_at, row.failed_at, row.due_at = now, None, None
            return "delivered"
        if row.due_at is None or (call.event != TEST and now - call.created_at < GIVE_UP_AFTER):
            return "postponed"
        row.failed_at, row.due_at = now, None
        return "given_up"

    if error is not None:
        log.warning("rig event %s, attempt %s: %s", call.public_id, call.attempt, error)
    return transaction.write(session, work)
