"""At once, once a day, never: what the outbox makes of its readers' choices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete, event, select, update
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Refused
from labbook.domain.notification import Mode, Topic
from labbook.formats import mail
from labbook.models import OutboxMessage, ProjectMember, Reservation, User
from labbook.services import changes, decisions, journal, notifications, outbox, transaction, verify
from labbook.services.commands import ChangeReservation, Decide
from tests.cast import NOW, Cast, at
from tests.mailbox import Mailbox
from tests.services.test_outbox import send, states, text_of
from tests.services.test_reservations import book

SEVEN = at("2026-03-24 07:00")
NEXT_WEEK = {"start": "2026-03-31 10:00", "end": "2026-03-31 12:00"}


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox().open() as found:
        yield found


def wants(session: Session, who: Viewer, mode: Mode, *topics: Topic) -> None:
    notifications.choose(session, dict.fromkeys(topics or tuple(Topic), mode), actor=who)


def tell(session: Session, kind: str, public_id: str, who: Viewer, now: datetime = NOW) -> None:
    def work() -> None:
        found = session.scalars(select(Reservation).where(Reservation.public_id == public_id)).one()
        journal.post(session, kind, [who.id], now=now, reservation=found)

    transaction.write(session, work)


def clear(session: Session) -> None:
    transaction.write(session, lambda: session.execute(delete(OutboxMessage)))


def subjects(mailbox: Mailbox, who: Viewer) -> list[str]:
    return [m["Subject"] for m in mailbox.messages if m["To"].addresses[0].addr_spec == who.email]


@pytest.fixture
def far(session: Session, cast: Cast) -> str:
    """A reservation of anna's in a week, and nothing in the outbox."""
    found = book(session, cast.anna, "scope", **NEXT_WEEK).id
    clear(session)
    return found


def test_what_is_wanted_daily_leaves_at_seven_as_one_mail(
    session: Session, cast: Cast, mailbox: Mailbox, far: str
) -> None:
    wants(session, cast.anna, Mode.DAILY)
    for kind in ("moved", "message", "approved"):
        tell(session, kind, far, cast.anna)
    assert send(session, mailbox.url) == {"kept": 3}
    assert send(session, mailbox.url, SEVEN - timedelta(seconds=1)) == {}
    assert send(session, mailbox.url, SEVEN) == {"sent": 1}
    (letter,) = mailbox.messages
    assert letter["Subject"] == "Your day at the lab: 3 messages"
    assert f"https://lab.example/reservations/{far}" in text_of(letter)
    for line in ("Changed: A test", "Message: A test", "Approved: A test"):
        assert f"- {line} · Tue 31 Mar, 10:00–12:00 (2 h)" in text_of(letter)
        assert line in letter.get_body(("html",)).get_content()
    assert all(m.sent_at == SEVEN and m.due_at is None for m in states(session))
    assert send(session, mailbox.url, SEVEN + timedelta(days=1)) == {}


@pytest.mark.parametrize(
    ("now", "seven"), [("2026-03-28 12:00", "2026-03-29 07:00"), ("2026-10-24 12:00", "2026-10-25 07:00")]
)
def test_seven_is_seven_on_both_days_when_the_clocks_change(
    session: Session, cast: Cast, mailbox: Mailbox, now: str, seven: str
) -> None:
    view = book(session, cast.anna, "scope", start="2026-11-30 10:00", end="2026-11-30 12:00")
    wants(session, cast.anna, Mode.DAILY)
    clear(session)
    tell(session, "moved", view.id, cast.anna, at(now))
    send(session, mailbox.url, at(now))
    assert [m.due_at for m in states(session)] == [at(seven)]


