"""The statuses of a reservation and the one table of what may follow what.

::

    requested ──approve──▶ approved ──start──▶ in_use ──finish──▶ completed
        │ ├─decline─▶ declined     │ ├─cancel─▶ cancelled   └─abort─▶ aborted
        │ ├─cancel──▶ cancelled    │ └─grace passed─▶ no_show ──late check-in──▶ in_use
        │ └─deadline▶ expired
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from labbook.domain.errors import WrongStatus
from labbook.domain.timing import Settled


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
    # The clock's: what kept its people waiting, of the lab's or another's making, outlasted it.
    Transition(Action.CANCEL, Status.APPROVED, Status.CANCELLED, _OWNERS | _CLOCK, Occupation.RELEASE),
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

GROWTH = timedelta(minutes=15)
"""What overran occupies until the quarter of an hour after the next, and grows at every quarter."""


class Step(StrEnum):
    """What the scheduler does by itself; the names that ``sweep`` prints."""

    EXPIRED = "expired"
    STARTED = "in_use"
    COMPLETED = "completed"
    NO_SHOW = "no_show"
    CANCELLED = "cancelled"  # it waited for the lab, or for what overran, until its window was over
    FLAGGED = "flagged"
    OVERRUN = "overrun"
    GROWN = "grown"
    DISPLACED = "displaced"
    # Notices: somebody is told, and nothing else changes.
    DECISION_REMINDER = "decision_reminder"
    DEPUTY = "deputy"
    REMINDER = "reminder"
    OPENED = "opened"
    ENDING = "ending"
    EXPECTED_END = "expected_end"


NOTICES = frozenset(
    {Step.DECISION_REMINDER, Step.DEPUTY, Step.REMINDER, Step.OPENED, Step.ENDING, Step.EXPECTED_END}
)

OF_THE_TIME = frozenset({Step.REMINDER, Step.OPENED, Step.ENDING, Step.EXPECTED_END})
"""The notices that are to be given again when the reservation is moved."""

ACTIONS: Mapping[Step, Action] = {
    Step.EXPIRED: Action.EXPIRE,
    Step.STARTED: Action.START,
    Step.COMPLETED: Action.FINISH,
    Step.NO_SHOW: Action.MISS,
    Step.CANCELLED: Action.CANCEL,
}
"""The steps along the transition table."""


class Clock(NamedTuple):
    """The times of one reservation that decide what is due; instants are aware.

    A named tuple, because it is made and changed for every step of ten thousand that are due at once.

    ``displaced``: what overran before it still stands on its place. ``permit_missing``: the lab has not
    signed yet. While either holds no clock runs against its people; from ``freed_at`` on it does again.
    """

    status: Status
    starts_at: datetime
    ends_at: datetime
    occupied_from: datetime
    occupied_until: datetime
    check_in: str  # "none" or "required"
    grace: timedelta
    requested_at: datetime
    approved_at: datetime | None = None
    decide_by: datetime | None = None
    expected_end: datetime | None = None
    timing: Settled = Settled()
    taken: frozenset[Step] = frozenset()
    held: bool = False  # an option or an offer: nobody is to decide it
    flagged_at: datetime | None = None
    overrun_since: datetime | None = None
    grow_at: datetime | None = None
    displaced_since: datetime | None = None
    freed_at: datetime | None = None
    permit_missing: bool = False

    @property
    def deadline(self) -> datetime:
        """When a request expires: at the latest at its start."""
        return min(self.decide_by or self.starts_at, self.starts_at)

    @property
    def missed_at(self) -> datetime:
        """When nobody has come: after the grace time, at the latest at the end of use."""
        return min(max(self.starts_at, self.freed_at or self.starts_at) + self.grace, self.ends_at)

    @property
    def waits(self) -> bool:
        """Its people are kept waiting, and not by themselves."""
        return self.displaced_since is not None or self.permit_missing


Due = tuple[Step, datetime]


def next_step(clock: Clock) -> Due | None:
    """What the scheduler must do next for a reservation, and when; None when nothing waits for it.

    Without check-in the scheduler opens and closes the slot window. With it, a missed check-in counts
    from the start of use plus grace, at the latest at the end of use.
    """
    match clock.status:
        case Status.REQUESTED:
            found = _while_requested(clock)
        case Status.APPROVED:
            found = _before_use(clock)
        case Status.IN_USE:
            found = _in_use(clock)
        case _:
            return None
    return min((due for due in found if due[0] not in clock.taken), key=lambda due: due[1], default=None)


def _while_requested(clock: Clock) -> Iterator[Due]:
    """Managers are reminded, and then their deputies asked, while there is time left to decide."""
    left = clock.deadline - clock.requested_at
    if clock.timing.nudge and left > timedelta(0) and not clock.held:
        yield Step.DECISION_REMINDER, clock.requested_at + min(clock.timing.nudge, left / 2)
        yield Step.DEPUTY, clock.requested_at + min(clock.timing.nudge * 2, left * 3 / 4)
    yield Step.EXPIRED, clock.deadline


def _before_use(clock: Clock) -> Iterator[Due]:
    reminder = clock.occupied_from - clock.timing.remind
    if clock.timing.remind and (clock.approved_at is None or reminder > clock.approved_at):
        yield Step.REMINDER, reminder
    opens = max(clock.occupied_from, clock.freed_at or clock.occupied_from)
    if clock.displaced_since is not None:
        yield Step.CANCELLED, clock.occupied_until
    elif clock.check_in == "none":
        yield Step.STARTED, opens
    else:
        yield Step.OPENED, opens
        yield from _awaited(clock)


def _awaited(clock: Clock) -> Iterator[Due]:
    """Whoever has to check in has until the end of the grace time; what is long is a human's to release."""
    if clock.permit_missing or (clock.freed_at is not None and clock.freed_at >= clock.ends_at):
        yield Step.CANCELLED, clock.occupied_until  # there was no time left to come
    elif clock.flagged_at is not None:  # and still nobody came: the window itself has an end
        yield Step.NO_SHOW, clock.occupied_until
    else:
        by_length = "flag" if clock.ends_at - clock.starts_at >= FLAG_FROM else "release"
        policy = by_length if clock.timing.no_show == "auto" else clock.timing.no_show
        yield (Step.FLAGGED if policy == "flag" else Step.NO_SHOW), clock.missed_at


