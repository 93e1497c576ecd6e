"""Who is told at once, once a day, never; and what nobody can put off."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from labbook.domain.access import Role
from labbook.domain.notification import KINDS, LATE, Mode, Slot, Topic, how, next_digest, topics_for
from labbook.formats.mail import KINDS as TEMPLATES
from tests.cast import NOW, ZONE, at

TOMORROW_AT_SEVEN = at("2026-03-24 07:00")
HOUR = timedelta(hours=1)
FAR = Slot(NOW + timedelta(days=30), theirs=True)
LATE_KINDS = sorted(kind for kind, rule in KINDS.items() if rule.late)
ALWAYS = sorted(kind for kind, rule in KINDS.items() if rule.topic is None)


def sent(kind: str, chosen: Mode, slot: Slot | None = None) -> Mode:
    return how(kind, chosen, slot=slot, now=NOW, digest_at=TOMORROW_AT_SEVEN)


def test_every_kind_has_a_place_among_the_topics_and_a_mail_that_is_written() -> None:
    assert set(KINDS) == TEMPLATES


def test_every_topic_has_kinds() -> None:
    assert {rule.topic for rule in KINDS.values()} == {None, *Topic}


@pytest.mark.parametrize("kind", ["invitation", "password_reset", "relay", "waitlist_offer"])
@pytest.mark.parametrize("chosen", Mode)
def test_accounts_alarms_and_offers_are_always_sent_at_once(kind: str, chosen: Mode) -> None:
    assert kind in ALWAYS
    assert sent(kind, chosen, FAR) is Mode.AT_ONCE


def test_what_nobody_gave_a_topic_is_sent_at_once() -> None:
    assert sent("from_tomorrow", Mode.NEVER) is Mode.AT_ONCE


@pytest.mark.parametrize("kind", LATE_KINDS)
@pytest.mark.parametrize("chosen", Mode)
def test_a_late_change_of_ones_own_slot_is_never_missed(kind: str, chosen: Mode) -> None:
    for begins in (NOW + LATE, NOW + HOUR, NOW, NOW - HOUR):
        assert sent(kind, chosen, Slot(begins, theirs=True)) is Mode.AT_ONCE


@pytest.mark.parametrize("kind", LATE_KINDS)
def test_before_that_the_readers_choice_holds(kind: str) -> None:
    slot = Slot(NOW + LATE + timedelta(microseconds=1), theirs=True)
    assert [sent(kind, mode, slot) for mode in Mode] == list(Mode)


def test_staff_who_only_watch_are_told_as_they_chose() -> None:
    watched = Slot(NOW - HOUR, theirs=False)
    assert [sent("no_show", mode, watched) for mode in Mode] == list(Mode)


def test_the_kinds_that_can_be_late_are_those_that_touch_a_slot() -> None:
    must = {"moved", "cancelled", "aborted", "declined", "expired", "displaced", "closed", "no_show"}
    assert must | {"transferred", "relieved", "approved", "proposal", "overrun"} <= set(LATE_KINDS)


@pytest.mark.parametrize("kind", ["requested", "change", "message", "reminder"])
def test_the_daily_mail_keeps_nothing_that_would_come_too_late(kind: str) -> None:
    before = Slot(TOMORROW_AT_SEVEN, theirs=False)
    after = Slot(TOMORROW_AT_SEVEN + HOUR, theirs=False)
    assert sent(kind, Mode.DAILY, before) is Mode.AT_ONCE
    assert sent(kind, Mode.DAILY, after) is Mode.DAILY
    assert sent(kind, Mode.NEVER, before) is Mode.NEVER


@pytest.mark.parametrize("kind", ["opened", "ending", "expected_end"])
def test_what_is_of_use_only_now_is_sent_now_or_not_at_all(kind: str) -> None:
    running = Slot(NOW - HOUR, theirs=True)
    assert sent(kind, Mode.DAILY, running) is Mode.AT_ONCE
    assert sent(kind, Mode.NEVER, running) is Mode.NEVER


@pytest.mark.parametrize(
    ("now", "digest"),
    [
        ("2026-03-23 06:59", "2026-03-23 07:00"),
        ("2026-03-23 07:00", "2026-03-24 07:00"),
        ("2026-03-28 12:00", "2026-03-29 07:00"),  # 18 hours later: the clock is put forward
        ("2026-10-24 12:00", "2026-10-25 07:00"),  # 20 hours later: it is put back
    ],
)
def test_the_daily_mail_leaves_at_seven_on_the_labs_clock(now: str, digest: str) -> None:
    assert next_digest(at(now), ZONE) == at(digest)


def test_each_lab_has_its_own_seven_o_clock() -> None:
    assert next_digest(at("2026-03-23 07:30"), ZoneInfo("Europe/London")) == at("2026-03-23 08:00")


def test_topics_are_offered_to_those_who_get_them() -> None:
    assert Topic.REQUESTS not in topics_for(Role.TECHNICIAN)
    assert Topic.MISSED in topics_for(Role.TECHNICIAN)
    assert Topic.MISSED not in topics_for(Role.ENGINEER)
    assert set(topics_for(Role.MANAGER)) == set(topics_for(Role.ADMIN)) == set(Topic)
