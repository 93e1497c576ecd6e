"""A manager's deputy: may what the manager may, for its days, and decides nothing for themselves."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, event, func, select, update
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, NotFound, Refused
from labbook.models import Deputy, StaffMembership, User
from labbook.services import decisions, deputies, journal, queue, tokens, transaction, viewers
from labbook.services.commands import Decide
from labbook.services.deputies import NameDeputy
from labbook.services.reservation_views import find
from tests.cast import NOW, Cast, at
from tests.services.test_reservations import book, codes

FIRST, LAST = date(2026, 3, 28), date(2026, 3, 29)  # the clocks go forward in the second night
BEGINS, ENDS = at("2026-03-28 00:00"), at("2026-03-30 00:00")
INSTANT = timedelta(microseconds=1)


def name(session: Session, cast: Cast, deputy: str, actor: Viewer | None = None, **more: Any) -> int:
    values = {"facility": "cie", "deputy": deputy, "first": FIRST, "last": LAST} | more
    return deputies.name(session, NameDeputy(**values), actor=actor or cast.mia, now=NOW)


def seen(session: Session, who: Viewer, now: datetime) -> Viewer:
    """As whoever signs in at ``now``."""
    session.rollback()
    found = viewers.by_email(session, who.email, now)
    assert found is not None
    return found


def test_a_deputy_stands_in_on_the_days_of_the_facility_the_last_included(
    session: Session, cast: Cast
) -> None:
    name(session, cast, cast.tom.email)
    edges = (BEGINS - INSTANT, BEGINS, ENDS - INSTANT, ENDS)
    assert [seen(session, cast.tom, at_).manages(cast.facility_id) for at_ in edges] == [
        False,
        True,
        True,
        False,
    ]
    assert [deputies.standing_in(session, cast.facility_id, at_) for at_ in edges] == [
        [],
        [cast.tom.id],
        [cast.tom.id],
        [],
    ]
    assert not seen(session, cast.bo, BEGINS).decides


def test_a_deputy_sees_the_queue_approves_and_is_named_in_the_history(session: Session, cast: Cast) -> None:
    name(session, cast, cast.dorte.email)
    view = book(session, cast.anna, "chamber", start="2026-04-01 10:00", end="2026-04-01 12:00")
    dorte = seen(session, cast.dorte, BEGINS)
    assert [w.reservation.id for w in queue.read(session, viewer=dorte, now=BEGINS)] == [view.id]
    assert queue.brief(session, viewer=dorte).count == 1
    approved = decisions.approve(session, Decide(view.id), actor=dorte, now=BEGINS)
    assert (approved.status, approved.history[-1].actor) == ("approved", "Dorte")
    over = seen(session, cast.dorte, ENDS)
    assert queue.read(session, viewer=over, now=ENDS) == []
    with pytest.raises(NotFound):
        find(session, view.id, viewer=over)


def test_a_deputy_hears_of_requests_as_the_managers_do(session: Session, cast: Cast) -> None:
    name(session, cast, cast.tom.email)
    by_right = [cast.mia.id, cast.max.id]
    assert journal.managers_of(session, cast.facility_id, NOW) == by_right
    assert journal.managers_of(session, cast.facility_id, BEGINS) == [*by_right, cast.tom.id]
    assert journal.managers_of(session, cast.facility_id) == by_right


@pytest.mark.parametrize("managers", ["two", "one"])
def test_a_deputy_never_approves_their_own(session: Session, cast: Cast, managers: str) -> None:
    name(session, cast, cast.tom.email)
    if managers == "one":
        alone = update(User).where(User.id == cast.max.id).values(role="engineer")
        transaction.write(session, lambda: session.execute(alone))
    tom = seen(session, cast.tom, BEGINS)
    view = book(session, tom, "chamber", start="2026-04-01 10:00", end="2026-04-01 12:00")
    with pytest.raises(Forbidden):
        decisions.approve(session, Decide(view.id), actor=tom, now=BEGINS)
    mia = seen(session, cast.mia, BEGINS)
    assert decisions.approve(session, Decide(view.id), actor=mia, now=BEGINS).status == "approved"


def test_a_manager_does_not_approve_their_own_by_being_a_deputy_too(session: Session, cast: Cast) -> None:
    name(session, cast, cast.max.email)
    max_ = seen(session, cast.max, BEGINS)
    view = book(session, max_, "chamber", start="2026-04-01 10:00", end="2026-04-01 12:00")
    with pytest.raises(Forbidden):
        decisions.approve(session, Decide(view.id), actor=max_, now=BEGINS)


def test_a_deputy_names_no_deputy_and_ends_none(session: Session, cast: Cast) -> None:
    row = name(session, cast, cast.tom.email)
    tom = seen(session, cast.tom, BEGINS)
    with pytest.raises(Forbidden):
        name(session, cast, cast.dorte.email, tom)
    with pytest.raises(Forbidden):
        deputies.end(session, row, actor=tom, now=BEGINS)


def test_it_ends_when_the_manager_is_no_longer_one(session: Session, cast: Cast) -> None:
    name(session, cast, cast.tom.email)
    mia = update(User).where(User.id == cast.mia.id)
    steps = [
        (mia.values(role="technician"), False),
        (mia.values(role="manager", active=False), False),
        (mia.values(active=True), True),
        (delete(StaffMembership).where(StaffMembership.user_id == cast.mia.id), False),
    ]
    for change, stands in steps:
        transaction.write(session, lambda change=change: session.execute(change))  # type: ignore[misc]
        assert seen(session, cast.tom, BEGINS).manages(cast.facility_id) is stands
        assert bool(deputies.standing_in(session, cast.facility_id, BEGINS)) is stands


def test_it_ends_when_the_deputy_has_left_for_a_competitor(session: Session, cast: Cast) -> None:
    name(session, cast, cast.dorte.email)
    left = update(User).where(User.id == cast.dorte.id).values(organisation_id=cast.carla.organisation_id)
    transaction.write(session, lambda: session.execute(left))
    assert not seen(session, cast.dorte, BEGINS).decides
    assert deputies.standing_in(session, cast.facility_id, BEGINS) == []


def test_nobody_of_another_organisation_unless_an_admin_names_one_of_the_staff(
    session: Session, cast: Cast
) -> None:
    foreign = update(User).where(User.id == cast.tom.id).values(organisation_id=cast.anna.organisation_id)
    transaction.write(session, lambda: session.execute(foreign))
    for who in (cast.tom.email, cast.carla.email, "nobody@x.example"):
        with pytest.raises(Refused) as refused:
            name(session, cast, who)
        assert codes(refused) == {"unknown_deputy"}
    with pytest.raises(Refused) as refused:
        name(session, cast, cast.carla.email, cast.ada, manager=cast.mia.email)
    assert codes(refused) == {"unknown_deputy"}
    name(session, cast, cast.tom.email, cast.ada, manager=cast.mia.email)
    assert seen(session, cast.tom, BEGINS).manages(cast.facility_id)


def test_what_is_wrong_with_a_naming_is_said(session: Session, cast: Cast) -> None:
    for more, code in (
        ({"last": FIRST - timedelta(days=1)}, "end_before_start"),
        ({"first": date(2026, 3, 1), "last": date(2026, 3, 22)}, "already_over"),
        ({"last": date(9999, 12, 31)}, "out_of_range"),
        ({"facility": "nowhere"}, "unknown_facility"),
    ):
        with pytest.raises(Refused) as refused:
            name(session, cast, cast.tom.email, **more)
        assert code in codes(refused)
    for actor in (cast.tom, cast.anna, cast.carla):
        with pytest.raises(Forbidden):
            name(session, cast, cast.dorte.email, actor)
    for more in ({"manager": cast.max.email}, {"deputy": cast.mia.email}):
        with pytest.raises(Refused):
            name(session, cast, **({"deputy": cast.tom.email} | more))
    assert session.scalar(select(func.count()).select_from(Deputy)) == 0


def test_one_that_is_ended_is_over_at_once(session: Session, cast: Cast) -> None:
    row = name(session, cast, cast.tom.email)
    (shown,) = deputies.list_managed(session, viewer=cast.max, now=BEGINS)
    assert (shown.first, shown.last, shown.begun, shown.yours) == (FIRST, LAST, True, False)
    with pytest.raises(Forbidden):
        deputies.end(session, row, actor=cast.max, now=BEGINS)
    deputies.end(session, row, actor=cast.mia, now=BEGINS + timedelta(hours=1))
    assert seen(session, cast.tom, BEGINS).decides
    assert not seen(session, cast.tom, BEGINS + timedelta(hours=1)).decides
    assert deputies.list_managed(session, viewer=cast.mia, now=BEGINS + timedelta(hours=1)) == []
    early = name(session, cast, cast.dorte.email)
    deputies.end(session, early, actor=cast.mia, now=NOW)
    assert "Dorte" not in {d.deputy for d in deputies.list_managed(session, viewer=cast.mia, now=NOW)}


def test_who_asks_is_still_one_query(session: Session, cast: Cast) -> None:
    name(session, cast, cast.tom.email)
    secret = tokens.create(session, "x", actor=cast.tom, now=NOW).secret
    viewers.by_token(session, secret, BEGINS)  # notes its use
    seen_: list[str] = []
    event.listen(session.get_bind(), "before_cursor_execute", lambda *given: seen_.append(given[2]))
    session.rollback()
    caller = viewers.by_token(session, secret, BEGINS)
    assert caller is not None
    assert caller.viewer.deputy_at == {cast.facility_id}
    assert len(seen_) == 1
