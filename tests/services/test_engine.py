"""What is due next and what failed, of the facilities one manages and of no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.orm import Session

from labbook.domain.access import Role
from labbook.domain.errors import Forbidden, NotFound
from labbook.models import OutboxMessage, Reservation
from labbook.services import accounts, engine, heartbeats, rig_calls, rigs, sweep, transaction
from labbook.services.heartbeats import Tally
from tests.cast import NOW, Cast
from tests.services.test_reservations import book
from tests.services.test_rigs import put_up
from tests.services.test_sweep import stored

MINUTE = timedelta(minutes=1)


def read(session: Session, who: Any, **more: Any) -> engine.Engine:
    session.rollback()
    return engine.read(session, viewer=who, now=NOW, **more)


def put_aside(session: Session, public_id: str) -> int:
    broken = update(Reservation).where(Reservation.public_id == public_id)
    values = broken.values(due_error="ValueError: broken", due_attempts=2, due_at=NOW + 4 * MINUTE)
    transaction.write(session, lambda: session.execute(values))
    return stored(session, public_id).id


def test_what_is_due_next_stands_in_order_with_its_step(session: Session, cast: Cast) -> None:
    later = book(session, cast.anna, "scope", start="2026-03-25 10:00", end="2026-03-25 12:00").id
    first = book(session, cast.anna, "scope").id
    found = read(session, cast.mia).upcoming
    assert {each.reservation for each in found} == {first, later}
    assert [each.at for each in found] == sorted(each.at for each in found)
    assert all(each.step for each in found)
    assert found[0].equipment == [{"en": "Scope"}]


def test_only_of_the_facilities_one_manages(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "chamber")
    row_id = put_aside(session, book(session, cast.anna, "scope").id)
    put_up(session, cast.mia)
    elsewhere = replace(cast.carla, role=Role.MANAGER, facility_ids=frozenset({cast.facility_id + 1}))
    nothing = read(session, elsewhere)
    assert [*nothing.upcoming, *nothing.put_aside, *nothing.failed_events] == []
    assert nothing.mail_waiting == 0
    with pytest.raises(NotFound):
        engine.retry(session, "reservation", row_id, actor=elsewhere, now=NOW)
    for who in (cast.anna, cast.carla, cast.tom):
        with pytest.raises(Forbidden):
            read(session, who)
        with pytest.raises(Forbidden):
            engine.retry(session, "reservation", row_id, actor=who, now=NOW)
    assert view.id in {each.reservation for each in read(session, cast.mia).upcoming}


def test_what_was_put_aside_is_shown_with_its_error_and_tried_when_asked_for(
    session: Session, cast: Cast
) -> None:
    public_id = book(session, cast.anna, "scope").id
    row_id = put_aside(session, public_id)
    (found,) = read(session, cast.mia).put_aside
    assert (found.kind, found.id, found.reservation) == ("reservation", row_id, public_id)
    assert (found.error, found.attempts, found.again_at) == ("ValueError: broken", 2, NOW + 4 * MINUTE)
    assert read(session, cast.mia).upcoming == []
    engine.retry(session, "reservation", row_id, actor=cast.mia, now=NOW)
    sweep.sweep(session, now=NOW)
    assert read(session, cast.mia).put_aside == []
    with pytest.raises(NotFound):
        engine.retry(session, "reservation", row_id, actor=cast.mia, now=NOW)


def test_mail_of_accounts_is_an_admins_to_see_and_no_secret_is_shown(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "chamber")
    accounts.ask_reset(session, cast.bo.email, now=NOW)
    assert (read(session, cast.mia).mail_waiting, read(session, cast.ada).mail_waiting) == (2, 3)
    secret = session.scalars(select(OutboxMessage).where(OutboxMessage.user_id == cast.bo.id)).one()
    path = secret.payload["path"]
    failed = update(OutboxMessage).values(failed_at=NOW, due_at=None, error="refused (550)")
    transaction.write(session, lambda: session.execute(failed))
    mine, all_ = read(session, cast.mia), read(session, cast.ada)
    assert (mine.mail_failed, all_.mail_failed) == (2, 3)
    assert {each.to for each in mine.failed_mail} == {"Mia", "Max"}
    assert path.rpartition("/")[2] not in repr(all_)


def test_what_a_rig_did_not_hear_is_shown(session: Session, cast: Cast) -> None:
    put_up(session, cast.mia, "http://127.0.0.1:9/")
    rigs.send_test(session, "scope", actor=cast.mia, now=NOW)
    rig_calls.deliver_due(session, now=NOW)
    found = read(session, cast.max)
    assert found.events_failed == 1
    assert [(each.equipment, each.event) for each in found.failed_events] == [("scope", "test")]


def test_schedulers_are_shown_with_how_late_they_were(session: Session, cast: Cast) -> None:
    tally = Tally()
    for _ in range(99):
        tally.add(timedelta(milliseconds=3))
    tally.add(timedelta(seconds=40))
    heartbeats.beat(session, "one", started_at=NOW, now=NOW, tally=tally)
    heartbeats.beat(session, "two", started_at=NOW, now=NOW - 2 * MINUTE)
    one, two = read(session, cast.mia).schedulers
    assert (one.alive, one.steps, one.median, one.most) == (True, 100, 0.01, 0.01)
    assert (two.alive, two.steps, two.median, two.most) == (False, 0, None, None)


def test_it_is_paged_and_costs_as_many_queries_for_sixty_as_for_one(session: Session, cast: Cast) -> None:
    def cost() -> int:
        session.rollback()
        session.expunge_all()
        seen: list[str] = []

        def note(*given: object) -> None:
            seen.append(str(given[2]))

        event.listen(session.get_bind(), "before_cursor_execute", note)
        read(session, cast.mia)
        event.remove(session.get_bind(), "before_cursor_execute", note)
        return len(seen)

    def fill(numbers: range) -> None:
        for number in numbers:
            start = NOW + timedelta(hours=2 + number)
            times = {"start": f"{start:%Y-%m-%d %H:00}", "end": f"{start:%Y-%m-%d %H:30}"}
            book(session, cast.anna, "scope", **times)

    fill(range(1))
    few = cost()
    fill(range(1, engine.PAGE + 2))
    assert cost() == few <= 12
    first = read(session, cast.mia)
    assert len(first.upcoming) == engine.PAGE
    rest = read(session, cast.mia, after=first.next)
    assert (len(rest.upcoming), rest.next) == (2, None)
    pages = [each.reservation for each in (*first.upcoming, *rest.upcoming)]
    assert len(set(pages)) == engine.PAGE + 2
