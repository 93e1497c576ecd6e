"""Faults: staff hear who says what; those who come next that it was reported, and nothing more."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.errors import Forbidden, NotFound, Refused
from labbook.models import Equipment, OutboxMessage
from labbook.services import decisions, faults, outbox
from labbook.services.commands import Decide
from labbook.services.faults import ReportFault
from labbook.services.outbox import Office
from labbook.services.post import carrier
from tests.cast import NOW, Cast, at
from tests.services.test_reservations import book

THEN = at("2026-03-24 08:00")
UNUSABLE = ReportFault("chamber", "unusable", "The door's seal of Beta's rack is torn.")


def told(session: Session) -> dict[int, bool]:
    session.rollback()
    rows = session.scalars(select(OutboxMessage).where(OutboxMessage.kind == "fault"))
    return {row.user_id: row.payload["neutral"] for row in rows}


def approved(session: Session, cast: Cast, **more: str) -> str:
    view = book(session, cast.anna, "chamber", **more)
    decisions.approve(session, Decide(reservation=view.id), actor=cast.mia, now=NOW)
    return view.id


def test_staff_are_told_in_words_and_who_comes_within_a_day_neutrally(session: Session, cast: Cast) -> None:
    approved(session, cast)
    faults.report(session, UNUSABLE, by=cast.carla, now=THEN)
    staff = dict.fromkeys((cast.mia.id, cast.max.id, cast.tom.id), False)
    assert told(session) == staff | {cast.anna.id: True}


@pytest.mark.parametrize(("severity", "day"), [("impaired", "24"), ("note", "24"), ("unusable", "26")])
def test_what_is_not_grave_or_not_soon_troubles_the_staff_alone(
    session: Session, cast: Cast, severity: str, day: str
) -> None:
    approved(session, cast, start=f"2026-03-{day} 10:00", end=f"2026-03-{day} 12:00")
    faults.report(session, ReportFault("chamber", severity, "It hums."), by=cast.carla, now=THEN)
    assert cast.anna.id not in told(session)


def test_a_holder_reads_neither_who_said_it_nor_what(session: Session, cast: Cast, tmp_path: Path) -> None:
    approved(session, cast)
    faults.report(session, UNUSABLE, by=cast.carla, now=THEN)
    session.rollback()
    with carrier(None, tmp_path) as way:
        outbox.send_due(session, way, Office("https://lab.example", "labbook@lab.example"), now=THEN)
    content = [path.read_bytes() for path in tmp_path.glob("*.eml")]
    (anna,) = [each for each in content if b"anna@alpha.example>" in each and b"unusable" in each]
    assert not re.search(rb"carla|beta|seal|rack", anna, re.IGNORECASE)
    assert b"Chamber was reported as unusable." in anna
    (tom,) = [each for each in content if b"tom@university.example>" in each]
    assert b"The door's seal of Beta's rack is torn." in tom


def test_a_report_changes_nothing_by_itself_and_staff_may(session: Session, cast: Cast) -> None:
    faults.report(session, UNUSABLE, by=cast.tom, now=THEN)
    assert session.scalar(select(Equipment.state).where(Equipment.slug == "chamber")) == "in_service"
    for who in (cast.anna, cast.carla):
        with pytest.raises(Forbidden):
            faults.set_state(session, "chamber", "out_of_service", actor=who)
    faults.set_state(session, "chamber", "out_of_service", actor=cast.tom)
    session.expire_all()
    assert session.scalar(select(Equipment.state).where(Equipment.slug == "chamber")) == "out_of_service"
    with pytest.raises(Refused):
        faults.set_state(session, "chamber", "retired", actor=cast.mia)


def test_open_faults_are_the_staffs_to_read_and_to_close(session: Session, cast: Cast) -> None:
    one = faults.report(session, UNUSABLE, by=cast.carla, now=THEN)
    faults.report(session, ReportFault("scope", "note", "Dust."), by=cast.anna, now=THEN)
    assert faults.list_open(session, viewer=cast.carla) == []
    found = faults.list_open(session, viewer=cast.tom)
    assert [(each.severity, each.by) for each in found] == [("unusable", "Carla"), ("note", "Anna")]
    for who in (cast.carla, cast.anna):
        with pytest.raises(NotFound):
            faults.close(session, one, actor=who, now=THEN)
    faults.close(session, one, actor=cast.tom, now=THEN)
    assert [each.equipment for each in faults.list_open(session, viewer=cast.mia)] == ["scope"]
    with pytest.raises(NotFound):
        faults.close(session, one, actor=cast.tom, now=THEN)


def test_so_many_an_hour_and_all_that_is_wrong_at_once(session: Session, cast: Cast) -> None:
    with pytest.raises(Refused) as refused:
        faults.report(session, ReportFault("chamber", "dreadful", " "), by=cast.carla, now=THEN)
    assert {p.code for p in refused.value.problems} == {"missing", "unknown_kind"}
    note = ReportFault("chamber", "note", "Again.")
    for _ in range(faults.AN_HOUR):
        faults.report(session, note, by=cast.carla, now=THEN)
    with pytest.raises(Refused):
        faults.report(session, note, by=cast.carla, now=THEN + timedelta(minutes=59))
    faults.report(session, note, by=cast.carla, now=THEN + timedelta(minutes=61))
