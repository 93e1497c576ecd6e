from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, NotFound, Refused, StaleRevision, WrongStatus
from labbook.models import Allocation, Equipment, HistoryEntry, Organisation, OutboxMessage, Reservation, User
from labbook.services import changes, decisions, reservation_views, reservations
from labbook.services.commands import ChangeReservation, Decide, RequestReservation, Wanted
from labbook.services.reservation_views import ReservationView
from tests.cast import NOW, Cast, at


def wish(
    *slugs: str, start: str = "2026-03-24 10:00", end: str = "2026-03-24 12:00", **more: object
) -> RequestReservation:
    equipment = tuple(Wanted(s.partition(":")[0], int(s.partition(":")[2] or 1)) for s in slugs)
    return RequestReservation(
        equipment=equipment, start=at(start), end=at(end), **{"title": "A test", **more}
    )  # type: ignore[arg-type]


def book(session: Session, actor: Viewer, *slugs: str, **more: object) -> ReservationView:
    return reservations.request(session, wish(*slugs, **more), actor=actor, now=NOW)  # type: ignore[arg-type]


def codes(refused: pytest.ExceptionInfo[Refused]) -> set[str]:
    return {p.code for p in refused.value.problems}


def test_an_oscilloscope_is_approved_by_itself_and_the_history_names_the_rule(
    session: Session, cast: Cast
) -> None:
    view = book(session, cast.anna, "scope")
    assert view.status == "approved"
    assert [(h.action, h.rule) for h in view.history] == [("request", None), ("approve", "automatic")]


def test_a_chamber_waits_for_a_manager_and_occupies_set_up_and_tear_down(
    session: Session, cast: Cast
) -> None:
    view = book(session, cast.anna, "chamber")
    assert view.status == "requested"
    assert view.occupied_start == at("2026-03-24 09:30")
    assert view.occupied_end == at("2026-03-24 12:30")
    told = session.scalars(select(OutboxMessage.user_id)).all()
    assert set(told) == {cast.mia.id, cast.max.id}


def test_a_second_reservation_of_the_same_time_is_a_conflict_that_names_the_stretch(
    session: Session, cast: Cast
) -> None:
    book(session, cast.anna, "scope")
    with pytest.raises(Refused) as refused:
        book(session, cast.carla, "scope", start="2026-03-24 11:00", end="2026-03-24 13:00")
    assert not refused.value.problems
    [conflict] = refused.value.conflicts
    assert (conflict.equipment, conflict.start, conflict.end) == (
        "scope",
        at("2026-03-24 11:00"),
        at("2026-03-24 12:00"),
    )


def test_half_open_neighbours_do_not_touch(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "scope")
    assert (
        book(session, cast.carla, "scope", start="2026-03-24 12:00", end="2026-03-24 13:00").status
        == "approved"
    )


def test_all_parts_or_none(session: Session, cast: Cast) -> None:
    book(session, cast.carla, "scope")
    with pytest.raises(Refused):
        book(session, cast.anna, "scope", "scope-2")
    assert session.scalar(select(func.count()).select_from(Reservation)) == 1


def test_places_are_shared_until_they_run_out(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "cycler:3")
    book(session, cast.carla, "cycler:1")
    with pytest.raises(Refused) as refused:
        book(session, cast.dorte, "cycler:1")
    assert refused.value.conflicts
    with pytest.raises(Refused) as refused:
        book(session, cast.dorte, "cycler:5")
    assert codes(refused) == {"too_many_places"}


def test_every_problem_is_returned_at_once(session: Session, cast: Cast) -> None:
    book(session, cast.carla, "scope")
    with pytest.raises(Refused) as refused:
        reservations.request(
            session,
            replace(
                wish("scope", "nothing", end="2026-03-24 11:07"),
                title="x" * 301 + "\x00",
                project="none",
                participants=("who@x",),
            ),
            actor=cast.anna,
            now=NOW,
        )
    assert codes(refused) == {
        "text_too_long",
        "control_characters",
        "unknown_equipment",
        "unknown_project",
        "unknown_participant",
        "off_grid",
    }
    assert refused.value.conflicts


