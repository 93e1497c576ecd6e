"""A pool of interchangeable units has room whenever the count says so; what has begun stays where it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Refused
from labbook.domain.interval import Interval
from labbook.models import Allocation, Equipment, Facility, Place, Reservation
from labbook.services import (
    calendar,
    changes,
    decisions,
    due,
    free_time,
    home,
    imports,
    options,
    reservations,
    sweep,
    verify,
    waiting,
)
from labbook.services.calendar import Window
from labbook.services.commands import ChangeReservation, Decide, RequestReservation, Wanted
from labbook.services.reservation_views import ReservationView
from labbook.services.waiting import JoinWaitlist
from labbook.services.waitlist_queue import QUEUE
from tests.cast import NOW, Cast, at, equipment

DAY = Interval(at("2026-03-23 00:00"), at("2026-03-28 00:00"))


@pytest.fixture
def probes(session: Session, cast: Cast) -> int:
    """Two that are the same to everybody."""
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    row = equipment(
        session, session.get_one(Facility, cast.facility_id), "probes", places=2, pool=True,
        approval="automatic",
    )  # fmt: skip
    session.commit()
    return row.id


def hour(number: float) -> datetime:
    """Of the day after tomorrow's midnight at the lab."""
    return at("2026-03-24 00:00") + timedelta(hours=number)


def take(
    session: Session, actor: Viewer, start: float, end: float, places: int = 1, now: datetime = NOW
) -> ReservationView:
    command = RequestReservation((Wanted("probes", places),), hour(start), hour(end), "Probing")
    return reservations.request(session, command, actor=actor, now=now)


def units(session: Session, public_id: str) -> list[int]:
    return list(
        session.scalars(
            select(Place.number)
            .join(Allocation, Allocation.place_id == Place.id)
            .join(Reservation, Allocation.reservation_id == Reservation.id)
            .where(Reservation.public_id == public_id)
            .order_by(Place.number)
        )
    )


def fragmented(session: Session, cast: Cast) -> tuple[str, str]:
    """From 8 to 10 on the first unit and from 10 to 12 on the second: free throughout is neither."""
    held = take(session, cast.dorte, 8, 10)
    second = take(session, cast.carla, 8, 10)
    third = take(session, cast.carla, 10, 12)
    fourth = take(session, cast.dorte, 10, 12)
    decisions.cancel(session, Decide(second.id), actor=cast.carla, now=NOW)
    decisions.cancel(session, Decide(third.id), actor=cast.carla, now=NOW)
    assert (units(session, held.id), units(session, fourth.id)) == ([1], [2])
    return held.id, fourth.id


def test_room_is_found_by_packing_anew_where_no_unit_is_free_throughout(
    session: Session, cast: Cast, probes: int
) -> None:
    first, second = fragmented(session, cast)
    made = take(session, cast.anna, 8, 12)
    assert units(session, first) == units(session, second) != units(session, made.id)
    with pytest.raises(Refused) as refused:
        take(session, cast.bo, 9, 11)
    assert [(c.start, c.end) for c in refused.value.conflicts] == [(hour(9), hour(11))]
    assert verify.verify(session) == []


def test_the_same_without_a_pool_is_refused(session: Session, cast: Cast, probes: int) -> None:
    fragmented(session, cast)
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    session.execute(update(Equipment).where(Equipment.slug == "probes").values(pool=False))
    session.commit()
    with pytest.raises(Refused):
        take(session, cast.anna, 8, 12)


def seen_by(session: Session, viewer: Viewer) -> list[Any]:
    shown = calendar.read(session, Window(DAY, equipment=("probes",)), viewer=viewer)
    rows = session.execute(
        select(Allocation.opaque_id, Allocation.sequence, Allocation.changed_at, Allocation.starts_at)
        .where(Allocation.blocking)
        .order_by(Allocation.opaque_id)
    ).all()
    session.rollback()
    return [sorted(shown.busy), [tuple(row) for row in rows]]


def test_a_strangers_calendar_sees_nothing_of_another_unit(session: Session, cast: Cast, probes: int) -> None:
    fragmented(session, cast)
    before = seen_by(session, cast.anna)
    made = take(session, cast.anna, 8, 12)
    after = seen_by(session, cast.anna)
    assert after[0] == before[0]
    assert [row for row in after[1] if row in before[1]] == before[1]
    # Nor of one's own: moved to and fro over the others, it is the same block of another length.
    opaque = session.scalars(select(Allocation.opaque_id).join(Reservation).where(
        Reservation.public_id == made.id)).all()  # fmt: skip
    changes.change(
        session, made.id, ChangeReservation(start=hour(9)), revision=None, actor=cast.anna, now=NOW
    )
    again = session.scalars(select(Allocation.opaque_id).join(Reservation).where(
        Reservation.public_id == made.id)).all()  # fmt: skip
    assert again == opaque


