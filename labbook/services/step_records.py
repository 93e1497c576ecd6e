"""What a step of the clock leaves behind: the row, its history, the messages, and whatever follows from it.

Rows are written many at a time: ten thousand windows that open at one instant cost as many lines of
history, not as many round trips.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session, selectinload

from labbook.domain.reservation import ACTIONS, BLOCKING, NOTICES, Clock, Status, Step, next_step
from labbook.models import HistoryEntry, OutboxMessage, Participant, Piece, Reservation
from labbook.models.many import among, insert_many, update_many
from labbook.services import changes, deputies, journal, transaction, waitlist, webhooks

RULE = "scheduler"
OUTLASTED = "outlasted"
"""The rule of a reservation that was kept waiting until its window was over."""

_TOLD_TO_PEOPLE = frozenset(
    {
        Step.EXPIRED,
        Step.NO_SHOW,
        Step.CANCELLED,
        Step.FLAGGED,
        Step.OVERRUN,
        Step.DISPLACED,
        Step.REMINDER,
        Step.OPENED,
        Step.ENDING,
        Step.EXPECTED_END,
    }
)
_TOLD_TO_PARTICIPANTS = frozenset(
    {Step.CANCELLED, Step.OVERRUN, Step.DISPLACED, Step.REMINDER, Step.OPENED, Step.ENDING}
)
_TOLD_TO_MANAGERS = frozenset(
    {
        Step.EXPIRED,
        Step.NO_SHOW,
        Step.CANCELLED,
        Step.FLAGGED,
        Step.OVERRUN,
        Step.DISPLACED,
        Step.DECISION_REMINDER,
    }
)
_REMEMBERED = frozenset(Step) - {
    Step.REMINDER, Step.OPENED, Step.ENDING, Step.EXPECTED_END, Step.GROWN
}  # fmt: skip
"""The steps that the history tells of; a reminder changes nothing, and a growth only goes on."""


@dataclass(frozen=True)
class Taken:
    """One row's step, due at ``due``, and its clock afterwards; ``step`` None: nothing was due after all."""

    row: Any
    step: Step | None
    due: datetime
    clock: Clock


def before(session: Session, reservation: Reservation, step: Step, now: datetime) -> None:
    """What a step does beyond its row, ahead of it: an undecided change lapses."""
    if step is Step.STARTED:
        changes.lapse_begun(session, reservation, actor=None, now=now, rule=RULE)
    elif step in ACTIONS:
        changes.lapse(session, reservation, now)


def write(session: Session, taken: Sequence[Taken], silent: Sequence[Taken], *, now: datetime) -> None:
    """Part of the sweep's transaction. ``silent``: rows that only say anew when they are due."""
    everything = [*taken, *silent]
    if not everything:
        return
    connection = session.connection()
    windows = [_window_columns(each, now) for each in everything if _only_window(each)]
    others = [_columns(each, now) for each in everything if not _only_window(each)]
    update_many(connection, Reservation, windows)
    update_many(connection, Reservation, others)
    insert_many(connection, HistoryEntry, [_entry(each, now) for each in taken if each.step in _REMEMBERED])
    insert_many(connection, OutboxMessage, list(_messages(session, taken, now)))
    for facility_id in {each.row.facility_id for each in taken if each.step not in NOTICES}:
        transaction.touch(session, facility_id)
    _follow(session, taken, now)


def _only_window(each: Taken) -> bool:
    return each.step in (Step.STARTED, Step.COMPLETED) and each.row.displaced_since is None


def _window_columns(each: Taken, now: datetime) -> dict[str, Any]:
    """What a window that opens or closes by itself changes, and no more: most steps are of these."""
    row, clock = each.row, each.clock
    seen = each.step is not None and each.step not in NOTICES
    coming = next_step(clock)
    return {
        "id": row.id,
        "status": clock.status,
        "due_at": None if coming is None else coming[1],
        "due_attempts": 0,
        "due_error": None,
        "ended_at": each.due if each.step is Step.COMPLETED else row.ended_at,
        "revision": row.revision + 1 if seen else row.revision,
        "changed_at": now if seen else row.changed_at,
    }


def _columns(each: Taken, now: datetime) -> dict[str, Any]:
    row, clock = each.row, each.clock
    return _window_columns(each, now) | {
        "taken": sorted(clock.taken),
        "flagged_at": clock.flagged_at,
        "overrun_since": clock.overrun_since,
        "grow_at": clock.grow_at,
        "displaced_since": clock.displaced_since,
        "cancel_cause": "lab" if each.step is Step.CANCELLED else row.cancel_cause,
    }