@pytest.mark.parametrize(
    ("start", "end", "code"),
    [
        ("2026-03-24 12:00", "2026-03-24 10:00", "end_before_start"),
        ("2026-03-22 12:00", "2026-03-22 14:00", "in_the_past"),
        ("2027-06-22 12:00", "2027-06-22 14:00", "beyond_horizon"),
        ("2026-03-24 12:00", "2026-07-24 14:00", "too_long"),
        ("2026-03-24 12:05", "2026-03-24 14:00", "off_grid"),
    ],
)
def test_slots_obey_the_policy(session: Session, cast: Cast, start: str, end: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        book(session, cast.anna, "scope", start=start, end=end)
    assert code in codes(refused)


def test_a_slot_across_the_spring_change_lasts_an_hour_less(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "scope", start="2026-03-29 00:00", end="2026-03-29 06:00")
    assert view.end - view.start == timedelta(hours=5)


def test_the_feeder_is_not_overdrawn(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "source")
    with pytest.raises(Refused) as refused:
        book(session, cast.carla, "source-2")
    assert codes(refused) == {"over_budget"}
    assert (
        book(session, cast.carla, "source-2", start="2026-03-24 12:00", end="2026-03-24 13:00").status
        == "approved"
    )


def test_attended_equipment_asks_for_staffed_hours_and_a_qualification(session: Session, cast: Cast) -> None:
    with pytest.raises(Refused) as refused:
        book(session, cast.anna, "hipot", start="2026-03-24 15:00", end="2026-03-24 17:00")
    assert codes(refused) == {"unstaffed", "qualification_missing"}
    assert book(session, cast.bo, "hipot").status == "approved"
    with pytest.raises(Refused) as refused:  # 2026-04-03 is Good Friday
        book(session, cast.bo, "hipot", start="2026-04-03 10:00", end="2026-04-03 11:00")
    assert codes(refused) == {"unstaffed"}


def test_a_manager_sets_a_rule_aside_for_somebody_else_with_a_reason_and_never_for_themselves(
    session: Session, cast: Cast
) -> None:
    command = wish("hipot", override=("qualification_missing",), holder=cast.anna.email)
    with pytest.raises(Refused) as refused:
        reservations.request(session, command, actor=cast.mia, now=NOW)
    assert "reason_missing" in codes(refused)
    view = reservations.request(
        session, replace(command, reason="Tom stands beside her"), actor=cast.mia, now=NOW
    )
    assert (view.holder.email, view.overridden) == (cast.anna.email, ["qualification_missing"])
    with pytest.raises(Refused):
        reservations.request(
            session, replace(command, holder=None, reason="I know it"), actor=cast.mia, now=NOW
        )


def test_another_company_does_not_learn_that_a_reservation_exists(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "scope")
    with pytest.raises(NotFound):
        reservation_views.find(session, view.id, viewer=cast.carla)
    with pytest.raises(NotFound):
        decisions.cancel(session, Decide(view.id), actor=cast.carla, now=NOW)
    for sees in (cast.anna, cast.bo, cast.mia, cast.tom, cast.ada):
        assert reservation_views.find(session, view.id, viewer=sees).title == "A test"


def test_a_project_opens_its_reservations_to_members_of_other_organisations(
    session: Session, cast: Cast
) -> None:
    view = book(session, cast.anna, "scope", project="joint", participants=(cast.dorte.email,))
    assert reservation_views.find(session, view.id, viewer=cast.dorte).activity == "collaboration"


def test_a_request_is_approved_declined_or_cancelled_by_those_who_may(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "chamber")
    with pytest.raises(Forbidden):
        decisions.approve(session, Decide(view.id), actor=cast.tom, now=NOW)
    with pytest.raises(Forbidden):
        decisions.approve(session, Decide(view.id), actor=cast.anna, now=NOW)
    with pytest.raises(StaleRevision):
        decisions.approve(session, Decide(view.id, revision=7), actor=cast.mia, now=NOW)
    approved = decisions.approve(session, Decide(view.id, revision=1), actor=cast.mia, now=NOW)
    assert (approved.status, approved.revision) == ("approved", 2)
    with pytest.raises(WrongStatus):
        decisions.decline(session, Decide(view.id, reason="too late"), actor=cast.mia, now=NOW)
    cancelled = decisions.cancel(session, Decide(view.id), actor=cast.anna, now=NOW)
    assert (cancelled.status, cancelled.cancel_cause) == ("cancelled", "user")
    assert book(session, cast.carla, "chamber").status == "requested"


def test_declining_needs_a_reason(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "chamber")
    with pytest.raises(Refused) as refused:
        decisions.decline(session, Decide(view.id, reason="  "), actor=cast.mia, now=NOW)
    assert codes(refused) == {"reason_missing"}
    declined = decisions.decline(
        session, Decide(view.id, reason="No lift that week"), actor=cast.mia, now=NOW
    )
    assert declined.history[-1].reason == "No lift that week"
    assert not session.scalar(select(func.count()).select_from(Allocation).where(Allocation.blocking))


def test_a_manager_does_not_approve_their_own_request_where_there_is_another(
    session: Session, cast: Cast
) -> None:
    view = book(session, cast.mia, "chamber")
    with pytest.raises(Forbidden):
        decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    assert decisions.approve(session, Decide(view.id), actor=cast.max, now=NOW).status == "approved"


def test_check_in_from_the_start_of_set_up_and_hand_back_early(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "chamber")
    decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    with pytest.raises(Refused) as refused:
        decisions.check_in(session, Decide(view.id), actor=cast.anna, now=at("2026-03-24 09:29"))
    assert codes(refused) == {"too_early"}
    assert (
        decisions.check_in(session, Decide(view.id), actor=cast.tom, now=at("2026-03-24 09:30")).status
        == "in_use"
    )
    done = decisions.check_out(session, Decide(view.id), actor=cast.anna, now=at("2026-03-24 11:00"))
    assert (done.status, done.occupied_end) == ("completed", at("2026-03-24 11:00"))
    later = reservations.request(
        session,
        wish("scope", "chamber", start="2026-03-24 11:30", end="2026-03-24 12:00"),
        actor=cast.carla,
        now=at("2026-03-24 11:00"),
    )
    assert later.status == "requested"


def test_use_now_is_free_of_the_grid_and_begins_at_once(session: Session, cast: Cast) -> None:
    now = NOW + timedelta(minutes=7, seconds=13)
    view = reservations.request(
        session,
        replace(wish("scope"), start=now, end=now + timedelta(hours=1), use_now=True),
        actor=cast.anna,
        now=now,
    )
    assert (view.status, view.start) == ("in_use", now)


def test_use_now_is_not_for_what_a_manager_approves(session: Session, cast: Cast) -> None:
    with pytest.raises(Refused) as refused:
        book(session, cast.anna, "chamber", use_now=True)
    assert "use_now_needs_approval" in codes(refused)


def test_a_manager_enters_afterwards_what_happened(session: Session, cast: Cast) -> None:
    view = book(
        session, cast.mia, "chamber", start="2026-03-20 10:00", end="2026-03-20 12:00", holder=cast.anna.email
    )
    assert view.status == "completed"
    with pytest.raises(Refused):
        book(session, cast.tom, "chamber", start="2026-03-20 10:00", end="2026-03-20 12:00")


def test_nobody_enters_afterwards_for_themselves_what_another_manager_would_have_to_approve(
    session: Session, cast: Cast
) -> None:
    past = {"start": "2026-03-23 08:30", "end": "2026-03-23 12:00"}
    with pytest.raises(Refused) as refused:
        book(session, cast.mia, "chamber", **past)
    assert codes(refused) == {"not_for_oneself"}
    assert book(session, cast.mia, "scope", **past).status == "in_use"
    session.connection(execution_options={"labbook_write": True})
    session.execute(update(User).where(User.id == cast.max.id).values(active=False))
    session.commit()
    assert book(session, cast.mia, "chamber", **past).status == "in_use"


def test_a_blocks_holder_is_staff_also_after_a_transfer(session: Session, cast: Cast) -> None:
    with pytest.raises(Refused) as refused:
        book(session, cast.tom, "chamber", kind="block", holder=cast.carla.email)
    assert codes(refused) == {"block_is_staffs"}
    block = book(session, cast.tom, "chamber", kind="block", holder=cast.mia.email)
    with pytest.raises(Refused) as refused:
        decisions.transfer(session, Decide(block.id, to=cast.anna.email), actor=cast.mia, now=NOW)
    assert codes(refused) == {"block_is_staffs"}
    taken = decisions.transfer(session, Decide(block.id, to=cast.max.email), actor=cast.mia, now=NOW)
    assert taken.holder.email == cast.max.email


def test_a_manager_cannot_hand_themselves_what_they_approved_for_another(
    session: Session, cast: Cast
) -> None:
    asked = book(session, cast.mia, "chamber", holder=cast.tom.email)
    decisions.approve(session, Decide(asked.id), actor=cast.mia, now=NOW)
    with pytest.raises(Forbidden):
        decisions.transfer(session, Decide(asked.id, to=cast.mia.email), actor=cast.mia, now=NOW)
    given = decisions.transfer(session, Decide(asked.id, to=cast.mia.email), actor=cast.max, now=NOW)
    assert given.holder.email == cast.mia.email


def test_a_transfer_asks_what_the_new_holders_organisation_may_book(session: Session, cast: Cast) -> None:
    asked = book(session, cast.anna, "chamber")
    session.connection(execution_options={"labbook_write": True})
    session.execute(
        update(Organisation).where(Organisation.slug == "beta").values(bookable_categories=["oscilloscope"])
    )
    session.commit()
    with pytest.raises(Refused) as refused:
        decisions.transfer(session, Decide(asked.id, to=cast.carla.email), actor=cast.mia, now=NOW)
    assert codes(refused) == {"organisation_category"}


def test_use_now_is_a_check_in_and_held_to_its_rules(session: Session, cast: Cast) -> None:
    session.connection(execution_options={"labbook_write": True})
    session.execute(
        update(Equipment)
        .where(Equipment.slug == "scope")
        .values(calibrated_on=date(2020, 1, 1), calibration_interval="P1Y")
    )
    session.commit()
    asked = replace(wish("scope", start="2026-03-23 09:00", end="2026-03-23 10:00"), use_now=True)
    with pytest.raises(Refused) as refused:
        reservations.request(session, replace(asked, traceable=True), actor=cast.anna, now=NOW)
    assert "calibration_lapsed" in codes(refused)
    assert reservations.request(session, asked, actor=cast.anna, now=NOW).status == "in_use"


def test_use_now_of_what_is_set_up_first_is_occupied_from_now_on_and_not_before(
    session: Session, cast: Cast
) -> None:
    session.connection(execution_options={"labbook_write": True})
    session.execute(update(Equipment).where(Equipment.slug == "scope").values(setup=900))
    session.commit()
    view = book(session, cast.anna, "scope", start="2026-03-23 09:00", end="2026-03-23 10:00", use_now=True)
    assert (view.occupied_start, view.start) == (NOW, NOW + timedelta(minutes=15))
    assert view.checked_in_at == NOW


def test_whoever_proposed_it_does_not_accept_it_for_the_other_side(session: Session, cast: Cast) -> None:
    asked = book(session, cast.mia, "chamber", holder=cast.anna.email)
    later = ChangeReservation(start=at("2026-03-24 13:00"), end=at("2026-03-24 15:00"))
    changes.propose(session, asked.id, later, revision=None, actor=cast.mia, now=NOW)
    approved = decisions.approve(session, Decide(asked.id), actor=cast.mia, now=NOW)
    assert (approved.status, approved.start) == ("approved", asked.start)


def test_a_block_is_staffs_and_approved_at_once(session: Session, cast: Cast) -> None:
    with pytest.raises(Forbidden):
        book(session, cast.anna, "chamber", kind="block")
    view = book(session, cast.tom, "chamber", kind="block")
    assert (view.status, view.kind, view.activity) == ("approved", "block", "maintenance")


def test_moving_a_request_moves_it_at_once(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "chamber")
    moved = changes.change(
        session,
        view.id,
        ChangeReservation(start=at("2026-03-24 10:30"), end=at("2026-03-24 12:30")),
        revision=1,
        actor=cast.anna,
        now=NOW,
    )
    assert (moved.status, moved.start, moved.pending_change) == ("requested", at("2026-03-24 10:30"), None)


def test_moving_an_approved_chamber_waits_and_holds_only_what_it_adds(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "chamber")
    decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    wished = ChangeReservation(start=at("2026-03-24 11:00"), end=at("2026-03-24 15:00"))
    moved = changes.change(session, view.id, wished, revision=None, actor=cast.anna, now=NOW)
    assert moved.status == "approved"
    assert moved.start == at("2026-03-24 10:00")
    assert moved.pending_change is not None
    spans = session.execute(
        select(Allocation.starts_at, Allocation.ends_at)
        .where(Allocation.blocking)
        .order_by(Allocation.starts_at)
    ).all()
    assert [tuple(s) for s in spans] == [
        (at("2026-03-24 09:30"), at("2026-03-24 12:30")),
        (at("2026-03-24 12:30"), at("2026-03-24 15:30")),
    ]
    accepted = decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    assert (accepted.start, accepted.end, accepted.pending_change) == (
        at("2026-03-24 11:00"),
        at("2026-03-24 15:00"),
        None,
    )
    spans = session.execute(select(Allocation.starts_at, Allocation.ends_at).where(Allocation.blocking)).all()
    assert [tuple(s) for s in spans] == [(at("2026-03-24 10:30"), at("2026-03-24 15:30"))]


def test_declining_a_change_keeps_the_reservation_as_it_was(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "chamber")
    decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    changes.change(
        session,
        view.id,
        ChangeReservation(end=at("2026-03-24 15:00")),
        revision=None,
        actor=cast.anna,
        now=NOW,
    )
    kept = decisions.decline(session, Decide(view.id, reason="no"), actor=cast.mia, now=NOW)
    assert (kept.status, kept.end, kept.pending_change) == ("approved", at("2026-03-24 12:00"), None)
    assert session.scalar(select(func.count()).select_from(Allocation)) == 1


def test_a_proposal_is_accepted_by_the_holder_and_is_then_approved(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "chamber")
    wished = ChangeReservation(start=at("2026-03-25 10:00"), end=at("2026-03-25 12:00"))
    with pytest.raises(Forbidden):
        changes.propose(session, view.id, wished, revision=None, actor=cast.anna, now=NOW)
    proposed = changes.propose(session, view.id, wished, revision=None, actor=cast.mia, now=NOW)
    assert proposed.pending_change is not None
    with pytest.raises(Refused):
        book(session, cast.carla, "chamber", start="2026-03-25 10:00", end="2026-03-25 12:00")
    accepted = decisions.approve(session, Decide(view.id), actor=cast.anna, now=NOW)
    assert (accepted.status, accepted.start) == ("approved", at("2026-03-25 10:00"))
    assert book(session, cast.carla, "chamber").status == "requested"


def test_cancelling_drops_what_a_pending_change_held(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "chamber")
    decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    changes.change(
        session,
        view.id,
        ChangeReservation(end=at("2026-03-24 15:00")),
        revision=None,
        actor=cast.anna,
        now=NOW,
    )
    cancelled = decisions.cancel(session, Decide(view.id), actor=cast.anna, now=NOW)
    assert cancelled.pending_change is None
    assert not session.scalar(
        select(func.count()).select_from(Allocation).where(Allocation.change_id.is_not(None))
    )


def test_extending_goes_on_only_while_nobody_is_next(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "scope", start="2026-03-23 09:00", end="2026-03-23 10:00", use_now=True)
    book(session, cast.carla, "scope", start="2026-03-23 12:00", end="2026-03-23 13:00")
    now = at("2026-03-23 09:45")
    longer = decisions.extend(
        session, Decide(view.id, until=at("2026-03-23 12:00")), actor=cast.anna, now=now
    )
    assert longer.end == at("2026-03-23 12:00")
    with pytest.raises(Refused) as refused:
        decisions.extend(session, Decide(view.id, until=at("2026-03-23 12:15")), actor=cast.anna, now=now)
    assert refused.value.conflicts


def test_retitling_needs_no_approval_and_the_title_is_not_copied_into_the_history(
    session: Session, cast: Cast
) -> None:
    view = book(session, cast.anna, "chamber")
    edited = changes.change(
        session, view.id, ChangeReservation(title="Secret inverter"), revision=1, actor=cast.anna, now=NOW
    )
    assert (edited.title, edited.revision) == ("Secret inverter", 2)
    stored = session.scalars(select(HistoryEntry.new)).all()
    assert "Secret" not in str(stored)


def test_transfer_to_a_colleague_and_not_to_a_competitor(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "scope")
    with pytest.raises(Refused) as refused:
        decisions.transfer(session, Decide(view.id, to=cast.carla.email), actor=cast.anna, now=NOW)
    assert codes(refused) == {"unknown_user"}
    assert (
        decisions.transfer(session, Decide(view.id, to=cast.bo.email), actor=cast.anna, now=NOW).holder.email
        == cast.bo.email
    )


def test_a_thread_tells_the_other_side(session: Session, cast: Cast) -> None:
    view = book(session, cast.anna, "chamber")
    decisions.message(session, Decide(view.id, text="How heavy is it?"), actor=cast.mia, now=NOW)
    answered = decisions.message(session, Decide(view.id, text="12 kg"), actor=cast.anna, now=NOW)
    assert [(m.author, m.by_staff, m.text) for m in answered.messages] == [
        ("Mia", True, "How heavy is it?"),
        ("Anna", False, "12 kg"),
    ]


def test_a_repeated_request_with_the_same_key_makes_one_reservation(session: Session, cast: Cast) -> None:
    command = replace(wish("scope"), idempotency_key="k", fingerprint="f")
    first = reservations.request(session, command, actor=cast.anna, now=NOW)
    again = reservations.request(session, command, actor=cast.anna, now=NOW)
    assert first.id == again.id
    with pytest.raises(Refused) as refused:
        reservations.request(session, replace(command, fingerprint="other"), actor=cast.anna, now=NOW)
    assert codes(refused) == {"idempotency_key_reused"}


def test_a_dry_run_keeps_nothing(session: Session, cast: Cast) -> None:
    assert (
        reservations.request(session, replace(wish("scope"), dry_run=True), actor=cast.anna, now=NOW).status
        == "approved"
    )
    assert not session.scalar(select(func.count()).select_from(Reservation))
