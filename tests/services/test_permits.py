"""Approval of the time is not permission to energise: the second sign-off, by whom and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, NotFound, Refused, WrongStatus
from labbook.models import HistoryEntry, User, WebhookDelivery
from labbook.services import changes, decisions, permits, reservations, sweep, transaction
from labbook.services.commands import ChangeReservation, Decide, Wanted
from labbook.services.reservation_views import ReservationView, find
from labbook.services.rig_access import access
from tests.cast import NOW, Cast, at
from tests.rig import Rig
from tests.services.test_changes import book_recipe, recipe
from tests.services.test_reservations import book, codes, wish
from tests.services.test_sweep import kinds_told, stored
from tests.services.test_webhooks import deliver, hook

SET_UP, START, END = at("2026-03-24 08:00"), at("2026-03-24 10:00"), at("2026-03-24 12:00")
LAST = at("2026-03-24 13:00")
INSTANT = timedelta(microseconds=1)


@pytest.fixture
def waiting(session: Session, cast: Cast) -> ReservationView:
    """Anna's, approved, with a permit to be signed: the set-up begins at eight."""
    recipe(session, cast, permit=True)
    return book_recipe(session, cast)


def sign(session: Session, public_id: str, who: Viewer, now: Any = SET_UP) -> ReservationView:
    return permits.sign(session, Decide(public_id, reason="Seen"), actor=who, now=now)


def test_a_permit_is_asked_for_by_the_recipe_and_by_nothing_else(
    session: Session, cast: Cast, waiting: ReservationView
) -> None:
    assert (waiting.permit_required, waiting.permit_signed_at) == (True, None)
    assert not book(session, cast.anna, "cycler").permit_required


def test_who_signs_is_in_the_history_and_the_holder_hears_of_it(
    session: Session, cast: Cast, waiting: ReservationView
) -> None:
    view = sign(session, waiting.id, cast.mia)
    assert (view.permit_signed_at, view.permit_signed_by) == (SET_UP, "Mia")
    entry = view.history[-1]
    assert (entry.action, entry.actor, entry.reason) == ("permit", "Mia", "Seen")
    row = stored(session, waiting.id)
    assert (row.permit_signed_by_id, row.freed_at) == (cast.mia.id, SET_UP)
    assert "permit" in kinds_told(session, cast.anna.id)
    assert "permit" not in kinds_told(session, cast.mia.id)


def test_it_is_signed_from_the_set_up_on_and_once(
    session: Session, cast: Cast, waiting: ReservationView
) -> None:
    with pytest.raises(Refused) as refused:
        sign(session, waiting.id, cast.mia, SET_UP - INSTANT)
    assert codes(refused) == {"permit_too_early"}
    sign(session, waiting.id, cast.mia)
    with pytest.raises(Refused) as refused:
        sign(session, waiting.id, cast.max)
    assert codes(refused) == {"permit_signed"}


def test_not_after_the_window_and_not_where_none_is_needed(
    session: Session, cast: Cast, waiting: ReservationView
) -> None:
    with pytest.raises(Refused) as refused:
        sign(session, waiting.id, cast.mia, LAST)
    assert codes(refused) == {"too_late"}
    with pytest.raises(Refused) as refused:
        sign(session, book(session, cast.anna, "cycler").id, cast.mia, START)
    assert codes(refused) == {"no_permit_needed"}


def test_not_in_another_status(session: Session, cast: Cast, waiting: ReservationView) -> None:
    sweep.sweep(session, now=SET_UP)
    decisions.check_out(session, Decide(waiting.id), actor=cast.anna, now=START)
    with pytest.raises(WrongStatus):
        sign(session, waiting.id, cast.mia, START)


@pytest.mark.parametrize(
    ("name", "error"),
    [("anna", Forbidden), ("bo", Forbidden), ("tom", Forbidden), ("carla", NotFound)],
)
def test_only_the_managers_of_the_lab_sign(
    session: Session, cast: Cast, waiting: ReservationView, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        sign(session, waiting.id, getattr(cast, name))


@pytest.mark.parametrize("as_participant", [False, True])
def test_never_their_own_not_even_as_the_only_manager(
    session: Session, cast: Cast, as_participant: bool
) -> None:
    recipe(session, cast, permit=True)
    alone = update(User).where(User.id == cast.max.id).values(role="engineer")
    transaction.write(session, lambda: session.execute(alone))
    who = {"participants": (cast.mia.email,), "holder": cast.tom.email}
    if not as_participant:
        who = {"holder": cast.mia.email}
    command = replace(wish(), environment="loop", **who)  # type: ignore[arg-type]
    view = reservations.request(session, command, actor=cast.mia, now=NOW)
    with pytest.raises(Forbidden):
        sign(session, view.id, cast.mia)
    session.rollback()
    assert "permit" not in find(session, view.id, viewer=cast.mia).allowed
    assert sign(session, view.id, cast.ada).permit_signed_by == "Ada"


def test_it_gates_the_rig_and_not_the_check_in(
    session: Session, cast: Cast, waiting: ReservationView
) -> None:
    sweep.sweep(session, now=SET_UP)
    assert stored(session, waiting.id).status == "in_use"
    assert not access(session, "source", viewer=cast.anna, now=START).allowed
    sign(session, waiting.id, cast.mia, START)
    assert access(session, "source", viewer=cast.anna, now=START).reservation == waiting.id


def test_the_rig_hears_that_it_is_signed(session: Session, cast: Cast, waiting: ReservationView) -> None:
    with Rig().open() as rig:
        hook(session, cast, rig, "source")
        sweep.sweep(session, now=SET_UP)
        sign(session, waiting.id, cast.mia, START)
        deliver(session, START)
        told = [(each["event"], each["allowed"], each["until"]) for each in rig.events]
    assert told == [("window.opened", False, None), ("window.opened", True, "2026-03-24T12:00:00Z")]
    assert len(session.scalars(select(WebhookDelivery.id)).all()) == 2


def other_scope(view: ReservationView) -> ChangeReservation:
    (scope,) = {"scope", "scope-2"} - {piece.slug for piece in view.equipment}
    return ChangeReservation(equipment=(Wanted(scope), Wanted("source")))


@pytest.mark.parametrize("what", ["equipment", "time", "end", "title"])
def test_what_was_not_looked_at_has_to_be_signed_again(
    session: Session, cast: Cast, waiting: ReservationView, what: str
) -> None:
    sign(session, waiting.id, cast.mia)
    wishes = {
        "equipment": other_scope(waiting),
        "time": ChangeReservation(start=at("2026-03-25 10:00"), end=at("2026-03-25 12:00")),
        "end": ChangeReservation(end=at("2026-03-24 11:30")),
        "title": ChangeReservation(title="Another"),
    }
    view = changes.change(session, waiting.id, wishes[what], revision=None, actor=cast.mia, now=SET_UP)
    undone = what in ("equipment", "time")
    assert (view.permit_signed_at is None) is undone
    entry = session.scalars(select(HistoryEntry).order_by(HistoryEntry.id.desc())).first()
    assert entry is not None
    assert ("permit" in entry.old) is undone
    assert ("permit" in find(session, waiting.id, viewer=cast.mia).allowed) is undone
