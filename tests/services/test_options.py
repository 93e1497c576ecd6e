"""An option holds a time for somebody without an account, and their name is the staff's alone to know."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from labbook.domain.access import Role, Viewer
from labbook.domain.errors import Forbidden, NotFound, Refused, WrongStatus
from labbook.domain.visibility import Subject, sees_customer
from labbook.models import Organisation, OutboxMessage, Remark, User
from labbook.services import changes, decisions, options, queue, sweep, transaction, verify
from labbook.services import reservation_views as views
from labbook.services.commands import ChangeReservation, Decide
from labbook.services.options import ConvertOption
from labbook.services.reservation_views import ReservationView
from tests.cast import NOW, Cast, at
from tests.services.test_reservations import book, codes, wish
from tests.services.test_sweep import kinds_told, stored

UNTIL = at("2026-03-23 18:00")


def option(session: Session, actor: Viewer, slug: str = "chamber", **more: Any) -> ReservationView:
    given: dict[str, Any] = {"customer": "Nordic Drives", "decide_by": UNTIL, **more}
    return options.create(session, wish(slug, **given), actor=actor, now=NOW)


def converted(session: Session, one: str, actor: Viewer, holder: str, **more: Any) -> ReservationView:
    return options.convert(session, ConvertOption(one, holder, **more), actor=actor, now=NOW)


def test_an_option_holds_its_time_and_waits_for_nobodys_approval(session: Session, cast: Cast) -> None:
    held = option(session, cast.mia)
    assert (held.status, held.hold, held.customer, held.decide_by) == (
        "requested",
        "option",
        "Nordic Drives",
        UNTIL,
    )
    with pytest.raises(Refused) as refused:
        book(session, cast.anna, "chamber")
    assert refused.value.is_conflict
    assert queue.read(session, viewer=cast.max, now=NOW) == []
    assert session.scalars(select(OutboxMessage)).all() == []
    assert verify.verify(session) == []


def test_everything_that_is_wrong_with_an_option_is_said_at_once(session: Session, cast: Cast) -> None:
    with pytest.raises(Refused) as refused:
        option(session, cast.mia, "hipot", customer=" ", decide_by=at("2026-03-25 10:00"), project="no")
    assert codes(refused) == {"missing", "option_until", "unknown_project"}
    with pytest.raises(Refused) as refused:
        option(session, cast.mia, start="2026-03-22 10:00", end="2026-03-22 12:00", decide_by=None)
    assert codes(refused) == {"missing", "in_the_past"}
    for other in (cast.anna, cast.tom, cast.carla):
        with pytest.raises(Forbidden):
            option(session, other)


def test_what_is_asked_of_a_holder_is_asked_of_whoever_will_be_one(session: Session, cast: Cast) -> None:
    held = option(session, cast.mia, "hipot")  # mia lacks the training, and will not operate it
    with pytest.raises(Refused) as refused:
        converted(session, held.id, cast.mia, cast.anna.email)
    assert codes(refused) == {"qualification_missing"}
    with pytest.raises(Refused) as refused:
        converted(session, held.id, cast.mia, cast.anna.email, override=("qualification_missing",))
    assert codes(refused) == {"reason_missing"}
    why = {"override": ("qualification_missing",), "reason": "Trained today"}
    assert converted(session, held.id, cast.mia, cast.anna.email, **why).status == "approved"
    other = option(session, cast.mia, "hipot", start="2026-03-25 10:00", end="2026-03-25 12:00")
    assert converted(session, other.id, cast.mia, cast.bo.email).status == "approved"


def test_an_option_becomes_a_reservation_with_its_managers_yes(session: Session, cast: Cast) -> None:
    held = option(session, cast.mia)
    made = converted(session, held.id, cast.max, cast.anna.email, project="joint", title="Damp heat")
    assert (made.status, made.hold, made.customer) == ("approved", None, "")
    assert (made.holder.name, made.organisation, made.project, made.activity, made.title) == (
        "Anna",
        "alpha",
        "joint",
        "collaboration",
        "Damp heat",
    )
    assert [h.action for h in made.history] == ["request", "convert", "approve"]
    assert kinds_told(session, cast.anna.id) == ["booked_for_you"]
    sweep.sweep(session, now=UNTIL)
    assert stored(session, made.id).status == "approved"
    assert "Nordic" not in str([h.new for h in made.history])
    assert all("Nordic" not in text for text in session.scalars(select(Remark.text)))
    assert verify.verify(session) == []
    with pytest.raises(WrongStatus):
        converted(session, held.id, cast.mia, cast.anna.email)


def test_for_themselves_another_manager_has_to_approve(session: Session, cast: Cast) -> None:
    held = option(session, cast.mia)
    made = converted(session, held.id, cast.mia, cast.mia.email)
    assert (made.status, made.hold) == ("requested", None)
    assert kinds_told(session, cast.max.id) == ["requested"]
    assert [w.reservation.id for w in queue.read(session, viewer=cast.max, now=NOW)] == [held.id]


def test_what_was_set_aside_for_a_customer_a_manager_does_not_take_for_themselves(
    session: Session, cast: Cast
) -> None:
    months = {"start": "2026-04-01 10:00", "end": "2026-07-15 10:00"}
    held = option(session, cast.mia, "scope", **months, override=("too_long",), reason="A whole campaign")
    with pytest.raises(Refused) as refused:
        converted(session, held.id, cast.mia, cast.mia.email)
    assert codes(refused) == {"too_long"}
    assert converted(session, held.id, cast.mia, cast.anna.email).status == "approved"


def test_automatic_equipment_is_booked_by_its_own_rule(session: Session, cast: Cast) -> None:
    held = option(session, cast.mia, "scope")
    assert held.status == "requested"
    made = converted(session, held.id, cast.mia, cast.mia.email)
    assert (made.status, made.history[-1].rule) == ("approved", "automatic")


def test_an_organisation_that_may_not_book_gets_none(session: Session, cast: Cast) -> None:
    held = option(session, cast.mia)
    ended = update(Organisation).where(Organisation.slug == "alpha").values(may_book_until=date(2026, 3, 1))
    transaction.write(session, lambda: session.execute(ended))
    with pytest.raises(Refused) as refused:
        converted(session, held.id, cast.mia, cast.anna.email)
    assert codes(refused) == {"organisation_until"}
    with pytest.raises(Refused) as refused:
        converted(session, held.id, cast.mia, "nobody@nowhere.example", project="no", title=" ")
    assert codes(refused) == {"unknown_user", "unknown_project", "missing"}


def test_an_option_is_held_longer_let_go_or_lapses_and_then_its_time_is_free(
    session: Session, cast: Cast
) -> None:
    held = option(session, cast.mia)
    for wrong in (None, NOW, at("2026-03-24 10:15")):
        with pytest.raises(Refused):
            options.prolong(session, held.id, wrong, actor=cast.mia, now=NOW)
    longer = options.prolong(session, held.id, at("2026-03-24 10:00"), actor=cast.max, now=NOW)
    assert longer.decide_by == at("2026-03-24 10:00")
    sweep.sweep(session, now=UNTIL)
    assert stored(session, held.id).status == "requested"
    assert options.release(session, held.id, actor=cast.mia, now=NOW).status == "cancelled"
    again = option(session, cast.mia)
    assert sweep.sweep(session, now=UNTIL) == {"expired": 1}
    assert stored(session, again.id).status == "expired"
    assert kinds_told(session, cast.mia.id) == ["option_lapsed"]
    assert kinds_told(session, cast.max.id) == []
    assert book(session, cast.anna, "chamber").status == "requested"
    found = options.list_managed(session, viewer=cast.max)
    assert (found.open, {view.customer for view in found.over}) == ([], {"Nordic Drives"})
    assert verify.verify(session) == []


def test_an_option_is_nobodys_to_approve_and_says_what_it_is(session: Session, cast: Cast) -> None:
    held = option(session, cast.mia)
    for step in (decisions.approve, decisions.decline, decisions.transfer):
        with pytest.raises(Refused) as refused:
            step(session, Decide(held.id, reason="No", to=cast.bo.email), actor=cast.max, now=NOW)
        assert codes(refused) == {"held_as_option"}
    assert held.allowed == {"edit", "move", "cancel", "message", "convert", "prolong", "draws"}


def test_only_managers_of_the_facility_deal_with_its_options(session: Session, cast: Cast) -> None:
    held = option(session, cast.mia)
    for attempt in (
        lambda who: converted(session, held.id, who, cast.anna.email),
        lambda who: options.prolong(session, held.id, UNTIL, actor=who, now=NOW),
        lambda who: options.release(session, held.id, actor=who, now=NOW),
    ):
        with pytest.raises(NotFound):
            attempt(cast.carla)
        for other in (cast.dorte, cast.tom):  # the manager's colleague, and the technician
            with pytest.raises(Forbidden):
                attempt(other)
    for other in (cast.anna, cast.tom):
        with pytest.raises(Forbidden):
            options.list_managed(session, viewer=other)


def test_the_customers_name_is_for_the_staff_and_for_nobody_else(session: Session, cast: Cast) -> None:
    held = option(session, cast.mia)
    for staff in (cast.mia, cast.max, cast.tom, cast.ada):
        assert views.find(session, held.id, viewer=staff).customer == "Nordic Drives"
    # Dorte is of the manager's organisation: she sees the reservation in full, and not for whom it is.
    seen = views.find(session, held.id, viewer=cast.dorte)
    assert (seen.title, seen.customer) == ("A test", "")
    assert "Nordic" not in repr(seen)
    with pytest.raises(NotFound):
        views.find(session, held.id, viewer=cast.carla)
    elsewhere = Viewer(99, "Olaf", "olaf@x.example", 99, Role.MANAGER, frozenset({cast.facility_id + 1}))
    assert not sees_customer(elsewhere, Subject(cast.facility_id, 99, None))


def test_an_option_of_a_manager_who_has_left_is_still_the_labs(session: Session, cast: Cast) -> None:
    held = option(session, cast.mia)
    left = update(User).where(User.id == cast.mia.id).values(active=False)
    transaction.write(session, lambda: session.execute(left))
    assert converted(session, held.id, cast.max, cast.anna.email).status == "approved"


def test_an_option_may_be_moved_by_its_managers(session: Session, cast: Cast) -> None:
    held = option(session, cast.mia)
    later = ChangeReservation(start=at("2026-03-25 10:00"), end=at("2026-03-25 12:00"))
    moved = changes.change(session, held.id, later, revision=None, actor=cast.mia, now=NOW)
    assert (moved.start, moved.hold, moved.status) == (at("2026-03-25 10:00"), "option", "requested")
    assert kinds_told(session, cast.max.id) == []
    assert moved.decide_by == UNTIL
