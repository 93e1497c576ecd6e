"""Invitations as they leave by mail, taken by a calendar program that nobody here wrote."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.services import decisions, feeds
from labbook.services.commands import Decide
from labbook.services.feeds import CreateFeed
from tests.cast import NOW, Cast
from tests.interop.clients import InvitedUser
from tests.mailbox import Mailbox
from tests.services.test_invitations import carry, invited, move
from tests.services.test_reservations import book


def as_mailed(session: Session, mailbox: Mailbox, who: Viewer) -> bytes:
    """The calendar part of the mail that is due to somebody now, to the byte."""
    carry(session, mailbox, who)
    mine = [m for m in mailbox.messages if m["To"].addresses[0].addr_spec == who.email]
    parts = [p for m in mine for p in m.walk() if p.get_content_type() == "text/calendar"]
    found = parts[-1].get_payload(decode=True)
    assert isinstance(found, bytes)
    return found


SHOWN = "{start} {end} {title} {location} {status}"


def test_khal_takes_an_invitation_its_change_and_its_cancellation(
    session: Session, cast: Cast, tmp_path: Path
) -> None:
    invited(session, cast.anna)
    anna = InvitedUser(tmp_path / "anna")
    with Mailbox().open() as mailbox:
        view = book(session, cast.anna, "chamber", title="Damp heat, “85/85”; part 1")
        anna.take(as_mailed(session, mailbox, cast.anna))
        shown = "Damp heat, “85/85”; part 1 climate, Centre for Industrial Electronics"
        assert anna.list("2026-03-24", "30d", SHOWN) == [
            f"2026-03-24 10:00 2026-03-24 12:00 {shown} TENTATIVE "
        ]
        move(session, view, cast.anna, "2026-03-29 01:30", "2026-03-29 03:30")
        decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
        anna.take(as_mailed(session, mailbox, cast.anna))
        assert anna.list("2026-03-24", "30d", SHOWN) == [
            f"2026-03-29 01:30 2026-03-29 03:30 {shown} CONFIRMED "
        ]
        decisions.cancel(session, Decide(view.id), actor=cast.anna, now=NOW)
        anna.take(as_mailed(session, mailbox, cast.anna))
        (left,) = anna.list("2026-03-24", "30d", SHOWN)
        assert left.endswith(" CANCELLED ")
    assert len(anna.files()) == 1


def test_an_invitation_and_a_feed_name_the_same_entry_alike(session: Session, cast: Cast) -> None:
    """Who goes over from one to the other has it once."""
    invited(session, cast.anna)
    book(session, cast.anna, "scope")
    with Mailbox().open() as mailbox:
        (invitation,) = carry(session, mailbox, cast.anna)
    made = feeds.create(session, CreateFeed("mine", "Phone"), actor=cast.anna, now=NOW)
    feed = feeds.read(session, made.secret, now=NOW, base_url="https://lab.example")
    (invited_to,) = invitation.walk("VEVENT")
    lines = {
        f"{name}:{invited_to[name].to_ical().decode()}" for name in ("UID", "DTSTART", "DTEND", "SUMMARY")
    }
    assert lines <= set(feed.content.decode().split("\r\n"))