def test_two_that_change_places_do_so_at_once(session: Session, cast: Cast, probes: int) -> None:
    """Two of three move, in a circle; and what is moved itself comes to where another was."""
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    session.execute(update(Equipment).where(Equipment.slug == "probes").values(places=3))
    session.add(Place(equipment_id=probes, number=3))
    session.commit()
    spans = [(8, 10), (8, 11), (8, 12), (10, 13), (11, 13), (12, 14), (13, 15), (13, 16), (14, 15)]
    made = [take(session, cast.carla if n % 2 else cast.dorte, *s).id for n, s in enumerate(spans)]
    assert verify.verify(session) == []
    long = take(session, cast.anna, 16, 20, places=3).id
    for start, end in ((15, 18), (15.5, 17), (16, 21)):
        wish = ChangeReservation(
            start=hour(start), end=hour(end), equipment=(Wanted("probes", 1 if start < 16 else 3),)
        )
        changes.change(session, long, wish, revision=None, actor=cast.anna, now=NOW)
        assert verify.verify(session) == []
    assert len(made) == 9


def test_what_has_begun_keeps_its_unit_and_what_comes_next_goes_to_another(
    session: Session, cast: Cast, probes: int
) -> None:
    running = take(session, cast.anna, 8, 10)
    following = take(session, cast.carla, 8, 9)
    sweep.sweep(session, now=hour(8))
    assert (units(session, running.id), units(session, following.id)) == ([1], [2])
    after = take(session, cast.carla, 10, 12, now=hour(8))
    assert units(session, after.id) == [1]
    longer = Decide(running.id, until=hour(11))
    decisions.extend(session, longer, actor=cast.anna, now=hour(8.5))
    assert (units(session, running.id), units(session, after.id)) == ([1], [2])
    take(session, cast.dorte, 11, 12, now=hour(8.5))
    with pytest.raises(Refused):
        decisions.extend(session, Decide(running.id, until=hour(11.5)), actor=cast.anna, now=hour(8.5))
    assert verify.verify(session) == []


def test_what_overruns_goes_on_and_displaces_nobody_while_another_unit_is_free(
    session: Session, cast: Cast, probes: int
) -> None:
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    session.execute(update(Equipment).where(Equipment.slug == "probes").values(check_in="required"))
    session.commit()
    running = take(session, cast.anna, 8, 10).id
    following = take(session, cast.carla, 10, 12).id
    decisions.check_in(session, Decide(running), actor=cast.anna, now=hour(8))
    assert units(session, running) == units(session, following) == [1]
    for quarter in range(3):
        sweep.sweep(session, now=hour(10 + quarter / 4))
    assert (units(session, running), units(session, following)) == ([1], [2])
    stored = {r.public_id: r for r in session.scalars(select(Reservation))}
    assert stored[running].occupied_until == hour(11)
    assert stored[following].displaced_since is None
    session.rollback()
    decisions.check_in(session, Decide(following), actor=cast.carla, now=hour(10.5))
    assert verify.verify(session) == []


def test_an_overrun_grows_up_to_where_the_count_ends(session: Session, cast: Cast, probes: int) -> None:
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    session.execute(update(Equipment).where(Equipment.slug == "probes").values(check_in="required"))
    session.commit()
    running = take(session, cast.anna, 8, 10).id
    take(session, cast.carla, 10, 12)
    take(session, cast.dorte, 10.25, 12)
    decisions.check_in(session, Decide(running), actor=cast.anna, now=hour(8))
    for quarter in range(2):
        sweep.sweep(session, now=hour(10 + quarter / 4))
    grown = session.scalars(select(Reservation).where(Reservation.public_id == running)).one()
    assert grown.occupied_until == hour(10.25)
    session.rollback()
    assert verify.verify(session) == []


