"""The bytes of a calendar, as RFC 5545 wants them."""

from __future__ import annotations

import dataclasses
import os
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from labbook.formats.icalendar import (
    CalendarEntry,
    Invitation,
    render_calendar,
    render_entry,
    render_invitation,
    unattended,
)
from tests.formats.calendar_cases import CALENDARS, CHANGED, HEAD, entry

GOLDEN = Path(__file__).parent / "ics"
START = datetime(2026, 6, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize("name", CALENDARS)
def test_calendars_are_the_golden_files_to_the_byte(name: str) -> None:
    golden = GOLDEN / f"{name}.ics"
    rendered = render_calendar(HEAD, CALENDARS[name]())
    if os.environ.get("REWRITE_GOLDEN"):
        golden.write_bytes(rendered)
    assert rendered == golden.read_bytes()


@pytest.mark.parametrize("name", CALENDARS)
def test_lines_end_with_crlf_and_have_at_most_75_octets_of_whole_characters(name: str) -> None:
    rendered = render_calendar(HEAD, CALENDARS[name]())
    lines = rendered.split(b"\r\n")
    assert lines.pop() == b""
    for line in lines:
        assert len(line) <= 75
        assert b"\n" not in line
        assert b"\r" not in line
        line.decode("utf-8")


def test_a_feed_is_no_invitation_and_carries_no_zone_of_its_own() -> None:
    rendered = render_calendar(HEAD, CALENDARS["full"]())
    assert b"METHOD" not in rendered
    assert b"VTIMEZONE" not in rendered
    assert b"TZID" not in rendered


def test_the_head_says_name_zone_and_how_often_to_ask() -> None:
    head = render_calendar(HEAD, [])
    assert b"X-WR-CALNAME:Lab\\; north\\, hall 1\r\n" in head
    assert b"X-WR-TIMEZONE:Europe/Copenhagen\r\n" in head
    assert b"REFRESH-INTERVAL;VALUE=DURATION:PT15M\r\n" in head
    assert b"X-PUBLISHED-TTL:PT15M\r\n" in head


def test_instants_of_any_zone_are_written_in_utc() -> None:
    wall = datetime(2026, 10, 25, 2, 15, tzinfo=ZoneInfo("Europe/Copenhagen"), fold=1)
    rendered = render_entry(entry("x", wall, 1, "In the fold"))
    assert b"DTSTART:20261025T011500Z\r\n" in rendered


def test_a_naive_time_is_refused_rather_than_left_floating() -> None:
    with pytest.raises(ValueError, match="naive"):
        render_entry(entry("x", datetime(2026, 6, 1, 8), 1, "Naive"))


def test_a_busy_block_has_no_status() -> None:
    assert b"STATUS" not in render_entry(entry("x", START, 1, "Busy"))


def test_equal_entries_are_rendered_once() -> None:
    first, second = (entry("same", START, 1, "Same") for _ in range(2))
    assert first is not second
    assert render_entry(first) is render_entry(second)


def test_an_unattended_test_is_transparent_between_its_set_up_and_its_tear_down() -> None:
    setup, use, teardown = CALENDARS["unattended"]()
    assert [setup.transparent, use.transparent, teardown.transparent] == [False, True, False]
    assert (setup.ends_at, use.ends_at) == (use.starts_at, teardown.starts_at)
    assert [setup.uid, use.uid, teardown.uid] == ["r3-setup@labbook", "r3@labbook", "r3-teardown@labbook"]


def test_a_test_that_is_visited_is_transparent_and_its_visits_are_not() -> None:
    test, *visits = CALENDARS["visited"]()
    assert (test.transparent, [visit.transparent for visit in visits]) == (True, [False, False])


def test_use_without_set_up_and_tear_down_stays_opaque() -> None:
    use = entry("x", START, 1, "Scope")
    assert unattended(
        use, occupied_from=use.starts_at, occupied_until=use.ends_at, setup_summary="", teardown_summary=""
    ) == (use,)


texts = st.text(max_size=200)
instants = st.datetimes(
    min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.timezones() | st.just(UTC)
)
entries = st.builds(
    CalendarEntry,
    uid=st.from_regex(r"[a-z0-9]{1,40}@labbook", fullmatch=True),
    sequence=st.integers(0, 2**31 - 1),
    changed_at=instants,
    starts_at=instants,
    ends_at=instants,
    summary=texts,
    status=st.sampled_from([None, "TENTATIVE", "CONFIRMED", "CANCELLED"]),
    transparent=st.booleans(),
    description=texts,
    location=texts,
    categories=st.lists(texts.filter(str.strip), max_size=3).map(tuple),
    url=st.from_regex(r"https://lab\.example/[a-z0-9,;/]{0,150}", fullmatch=True),
)


def readable(text: str) -> str:
    """What survives: line ends as one kind, and none of the characters that RFC 5545 forbids."""
    for end in ("\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"):
        text = text.replace(end, "\n")
    return "".join(
        c for c in text if c in "\n\t" or (unicodedata.category(c) not in ("Cc", "Cs") and c != "\ufeff")
    )


@given(st.lists(entries, max_size=3))
def test_whatever_goes_in_comes_out_again(originals: list[CalendarEntry]) -> None:
    calendar = Calendar.from_ical(render_calendar(HEAD, originals))
    for original, event in zip(originals, calendar.walk("VEVENT"), strict=True):
        assert not event.errors
        assert event["uid"] == original.uid
        assert event["sequence"] == original.sequence
        assert event["dtstart"].dt == original.starts_at.astimezone(UTC).replace(microsecond=0)
        assert event["dtend"].dt == original.ends_at.astimezone(UTC).replace(microsecond=0)
        assert event["dtstamp"].dt == event["last-modified"].dt
        assert str(event["summary"]) == readable(original.summary)
        assert str(event.get("description", "")) == readable(original.description)
        assert str(event.get("location", "")) == readable(original.location)
        assert event.get("status") == original.status
        assert str(event.get("url", "")) == original.url
        if original.categories:
            assert [str(c) for c in event["categories"].cats] == [readable(c) for c in original.categories]


@given(entries)
def test_every_entry_is_folded_utf_8(original: CalendarEntry) -> None:
    for line in render_entry(original).split(b"\r\n"):
        assert len(line.decode("utf-8").encode("utf-8")) <= 75


def test_a_change_of_anything_changes_the_bytes() -> None:
    base = entry("x", START, 1, "A", status="CONFIRMED")
    changed = [
        dataclasses.replace(base, **change)
        for change in (
            {"sequence": 1},
            {"changed_at": CHANGED + timedelta(seconds=1)},
            {"ends_at": base.ends_at + timedelta(minutes=1)},
            {"status": "CANCELLED"},
            {"transparent": True},
        )
    ]
    assert len({render_entry(e) for e in [base, *changed]}) == 6
    assert render_entry(base) == render_entry(
        dataclasses.replace(base, starts_at=base.starts_at.astimezone(timezone(timedelta(hours=2))))
    )


def invitation(**more: object) -> Invitation:
    made = entry("r1", START, 2, "A test", status="CONFIRMED")
    given = {
        "method": "REQUEST", "entry": made, "organiser": "labbook@lab.example", "organiser_name": "Labbook",
        "attendee": "anna@alpha.example", "attendee_name": "Anna",
    } | more  # fmt: skip
    return Invitation(**given)  # type: ignore[arg-type]


def test_an_invitation_has_one_method_one_organiser_and_one_attendee_who_need_not_answer() -> None:
    rendered = render_invitation(invitation()).replace(b"\r\n ", b"")
    assert rendered.count(b"\r\nMETHOD:REQUEST\r\n") == 1
    assert rendered.count(b"\r\nORGANIZER;CN=Labbook:mailto:labbook@lab.example\r\n") == 1
    assert rendered.count(b"\r\nATTENDEE") == 1
    for parameter in (b"CN=Anna", b"CUTYPE=INDIVIDUAL", b"PARTSTAT=ACCEPTED", b"RSVP=FALSE"):
        assert b";" + parameter in rendered
    assert b"VTIMEZONE" not in rendered


@pytest.mark.parametrize(
    "name", ['Anna "the" Holm', "Holm; Anna, Dr.: x", "Åse\r\nATTENDEE:mailto:x@y", "Ω" * 90, "a^b'c"]
)
def test_a_name_stays_a_name_in_an_invitation(name: str) -> None:
    rendered = render_invitation(invitation(attendee_name=name))
    assert all(len(line) <= 75 for line in rendered.split(b"\r\n"))
    (found,) = Calendar.from_ical(rendered).walk("VEVENT")
    assert found.errors == []
    assert found["ATTENDEE"] == "mailto:anna@alpha.example"
    assert found["ATTENDEE"].params["CN"] == " ".join(name.replace('"', "'").split())
