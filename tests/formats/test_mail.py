from __future__ import annotations

from dataclasses import replace

import pytest

from labbook.formats.mail import ABOUT_ACCOUNTS, KINDS, Letter, Proposed, Subject, compose, render
from tests.cast import NOW, at

ABOUT = Subject(
    id="abc",
    title="Inverter <b>at</b> 85 °C",
    status="approved",
    start=at("2026-03-28 22:00"),
    end=at("2026-03-29 06:00"),
    zone="Europe/Copenhagen",
    facility="Centre for Industrial Electronics",
    equipment=["Climate chamber 1", "DC source × 2"],
    holder="Anna",
    organisation="Alpha",
    project="Joint inverter",
    proposed=Proposed(at("2026-04-01 10:00"), at("2026-04-01 12:00"), ["Climate chamber 2"]),
)
LETTER = Letter(
    kind="approved",
    message_id="0123",
    locale="en",
    name="Mia",
    address="mia@example.org",
    url="https://lab.example/reservations/abc",
    written_at=NOW,
    about=ABOUT,
    actor="Anna",
    reason="Because\nof that",
    words="First line.\n\nSecond line.",
)


NOTICED = {
    "equipment": {"en": "Climate chamber 1"},
    "matter": "alarm",
    "at": NOW.isoformat(),
    "zone": "Europe/Copenhagen",
    "neutral": False,
    "severity": "unusable",
}
"""What messages about something at the equipment are posted with."""


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_a_subject_a_text_and_html(kind: str) -> None:
    about = None if kind in ABOUT_ACCOUNTS else ABOUT
    rendered = render(replace(LETTER, kind=kind, about=about, more=NOTICED))
    assert rendered.subject
    assert "Hello Mia," in rendered.text
    assert LETTER.url in rendered.text
    assert f'href="{LETTER.url}"' in rendered.html


def test_what_people_wrote_is_escaped_in_html_and_plain_in_text() -> None:
    rendered = render(LETTER)
    assert "<b>at</b>" in rendered.text
    assert "<b>at</b>" not in rendered.html
    assert "&lt;b&gt;at&lt;/b&gt;" in rendered.html


def test_times_are_the_labs_and_count_the_hours_that_pass() -> None:
    assert "Sat 28 Mar, 22:00 – Sun 29 Mar, 06:00 (7 h), Europe/Copenhagen, UTC+1" in render(LETTER).text


def test_a_proposal_shows_what_it_would_become() -> None:
    assert "Proposed time: Wed 1 Apr, 10:00–12:00 (2 h)" in render(replace(LETTER, kind="proposal")).text


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no mail is written"):
        render(replace(LETTER, kind="../secrets"))


def test_the_mail_carries_both_parts_and_says_that_a_machine_wrote_it() -> None:
    message = compose(LETTER, sender="labbook@lab.example")
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == "<0123@lab.example>"
    assert b"\r\n" not in message["Subject"].encode()


def test_a_name_that_looks_like_a_header_stays_a_name() -> None:
    message = compose(replace(LETTER, name='Mia, "the" <boss>'), sender="labbook@lab.example")
    assert message["To"].addresses[0].addr_spec == "mia@example.org"


def test_a_visit_is_named_by_its_hours_and_its_own_time() -> None:
    more = {
        "visit_from": at("2026-03-31 11:00").isoformat(),
        "visit_until": at("2026-03-31 11:30").isoformat(),
        "after": 168 * 3600,
    }
    rendered = render(replace(LETTER, kind="visit", more=more))
    assert rendered.subject == "Read-out after 168 h: Inverter <b>at</b> 85 °C"
    assert "Visit: Tue 31 Mar, 11:00–11:30 (30 min), Europe/Copenhagen, UTC+2" in rendered.text
    assert render(replace(LETTER, kind="visit", more=more | {"after": None})).subject.startswith("Visit: ")