def _entry(each: Taken, now: datetime) -> dict[str, Any]:
    step, source = each.step, each.row.status
    assert step is not None
    action = ACTIONS.get(step)
    new: dict[str, Any] = {"due": each.due.isoformat()}
    if action is not None:
        new["status"] = each.clock.status
    if step is Step.CANCELLED:
        new["cause"] = "lab"
    return {
        "reservation_id": each.row.id,
        "at": now,
        "actor_id": None,
        "rule": OUTLASTED if step is Step.CANCELLED else RULE,
        "action": action or step,
        "old": {} if action is None else {"status": source},
        "new": new,
        "remark_id": None,
    }


def _messages(session: Session, taken: Sequence[Taken], now: datetime) -> Iterable[dict[str, Any]]:
    """One for each person who must hear of a step."""
    participants = _participants(session, [t.row.id for t in taken if t.step in _TOLD_TO_PARTICIPANTS])
    managers: dict[tuple[int, datetime | None], list[int]] = {}
    for each in taken:
        step, facility_id = each.step, each.row.facility_id
        if _is_held(each):
            continue  # the waitlist tells of it in its own words
        told: set[int] = set()
        if step in _TOLD_TO_PEOPLE:
            told |= {each.row.holder_id, each.row.requested_by_id}
        if step in _TOLD_TO_PARTICIPANTS:
            told |= set(participants.get(each.row.id, ()))
        if step in _TOLD_TO_MANAGERS:
            # The reminder is the managers' own; what comes of it is their deputies' too.
            asked = (facility_id, None if step is Step.DECISION_REMINDER else now)
            if asked not in managers:
                managers[asked] = journal.managers_of(session, *asked)
            told |= set(managers[asked])
        kind = "cancelled" if step is Step.CANCELLED else str(step)
        if step is Step.DEPUTY:
            told = set(deputies.standing_in(session, facility_id, now))
            if not told:  # nobody stands in: the managers are reminded once more
                told = (
                    set() if _reminded_late(session, each) else set(journal.managers_of(session, facility_id))
                )
                kind = Step.DECISION_REMINDER
        for user_id in sorted(told):
            yield journal.message(kind, user_id, each.row.id, now=now)


def _reminded_late(session: Session, each: Taken) -> bool:
    """Whether the first reminder came when the second was due already: the two are one."""
    first = (
        exists()
        .where(
            HistoryEntry.reservation_id == each.row.id,
            HistoryEntry.action == Step.DECISION_REMINDER,
            HistoryEntry.at >= each.due,
        )
        .select()
    )
    return bool(session.scalar(first))


_PARTICIPANTS = select(Participant.reservation_id, Participant.user_id).where(
    among(Participant.reservation_id, "ids")
)


def _participants(session: Session, ids: Collection[int]) -> Mapping[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    if ids:
        for reservation_id, user_id in session.execute(_PARTICIPANTS, {"ids": ids}):
            found[reservation_id].append(user_id)
    return found


_ENDED = (
    select(Reservation)
    .where(among(Reservation.id, "ids"))
    .order_by(Reservation.id)
    .options(selectinload(Reservation.pieces))
    .execution_options(populate_existing=True)
)


def _follow(session: Session, taken: Sequence[Taken], now: datetime) -> None:
    """What follows from windows that opened and closed: rigs are told, and whoever waits is looked at."""
    finished = [t.row.id for t in taken if t.step is Step.COMPLETED]
    if finished:
        webhooks.closed(session, finished, now)
    started = [t.row.id for t in taken if t.step is Step.STARTED]
    if started:  # where one ends as the next begins, the rig hears of the end first
        webhooks.opened(session, started, now)
    held = [each.row.id for each in taken if _is_held(each)]
    if held:
        waitlist.released(session, session.scalars(_ENDED, {"ids": held}).all(), now)
    freed = [t.row.id for t in taken if t.row.status in BLOCKING and t.clock.status not in BLOCKING]
    early = [t.row.id for t in taken if t.clock.status in (Status.NO_SHOW, Status.EXPIRED, Status.CANCELLED)]
    if freed and early:  # what ends in time frees nothing that was not free
        waitlist.freed(session, equipment_of(session, early), now)


def _is_held(each: Taken) -> bool:
    """An option or an offer that nobody took."""
    return each.row.hold is not None and each.step is Step.EXPIRED


def equipment_of(session: Session, reservation_ids: Collection[int]) -> list[int]:
    query = select(Piece.equipment_id).where(among(Piece.reservation_id, "ids")).distinct()
    return list(session.scalars(query, {"ids": reservation_ids}))
