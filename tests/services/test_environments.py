"""What a recipe says beside its parts: who is there, what is asked and feared, and the piece to itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Refused
from labbook.domain.interval import Interval
from labbook.formats.wording import sentence
from labbook.models import Allocation, Place, Qualification, Reservation
from labbook.services import (
    calendar,
    decisions,
    kiosk,
    qualifications,
    reservations,
    slot_search,
    today,
    transaction,
)
from labbook.services.calendar import Window
from labbook.services.commands import Decide
from labbook.services.kiosks import Device
from labbook.services.reservation_views import ReservationView
from tests.cast import NOW, Cast, at
from tests.services.test_changes import ANY_SCOPE, THE_CYCLER, recipe
from tests.services.test_reservations import codes, wish

CHAMBER = {"equipment": "chamber", "count": 1, "places": 1}
HIPOT = {"equipment": "hipot", "count": 1, "places": 1}
WHOLE_CYCLER = {"equipment": "cycler", "count": 1, "places": 1, "whole": True}
NIGHT = {"start": "2026-03-24 10:00", "end": "2026-03-25 10:00"}
PLAIN: dict[str, Any] = {"setup": None, "teardown": None, "draws": {}}


def asked(session: Session, actor: Viewer, *slugs: str, **more: Any) -> ReservationView:
    command = replace(wish(*slugs, **more), environment="loop")
    return reservations.request(session, command, actor=actor, now=NOW)


def approved(session: Session, cast: Cast, actor: Viewer, **more: Any) -> ReservationView:
    view = asked(session, actor, **more)
    return decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)


def test_an_attended_recipe_keeps_to_staffed_hours_with_pieces_that_run_alone(
    session: Session, cast: Cast
) -> None:
    recipe(session, cast, **PLAIN, needs=[THE_CYCLER, ANY_SCOPE], staffing="attended")
    assert asked(session, cast.anna).status == "approved"
    with pytest.raises(Refused) as refused:
        asked(session, cast.anna, **NIGHT)
    (problem,) = refused.value.problems  # of the recipe, and not once more of each of its parts
    said = "loop is used, set up and taken down only while the laboratory is staffed."
    assert (problem.code, sentence(problem.code, problem.params)) == ("unstaffed", said)


def test_an_unattended_recipe_may_run_over_night_though_a_part_is_attended_by_itself(
    session: Session, cast: Cast
) -> None:
    recipe(session, cast, **PLAIN, needs=[HIPOT], staffing="unattended", on_call="Tom", safe_state="Off")
    assert asked(session, cast.bo, **NIGHT).standby is not None


def test_who_says_nothing_of_staffing_is_as_attended_as_its_parts(session: Session, cast: Cast) -> None:
    recipe(session, cast, **PLAIN, needs=[HIPOT])
    with pytest.raises(Refused) as refused:
        asked(session, cast.bo, **NIGHT)
    assert codes(refused) == {"unstaffed"}


def grant(session: Session, cast: Cast, until: date | None) -> None:
    qualifications.grant(session, cast.anna.id, "hv", until, actor=cast.mia, now=NOW)


def test_what_a_recipe_asks_of_its_operator_is_asked_at_the_request_the_approval_and_the_check_in(
    session: Session, cast: Cast
) -> None:
    recipe(session, cast, **PLAIN, needs=[CHAMBER], qualifications=["hv"])
    with pytest.raises(Refused) as refused:
        asked(session, cast.anna)
    assert codes(refused) == {"qualification_missing"}
    grant(session, cast, None)
    view = asked(session, cast.anna)
    _take_away(session, cast)
    with pytest.raises(Refused) as refused:
        decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    assert codes(refused) == {"qualification_missing"}
    grant(session, cast, None)
    decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    _take_away(session, cast)
    with pytest.raises(Refused) as refused:
        decisions.check_in(session, Decide(view.id), actor=cast.anna, now=at("2026-03-24 10:00"))
    assert codes(refused) == {"qualification_missing"}


def _take_away(session: Session, cast: Cast) -> None:
    def work() -> None:
        held = select(Qualification).where(Qualification.user_id == cast.anna.id)
        session.delete(session.scalars(held).one())

    transaction.write(session, work)


def hazards_seen_by(session: Session, viewer: Viewer, *slugs: str) -> dict[str, list[str]]:
    day = Interval(at("2026-03-24 00:00"), at("2026-03-25 00:00"))
    found = calendar.read(session, Window(day, equipment=slugs), viewer=viewer)
    return {entry.equipment: list(entry.hazards) for entry in found.busy}


def test_the_hazards_of_a_recipe_stand_on_the_busy_blocks_of_its_pieces_only_while_it_runs(
    session: Session, cast: Cast
) -> None:
    recipe(session, cast, **PLAIN, needs=[CHAMBER, THE_CYCLER], hazards=["high_voltage", "heat"])
    approved(session, cast, cast.anna)
    reservations.request(
        session, wish("chamber", start="2026-03-24 14:00", end="2026-03-24 16:00"), actor=cast.dorte, now=NOW
    )
    assert hazards_seen_by(session, cast.carla, "chamber", "cycler") == {
        "chamber": ["heat"],  # the later one, which is no recipe
        "cycler": ["heat", "high_voltage"],
    }
    day = Interval(at("2026-03-24 00:00"), at("2026-03-24 13:00"))
    first = calendar.read(session, Window(day, equipment=("chamber",)), viewer=cast.carla).busy
    assert [list(entry.hazards) for entry in first] == [["heat", "high_voltage"]]


def test_a_busy_block_of_a_recipe_says_nothing_else_of_it(session: Session, cast: Cast) -> None:
    recipe(session, cast, **PLAIN, needs=[CHAMBER], hazards=["gas"], on_call="Tom", safe_state="Purged")
    approved(session, cast, cast.anna)
    day = Interval(at("2026-03-24 00:00"), at("2026-03-25 00:00"))
    (entry,) = calendar.read(session, Window(day), viewer=cast.carla).busy
    assert set(entry._fields) == {"id", "start", "end", "equipment", "hazards"}


def test_the_tablet_warns_of_what_the_recipe_brings_and_tells_only_the_labs_own_people_whom_to_call(
    session: Session, cast: Cast
) -> None:
    recipe(
        session, cast, **PLAIN, needs=[CHAMBER], hazards=["gas"],
        staffing="unattended", on_call="Tom, 4711", safe_state="Purged",
    )  # fmt: skip
    view = approved(session, cast, cast.anna)
    session.rollback()
    now = at("2026-03-24 10:10")
    tablet = Device(1, "chamber", cast.mia.organisation_id, "hall")
    for who in (tablet, cast.carla):
        found = kiosk.read(session, "chamber", who=who, now=now)
        assert list(found.hazards) == ["gas", "heat"]
        assert found.places[0].now is not None
        assert found.places[0].now.full is None
    seen = kiosk.read(session, "chamber", who=cast.tom, now=now).places[0].now
    assert seen is not None
    assert seen.full is not None
    assert seen.full.id == view.id
    assert seen.full.standby is not None
    assert (seen.full.standby.on_call, seen.full.standby.safe_state) == ("Tom, 4711", "Purged")
    before = kiosk.read(session, "chamber", who=tablet, now=at("2026-03-24 08:00"))
    assert list(before.hazards) == ["heat"]


def test_a_technician_reads_whom_to_call_at_night_and_a_competitor_nothing(
    session: Session, cast: Cast
) -> None:
    recipe(
        session, cast, **PLAIN, needs=[THE_CYCLER], staffing="unattended", on_call="Tom", safe_state="Open"
    )
    asked(session, cast.anna, **NIGHT)
    session.rollback()
    now = at("2026-03-24 11:00")
    (running,) = today.read(session, None, None, viewer=cast.tom, now=now).unattended
    assert running.standby is not None
    assert running.standby.on_call == "Tom"
    assert not today.read(session, None, None, viewer=cast.carla, now=now).unattended


def places_taken(session: Session, public_id: str) -> int:
    rows = session.scalars(
        select(Place.number)
        .join(Allocation, Allocation.place_id == Place.id)
        .join(Reservation, Allocation.reservation_id == Reservation.id)
        .where(Reservation.public_id == public_id)
    )
    return len(set(rows))


def test_a_recipe_that_needs_the_whole_piece_takes_every_place_or_none(session: Session, cast: Cast) -> None:
    recipe(session, cast, **PLAIN, needs=[WHOLE_CYCLER])
    view = asked(session, cast.anna)
    assert [(piece.slug, piece.places) for piece in view.equipment] == [("cycler", 4)]
    assert places_taken(session, view.id) == 4
    later = {"start": "2026-03-26 10:00", "end": "2026-03-26 12:00"}
    reservations.request(session, wish("cycler", **later), actor=cast.carla, now=NOW)
    with pytest.raises(Refused) as refused:
        asked(session, cast.anna, **later)
    assert not refused.value.problems
    assert {each.equipment for each in refused.value.conflicts} == {"cycler"}


def test_named_pieces_fit_a_whole_need_only_with_all_their_places(session: Session, cast: Cast) -> None:
    recipe(session, cast, **PLAIN, needs=[WHOLE_CYCLER])
    with pytest.raises(Refused) as refused:
        asked(session, cast.anna, "cycler:3")
    assert codes(refused) == {"environment_mismatch"}
    assert asked(session, cast.anna, "cycler:4").equipment[0].places == 4


def test_somebody_faster_costs_the_piece_and_not_the_booking(
    session: Session, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe(session, cast, **PLAIN, needs=[ANY_SCOPE])
    asked(session, cast.carla)
    free, answers = slot_search.choose, iter([{"scope": 1}])

    def late(*args: Any, **named: Any) -> Any:
        """At first what was free before somebody took it."""
        return next(answers, None) or free(*args, **named)

    monkeypatch.setattr(slot_search, "choose", late)
    assert [piece.slug for piece in asked(session, cast.anna).equipment] == ["scope-2"]
    with pytest.raises(Refused) as refused:  # and where there is no other, it is said
        asked(session, cast.bo)
    assert refused.value.conflicts
