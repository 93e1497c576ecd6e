"""What somebody wants, already parsed: frozen, complete, and free of any channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from labbook.domain.matching import Need


@dataclass(frozen=True)
class Wanted:
    """``places`` places of the equipment with this slug, or the ``whole`` of it, however many those are."""

    slug: str
    places: int = 1
    whole: bool = False


@dataclass(frozen=True)
class RequestReservation:
    """``start`` and ``end`` are the time of use; set-up and tear-down are laid around it.

    ``holder`` and ``participants`` are e-mail addresses. ``kind`` ``"block"`` is staff's, without a
    customer. ``use_now`` starts at once, free of the grid. ``override`` names the problem codes that a
    manager sets aside, for ``reason``. ``dry_run`` checks everything and keeps nothing.
    ``hold``: kept for somebody to decide, as an ``option`` for ``customer`` or an ``offer``, until
    ``decide_by``; no channel asks for one by itself. ``waited``: the waitlist asks, in its actor's name.
    ``needs`` without an ``environment``: what was looked for, with the ``ambient`` it asks for; the equipment
    is chosen for it, or must be exactly what it needs. ``draws``: utility -> what a manager states that it
    draws, instead of what is reckoned.
    """

    equipment: tuple[Wanted, ...]
    start: datetime
    end: datetime
    title: str
    environment: str | None = None
    project: str | None = None
    activity: str | None = None
    notes: str = ""
    holder: str | None = None
    participants: tuple[str, ...] = ()
    expected_end: datetime | None = None
    traceable: bool = False
    kind: str = "booking"
    use_now: bool = False
    override: tuple[str, ...] = ()
    reason: str = ""
    dry_run: bool = False
    idempotency_key: str | None = None
    fingerprint: str = ""
    hold: str | None = None
    customer: str = ""
    decide_by: datetime | None = None
    waited: bool = False
    needs: tuple[Need, ...] = ()
    ambient: Mapping[str, Any] = field(default_factory=dict)
    draws: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class ChangeReservation:
    """What is None stays as it is. Time and equipment are material, the rest is not.

    ``project`` "" is none; ``without_expected_end`` takes the expected end away. ``draws``: as in a request;
    None for a utility goes back to what is reckoned, and one that is not named stays as it is.
    """

    start: datetime | None = None
    end: datetime | None = None
    equipment: tuple[Wanted, ...] | None = None
    title: str | None = None
    notes: str | None = None
    project: str | None = None
    participants: tuple[str, ...] | None = None
    expected_end: datetime | None = None
    without_expected_end: bool = False
    draws: Mapping[str, str | None] | None = None
    override: tuple[str, ...] = ()
    reason: str = ""
    dry_run: bool = False

    @property
    def is_material(self) -> bool:
        return any(value is not None for value in (self.start, self.end, self.equipment))


@dataclass(frozen=True)
class PlanVisit:
    """A read-out ``after`` so much running, or a visit ``at`` an instant. ``length`` None: the usual one."""

    reservation: str
    after: timedelta | None = None
    at: datetime | None = None
    length: timedelta | None = None
    note: str = ""
    revision: int | None = None


@dataclass(frozen=True)
class OnVisit:
    """A step on one visit: ``at`` and ``length`` of a move; ``note`` says what was found, or why."""

    reservation: str
    visit: str
    at: datetime | None = None
    length: timedelta | None = None
    note: str = ""
    revision: int | None = None


@dataclass(frozen=True)
class OnTest:
    """A step on the test itself. ``at``: since, or until, when it stood still; the end expected, None for
    none.
    """

    reservation: str
    at: datetime | None = None
    reason: str = ""
    revision: int | None = None


@dataclass(frozen=True)
class Decide:
    """One step on one reservation. ``revision`` None: whatever it is now.

    ``cause`` of a cancellation: ``user``, ``lab`` or ``fault``. ``until`` of an extension, ``to`` of a
    transfer (an e-mail address), ``text`` of a message, ``draws`` stated with an approval.
    """

    reservation: str
    revision: int | None = None
    reason: str = ""
    cause: str | None = None
    until: datetime | None = None
    to: str | None = None
    text: str = ""
    draws: Mapping[str, str | None] | None = None
    override: tuple[str, ...] = ()
