"""What the page at the equipment is made of: queries that never grow, and steps that keep their rules."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from labbook.domain.errors import Refused
from labbook.domain.reservation import Action
from labbook.services import decisions, kiosk, kiosk_codes, kiosks
from labbook.services.commands import Decide
from labbook.services.kiosk import KioskView, StepByCode
from labbook.services.kiosks import Device
from tests.cast import NOW, Cast, at
from tests.services.test_reservations import book

SETUP = at("2026-03-24 09:40")


def device(cast: Cast, equipment: str = "chamber") -> Device:
    return Device(1, equipment, cast.mia.organisation_id, "hall")


def queries(session: Session, work: object) -> int:
    counted = []

    def count(*_: object) -> None:
        counted.append(1)

    event.listen(session.get_bind(), "before_cursor_execute", count)
    try:
        work()  # type: ignore[operator]
    finally:
        event.remove(session.get_bind(), "before_cursor_execute", count)
    return len(counted)


def shown(session: Session, cast: Cast, slug: str = "chamber") -> KioskView:
    session.expire_all()
    return kiosk.read(session, slug, who=device(cast, slug), now=SETUP)


def approved(session: Session, cast: Cast, who: str = "anna") -> str:
    view = book(session, getattr(cast, who), "chamber")
    decisions.approve(session, Decide(reservation=view.id), actor=cast.mia, now=NOW)
    return view.id


def test_the_page_takes_the_same_queries_however_much_there_is(session: Session, cast: Cast) -> None:
    few = queries(session, lambda: shown(session, cast, "cycler"))
    for hour in range(10, 15):
        for who in (cast.anna, cast.dorte, cast.carla):
            book(session, who, "cycler", start=f"2026-03-24 {hour}:00", end=f"2026-03-24 {hour + 1}:00")
    many = queries(session, lambda: shown(session, cast, "cycler"))
    assert many <= few + 5 < 12


def test_a_tablet_and_its_organisations_people_differ_only_by_what_may_be_done(
    session: Session, cast: Cast
) -> None:
    approved(session, cast, "dorte")
    (nobody,) = shown(session, cast).places
    (dorte,) = kiosk.read(session, "chamber", who=cast.dorte, now=SETUP).places
    assert nobody.now is not None
    assert dorte.now is not None
    assert nobody.now.full is not None
    assert dorte.now.full is not None
    assert nobody.now.full.holder == dorte.now.full.holder == "Dorte"
    assert nobody.now.full.allowed == frozenset()
    assert "check_in" in dorte.now.full.allowed


def test_a_change_that_is_asked_for_is_nothing_to_those_who_pass_by(session: Session, cast: Cast) -> None:
    approved(session, cast)
    (place,) = shown(session, cast).places
    assert place.now is not None
    assert (place.now.full, place.now.end) == (None, at("2026-03-24 12:30"))


@pytest.mark.parametrize("who", ["carla", "dorte", "bo", None])
def test_a_code_without_anything_here_is_a_code_that_nobody_has(
    session: Session, cast: Cast, who: str | None
) -> None:
    approved(session, cast)
    code = kiosk_codes.make(session, actor=getattr(cast, who)) if who else "22223333"
    for action in (Action.CHECK_IN, Action.CHECK_OUT):
        with pytest.raises(Refused) as refused:
            kiosk.take_by_code(session, StepByCode("chamber", action, code), now=SETUP)
        assert [p.code for p in refused.value.problems] == ["kiosk_code_unknown"]


def test_the_same_work_is_done_for_a_code_that_nobody_has(session: Session, cast: Cast) -> None:
    approved(session, cast)
    codes = (kiosk_codes.make(session, actor=cast.carla), "22223333")

    def attempt(code: str) -> None:
        with pytest.raises(Refused):
            kiosk.take_by_code(session, StepByCode("chamber", Action.CHECK_IN, code), now=SETUP)

    assert len({queries(session, lambda c=code: attempt(c)) for code in codes}) == 1  # type: ignore[misc]


def test_a_participant_checks_in_and_whoever_has_it_hands_back(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "chamber", participants=(cast.bo.email,))
    decisions.approve(session, Decide(reservation=view.id), actor=cast.mia, now=NOW)
    codes = {who: kiosk_codes.make(session, actor=getattr(cast, who)) for who in ("bo", "anna")}
    kiosk.take_by_code(session, StepByCode("chamber", Action.CHECK_IN, codes["bo"]), now=SETUP)
    kiosk.take_by_code(
        session, StepByCode("chamber", Action.CHECK_OUT, codes["anna"]), now=SETUP + timedelta(hours=1)
    )
    (place,) = shown(session, cast).places
    assert (place.now, place.next) == (None, None)


def test_a_pairing_address_is_exchanged_at_first_sight_and_only_then(session: Session, cast: Cast) -> None:
    made = kiosks.create(session, "chamber", "hall", actor=cast.mia, now=NOW)
    first = kiosks.recognise(session, made.secret, now=NOW)
    assert first is not None
    assert first.fresh
    assert kiosks.recognise(session, made.secret, now=NOW) is None
    again = kiosks.recognise(session, first.fresh, now=NOW + timedelta(hours=1))
    assert again is not None
    assert (again.fresh, again.seen_again) == (None, True)
