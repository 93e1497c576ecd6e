"""Whoever waits is served in order, by the rules of every request, and for a limited time."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, NotFound, Refused, WrongStatus
from labbook.domain.interval import Interval
from labbook.domain.waiting import LOOK_AGAIN, offered_until
from labbook.models import (
    Equipment,
    Organisation,
    OutboxMessage,
    Project,
    Qualification,
    Reservation,
    User,
    WaitlistEntry,
)
from labbook.services import (
    calendar,
    changes,
    decisions,
    queue,
    sweep,
    transaction,
    verify,
    waiting,
    waitlist_queue,
)
from labbook.services import reservation_views as views
from labbook.services import waitlist_views as lists
from labbook.services.commands import ChangeReservation, Decide
from labbook.services.waiting import JoinWaitlist
from labbook.services.waitlist_views import EntryView
from tests.cast import NOW, Cast, at
from tests.services.test_reservations import book, codes
from tests.services.test_sweep import kinds_told, stored

MORNING = {"earliest": at("2026-03-24 10:00"), "latest": at("2026-03-24 12:00")}
A_DAY = {"earliest": at("2026-03-24 08:00"), "latest": at("2026-03-24 16:00")}


def wish(*slugs: str, hours: float = 2, **more: Any) -> JoinWaitlist:
    given: dict[str, Any] = {"title": "I wait", **MORNING, **more}
    return JoinWaitlist(equipment=slugs, duration=timedelta(hours=hours), **given)


def wait(session: Session, actor: Viewer, *slugs: str, **more: Any) -> EntryView:
    return waiting.join(session, wish(*slugs, **more), actor=actor, now=NOW)


def serve(session: Session, now: datetime = NOW) -> Counter[str]:
    """One pass of the scheduler: reservations first, then whoever waits."""
    found = sweep.sweep(session, now=now)
    return Counter({step: count for step, count in found.items() if step.startswith(("waitlist", "failed"))})


def entry(session: Session, public_id: str) -> WaitlistEntry:
    session.rollback()
    return session.scalars(select(WaitlistEntry).where(WaitlistEntry.public_id == public_id)).one()


def set_in(session: Session, model: Any, *which: Any, **values: Any) -> None:
    transaction.write(session, lambda: session.execute(update(model).where(*which).values(**values)))


def cancel(session: Session, actor: Viewer, public_id: str, now: datetime = NOW) -> None:
    decisions.cancel(session, Decide(public_id), actor=actor, now=now)


# --- joining ------------------------------------------------------------------------------------------


def test_everything_that_is_wrong_with_a_wish_is_said_at_once(session: Session, cast: Cast) -> None:
    bad = wish("scope", "nowhere", hours=3, title=" ", mode="shout", project="secret", activity="fun")
    with pytest.raises(Refused) as refused:
        waiting.join(session, bad, actor=cast.anna, now=NOW)
    assert codes(refused) == {
        "missing",
        "not_one_of",
        "unknown_equipment",
        "unknown_project",
        "unknown_activity",
        "window_too_short",
    }


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"latest": at("2026-03-24 10:00")}, "end_before_start"),
        ({"latest": at("2026-06-24 10:00")}, "period_too_long"),
        ({"earliest": at("2026-03-22 10:00"), "latest": at("2026-03-22 12:00")}, "window_over"),
        ({"hours": 0}, "window_too_short"),
        ({"places": 2}, "too_many_places"),
        ({"earliest": at("2026-03-24 10:07"), "latest": at("2026-03-24 12:07")}, "off_grid"),
    ],
)
def test_a_window_that_could_never_hold_it_is_refused(
    session: Session, cast: Cast, more: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refused) as refused:
        wait(session, cast.anna, "scope", **more)
    assert codes(refused) == {code}


def test_nobody_waits_for_what_the_rules_never_allow_them(session: Session, cast: Cast) -> None:
    night = {"earliest": at("2026-03-24 18:00"), "latest": at("2026-03-25 06:00")}
    with pytest.raises(Refused) as refused:
        wait(session, cast.anna, "hipot", **night)
    assert codes(refused) == {"qualification_missing"}
    with pytest.raises(Refused) as refused:
        wait(session, cast.bo, "hipot", **night)  # staffed from 8 to 16
    assert codes(refused) == {"never_fits"}
    assert wait(session, cast.bo, "hipot", **(night | {"latest": at("2026-03-25 10:00")})).state == "waiting"


def test_a_wish_is_for_one_facility_is_entered_once_and_there_is_a_limit(
    session: Session, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait(session, cast.anna, "scope", "scope-2")
    with pytest.raises(Refused) as refused:
        wait(session, cast.anna, "scope-2", "scope")
    assert codes(refused) == {"waits_already"}
    monkeypatch.setattr(waiting, "ENTRIES_LIMIT", 1)
    with pytest.raises(Refused) as refused:
        wait(session, cast.anna, "cycler")
    assert codes(refused) == {"too_many_entries"}


def test_an_entry_is_its_owners_and_the_managers_see_it(session: Session, cast: Cast) -> None:
    book(session, cast.carla, "scope")
    mine = wait(session, cast.anna, "scope", project="joint")
    assert (mine.activity, mine.project) == ("collaboration", "joint")
    for stranger in (cast.carla, cast.bo, cast.dorte, cast.tom):
        with pytest.raises(NotFound):
            lists.find(session, mine.id, viewer=stranger)
        with pytest.raises(NotFound):
            waiting.withdraw(session, mine.id, actor=stranger, now=NOW)
    assert lists.find(session, mine.id, viewer=cast.mia).user.name == "Anna"
    with pytest.raises(Forbidden):
        waiting.withdraw(session, mine.id, actor=cast.mia, now=NOW)
    with pytest.raises(Forbidden):
        lists.lines(session, viewer=cast.carla)
    [line] = lists.lines(session, viewer=cast.mia)
    assert [each.id for each in line.entries] == [mine.id]
    assert lists.mine(session, viewer=cast.carla) == []
    assert waiting.withdraw(session, mine.id, actor=cast.anna, now=NOW).state == "withdrawn"
    with pytest.raises(WrongStatus):
        waiting.withdraw(session, mine.id, actor=cast.anna, now=NOW)


# --- being served -------------------------------------------------------------------------------------


def test_nothing_is_offered_while_it_is_taken_and_at_once_when_it_is_given_back(
    session: Session, cast: Cast
) -> None:
    held = book(session, cast.carla, "scope")
    mine = wait(session, cast.anna, "scope")
    assert serve(session) == {}
    assert entry(session, mine.id).due_at == NOW + LOOK_AGAIN
    cancel(session, cast.carla, held.id)
    assert serve(session) == {"waitlist_offer": 1}
    row = entry(session, mine.id)
    assert (row.state, row.offered_at, row.due_at) == ("offered", NOW, None)
    assert row.reservation is not None
    offer = views.find(session, row.reservation.public_id, viewer=cast.anna)
    assert (offer.status, offer.hold, offer.holder.name) == ("requested", "offer", "Anna")
    assert (offer.start, offer.end) == (MORNING["earliest"], MORNING["latest"])
    assert offer.decide_by == NOW + timedelta(hours=4)
    assert [(h.action, h.rule, h.actor) for h in offer.history] == [("request", "waitlist", None)]
    assert kinds_told(session, cast.anna.id) == ["waitlist_offer"]
    assert kinds_told(session, cast.mia.id) == ["cancelled"]
    assert serve(session, NOW + timedelta(hours=1)) == {}
    assert verify.verify(session) == []


def test_an_offer_holds_its_time_against_everybody(session: Session, cast: Cast) -> None:
    wait(session, cast.anna, "scope")
    serve(session)
    with pytest.raises(Refused) as refused:
        book(session, cast.carla, "scope")
    assert refused.value.is_conflict


def test_how_long_an_offer_stands_depends_on_how_soon_it_begins() -> None:
    assert offered_until(NOW, NOW + timedelta(days=2)) == NOW + timedelta(hours=4)
    assert offered_until(NOW, NOW + timedelta(hours=2)) == NOW + timedelta(hours=1)
    assert offered_until(NOW, NOW + timedelta(minutes=20)) == NOW + timedelta(minutes=15)
    assert offered_until(NOW, NOW + timedelta(minutes=5)) == NOW + timedelta(minutes=5)


def test_what_begins_within_minutes_is_booked_but_offered_to_nobody(session: Session, cast: Cast) -> None:
    soon = {"earliest": NOW, "latest": NOW + timedelta(hours=3)}
    offer = wait(session, cast.anna, "scope", **soon)
    at_once = wait(session, cast.carla, "scope-2", mode="book", **soon)
    assert serve(session) == {"waitlist_offer": 1, "waitlist_booked": 1}
    for each, start in ((offer, NOW + timedelta(minutes=15)), (at_once, NOW)):
        row = entry(session, each.id)
        assert row.reservation is not None
        assert row.reservation.starts_at == start


def test_the_earliest_of_all_that_would_do_is_found(session: Session, cast: Cast) -> None:
    book(session, cast.carla, "scope", start="2026-03-24 08:00", end="2026-03-24 11:00")
    book(session, cast.carla, "scope-2", start="2026-03-24 08:00", end="2026-03-24 10:30")
    mine = wait(session, cast.anna, "scope", "scope-2", **A_DAY, mode="book")
    serve(session)
    row = entry(session, mine.id)
    assert row.reservation is not None
    assert [p.equipment.slug for p in row.reservation.pieces] == ["scope-2"]
    assert row.reservation.starts_at == at("2026-03-24 10:30")


def test_a_budget_that_is_given_back_wakes_whoever_shares_it(session: Session, cast: Cast) -> None:
    held = book(session, cast.carla, "source")
    mine = wait(session, cast.anna, "source-2")
    assert serve(session) == {}
    cancel(session, cast.carla, held.id, NOW + timedelta(minutes=5))
    assert serve(session, NOW + timedelta(minutes=5)) == {"waitlist_offer": 1}
    assert entry(session, mine.id).state == "offered"


def test_a_budget_is_waited_out_within_the_window(session: Session, cast: Cast) -> None:
    book(session, cast.carla, "source", start="2026-03-24 08:00", end="2026-03-24 11:00")
    mine = wait(session, cast.anna, "source-2", **A_DAY)
    serve(session)
    row = entry(session, mine.id)
    assert row.reservation is not None
    assert row.reservation.starts_at == at("2026-03-24 11:00")


def test_what_is_given_back_early_wakes_too(session: Session, cast: Cast) -> None:
    held = book(session, cast.carla, "scope", start="2026-03-24 08:00", end="2026-03-24 12:00")
    mine = wait(session, cast.anna, "scope")
    serve(session)
    back = at("2026-03-24 08:30")
    sweep.sweep(session, now=back)
    decisions.check_out(session, Decide(held.id), actor=cast.carla, now=back)
    assert serve(session, back) == {"waitlist_offer": 1}
    row = entry(session, mine.id)
    assert row.reservation is not None
    assert row.reservation.decide_by == back + timedelta(minutes=45)


def test_what_a_change_held_wakes_whoever_waits_when_it_is_declined(session: Session, cast: Cast) -> None:
    held = book(session, cast.carla, "chamber", start="2026-03-24 12:00", end="2026-03-24 13:00")
    decisions.approve(session, Decide(held.id), actor=cast.mia, now=NOW)
    earlier = ChangeReservation(start=at("2026-03-24 10:00"))
    changes.change(session, held.id, earlier, revision=None, actor=cast.carla, now=NOW)
    mine = wait(session, cast.anna, "chamber", hours=1, latest=at("2026-03-24 11:00"))
    assert serve(session) == {}
    decisions.decline(session, Decide(held.id, reason="No"), actor=cast.mia, now=NOW)
    assert serve(session) == {"waitlist_offer": 1}
    assert entry(session, mine.id).state == "offered"


def test_to_book_at_once_is_an_ordinary_request(session: Session, cast: Cast) -> None:
    quick = wait(session, cast.anna, "scope", mode="book")
    slow = wait(session, cast.carla, "chamber", mode="book")
    assert serve(session) == {"waitlist_booked": 2}
    for each, status in ((quick, "approved"), (slow, "requested")):
        row = entry(session, each.id)
        assert (row.state, row.closed_at) == ("taken", NOW)
        assert row.reservation is not None
        assert (row.reservation.status, row.reservation.hold) == (status, None)
    assert kinds_told(session, cast.anna.id) == ["waitlist_booked"]
    assert kinds_told(session, cast.mia.id) == ["requested"]
    assert [w.reservation.title for w in queue.read(session, viewer=cast.mia, now=NOW)] == ["I wait"]
    assert verify.verify(session) == []


# --- taking and letting go ----------------------------------------------------------------------------


def offered(session: Session, actor: Viewer, slug: str) -> EntryView:
    mine = wait(session, actor, slug)
    serve(session)
    return lists.find(session, mine.id, viewer=actor)


def test_an_offer_that_is_taken_is_booked_where_nobody_has_to_agree(session: Session, cast: Cast) -> None:
    offer = offered(session, cast.anna, "scope")
    taken = waiting.take(session, offer.id, actor=cast.anna, now=NOW + timedelta(hours=1))
    assert (taken.state, taken.allowed) == ("taken", frozenset())
    assert taken.offer is not None
    view = views.find(session, taken.offer.reservation, viewer=cast.anna)
    assert (view.status, view.hold, view.decide_by) == ("approved", None, None)
    assert [h.action for h in view.history] == ["request", "take", "approve"]
    assert serve(session, NOW + timedelta(hours=5)) == {}
    assert stored(session, view.id).status == "approved"
    assert verify.verify(session) == []


def test_an_offer_that_is_taken_goes_to_the_manager_where_one_has_to_agree(
    session: Session, cast: Cast
) -> None:
    set_in(session, Equipment, Equipment.slug == "chamber", slot_decision=86_400)
    offer = offered(session, cast.anna, "chamber")
    assert queue.read(session, viewer=cast.mia, now=NOW) == []
    assert queue.brief(session, viewer=cast.mia).count == 0
    assert kinds_told(session, cast.mia.id) == []
    later = NOW + timedelta(hours=1)
    taken = waiting.take(session, offer.id, actor=cast.anna, now=later)
    assert taken.offer is not None
    row = stored(session, taken.offer.reservation)
    assert (row.status, row.hold, row.decide_by) == ("requested", None, later + timedelta(days=1))
    assert kinds_told(session, cast.mia.id) == ["requested"]
    approved = decisions.approve(session, Decide(row.public_id), actor=cast.mia, now=later)
    assert approved.status == "approved"


def test_what_stands_in_the_way_by_now_is_said_when_it_is_taken(session: Session, cast: Cast) -> None:
    offer = offered(session, cast.anna, "scope")
    set_in(session, Equipment, Equipment.slug == "scope", state="out_of_service")
    with pytest.raises(Refused) as refused:
        waiting.take(session, offer.id, actor=cast.anna, now=NOW)
    assert codes(refused) == {"out_of_service"}
    assert entry(session, offer.id).state == "offered"


def test_an_offer_is_its_holders_alone_to_take_until_it_lapses(session: Session, cast: Cast) -> None:
    offer = offered(session, cast.anna, "scope")
    for other in (cast.bo, cast.carla):
        with pytest.raises(NotFound):
            waiting.take(session, offer.id, actor=other, now=NOW)
    with pytest.raises(Forbidden):
        waiting.take(session, offer.id, actor=cast.mia, now=NOW)
    with pytest.raises(WrongStatus):  # the clock has not been round yet, and yet it is over
        waiting.take(session, offer.id, actor=cast.anna, now=NOW + timedelta(hours=4))
    sweep.sweep(session, now=NOW + timedelta(hours=4))
    assert entry(session, offer.id).state == "lapsed"
    with pytest.raises(WrongStatus):
        waiting.take(session, offer.id, actor=cast.anna, now=NOW)


def test_an_offer_let_go_is_the_next_ones_at_once(session: Session, cast: Cast) -> None:
    first = offered(session, cast.anna, "scope")
    second = wait(session, cast.carla, "scope")
    assert serve(session) == {}
    assert waiting.let_go(session, first.id, actor=cast.anna, now=NOW).state == "withdrawn"
    assert serve(session) == {"waitlist_offer": 1}
    assert entry(session, second.id).state == "offered"
    assert entry(session, first.id).state == "withdrawn"
    assert kinds_told(session, cast.mia.id) == []


def test_to_withdraw_or_to_cancel_what_is_offered_lets_it_go(session: Session, cast: Cast) -> None:
    withdrawn = offered(session, cast.anna, "scope")
    waiting.withdraw(session, withdrawn.id, actor=cast.anna, now=NOW)
    cancelled = offered(session, cast.anna, "scope-2")
    assert cancelled.offer is not None
    cancel(session, cast.anna, cancelled.offer.reservation)
    assert [entry(session, each.id).state for each in (withdrawn, cancelled)] == ["withdrawn"] * 2


def test_whom_the_lab_takes_an_offer_from_keeps_their_place(session: Session, cast: Cast) -> None:
    offer = offered(session, cast.anna, "scope")
    assert offer.offer is not None
    cancel(session, cast.mia, offer.offer.reservation)
    row = entry(session, offer.id)
    assert (row.state, row.due_at, row.reservation_id) == ("waiting", NOW + LOOK_AGAIN, None)


def test_an_offer_is_nobodys_to_decide_or_to_change_and_says_what_it_is(session: Session, cast: Cast) -> None:
    offer = offered(session, cast.anna, "chamber").offer
    assert offer is not None
    one = Decide(offer.reservation, reason="No", to=cast.bo.email)
    later = ChangeReservation(start=at("2026-03-24 13:00"), end=at("2026-03-24 14:00"), title="Mine")
    refused = []
    for attempt in (
        lambda: decisions.approve(session, one, actor=cast.mia, now=NOW),
        lambda: decisions.decline(session, one, actor=cast.mia, now=NOW),
        lambda: decisions.transfer(session, one, actor=cast.anna, now=NOW),
        lambda: changes.change(session, offer.reservation, later, revision=None, actor=cast.anna, now=NOW),
        lambda: changes.propose(session, offer.reservation, later, revision=None, actor=cast.mia, now=NOW),
    ):
        with pytest.raises(Refused) as said:
            attempt()
        refused.append(codes(said))
    assert refused == [{"held_as_offer"}] * 5
    assert views.find(session, offer.reservation, viewer=cast.anna).allowed == {"take", "let_go", "message"}
    assert views.find(session, offer.reservation, viewer=cast.mia).allowed == {"message"}


# --- in order -----------------------------------------------------------------------------------------


def test_first_come_first_served_whoever_is_looked_at_first(session: Session, cast: Cast) -> None:
    held = book(session, cast.dorte, "scope")
    first = wait(session, cast.anna, "scope", mode="book")
    second = wait(session, cast.carla, "scope", mode="book")
    serve(session)
    cancel(session, cast.dorte, held.id)
    # The later one has been due for longer, and the earlier is not due at all.
    set_in(session, WaitlistEntry, WaitlistEntry.public_id == second.id, due_at=NOW - timedelta(hours=1))
    set_in(session, WaitlistEntry, WaitlistEntry.public_id == first.id, due_at=NOW + LOOK_AGAIN)
    assert serve(session) == {"waitlist_booked": 1}
    assert entry(session, first.id).state == "taken"
    assert entry(session, second.id).state == "waiting"
    serve(session, NOW + timedelta(seconds=1))
    assert entry(session, second.id).due_at == NOW + timedelta(seconds=1) + LOOK_AGAIN


def test_whoever_cannot_use_what_is_free_holds_up_nobody(session: Session, cast: Cast) -> None:
    book(session, cast.dorte, "scope", start="2026-03-24 12:00", end="2026-03-24 16:00")
    held = book(session, cast.dorte, "scope")
    longer = wait(session, cast.anna, "scope", hours=4, **(MORNING | {"latest": at("2026-03-24 14:00")}))
    shorter = wait(session, cast.carla, "scope", hours=1)
    serve(session)
    cancel(session, cast.dorte, held.id)
    assert serve(session) == {"waitlist_offer": 1}
    assert (entry(session, longer.id).state, entry(session, shorter.id).state) == ("waiting", "offered")


def test_an_entry_that_fails_is_put_aside_and_holds_up_nobody(
    session: Session, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = wait(session, cast.anna, "scope", mode="book")
    sound = wait(session, cast.carla, "scope", mode="book")
    give = waitlist_queue._give

    def gives(session: Session, entry: WaitlistEntry, *more: Any) -> str:
        if entry.public_id == broken.id:
            raise ValueError("a poisoned row")
        return give(session, entry, *more)

    monkeypatch.setattr(waitlist_queue, "_give", gives)
    assert serve(session) == {"failed": 1, "waitlist_booked": 1}
    row = entry(session, broken.id)
    assert (row.due_attempts, row.due_error) == (1, "ValueError: a poisoned row")
    assert entry(session, sound.id).state == "taken"
    [line] = lists.lines(session, viewer=cast.mia)
    assert [each.error for each in line.entries] == ["ValueError: a poisoned row"]


def test_nobody_gets_a_second_offer_while_one_is_pending(session: Session, cast: Cast) -> None:
    mine = wait(session, cast.anna, "scope", "scope-2", **A_DAY)
    serve(session)
    set_in(session, WaitlistEntry, WaitlistEntry.public_id == mine.id, due_at=NOW)
    assert serve(session) == {}
    assert session.scalar(select(func.count()).select_from(Reservation)) == 1


@pytest.mark.parametrize("why", ["deactivated", "organisation", "qualification", "project"])
def test_nothing_is_offered_to_whoever_may_not_book_any_more(session: Session, cast: Cast, why: str) -> None:
    held = book(session, cast.bo, "hipot")
    first = wait(session, cast.bo, "hipot")
    if why == "project":
        waiting.withdraw(session, first.id, actor=cast.bo, now=NOW)
        first = wait(session, cast.anna, "scope", project="joint")
    cancel(session, cast.bo, held.id)
    match why:
        case "deactivated":
            set_in(session, User, User.id == cast.bo.id, active=False)
        case "organisation":
            ended = date(2026, 3, 1)
            set_in(session, Organisation, Organisation.slug == "alpha", may_book_until=ended)
        case "qualification":
            set_in(session, Qualification, Qualification.user_id == cast.bo.id, valid_until=date(2026, 3, 1))
        case _:
            set_in(session, Project, Project.slug == "joint", active=False)
    assert serve(session) == {}
    row = entry(session, first.id)
    assert (row.state, row.due_at) == ("waiting", NOW + LOOK_AGAIN)
    assert serve(session, MORNING["earliest"]) == {"waitlist_over": 1}


def test_when_its_time_is_over_the_entry_is_and_its_owner_hears_of_it(session: Session, cast: Cast) -> None:
    book(session, cast.carla, "scope")
    mine = wait(session, cast.anna, "scope")
    now = NOW
    while (due_at := entry(session, mine.id).due_at) is not None:
        now = due_at
        done = serve(session, now)
    assert (now, done) == (MORNING["earliest"], {"waitlist_over": 1})
    assert (entry(session, mine.id).state, kinds_told(session, cast.anna.id)) == ("ended", ["waitlist_over"])
    [message] = session.scalars(select(OutboxMessage).where(OutboxMessage.kind == "waitlist_over"))
    assert message.payload == {"path": "/waitlist", "words": "I wait"}


def test_what_wakes_nobody_is_seen_within_the_hour(session: Session, cast: Cast) -> None:
    mine = wait(session, cast.anna, "scope")
    set_in(session, Equipment, Equipment.slug == "scope", state="out_of_service")
    assert serve(session) == {}
    set_in(session, Equipment, Equipment.slug == "scope", state="in_service")
    assert serve(session, NOW + LOOK_AGAIN) == {"waitlist_offer": 1}
    assert entry(session, mine.id).state == "offered"


# --- what others see ----------------------------------------------------------------------------------


def test_to_a_competitor_an_offer_is_a_busy_block_like_any_other(session: Session, cast: Cast) -> None:
    offer = offered(session, cast.anna, "chamber").offer
    assert offer is not None
    day = Interval(at("2026-03-24 00:00"), at("2026-03-25 00:00"))
    found = calendar.read(session, calendar.Window(day), viewer=cast.carla)
    [busy] = found.busy
    assert (list(found.full), busy.equipment, busy.start) == ([], "chamber", at("2026-03-24 09:30"))
    with pytest.raises(NotFound):
        views.find(session, offer.reservation, viewer=cast.carla)
    assert lists.offered(session, offer.reservation, viewer=cast.carla) is None
    assert lists.offered(session, offer.reservation, viewer=cast.bo) is None


def test_the_story_of_one_chamber_and_three_who_want_it(session: Session, cast: Cast) -> None:
    held = book(session, cast.dorte, "chamber")
    decisions.approve(session, Decide(held.id), actor=cast.mia, now=NOW)
    asks = wait(session, cast.anna, "chamber")
    books = wait(session, cast.carla, "chamber", mode="book")
    assert serve(session) == {}
    given_back = NOW + timedelta(hours=1)
    cancel(session, cast.dorte, held.id, given_back)
    assert serve(session, given_back) == {"waitlist_offer": 1}
    assert kinds_told(session, cast.anna.id) == ["waitlist_offer"]
    assert kinds_told(session, cast.carla.id) == []
    lapses = given_back + timedelta(hours=4)
    assert serve(session, lapses) == {"waitlist_booked": 1}
    assert kinds_told(session, cast.anna.id) == ["waitlist_offer", "waitlist_over"]
    assert kinds_told(session, cast.carla.id) == ["waitlist_booked"]
    assert kinds_told(session, cast.mia.id)[-1] == "requested"
    assert "expired" not in kinds_told(session, cast.mia.id)
    row = entry(session, books.id)
    assert (entry(session, asks.id).state, row.state) == ("lapsed", "taken")
    assert entry(session, books.id).reservation is not None
    assert verify.verify(session) == []
