"""The statuses of a reservation and the one table of what may follow what.

::

    requested ──approve──▶ approved ──start──▶ in_use ──finish──▶ completed
        │ ├─decline─▶ declined     │ ├─cancel─▶ cancelled   └─abort─▶ aborted
        │ ├─cancel──▶ cancelled    │ └─grace passed─▶ no_show ──late check-in──▶ in_use
        │ └─deadline▶ expired
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from labbook.domain.errors import WrongStatus


class Status(StrEnum):
    REQUESTED = "requested"
    APPROVED = "approved"
    IN_USE = "in_use"
    COMPLETED = "completed"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    NO_SHOW = "no_show"
    ABORTED = "aborted"


BLOCKING = frozenset({Status.REQUESTED, Status.APPROVED, Status.IN_USE})
"""The statuses, and the only ones, that occupy places."""


class Action(StrEnum):
    APPROVE = "approve"
    DECLINE = "decline"
    CANCEL = "cancel"
    EXPIRE = "expire"
    START = "start"
    CHECK_IN = "check_in"
    MISS = "miss"
    FINISH = "finish"
    CHECK_OUT = "check_out"
    ABORT = "abort"


class Occupation(StrEnum):
    """What a transition does to the allocations."""

    KEEP = "keep"  # they go on blocking
    RELEASE = "release"  # the status no longer blocks
    CUT = "cut"  # end now what would have gone on, then release: the rest is given back
    RETAKE = "retake"  # block again, if still free


class Party(StrEnum):
    """Who may do it; ``domain.access`` says which of these somebody is for a reservation."""

    HOLDER = "holder"  # the holder, or who requested it for them
    PARTICIPANT = "participant"
    TECHNICIAN = "technician"
    MANAGER = "manager"
    CLOCK = "clock"


@dataclass(frozen=True)
class Transition:
    action: Action
    source: Status
    target: Status
    parties: frozenset[Party]
    occupation: Occupation


_CLOCK = frozenset({Party.CLOCK})
_MANAGER = frozenset({Party.MANAGER})
_OWNERS = frozenset({Party.HOLDER, Party.MANAGER})
_PRESENT = frozenset({Party.HOLDER, Party.PARTICIPANT, Party.TECHNICIAN, Party.MANAGER})

TRANSITIONS = (
    Transition(Action.APPROVE, Status.REQUESTED, Status.APPROVED, _MANAGER, Occupation.KEEP),
    Transition(Action.DECLINE, Status.REQUESTED, Status.DECLINED, _MANAGER, Occupation.RELEASE),
    Transition(Action.CANCEL, Status.REQUESTED, Status.CANCELLED, _OWNERS, Occupation.RELEASE),
    Transition(Action.EXPIRE, Status.REQUESTED, Status.EXPIRED, _CLOCK, Occupation.RELEASE),
    Transition(Action.CANCEL, Status.APPROVED, Status.CANCELLED, _OWNERS, Occupation.RELEASE),
    Transition(Action.START, Status.APPROVED, Status.IN_USE, _CLOCK, Occupation.KEEP),
    Transition(Action.CHECK_IN, Status.APPROVED, Status.IN_USE, _PRESENT, Occupation.KEEP),
    Transition(Action.MISS, Status.APPROVED, Status.NO_SHOW, _CLOCK, Occupation.RELEASE),
    Transition(Action.CHECK_IN, Status.NO_SHOW, Status.IN_USE, _PRESENT, Occupation.RETAKE),
    Transition(Action.FINISH, Status.IN_USE, Status.COMPLETED, _CLOCK, Occupation.RELEASE),
    Transition(Action.CHECK_OUT, Status.IN_USE, Status.COMPLETED, _PRESENT, Occupation.CUT),
    Transition(Action.ABORT, Status.IN_USE, Status.ABORTED, _MANAGER, Occupation.CUT),
)

_BY_STEP = {(t.action, t.source): t for t in TRANSITIONS}
_BY_ACTION: dict[Action, frozenset[Status]] = {
    action: frozenset(t.source for t in TRANSITIONS if t.action is action) for action in Action
}


def transition(action: Action, status: Status) -> Transition:
    """The row of the table for ``action`` from ``status``; ``WrongStatus`` when there is none."""
    found = _BY_STEP.get((action, status))
    if found is None:
        raise WrongStatus(action, status)
    return found


def sources(action: Action) -> frozenset[Status]:
    """The statuses from which ``action`` is possible."""
    return _BY_ACTION[action]


FLAG_FROM = timedelta(days=1)
"""A missed check-in releases a slot shorter than this; a longer one is flagged for a human."""


@dataclass(frozen=True)
class Clock:
    """The times of one reservation that decide what is due; instants are aware."""

    status: Status
    starts_at: datetime
    ends_at: datetime
    occupied_from: datetime
    occupied_until: datetime
    check_in: str  # "none" or "required"
    grace: timedelta
    decide_by: datetime | None
    flagged: bool
    overrun: bool


class Step(StrEnum):
    """What the scheduler does by itself; the names that ``sweep`` prints."""

    EXPIRED = "expired"
    STARTED = "in_use"
    COMPLETED = "completed"
    NO_SHOW = "no_show"
    FLAGGED = "flagged"
    OVERRUN = "overrun"


def next_step(clock: Clock) -> tuple[Step, datetime] | None:
    """What the scheduler must do next for a reservation, and when; None when nothing waits for it.

    A request expires at its deadline, and at the latest at its start. Without check-in the scheduler
    opens and closes the slot window. With it, a missed check-in counts from the start of use plus
    grace, at the latest at the end of use.
    """
    match clock.status:
        case Status.REQUESTED:
            return Step.EXPIRED, min(clock.decide_by or clock.starts_at, clock.starts_at)
        case Status.APPROVED if clock.check_in == "none":
            return Step.STARTED, clock.occupied_from
        case Status.APPROVED if not clock.flagged:
            missed = min(clock.starts_at + clock.grace, clock.ends_at)
            long = clock.ends_at - clock.starts_at >= FLAG_FROM
            return (Step.FLAGGED if long else Step.NO_SHOW), missed
        case Status.APPROVED:
            # Flagged and still nobody came: the window itself has an end.
            return Step.NO_SHOW, clock.occupied_until
        case Status.IN_USE if clock.check_in == "none":
            return Step.COMPLETED, clock.occupied_until
        case Status.IN_USE if not clock.overrun:
            return Step.OVERRUN, clock.ends_at
        case _:
            return None