def test_a_late_change_is_sent_at_once_to_whoever_wants_none(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    view = book(session, cast.anna, "scope")
    wants(session, cast.anna, Mode.NEVER)
    clear(session)
    decisions.cancel(session, Decide(view.id, cause="lab", reason="Flooded"), actor=cast.mia, now=NOW)
    assert send(session, mailbox.url) == {"sent": 1}
    assert subjects(mailbox, cast.anna) == ["Cancelled: A test"]


def test_what_is_moved_away_from_tomorrow_is_late_wherever_it_goes(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    view = book(session, cast.anna, "scope")
    wants(session, cast.anna, Mode.NEVER)
    clear(session)
    changes.change(
        session,
        view.id,
        ChangeReservation(start=at(NEXT_WEEK["start"]), end=at(NEXT_WEEK["end"])),
        revision=view.revision,
        actor=cast.mia,
        now=NOW,
    )
    assert send(session, mailbox.url) == {"sent": 1}
    assert subjects(mailbox, cast.anna) == ["Changed: A test"]


def test_what_nobody_wants_is_not_sent_and_not_lost_sight_of(
    session: Session, cast: Cast, mailbox: Mailbox, far: str
) -> None:
    wants(session, cast.anna, Mode.NEVER, Topic.CHANGES)
    tell(session, "moved", far, cast.anna)
    tell(session, "message", far, cast.anna)
    assert send(session, mailbox.url) == {"unwanted": 1, "sent": 1}
    assert subjects(mailbox, cast.anna) == ["Message: A test"]
    assert [m.error for m in states(session)] == ["its reader wants no mail of this", None]
    assert [(m.withheld_at, m.failed_at) for m in states(session)] == [(NOW, None), (None, None)]
    assert verify.verify(session) == []


def test_a_manager_who_wants_requests_daily_gets_those_of_tomorrow_at_once(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    wants(session, cast.mia, Mode.DAILY, Topic.REQUESTS)
    soon = {"start": "2026-03-23 20:00", "end": "2026-03-23 22:00"}
    book(session, cast.anna, "chamber", title="Soon", **soon)
    book(session, cast.anna, "chamber", title="Later", **NEXT_WEEK)
    send(session, mailbox.url)
    assert subjects(mailbox, cast.mia) == ["To decide: Soon"]
    send(session, mailbox.url, SEVEN)
    assert subjects(mailbox, cast.mia) == ["To decide: Soon", "Your day at the lab: 1 message"]


def test_the_daily_mail_shows_nothing_of_what_went_out_of_sight(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    shared = book(session, cast.anna, "scope", project="joint", title="Theirs", **NEXT_WEEK)
    own = book(session, cast.dorte, "scope-2", title="Hers", **NEXT_WEEK)
    wants(session, cast.dorte, Mode.DAILY)
    clear(session)
    tell(session, "moved", shared.id, cast.dorte)
    tell(session, "moved", own.id, cast.dorte)
    assert send(session, mailbox.url) == {"kept": 2}
    leave = delete(ProjectMember).where(ProjectMember.user_id == cast.dorte.id)
    transaction.write(session, lambda: session.execute(leave))
    assert send(session, mailbox.url, SEVEN) == {"sent": 1, "dropped": 1}
    assert "Hers" in text_of(mailbox.messages[0])
    assert "Theirs" not in str(mailbox.messages[0])
    assert shared.id not in str(mailbox.messages[0])


def test_a_daily_mail_is_the_same_mail_at_every_attempt(session: Session, cast: Cast, far: str) -> None:
    wants(session, cast.anna, Mode.DAILY)
    tell(session, "moved", far, cast.anna)
    tell(session, "message", far, cast.anna)
    with Mailbox().open() as first:
        send(session, first.url)
        send(session, first.url, SEVEN)
    # As if the process had died after the peer took it and before that was written down.
    again = update(OutboxMessage).values(due_at=SEVEN + timedelta(minutes=1), sent_at=None)
    transaction.write(session, lambda: session.execute(again))
    tell(session, "approved", far, cast.anna, SEVEN)
    with Mailbox().open() as second:
        assert send(session, second.url, SEVEN + timedelta(minutes=1)) == {"kept": 1, "sent": 1}
    assert first.messages[0]["Message-ID"] == second.messages[0]["Message-ID"]
    assert text_of(first.messages[0]) == text_of(second.messages[0])


def test_a_dead_server_puts_the_whole_daily_mail_off_and_nothing_is_lost(
    session: Session, cast: Cast, far: str
) -> None:
    wants(session, cast.anna, Mode.DAILY)
    for kind in ("moved", "message"):
        tell(session, kind, far, cast.anna)
    mailbox = Mailbox()
    assert send(session, mailbox.url) == {"kept": 2}
    assert send(session, mailbox.url, SEVEN) == {"postponed": 2}
    assert {m.due_at for m in states(session)} == {SEVEN + timedelta(minutes=1)}
    with mailbox.open():
        assert send(session, mailbox.url, SEVEN + timedelta(minutes=1)) == {"sent": 1}
    assert "2 messages" in mailbox.messages[0]["Subject"]


def test_who_changes_their_mind_before_seven_gets_what_waits(
    session: Session, cast: Cast, mailbox: Mailbox, far: str
) -> None:
    wants(session, cast.anna, Mode.DAILY)
    tell(session, "moved", far, cast.anna)
    send(session, mailbox.url)
    wants(session, cast.anna, Mode.NEVER)
    assert send(session, mailbox.url, SEVEN) == {"unwanted": 1}


def test_two_processes_send_one_daily_mail(session: Session, cast: Cast, mailbox: Mailbox, far: str) -> None:
    """Both saw it due; the second finds it claimed."""
    wants(session, cast.anna, Mode.DAILY)
    tell(session, "moved", far, cast.anna)
    tell(session, "message", far, cast.anna)
    send(session, mailbox.url)
    rows = outbox._due(session, SEVEN)
    assert len(outbox._claim(session, rows[0], SEVEN)) == 2
    assert [outbox._claim(session, row, SEVEN) for row in rows] == [(), ()]


def test_choices_are_read_back_and_the_rest_stays_as_it_was(session: Session, cast: Cast) -> None:
    before = notifications.read(session, viewer=cast.mia).modes
    assert set(before.values()) == {Mode.AT_ONCE}
    notifications.choose(session, {"requests": "daily", "missed": "never"}, actor=cast.mia)
    notifications.choose(session, {"missed": "daily"}, actor=cast.mia)
    after = notifications.read(session, viewer=cast.mia).modes
    assert after == {**before, Topic.REQUESTS: Mode.DAILY, Topic.MISSED: Mode.DAILY}


def test_every_wrong_choice_is_said_at_once_and_nothing_is_kept(session: Session, cast: Cast) -> None:
    with pytest.raises(Refused) as refused:
        notifications.choose(
            session,
            {"requests": "hourly", "gossip": "daily", "missed": "never"},
            calendar_by="pigeon",
            actor=cast.mia,
        )
    assert {problem.field for problem in refused.value.problems} == {"requests", "gossip", "calendar_by"}
    assert set(notifications.read(session, viewer=cast.mia).modes.values()) == {Mode.AT_ONCE}


def refusal(session: Session, who: Viewer) -> str | None:
    session.rollback()
    return notifications.refusal_of(session, viewer=who)


def test_a_refusal_for_good_is_known_until_a_mail_goes_through(
    session: Session, cast: Cast, mailbox: Mailbox, far: str
) -> None:
    mailbox.refuse[cast.anna.email] = "550 5.1.1 no such user here"
    tell(session, "moved", far, cast.anna)
    assert send(session, mailbox.url) == {"given_up": 1}
    assert refusal(session, cast.anna) == "550 5.1.1 no such user here"
    read = notifications.read(session, viewer=cast.anna)
    assert (read.refused_at, read.refusal) == (NOW, "550 5.1.1 no such user here")
    mailbox.refuse.clear()
    tell(session, "moved", far, cast.anna)
    send(session, mailbox.url)
    assert refusal(session, cast.anna) is None


def test_a_refused_daily_mail_is_given_up_whole_and_known(
    session: Session, cast: Cast, mailbox: Mailbox, far: str
) -> None:
    wants(session, cast.anna, Mode.DAILY)
    tell(session, "moved", far, cast.anna)
    tell(session, "message", far, cast.anna)
    send(session, mailbox.url)
    mailbox.refuse[cast.anna.email] = "554 go away"
    assert send(session, mailbox.url, SEVEN) == {"given_up": 2}
    assert refusal(session, cast.anna) == "554 go away"


def test_a_refusal_for_the_moment_is_none(session: Session, cast: Cast, mailbox: Mailbox, far: str) -> None:
    mailbox.refuse[cast.anna.email] = "450 mailbox busy"
    tell(session, "moved", far, cast.anna)
    assert send(session, mailbox.url) == {"postponed": 1}
    assert refusal(session, cast.anna) is None


def test_a_message_refused_for_what_it_holds_is_known_too(
    session: Session, cast: Cast, mailbox: Mailbox, far: str
) -> None:
    mailbox.refuse_data = "554 5.7.1 looks like\x07 spam"
    tell(session, "moved", far, cast.anna)
    assert send(session, mailbox.url) == {"given_up": 1}
    assert refusal(session, cast.anna) == "554 5.7.1 looks like spam"


def test_a_dead_server_marks_nobody_and_touches_no_booking(session: Session, cast: Cast, far: str) -> None:
    held = select(Reservation.status, Reservation.revision, Reservation.due_at)
    before = session.execute(held).all()
    tell(session, "moved", far, cast.anna)
    assert send(session, Mailbox().url) == {"postponed": 1}
    assert refusal(session, cast.anna) is None
    assert session.execute(held).all() == before
    assert session.scalar(select(User.mail_refused_at).where(User.id == cast.anna.id)) is None


def tell_of(session: Session, kind: str, who: Viewer, payload: dict[str, object], view_id: str = "") -> None:
    def work() -> None:
        about = session.scalar(select(Reservation).where(Reservation.public_id == view_id))
        journal.post(session, kind, [who.id], now=NOW, reservation=about, payload=payload)

    transaction.write(session, work)


def test_what_is_about_no_reservation_has_its_line_and_its_own_address(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    wants(session, cast.anna, Mode.DAILY)
    tell_of(session, "waitlist_over", cast.anna, {"path": "/waitlist", "words": "A week in the chamber"})
    assert send(session, mailbox.url) == {"kept": 1}
    assert send(session, mailbox.url, SEVEN) == {"sent": 1}
    line = "- Nothing became free: A week in the chamber\n  https://lab.example/waitlist\n"
    assert line in text_of(mailbox.messages[0]).replace("\r\n", "\n")


def test_a_visit_waits_for_the_daily_mail_only_if_that_comes_before_it(
    session: Session, cast: Cast, mailbox: Mailbox, far: str
) -> None:
    wants(session, cast.tom, Mode.DAILY)
    for start in ("2026-03-24 06:30", "2026-03-24 10:00"):
        visit = {"visit_from": at(start), "visit_until": at(start) + timedelta(minutes=30), "after": None}
        tell_of(session, "visit", cast.tom, visit, far)
    assert send(session, mailbox.url) == {"sent": 1, "kept": 1}
    send(session, mailbox.url, SEVEN)
    assert "- Visit: A test · Tue 24 Mar, 10:00–10:30 (30 min)" in text_of(mailbox.messages[1])


def test_a_line_that_cannot_be_written_takes_none_of_the_others_with_it(
    session: Session, cast: Cast, mailbox: Mailbox, far: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kind that lost its template between two versions."""
    wants(session, cast.anna, Mode.DAILY)
    for kind in ("moved", "message"):
        tell(session, kind, far, cast.anna)
    send(session, mailbox.url)
    monkeypatch.setattr(mail, "KINDS", mail.KINDS - {"moved"})
    assert send(session, mailbox.url, SEVEN) == {"sent": 1}
    text = text_of(mailbox.messages[0])
    assert "- A message · Tue 31 Mar" in text
    assert "- Message: A test · Tue 31 Mar" in text


def test_the_number_of_queries_of_a_daily_mail_does_not_grow_with_it(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    wants(session, cast.anna, Mode.DAILY)

    def asked(hours: range, day: int) -> int:
        for hour in hours:
            slot = {"start": f"2026-05-{day} {hour:02}:00", "end": f"2026-05-{day} {hour:02}:30"}
            tell(session, "message", book(session, cast.anna, "scope", **slot).id, cast.anna)
        send(session, mailbox.url)
        statements: list[str] = []
        engine = session.get_bind()

        def note(*told: object) -> None:
            statements.append(str(told[2]))

        event.listen(engine, "before_cursor_execute", note)
        assert send(session, mailbox.url, SEVEN) == {"sent": 1}
        event.remove(engine, "before_cursor_execute", note)
        return len([each for each in statements if each.startswith("SELECT")])

    few = asked(range(8, 10), 20)
    transaction.write(session, lambda: session.execute(delete(OutboxMessage)))
    assert asked(range(8, 16), 21) == few
