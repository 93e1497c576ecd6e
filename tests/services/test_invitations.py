"""Reservations in the calendars of those who want them by mail rather than by feed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest
import vobject
from icalendar import Calendar, Event
from sqlalchemy import create_engine, delete, event, select, update
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.notification import Mode, Topic
from labbook.models import Equipment, OutboxMessage, ProjectMember, Reservation, Room, SentInvitation, User
from labbook.models.engine import prepare_engine
from labbook.services import changes, decisions, invitations, notifications, sweep, transaction
from labbook.services.commands import ChangeReservation, Decide
from labbook.services.reservation_views import ReservationView
from tests.cast import NOW, Cast, at, make_cast
from tests.mailbox import Mailbox
from tests.services.test_mail_choices import clear, subjects, wants
from tests.services.test_outbox import send, states, text_of
from tests.services.test_reservations import book


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox().open() as found:
        yield found


def invited(session: Session, *people: Viewer) -> None:
    for who in people:
        notifications.choose(session, {}, calendar_by="invitation", actor=who)


def carry(session: Session, mailbox: Mailbox, who: Viewer, now: datetime = NOW) -> list[Calendar]:
    """One run of the mail job; the calendar parts that reached ``who`` in it."""
    before = len(mailbox.messages)
    invitations.enqueue_due(session, now=now)
    send(session, mailbox.url, now)
    return [part for m in mailbox.messages[before:] if (part := calendar_in(m, who)) is not None]


def calendar_in(message: object, who: Viewer) -> Calendar | None:
    if message["To"].addresses[0].addr_spec != who.email:  # type: ignore[index]
        return None
    parts = [p for p in message.walk() if p.get_content_type() == "text/calendar"]  # type: ignore[attr-defined]
    return Calendar.from_ical(parts[0].get_payload(decode=True)) if parts else None


def the_event(calendar: Calendar) -> Event:
    (found,) = calendar.walk("VEVENT")
    return found


def said(calendar: Calendar) -> tuple[str, str, int]:
    found = the_event(calendar)
    return str(calendar["METHOD"]), str(found["STATUS"]), int(found["SEQUENCE"])


def move(session: Session, view: ReservationView, who: Viewer, start: str, end: str) -> ReservationView:
    command = ChangeReservation(start=at(start), end=at(end))
    return changes.change(session, view.id, command, revision=None, actor=who, now=NOW)


def edit(session: Session, view: ReservationView, who: Viewer, command: ChangeReservation) -> None:
    changes.change(session, view.id, command, revision=None, actor=who, now=NOW)


def test_a_booking_arrives_as_an_invitation_that_asks_for_no_answer(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    invited(session, cast.anna)
    view = book(session, cast.anna, "chamber")
    (calendar,) = carry(session, mailbox, cast.anna)
    found = the_event(calendar)
    assert said(calendar) == ("REQUEST", "TENTATIVE", view.revision)
    assert found["UID"] == f"{view.id}@labbook"
    assert (found["DTSTART"].dt, found["DTEND"].dt) == (view.start, view.end)
    assert b"DTSTART:20260324T090000Z" in calendar.to_ical()
    assert found["SUMMARY"] == "A test"
    assert found["LOCATION"] == "climate, Centre for Industrial Electronics"
    assert found["URL"] == f"https://lab.example/reservations/{view.id}"
    assert found["ORGANIZER"] == "mailto:labbook@lab.example"
    assert found["ATTENDEE"] == f"mailto:{cast.anna.email}"
    assert found["ATTENDEE"].params["RSVP"] == "FALSE"


def test_the_mail_is_one_that_every_program_can_read(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    invited(session, cast.anna)
    view = book(session, cast.anna, "scope")
    carry(session, mailbox, cast.anna)
    (mail,) = mailbox.messages
    kinds = [part.get_content_type() for part in mail.iter_parts()]
    assert mail.get_content_type() == "multipart/alternative"
    assert kinds == ["text/plain", "text/html", "text/calendar"]
    part = list(mail.iter_parts())[2]
    assert part.get_param("method") == "REQUEST"
    assert part.get_param("charset").lower() == "utf-8"
    assert mail["Subject"] == "Calendar: A test"
    assert f"https://lab.example/reservations/{view.id}" in text_of(mail)
    read = vobject.readOne(part.get_payload(decode=True).decode("utf-8"))
    read.validate(raiseException=True)
    assert read.method.value == "REQUEST"


def test_what_an_entry_shows_is_sent_again_with_a_greater_sequence(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    invited(session, cast.anna)
    view = book(session, cast.anna, "chamber")
    told = carry(session, mailbox, cast.anna)
    decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    told += carry(session, mailbox, cast.anna)
    edit(session, view, cast.anna, ChangeReservation(title="Another test"))
    told += carry(session, mailbox, cast.anna)
    decisions.cancel(session, Decide(view.id), actor=cast.anna, now=NOW)
    told += carry(session, mailbox, cast.anna)
    assert [said(each)[:2] for each in told] == [
        ("REQUEST", "TENTATIVE"),
        ("REQUEST", "CONFIRMED"),
        ("REQUEST", "CONFIRMED"),
        ("CANCEL", "CANCELLED"),
    ]
    sequences = [said(each)[2] for each in told]
    assert sequences == sorted(set(sequences))
    assert {str(the_event(each)["UID"]) for each in told} == {f"{view.id}@labbook"}
    assert [str(the_event(each)["SUMMARY"]) for each in told[1:3]] == ["A test", "Another test"]


def test_moving_tells_the_new_time(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    invited(session, cast.anna)
    view = book(session, cast.anna, "scope")
    carry(session, mailbox, cast.anna)
    move(session, view, cast.anna, "2026-03-29 01:00", "2026-03-29 04:00")
    (calendar,) = carry(session, mailbox, cast.anna)
    assert b"DTSTART:20260329T000000Z\r\nDTEND:20260329T020000Z" in calendar.to_ical()


def test_check_in_notes_and_messages_send_nothing(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    invited(session, cast.anna)
    view = book(session, cast.anna, "chamber")
    decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    carry(session, mailbox, cast.anna)
    edit(session, view, cast.anna, ChangeReservation(notes="Bring the long cable"))
    decisions.message(session, Decide(view.id, text="At ten?"), actor=cast.mia, now=NOW)
    start = at("2026-03-24 10:00")
    decisions.check_in(session, Decide(view.id), actor=cast.anna, now=start)
    assert carry(session, mailbox, cast.anna, start) == []
    decisions.check_out(session, Decide(view.id), actor=cast.anna, now=start + timedelta(hours=1))
    assert carry(session, mailbox, cast.anna, start + timedelta(hours=1)) == []


def test_nothing_is_sent_twice(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    invited(session, cast.anna)
    book(session, cast.anna, "scope")
    assert len(carry(session, mailbox, cast.anna)) == 1
    assert carry(session, mailbox, cast.anna) == []
    assert invitations.enqueue_due(session, now=NOW, thorough=True) == 0


@pytest.mark.parametrize("how", ["declined", "expired", "no_show"])
def test_what_came_to_nothing_is_taken_back(session: Session, cast: Cast, mailbox: Mailbox, how: str) -> None:
    invited(session, cast.anna)
    view = book(session, cast.anna, "chamber")
    carry(session, mailbox, cast.anna)
    now = NOW
    if how == "declined":
        decisions.decline(session, Decide(view.id, reason="Full"), actor=cast.mia, now=NOW)
    else:
        now = at("2026-03-24 10:00")
        if how == "no_show":
            decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
            now += timedelta(minutes=30)
        sweep.sweep(session, now=now)
    (calendar,) = [c for c in carry(session, mailbox, cast.anna, now) if said(c)[0] == "CANCEL"]
    assert said(calendar)[:2] == ("CANCEL", "CANCELLED")
    assert the_event(calendar)["DTSTART"].dt == view.start


def test_who_comes_late_after_all_has_it_back(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    invited(session, cast.anna)
    view = book(session, cast.anna, "chamber")
    decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    told = carry(session, mailbox, cast.anna)
    late = at("2026-03-24 10:30")
    sweep.sweep(session, now=late)
    told += carry(session, mailbox, cast.anna, late)
    decisions.check_in(session, Decide(view.id), actor=cast.anna, now=late + timedelta(minutes=5))
    told += carry(session, mailbox, cast.anna, late + timedelta(minutes=5))
    assert [said(each)[0] for each in told] == ["REQUEST", "CANCEL", "REQUEST"]
    assert [said(each)[2] for each in told] == sorted({said(each)[2] for each in told})


def test_a_participant_is_invited_and_taken_off_again(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    invited(session, cast.bo)
    view = book(session, cast.anna, "scope", participants=(cast.bo.email,))
    (calendar,) = carry(session, mailbox, cast.bo)
    assert the_event(calendar)["ATTENDEE"].params["ROLE"] == "OPT-PARTICIPANT"
    edit(session, view, cast.anna, ChangeReservation(participants=()))
    (gone,) = carry(session, mailbox, cast.bo)
    assert said(gone)[0] == "CANCEL"
    assert carry(session, mailbox, cast.anna) == []


def test_handing_over_moves_it_from_one_calendar_to_the_other(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    invited(session, cast.anna, cast.bo)
    view = book(session, cast.anna, "scope")
    carry(session, mailbox, cast.anna)
    decisions.transfer(session, Decide(view.id, to=cast.bo.email), actor=cast.anna, now=NOW)
    before = len(mailbox.messages)
    carry(session, mailbox, cast.anna)
    fresh = mailbox.messages[before:]
    methods = {
        who.name: [str(c["METHOD"]) for m in fresh if (c := calendar_in(m, who)) is not None]
        for who in (cast.anna, cast.bo)
    }
    assert methods == {"Anna": ["CANCEL"], "Bo": ["REQUEST"]}


def test_who_lost_it_to_a_competitor_learns_nothing_of_what_became_of_it(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    invited(session, cast.anna)
    view = book(session, cast.anna, "scope")
    carry(session, mailbox, cast.anna)
    decisions.transfer(session, Decide(view.id, to=cast.carla.email), actor=cast.mia, now=NOW)
    edit(session, view, cast.carla, ChangeReservation(title="Beta's secret"))
    move(session, view, cast.carla, "2026-03-25 14:00", "2026-03-25 16:00")
    before = len(mailbox.messages)
    (gone,) = carry(session, mailbox, cast.anna)
    found = the_event(gone)
    assert said(gone)[0] == "CANCEL"
    assert found["SUMMARY"] == f"Reservation {view.id}"
    assert (found["DTSTART"].dt, found["DTEND"].dt) == (view.start, view.end)
    told = [m for m in mailbox.messages[before:] if m["To"].addresses[0].addr_spec == cast.anna.email]
    for mail in told:
        for part in mail.walk():
            body = str(part.get_payload(decode=True))
            assert not any(word in body for word in ("secret", "Beta", "Carla", "Scope", "25 Mar", "0325"))


def test_a_competitor_is_invited_to_nothing(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    invited(session, cast.carla)
    book(session, cast.anna, "scope")
    assert carry(session, mailbox, cast.carla) == []
    assert invitations.enqueue_due(session, now=NOW, thorough=True) == 0


def test_who_leaves_the_project_has_it_taken_back_without_its_title(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    invited(session, cast.dorte)
    view = book(session, cast.anna, "scope", project="joint", participants=(cast.dorte.email,))
    assert len(carry(session, mailbox, cast.dorte)) == 1
    leave = delete(ProjectMember).where(ProjectMember.user_id == cast.dorte.id)
    transaction.write(session, lambda: session.execute(leave))
    assert carry(session, mailbox, cast.dorte) == []
    assert invitations.enqueue_due(session, now=NOW, thorough=True) == 1
    send(session, mailbox.url)
    gone = calendar_in(mailbox.messages[-1], cast.dorte)
    assert gone is not None
    assert said(gone)[0] == "CANCEL"
    assert the_event(gone)["SUMMARY"] == f"Reservation {view.id}"
    assert mailbox.messages[-1]["Subject"] == "Off your calendar"
    assert "A test" not in text_of(mailbox.messages[-1])


def test_another_room_is_found_out_without_anything_else_changing(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    invited(session, cast.anna)
    book(session, cast.anna, "scope")
    carry(session, mailbox, cast.anna)
    room = session.scalars(select(Room.id)).one()
    carried = update(Equipment).where(Equipment.slug == "scope").values(room_id=room)
    transaction.write(session, lambda: session.execute(carried))
    assert invitations.enqueue_due(session, now=NOW, thorough=True) == 1
    (calendar,) = carry(session, mailbox, cast.anna)
    assert str(the_event(calendar)["LOCATION"]).startswith("climate, ")


def test_whoever_has_a_feed_gets_no_invitation_and_it_costs_one_query(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "scope")
    clear(session)
    statements: list[str] = []

    def note(*asked: object) -> None:
        statements.append(str(asked[2]))

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", note)
    assert invitations.enqueue_due(session, now=NOW) == 0
    event.remove(engine, "before_cursor_execute", note)
    assert len([each for each in statements if each.startswith("SELECT")]) == 1
    assert states(session) == []


def test_whoever_wants_them_and_what_lies_ahead_of_them_is_found_by_indexes(session: Session) -> None:
    """SQLite takes a partial index only where the query says its condition in the same words."""
    if session.get_bind().dialect.name != "sqlite":
        return
    asked: list[tuple[str, object]] = []

    def note(_: object, __: object, statement: str, given: object, *rest: object) -> None:
        asked.append((statement, given))

    def work() -> None:
        session.execute(
            update(User).where(User.email == "anna@alpha.example").values(calendar_by="invitation")
        )

    make_cast(session)
    transaction.write(session, work)
    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", note)
    invitations.enqueue_due(session, now=NOW)
    event.remove(engine, "before_cursor_execute", note)
    statement, given = next(each for each in asked if "UNION ALL" in each[0])
    plan = str(session.connection().exec_driver_sql("EXPLAIN QUERY PLAN " + statement, given).all())  # type: ignore[call-overload]
    for index in ("ix_users_invited", "ix_reservations_holder", "ix_participants_user_id"):
        assert index in plan
    assert "SCAN reservations" not in plan
    assert "SCAN sent_invitations" not in plan


def test_however_many_changed_it_takes_the_same_number_of_queries(session: Session, cast: Cast) -> None:
    invited(session, cast.anna)

    def asked(start: int, number: int) -> int:
        for hour in range(start, start + number):
            book(
                session, cast.anna, "scope",
                start=f"2026-03-24 {hour:02}:00", end=f"2026-03-24 {hour:02}:30",
            )  # fmt: skip
        statements: list[str] = []
        engine = session.get_bind()

        def note(*told: object) -> None:
            statements.append(str(told[2]))

        event.listen(engine, "before_cursor_execute", note)
        assert invitations.enqueue_due(session, now=NOW) == number
        event.remove(engine, "before_cursor_execute", note)
        return len([each for each in statements if each.startswith("SELECT")])

    assert asked(8, 1) == asked(10, 8)


def test_switching_begins_with_what_lies_ahead_and_ends_with_nothing_more(
    session: Session, cast: Cast, mailbox: Mailbox
) -> None:
    view = book(session, cast.anna, "scope")
    clear(session)
    assert carry(session, mailbox, cast.anna) == []
    invited(session, cast.anna)
    (first,) = carry(session, mailbox, cast.anna)
    edit(session, view, cast.anna, ChangeReservation(title="Another test"))
    invitations.enqueue_due(session, now=NOW)
    notifications.choose(session, {}, calendar_by="feed", actor=cast.anna)
    assert carry(session, mailbox, cast.anna) == []
    edit(session, view, cast.anna, ChangeReservation(title="A third test"))
    assert carry(session, mailbox, cast.anna) == []
    invited(session, cast.anna)
    (again,) = carry(session, mailbox, cast.anna)
    assert the_event(again)["SUMMARY"] == "A third test"
    assert said(again)[2] > said(first)[2]


def test_what_is_over_begins_nothing(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    book(session, cast.anna, "scope")
    invited(session, cast.anna)
    later = at("2026-03-24 12:00")
    sweep.sweep(session, now=later)
    assert carry(session, mailbox, cast.anna, later) == []


def test_of_what_changed_while_the_server_was_dead_the_newest_is_sent(session: Session, cast: Cast) -> None:
    invited(session, cast.anna)
    view = book(session, cast.anna, "scope")
    mailbox = Mailbox()
    assert carry(session, mailbox, cast.anna) == []
    for title in ("Second", "Third"):
        edit(session, view, cast.anna, ChangeReservation(title=title))
        invitations.enqueue_due(session, now=NOW)
    later = NOW + timedelta(hours=1)
    with mailbox.open():
        (calendar,) = carry(session, mailbox, cast.anna, later)
    assert the_event(calendar)["SUMMARY"] == "Third"
    assert [(m.sent_at is None, m.failed_at) for m in states(session)] == [
        (True, None), (True, None), (False, None),
    ]  # fmt: skip


def test_an_invitation_sent_twice_is_the_same_to_the_byte(session: Session, cast: Cast) -> None:
    invited(session, cast.anna)
    book(session, cast.anna, "scope")
    with Mailbox().open() as first:
        carry(session, first, cast.anna)
    # As if the process had died after the peer took it and before that was written down.
    payload = {"sequence": session.scalars(select(SentInvitation.sequence)).one()}
    again = update(OutboxMessage).values(due_at=NOW + timedelta(minutes=1), sent_at=None, payload=payload)
    transaction.write(session, lambda: session.execute(again))
    with Mailbox().open() as second:
        send(session, second.url, NOW + timedelta(minutes=1))
    assert first.messages[0]["Message-ID"] == second.messages[0]["Message-ID"]
    one, other = (calendar_in(box.messages[0], cast.anna) for box in (first, second))
    assert one is not None
    assert other is not None
    assert one.to_ical() == other.to_ical()


def test_the_choice_of_topics_has_no_say_in_it(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    invited(session, cast.anna)
    wants(session, cast.anna, Mode.NEVER, *Topic)
    book(session, cast.anna, "scope", start="2026-05-24 10:00", end="2026-05-24 12:00")
    assert len(carry(session, mailbox, cast.anna)) == 1


def test_an_unattended_test_keeps_nobody_busy(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    invited(session, cast.anna)
    book(session, cast.anna, "chamber")
    book(session, cast.anna, "scope")
    shown = {
        str(the_event(c)["LOCATION"]): str(the_event(c)["TRANSP"]) for c in carry(session, mailbox, cast.anna)
    }
    assert sorted(shown.values()) == ["OPAQUE", "TRANSPARENT"]


def test_somebody_deactivated_gets_none(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    invited(session, cast.anna)
    book(session, cast.anna, "scope")
    gone = update(User).where(User.id == cast.anna.id).values(active=False)
    transaction.write(session, lambda: session.execute(gone))
    assert invitations.enqueue_due(session, now=NOW) == 0
    assert subjects(mailbox, cast.anna) == []


def test_invitations_change_no_reservation(session: Session, cast: Cast, mailbox: Mailbox) -> None:
    invited(session, cast.anna)
    book(session, cast.anna, "scope")
    held = select(Reservation.revision, Reservation.changed_at, Reservation.due_at)
    before = session.execute(held).all()
    carry(session, mailbox, cast.anna)
    assert session.execute(held).all() == before


def test_several_processes_at_once_send_each_change_once(
    session: Session, cast: Cast, database_url: str
) -> None:
    invited(session, cast.anna)
    views = [
        book(session, cast.anna, "scope", start=f"2026-04-{day:02} 10:00", end=f"2026-04-{day:02} 12:00")
        for day in range(10, 16)
    ]
    assert invitations.enqueue_due(session, now=NOW) == len(views)
    for view in views:
        edit(session, view, cast.anna, ChangeReservation(title="Another test"))
    clear(session)
    barrier = Barrier(4)

    def process(_: int) -> int:
        engine = prepare_engine(create_engine(database_url))
        with Session(engine) as own:
            barrier.wait()
            found = invitations.enqueue_due(own, now=NOW)
        engine.dispose()
        return found

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(process, range(4))) == len(views)
    assert [m.kind for m in states(session)] == ["calendar"] * len(views)
