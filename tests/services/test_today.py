"""The day's list: in order of time, on the lab's clock, and the same queries however much there is."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy.orm import Session

from labbook.domain.interval import Interval
from labbook.models import Reservation, Visit
from labbook.services import decisions, today, transaction
from labbook.services.commands import Decide
from labbook.services.today import Today
from tests.cast import NOW, Cast, at
from tests.services.test_kiosk import queries
from tests.services.test_reservations import book

TUESDAY = date(2026, 3, 24)


def approved(session: Session, cast: Cast, who: str = "anna", **more: object) -> str:
    view = book(session, getattr(cast, who), "chamber", **more)
    decisions.approve(session, Decide(reservation=view.id), actor=cast.mia, now=NOW)
    return view.id


def day(
    session: Session, cast: Cast, who: str = "tom", on: date = TUESDAY, now: str = "2026-03-24 09:40"
) -> Today:
    session.rollback()
    return today.read(session, None, on, viewer=getattr(cast, who), now=at(now))


def changed(session: Session, public_id: str, **values: object) -> None:
    def work() -> None:
        row = session.query(Reservation).filter_by(public_id=public_id).one()
        for name, value in values.items():
            setattr(row, name, value)

    transaction.write(session, work)


def test_set_up_start_and_end_stand_in_order_with_the_step_to_take(session: Session, cast: Cast) -> None:
    one = approved(session, cast)
    book(session, cast.carla, "scope", start="2026-03-24 11:00", end="2026-03-24 13:00")
    view = day(session, cast)
    assert [(m.kind, m.at, m.offers) for m in view.moments] == [
        ("set_up", at("2026-03-24 09:30"), "check-in"),
        ("start", at("2026-03-24 10:00"), ""),
        ("start", at("2026-03-24 11:00"), ""),
        ("end", at("2026-03-24 12:00"), ""),
        ("end", at("2026-03-24 13:00"), ""),
    ]
    decisions.check_in(session, Decide(reservation=one), actor=cast.tom, now=at("2026-03-24 09:40"))
    view = day(session, cast)
    assert [(m.kind, m.done) for m in view.moments][:2] == [("set_up", True), ("start", True)]
    assert next(m.offers for m in view.moments if m.of.id == one and m.kind == "end") == "check-out"


def test_others_see_their_own_and_nothing_of_anybody_else(session: Session, cast: Cast) -> None:
    one = approved(session, cast, participants=(cast.bo.email,), project="joint")
    for who, expected in (("anna", {one}), ("bo", {one}), ("dorte", set()), ("carla", set())):
        view = day(session, cast, who)
        assert {m.of.id for m in view.moments} == expected, who
        assert view.arrivals == []


def test_who_comes_is_named_once_at_the_first_of_their_slots(session: Session, cast: Cast) -> None:
    approved(session, cast, participants=(cast.bo.email,))
    book(session, cast.anna, "scope", start="2026-03-24 13:00", end="2026-03-24 14:00")
    (who,) = day(session, cast).arrivals
    assert (who.at, who.name, who.organisation, who.others) == (at("2026-03-24 09:30"), "Anna", "Alpha", 1)


def test_a_visit_stands_at_its_time_and_a_dropped_one_nowhere(session: Session, cast: Cast) -> None:
    one = approved(session, cast, start="2026-03-23 12:00", end="2026-03-26 12:00")

    def work() -> None:
        row = session.query(Reservation).filter_by(public_id=one).one()
        for number, dropped in enumerate((None, NOW)):
            session.add(
                Visit(
                    public_id=f"v{number}",
                    reservation_id=row.id,
                    kind="readout",
                    planned_at=at("2026-03-24 13:00"),
                    length=900,
                    created_at=NOW,
                    changed_at=NOW,
                    dropped_at=dropped,
                )
            )

    transaction.write(session, work)
    assert [(m.kind, m.at) for m in day(session, cast).moments] == [("readout", at("2026-03-24 13:00"))]


def test_what_overran_and_what_it_displaces_stands_first_today(session: Session, cast: Cast) -> None:
    late = approved(session, cast, start="2026-03-23 11:00", end="2026-03-23 14:00")
    changed(session, late, status="in_use", overrun_since=at("2026-03-23 14:00"))
    waits = approved(session, cast, "carla")
    changed(session, waits, displaced_since=at("2026-03-24 09:30"))
    found = [(each.of.id, each.displaced) for each in day(session, cast).late]
    assert found == [(late, False), (waits, True)]
    assert day(session, cast, on=date(2026, 3, 25)).late == []


def test_the_night_lasts_until_somebody_comes_over_a_weekend_and_a_change_of_clocks(
    session: Session, cast: Cast
) -> None:
    approved(session, cast, start="2026-03-27 12:00", end="2026-03-28 12:00")
    view = day(session, cast, on=date(2026, 3, 27))
    assert view.night == Interval(at("2026-03-27 16:00"), at("2026-03-30 08:00"))
    assert view.night.duration == timedelta(hours=63)  # summer time begins meanwhile
    assert [each.title for each in view.unattended] == ["A test"]
    saturday = day(session, cast, on=date(2026, 3, 28))
    assert saturday.night == Interval(at("2026-03-28 00:00"), at("2026-03-30 08:00"))
    assert day(session, cast, on=date(2026, 3, 30)).unattended == []


def test_what_ends_while_staff_are_there_is_not_unattended(session: Session, cast: Cast) -> None:
    approved(session, cast)
    assert day(session, cast).unattended == []


def test_the_queries_do_not_grow(session: Session, cast: Cast) -> None:
    approved(session, cast)
    few = queries(session, lambda: day(session, cast))
    for hour in range(8, 16):
        for who in (cast.anna, cast.carla, cast.dorte):
            book(session, who, "cycler", start=f"2026-03-24 {hour:02}:00", end=f"2026-03-24 {hour + 1:02}:00")
    session.expire_all()
    assert queries(session, lambda: day(session, cast)) <= few
    assert few < 12
