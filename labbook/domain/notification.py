"""What people are told of, and when: topics for which they choose, and what nobody can put off.

A message belongs to a topic, and its reader gets those of a topic at once, once a day or never. Three things
outrank that choice. What concerns an account, alarms and offers that run out are sent at once, always. What
changes or endangers somebody's own slot is sent at once when that begins within ``LATE`` or has begun. And
what would come too late by the daily mail is not kept back for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from labbook.domain.access import Role
from labbook.domain.wall_time import local_date, to_utc

LATE = timedelta(hours=48)
DIGEST_AT = time(7)


class Mode(StrEnum):
    AT_ONCE = "at_once"
    DAILY = "daily"
    NEVER = "never"


class Topic(StrEnum):
    DECISIONS = "decisions"
    CHANGES = "changes"
    REMINDERS = "reminders"
    MESSAGES = "messages"
    WAITLIST = "waitlist"
    VISITS = "visits"
    REQUESTS = "requests"
    MISSED = "missed"
    FAULTS = "faults"


DEFAULTS: Mapping[Topic, Mode] = dict.fromkeys(Topic, Mode.AT_ONCE)

_OF_MANAGERS = frozenset({Topic.REQUESTS})
_OF_STAFF = frozenset({Topic.MISSED, Topic.FAULTS}) | _OF_MANAGERS


def topics_for(role: Role) -> tuple[Topic, ...]:
    """The topics that somebody of this role gets messages of, in the order in which they are shown."""
    hidden = {Role.ENGINEER: _OF_STAFF, Role.TECHNICIAN: _OF_MANAGERS}.get(role, frozenset())
    return tuple(topic for topic in Topic if topic not in hidden)


@dataclass(frozen=True)
class Kind:
    """``topic`` None: always at once. ``late``: it changes or endangers the slot that it tells of.

    ``fleeting``: of use only at its moment, so that it is never kept for the daily mail.
    """

    topic: Topic | None
    late: bool = False
    fleeting: bool = False


_ALWAYS = Kind(None)

KINDS: Mapping[str, Kind] = {
    # accounts, what was asked for as such, alarms, and what waits for an answer for a limited time
    "invitation": _ALWAYS,
    "password_reset": _ALWAYS,
    "calendar": _ALWAYS,
    "calendar_cancelled": _ALWAYS,
    "relay": _ALWAYS,
    "relay_answer": _ALWAYS,
    "waitlist_offer": _ALWAYS,
    "deputy": _ALWAYS,
    # decisions on one's own requests
    "approved": Kind(Topic.DECISIONS, late=True),
    "declined": Kind(Topic.DECISIONS, late=True),
    "expired": Kind(Topic.DECISIONS, late=True),
    "change_accepted": Kind(Topic.DECISIONS, late=True),
    "change_declined": Kind(Topic.DECISIONS, late=True),
    "change_lapsed": Kind(Topic.DECISIONS, late=True),
    "option_lapsed": Kind(Topic.DECISIONS, late=True),
    "permit": Kind(Topic.DECISIONS, fleeting=True),
    # what somebody else does to one's reservation
    "aborted": Kind(Topic.CHANGES, late=True),
    "booked_for_you": Kind(Topic.CHANGES, late=True),
    "cancelled": Kind(Topic.CHANGES, late=True),
    "closed": Kind(Topic.CHANGES, late=True),
    "displaced": Kind(Topic.CHANGES, late=True),
    "freed": Kind(Topic.CHANGES, late=True),
    "moved": Kind(Topic.CHANGES, late=True),
    "proposal": Kind(Topic.CHANGES, late=True),
    "relieved": Kind(Topic.CHANGES, late=True),
    "transferred": Kind(Topic.CHANGES, late=True),
    # the clock, to those who are to come or to end
    "reminder": Kind(Topic.REMINDERS),
    "opened": Kind(Topic.REMINDERS, fleeting=True),
    "ending": Kind(Topic.REMINDERS, fleeting=True),
    "expected_end": Kind(Topic.REMINDERS, fleeting=True),
    # the rest
    "message": Kind(Topic.MESSAGES),
    "waitlist_booked": Kind(Topic.WAITLIST, late=True),
    "waitlist_over": Kind(Topic.WAITLIST),
    "visit": Kind(Topic.VISITS),
    "requested": Kind(Topic.REQUESTS),
    "change": Kind(Topic.REQUESTS),
    "decision_reminder": Kind(Topic.REQUESTS),
    "no_show": Kind(Topic.MISSED, late=True),
    "flagged": Kind(Topic.MISSED, late=True),
    "overrun": Kind(Topic.MISSED, late=True),
    "fault": Kind(Topic.FAULTS, late=True),
}


def topic_of(kind: str) -> Topic | None:
    """None for what is always sent at once, and for a kind that nobody gave a topic."""
    return KINDS.get(kind, _ALWAYS).topic


@dataclass(frozen=True)
class Slot:
    """The slot that a message tells of. ``starts_at``: the earliest that its reader may still count on.

    ``theirs``: they are to be there; False when they are told as the lab's staff.
    """

    starts_at: datetime
    theirs: bool


def how(kind: str, chosen: Mode, *, slot: Slot | None, now: datetime, digest_at: datetime) -> Mode:
    """When a message is sent that leaves at ``now`` or else with the daily mail at ``digest_at``.

    ``chosen`` is what its reader wants of the kind's topic.
    """
    rule = KINDS.get(kind, _ALWAYS)
    if rule.topic is None:
        return Mode.AT_ONCE
    if slot is not None and slot.theirs and rule.late and slot.starts_at - now <= LATE:
        return Mode.AT_ONCE
    too_late = rule.fleeting or (slot is not None and now < slot.starts_at <= digest_at)
    return Mode.AT_ONCE if chosen is Mode.DAILY and too_late else chosen


def next_digest(now: datetime, zone: ZoneInfo) -> datetime:
    """The next seven o'clock in the morning, on that zone's clock."""
    today = local_date(now, zone)
    at = to_utc(today, DIGEST_AT, zone)
    return at if at > now else to_utc(today + timedelta(days=1), DIGEST_AT, zone)