def _in_use(clock: Clock) -> Iterator[Due]:
    if clock.timing.warn and clock.timing.warn < clock.ends_at - clock.starts_at:
        yield Step.ENDING, clock.ends_at - clock.timing.warn
    if clock.expected_end is not None and clock.expected_end < clock.ends_at:
        yield Step.EXPECTED_END, clock.expected_end
    if clock.check_in == "none":
        yield Step.COMPLETED, clock.occupied_until
    elif clock.overrun_since is None:
        yield Step.OVERRUN, clock.ends_at
    elif clock.grow_at is not None:
        yield Step.GROWN, clock.grow_at


def is_overtaken(clock: Clock, step: Step, now: datetime) -> bool:
    """Whether a notice comes too late to be of use: after a crash nobody is reminded of what has begun."""
    match step:
        case Step.DECISION_REMINDER | Step.DEPUTY:
            return now >= clock.deadline
        case Step.REMINDER:
            return now >= clock.occupied_from
        case Step.OPENED:
            return not clock.waits and now >= clock.missed_at
        case Step.ENDING | Step.EXPECTED_END:
            return now >= clock.ends_at
        case _:
            return False


def after(clock: Clock, step: Step, due: datetime, now: datetime) -> Clock:
    """The clock once ``step``, due at ``due``, was taken at ``now``."""
    if step in NOTICES:
        return clock._replace(taken=clock.taken | {step})
    if step in ACTIONS:
        target = transition(ACTIONS[step], clock.status).target
        return clock._replace(status=target, displaced_since=None)
    match step:
        case Step.FLAGGED:
            return clock._replace(flagged_at=due)
        case Step.DISPLACED:
            return clock._replace(displaced_since=due)
        case Step.OVERRUN:
            return clock._replace(overrun_since=due, grow_at=grows_next(now))
        case _:
            return clock._replace(grow_at=grows_next(now))


def grows_next(now: datetime) -> datetime:
    """The next quarter of an hour, always ahead of ``now``."""
    return now - (now - _EPOCH) % GROWTH + GROWTH


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def grown_until(now: datetime) -> datetime:
    """Until when something overrunning is taken to be used, without its tear-down."""
    return grows_next(now) + GROWTH
