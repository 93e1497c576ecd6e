from __future__ import annotations

import smtplib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from labbook.models import OutboxMessage, ProjectMember, Reservation, User
from labbook.services import accounts, decisions, journal, outbox, sweep, transaction
from labbook.services.commands import Decide
from labbook.services.outbox import Office
from labbook.services.post import carrier
from tests.cast import NOW, Cast, at
from tests.mailbox import Mailbox
from tests.services.test_reservations import book

OFFICE = Office("https://lab.example", "labbook@lab.example")


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox().open() as found:
        yield found


def send(session: Session, url: str, now: datetime = NOW) -> dict[str, int]:
    with carrier(url, Path("unused")) as way:
        return dict(outbox.send_due(session, way, OFFICE, now=now))


def states(session: Session) -> list[OutboxMessage]:
    session.rollback()
    session.expire_all()
    return list(session.scalars(select(OutboxMessage).order_by(OutboxMessage.id)))


def text_of(message: object) -> str:
    body = message.get_body(("plain",))  # type: ignore[attr-defined]
    return str(body.get_content())


def test_a_request_reaches_every_manager_by_mail(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    view = book(session, cast.anna, "chamber")
    assert send(session, mailbox.url) == {"sent": 2}
    assert {m["To"].addresses[0].addr_spec for m in mailbox.messages} == {cast.mia.email, cast.max.email}
    first = mailbox.messages[0]
    assert first["Subject"] == "To decide: A test"
    assert f"https://lab.example/reservations/{view.id}" in text_of(first)
    assert "Tue 24 Mar, 10:00–12:00 (2 h)" in text_of(first)
    assert first.get_body(("html",)) is not None
    assert all(m.sent_at == NOW and m.due_at is None for m in states(session))


def test_a_password_never_travels_in_clear(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "chamber")
    mailbox = Mailbox("0.0.0.0")
    with mailbox.open():
        assert send(session, mailbox.url.replace("//", "//me:secret@")) == {"postponed": 1}
    assert mailbox.messages == []
    assert "in clear" in str(states(session)[0].error)


def test_what_was_sent_is_not_sent_again(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    book(session, cast.anna, "chamber")
    send(session, mailbox.url)
    assert send(session, mailbox.url) == {}


def test_the_message_id_is_that_of_the_outbox(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    book(session, cast.anna, "chamber")
    ids = {f"<{m.message_id}@lab.example>" for m in states(session)}
    send(session, mailbox.url)
    assert {str(m["Message-ID"]) for m in mailbox.messages} == ids


def test_a_dead_server_costs_patience_and_nothing_else(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "chamber")
    mailbox = Mailbox()
    assert send(session, mailbox.url) == {"postponed": 1}
    assert send(session, mailbox.url) == {"postponed": 1}
    assert {m.due_at for m in states(session)} == {NOW + timedelta(minutes=1)}
    assert all("refused" in (m.error or "") for m in states(session))
    with mailbox.open():
        assert send(session, mailbox.url, NOW + timedelta(minutes=1)) == {"sent": 2}


def test_in_a_pass_that_lasts_no_other_process_finds_due_what_is_just_being_sent(
    session: Session, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    book(session, cast.anna, "chamber")
    passed = 0.0
    due_while_sent = []

    class Slow:
        def send(self, message: object) -> None:
            nonlocal passed
            wall = NOW + timedelta(seconds=passed)
            due_while_sent.extend(m.id for m in states(session) if m.due_at is not None and m.due_at <= wall)
            passed += 90

    monkeypatch.setattr("labbook.services.outbox.time.monotonic", lambda: passed)
    assert outbox.send_due(session, Slow(), OFFICE, now=NOW) == {"sent": 2}
    assert due_while_sent == [states(session)[1].id], "only what nobody is sending yet"


def test_the_pauses_grow_and_after_a_week_it_gives_up(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "chamber")
    transaction.write(
        session, lambda: session.execute(delete(OutboxMessage).where(OutboxMessage.user_id == cast.max.id))
    )
    url, now, pauses = Mailbox().url, NOW, []
    while (message := states(session)[0]).due_at is not None:
        pauses.append(message.due_at - now)
        now = message.due_at
        send(session, url, now)
    assert pauses[1:] == sorted(pauses[1:])
    assert message.failed_at is not None
    assert timedelta(days=7) <= message.failed_at - NOW < timedelta(days=7, hours=5)


def test_an_address_refused_for_good_is_given_up_and_the_rest_arrive(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    mailbox.refuse[cast.max.email] = "550 no such user"
    book(session, cast.anna, "chamber")
    assert send(session, mailbox.url) == {"sent": 1, "given_up": 1}
    assert [m.error for m in states(session) if m.failed_at] == [
        "the recipient was refused (550 no such user)"
    ]


def test_an_address_refused_for_now_is_tried_again_and_holds_up_nobody(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    first = min((cast.mia, cast.max), key=lambda v: v.id)
    mailbox.refuse[first.email] = "450 mailbox busy"
    book(session, cast.anna, "chamber")
    assert send(session, mailbox.url) == {"postponed": 1, "sent": 1}
    mailbox.refuse.clear()
    assert send(session, mailbox.url, NOW + timedelta(minutes=1)) == {"sent": 1}


def tell(session: Session, public_id: str, user_id: int) -> None:
    def work() -> None:
        reservation = session.scalars(select(Reservation).where(Reservation.public_id == public_id)).one()
        journal.post(session, "moved", [user_id], now=NOW, reservation=reservation)

    transaction.write(session, work)


def test_a_mail_shows_nothing_to_who_lost_sight_of_it(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    view = book(session, cast.anna, "scope", project="joint")
    tell(session, view.id, cast.dorte.id)
    leave = delete(ProjectMember).where(ProjectMember.user_id == cast.dorte.id)
    transaction.write(session, lambda: session.execute(leave))
    assert send(session, mailbox.url) == {"dropped": 1}
    assert mailbox.messages == []


def test_who_is_relieved_is_told_and_shown_nothing_that_is_no_longer_theirs(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    view = book(session, cast.anna, "scope", notes="A secret inverter")
    handed_over = Decide(view.id, to=cast.carla.email, reason="Sold to Beta")
    decisions.transfer(session, handed_over, actor=cast.mia, now=NOW)
    send(session, mailbox.url)
    (told,) = [m for m in mailbox.messages if m["To"].addresses[0].addr_spec == cast.anna.email]
    assert told["Subject"] == "You no longer hold a reservation"
    assert view.id in text_of(told)
    assert not any(word in str(told) for word in ("A test", "secret", "Beta", "Carla", "Scope"))


def test_who_was_deactivated_gets_no_mail(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    book(session, cast.anna, "chamber")
    transaction.write(
        session, lambda: session.execute(update(User).where(User.id == cast.max.id).values(active=False))
    )
    assert send(session, mailbox.url) == {"dropped": 1, "sent": 1}


def test_the_reason_of_a_decline_stands_in_the_mail(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    view = book(session, cast.anna, "chamber")
    later = NOW + timedelta(minutes=5)
    command = Decide(view.id, reason="The chamber is being repaired.")
    decisions.decline(session, command, actor=cast.mia, now=later)
    send(session, mailbox.url, later)
    [mail] = [m for m in mailbox.messages if m["Subject"].startswith("Declined")]
    assert "Reason: The chamber is being repaired." in text_of(mail)


def test_a_message_of_the_thread_is_quoted_with_its_author(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    view = book(session, cast.anna, "chamber")
    later = NOW + timedelta(minutes=5)
    decisions.message(session, Decide(view.id, text="How heavy is it?"), actor=cast.mia, now=later)
    send(session, mailbox.url, later)
    [mail] = [m for m in mailbox.messages if m["Subject"].startswith("Message")]
    assert f"{cast.mia.name} writes:" in text_of(mail)
    assert "How heavy is it?" in text_of(mail)


def test_the_clock_tells_by_mail_too(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    book(session, cast.anna, "chamber")
    start = at("2026-03-24 10:00")
    sweep.sweep(session, now=start)
    send(session, mailbox.url, start)
    assert "Expired: A test" in {m["Subject"] for m in mailbox.messages}


def test_a_link_that_opens_an_account_is_not_kept(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    accounts.ask_reset(session, cast.bo.email, now=NOW)
    path = states(session)[0].payload["path"]
    assert send(session, mailbox.url) == {"sent": 1}
    assert f"https://lab.example{path}" in text_of(mailbox.messages[0])
    assert states(session)[0].payload == {}


def test_without_a_server_mail_becomes_files(session: Session, cast: Cast, tmp_path: Path) -> None:
    book(session, cast.anna, "chamber")
    with carrier(None, tmp_path / "mail") as way:
        assert outbox.send_due(session, way, OFFICE, now=NOW) == {"sent": 2}
    files = sorted((tmp_path / "mail").glob("*.eml"))
    assert len(files) == 2
    assert files[0].stat().st_mode & 0o077 == 0


def test_a_server_that_wants_a_name_gets_it(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    """Login on a peer that offers none fails like a dead server: later, and said so."""
    book(session, cast.anna, "chamber")
    assert send(session, mailbox.url.replace("//", "//me:secret@")) == {"postponed": 1}
    assert "secret" not in (states(session)[0].error or "")
    assert issubclass(smtplib.SMTPException, OSError)