def test_a_change_that_waits_holds_by_the_count_what_it_adds(
    session: Session, cast: Cast, probes: int
) -> None:
    fragmented(session, cast)
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    session.execute(update(Equipment).where(Equipment.slug == "probes").values(approval="manager"))
    session.commit()
    mine = take(session, cast.anna, 12, 14).id
    decisions.approve(session, Decide(mine), actor=cast.mia, now=NOW)
    wish = ChangeReservation(start=hour(8), equipment=(Wanted("probes"),))
    asked = changes.change(session, mine, wish, revision=None, actor=cast.anna, now=NOW)
    assert asked.pending_change is not None
    spans = session.execute(
        select(Allocation.starts_at, Allocation.ends_at).where(Allocation.change_id.is_not(None))
    ).all()
    assert [tuple(row) for row in spans] == [(hour(8), hour(12))]
    with pytest.raises(Refused):
        take(session, cast.bo, 11, 13, places=2)
    take(session, cast.bo, 12, 14)
    decisions.approve(session, Decide(mine), actor=cast.mia, now=NOW)
    assert len(units(session, mine)) == 1
    assert verify.verify(session) == []


def test_an_option_and_a_proposal_find_room_by_the_count_too(
    session: Session, cast: Cast, probes: int
) -> None:
    fragmented(session, cast)
    command = RequestReservation(
        (Wanted("probes"),), hour(8), hour(12), "Held", hold="option", customer="X", decide_by=hour(7)
    )
    held = options.create(session, command, actor=cast.mia, now=NOW)
    options.release(session, held.id, actor=cast.mia, now=NOW)
    mine = take(session, cast.anna, 14, 18).id
    wish = ChangeReservation(start=hour(8), end=hour(12), reason="Earlier")
    changes.propose(session, mine, wish, revision=None, actor=cast.mia, now=NOW)
    decisions.approve(session, Decide(mine), actor=cast.anna, now=NOW)
    assert verify.verify(session) == []


def test_the_next_free_time_and_what_is_free_now_count(session: Session, cast: Cast, probes: int) -> None:
    fragmented(session, cast)
    session.rollback()
    wanted, length = [Wanted("probes")], timedelta(hours=4)
    found = free_time.next_free(session, wanted, hour(8), length, now=NOW)
    assert found is not None
    assert found.start == hour(8)
    take(session, cast.anna, 8, 12)
    found = free_time.next_free(session, wanted, hour(8), length, now=NOW)
    assert found is not None
    assert found.start == hour(12)
    (free,) = home.free_now(session, viewer=cast.anna, now=hour(7), slug="probes")
    assert free.until == hour(8)
    (free,) = home.free_now(session, viewer=cast.anna, now=hour(12), slug="probes")
    assert free.until is None


def test_whoever_waits_is_served_when_the_count_allows_it(session: Session, cast: Cast, probes: int) -> None:
    """The last obstacle goes, and what is left is free on no unit throughout."""
    first, _second = fragmented(session, cast)
    last = take(session, cast.carla, 8, 12).id
    wish = JoinWaitlist(("probes",), hour(8), hour(12), timedelta(hours=4), "I wait", mode="book")
    waiting.join(session, wish, actor=cast.anna, now=NOW)
    decisions.cancel(session, Decide(last), actor=cast.carla, now=NOW)
    for second in range(3):
        due.run(session, QUEUE, now=NOW + timedelta(seconds=second))
    mine = session.scalars(select(Reservation).where(Reservation.holder_id == cast.anna.id)).one()
    assert mine.status == "approved"
    assert units(session, mine.public_id) != units(session, first)
    assert verify.verify(session) == []


def test_a_calendar_that_is_imported_fits_in_by_the_count(session: Session, cast: Cast, probes: int) -> None:
    fragmented(session, cast)
    event = [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//x//EN", "BEGIN:VEVENT", "UID:one@x",
        "DTSTAMP:20260301T000000Z", f"DTSTART:{hour(8):%Y%m%dT%H%M%SZ}", f"DTEND:{hour(12):%Y%m%dT%H%M%SZ}",
        "SUMMARY:From before", "END:VEVENT", "END:VCALENDAR", "",
    ]  # fmt: skip
    done = imports.take(session, "\r\n".join(event).encode(), "probes", now=NOW)
    assert (done.taken, list(done.untaken)) == (1, [])
    assert verify.verify(session) == []


def test_who_comes_late_to_a_pool_finds_another_unit(session: Session, cast: Cast, probes: int) -> None:
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    session.execute(update(Equipment).where(Equipment.slug == "probes").values(check_in="required"))
    session.commit()
    mine = take(session, cast.anna, 8, 12).id
    sweep.sweep(session, now=hour(8.5))
    taken = take(session, cast.carla, 9, 10, now=hour(8.5)).id
    assert units(session, taken) == units(session, mine) == [1]
    decisions.check_in(session, Decide(mine), actor=cast.anna, now=hour(8.75))
    assert sorted([*units(session, taken), *units(session, mine)]) == [1, 2]
    assert verify.verify(session) == []
