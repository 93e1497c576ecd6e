"""A process killed while it sends mail: everything arrives, and what arrives twice is known as the same."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from labbook.domain.notification import Mode, Topic
from labbook.models import OutboxMessage, SentInvitation
from labbook.services import invitations, verify
from tests.cast import NOW, Cast
from tests.mailbox import Mailbox
from tests.services.test_invitations import invited
from tests.services.test_mail_choices import SEVEN, clear, tell, wants
from tests.services.test_outbox import send
from tests.services.test_reservations import book

ROOT = Path(__file__).resolve().parents[2]

SENDER = """
import sys
from datetime import datetime
from pathlib import Path
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from labbook.models.engine import prepare_engine
from labbook.services import invitations, outbox
from labbook.services.post import carrier
from tests.services.test_outbox import OFFICE

now = datetime.fromisoformat(sys.argv[3])
with Session(prepare_engine(create_engine(sys.argv[1]))) as session, carrier(sys.argv[2], Path("no")) as way:
    invitations.enqueue_due(session, now=now)
    outbox.send_due(session, way, OFFICE, now=now)
"""


def killed_after(number: int, database_url: str, mailbox: Mailbox, now: str) -> None:
    """A sender that is killed as soon as the peer has taken so many mails of it."""
    wanted = len(mailbox.messages) + number
    command = [sys.executable, "-c", SENDER, database_url, mailbox.url, now]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        until = time.monotonic() + 60
        while len(mailbox.messages) < wanted and process.poll() is None and time.monotonic() < until:
            time.sleep(0.001)
    finally:
        process.kill()
        process.wait(timeout=10)
    assert len(mailbox.messages) >= wanted


@pytest.mark.parametrize("number", [1, 7])
def test_of_mails_that_were_under_way_none_is_lost_and_none_is_two(
    session: Session, cast: Cast, database_url: str, number: int
) -> None:
    invited(session, cast.anna)
    wants(session, cast.bo, Mode.DAILY, *Topic)
    clear(session)
    views = [
        book(session, cast.anna, "scope", start=f"2026-04-{day:02} 10:00", end=f"2026-04-{day:02} 12:00")
        for day in range(10, 22)
    ]
    for view in views:
        tell(session, "message", view.id, cast.bo)
    session.rollback()
    with Mailbox().open() as mailbox:
        killed_after(number, database_url, mailbox, NOW.isoformat())
        for later in (NOW + timedelta(minutes=2), SEVEN, SEVEN + timedelta(minutes=5)):
            invitations.enqueue_due(session, now=later)
            send(session, mailbox.url, later)
    arrived = Counter(str(m["Message-ID"]) for m in mailbox.messages)
    assert len(arrived) == len(views) + 1  # an invitation to each, and one daily mail
    assert sum(arrived.values()) <= len(arrived) + 1  # at most the one that was in the peer's hand
    assert session.scalar(select(func.count()).where(OutboxMessage.sent_at.is_(None))) == 0
    assert session.scalar(select(func.count()).select_from(SentInvitation)) == len(views)
    assert verify.verify(session) == []


def test_of_a_daily_mail_that_was_under_way_every_line_arrives_in_one_mail(
    session: Session, cast: Cast, database_url: str
) -> None:
    wants(session, cast.anna, Mode.DAILY, *Topic)
    view = book(session, cast.anna, "scope", start="2026-04-10 10:00", end="2026-04-10 12:00")
    for _ in range(5):
        tell(session, "message", view.id, cast.anna)
    session.rollback()
    with Mailbox().open() as mailbox:
        assert send(session, mailbox.url) == {"kept": 5}
        killed_after(1, database_url, mailbox, SEVEN.isoformat())
        send(session, mailbox.url, SEVEN + timedelta(minutes=5))
    assert len({str(m["Message-ID"]) for m in mailbox.messages}) == 1
    assert {str(m["Subject"]) for m in mailbox.messages} == {"Your day at the lab: 5 messages"}
    assert session.scalar(select(func.count()).where(OutboxMessage.sent_at.is_(None))) == 0
