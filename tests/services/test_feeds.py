"""What each subscriber gets, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.orm import Session

from labbook.domain.errors import NotFound, Refused
from labbook.models import Allocation, Change, Equipment, Feed, ProjectMember, Reservation, User
from labbook.services import feeds, transaction
from tests.services.feed_world import BASE_URL, NOW, World, make_world

TOMORROW = NOW + timedelta(days=1)


@pytest.fixture
def world(session: Session) -> World:
    return make_world(session)


def test_mine_holds_what_somebody_holds_or_takes_part_in(world: World) -> None:
    world.book("ada", "Held by Ada", "scope")
    world.book("alf", "Ada takes part", "source", participants=["ada"])
    world.book("alf", "Alf's own", "chamber")
    assert world.sees("ada", "mine") == ["Held by Ada", "Ada takes part"]


def test_organisation_holds_what_colleagues_hold(world: World) -> None:
    world.book("ada", "Ours", "scope")
    world.book("bea", "Theirs", "source")
    assert world.sees("alf", "organisation") == ["Ours"]
    assert world.sees("bea", "organisation") == ["Theirs"]


def test_a_project_is_seen_by_its_members_from_every_organisation(world: World) -> None:
    world.book("ada", "Joint test", "scope", project="shared")
    assert world.sees("ben", "project:shared") == ["Joint test"]
    assert world.sees("alf", "project:shared") == ["Joint test"]


def test_equipment_shows_the_own_in_full_and_a_competitor_as_busy(world: World) -> None:
    world.book("ada", "Inverter EMC", "scope")
    assert world.sees("ada", "equipment:scope") == ["Inverter EMC"]
    assert world.sees("alf", "equipment:scope") == ["Inverter EMC"]
    assert world.sees("bea", "equipment:scope") == ["Busy: Scope"]
    for staff in ("tim", "mia", "eva"):
        assert world.sees(staff, "equipment:scope") == ["Inverter EMC"]


def test_a_facility_shows_everything_in_it_each_as_it_may_be_seen(world: World) -> None:
    world.book("ada", "Ours", "scope")
    world.book("bea", "Theirs", "source", project="secret")
    assert sorted(world.sees("ada", "facility:lab")) == ["Busy: Source", "Ours"]
    assert sorted(world.sees("bea", "facility:lab")) == ["Busy: Scope", "Theirs"]
    assert sorted(world.sees("mia", "facility:lab")) == ["Ours", "Theirs"]


def test_a_project_member_still_sees_strangers_without_a_project_as_busy(world: World) -> None:
    world.book("bea", "No project", "scope")
    assert world.sees("ada", "facility:lab") == ["Busy: Scope"]


def test_an_environment_shows_what_occupies_equipment_that_it_may_use(world: World) -> None:
    world.book("ada", "Damp heat run", "chamber", "source", environment="damp-heat")
    world.book("ada", "Elsewhere", "scope")
    assert world.sees("ada", "environment:damp-heat") == ["Damp heat run"]
    assert sorted(world.sees("bea", "environment:damp-heat")) == ["Busy: Chamber", "Busy: Source"]


def test_the_pieces_of_one_environment_are_not_linked_in_a_strangers_calendar(world: World) -> None:
    world.book("ada", "Damp heat run", "chamber", "source", environment="damp-heat")
    uids = [str(e["uid"]) for e in world.events(world.subscribe("bea", "facility:lab"))]
    assert uids == ["opaque000@labbook", "opaque001@labbook"]
    assert b"res00" not in world.body(world.subscribe("bea", "facility:lab"))


def test_approvals_holds_what_waits_for_a_manager(world: World) -> None:
    world.book("ada", "Please", "scope", status="requested")
    changing = world.book("bea", "Longer, please", "source")
    world.book("alf", "Settled", "chamber")

    def ask() -> None:
        row = world.session.scalars(select(Reservation).where(Reservation.public_id == changing)).one()
        change = Change(
            reservation_id=row.id, kind="change", proposed_by_id=row.holder_id, starts_at=row.starts_at,
            ends_at=row.ends_at + timedelta(hours=1), pieces=[], overridden=[], created_at=NOW,
        )  # fmt: skip
        world.session.add(change)

    world.write(ask)
    for manager in ("mia", "eva"):
        assert world.sees(manager, "approvals") == ["Please", "Longer, please"]


@pytest.mark.parametrize("who", ["ada", "tim"])
def test_only_managers_may_subscribe_to_approvals(world: World, who: str) -> None:
    with pytest.raises(Refused) as refused:
        world.subscribe(who, "approvals")
    assert [p.code for p in refused.value.problems] == ["feed_scope_not_yours"]


def test_a_manager_who_is_one_no_longer_has_an_empty_approvals_feed(world: World) -> None:
    world.book("ada", "Please", "scope", status="requested")
    secret = world.subscribe("mia", "approvals")
    assert world.titles(secret) == ["Please"]
    world.write(lambda: world.session.execute(update(User).where(User.name == "Mia").values(role="engineer")))
    assert world.titles(secret) == []


def test_a_project_of_others_is_as_unknown_as_one_that_does_not_exist(world: World) -> None:
    problems = []
    for slug in ("secret", "nonesuch"):
        with pytest.raises(Refused) as refused:
            world.subscribe("ada", f"project:{slug}")
        problems.append([(p.code, p.field) for p in refused.value.problems])
    assert problems == [[("unknown_project", "scope")]] * 2


@pytest.mark.parametrize("scope", ["", "all", "mine:x", "equipment", "user:ada", "equipment:nonesuch"])
def test_a_scope_that_does_not_exist_is_refused(world: World, scope: str) -> None:
    with pytest.raises(Refused):
        world.subscribe("ada", scope)


def test_leaving_a_project_takes_its_entries_away_at_once(world: World) -> None:
    world.book("ada", "Joint test", "scope", project="shared")
    secret = world.subscribe("ben", "project:shared")
    assert world.titles(secret) == ["Joint test"]
    transaction.write(
        world.session,
        lambda: world.session.execute(
            ProjectMember.__table__.delete().where(ProjectMember.user_id == world.viewers["ben"].id)
        ),
    )
    assert world.titles(secret) == []


def test_a_busy_block_is_the_occupied_interval_and_tells_nothing_else(world: World) -> None:
    world.book("ada", "Hush", "chamber", setup=1, teardown=2, status="requested", project="inverter")
    (block,) = world.events(world.subscribe("bea", "equipment:chamber"))
    assert block["dtstart"].dt == TOMORROW - timedelta(hours=1)
    assert block["dtend"].dt == TOMORROW + timedelta(hours=6)
    assert set(block) == {
        "UID", "SEQUENCE", "DTSTAMP", "LAST-MODIFIED", "DTSTART", "DTEND", "SUMMARY", "TRANSP", "LOCATION",
    }  # fmt: skip


def test_what_no_longer_blocks_is_gone_for_strangers_and_cancelled_for_those_who_see_it(world: World) -> None:
    booked = world.book("ada", "Called off", "scope")
    stranger = world.subscribe("bea", "equipment:scope")
    colleague = world.subscribe("alf", "equipment:scope")
    world.change(booked, status="cancelled", ended_at=NOW)
    assert world.events(stranger) == []
    (shown,) = world.events(colleague)
    assert (shown["status"], shown["sequence"]) == ("CANCELLED", 2)


@pytest.mark.parametrize("status", ["cancelled", "declined", "expired", "no_show"])
def test_what_was_called_off_is_shown_for_thirty_days(world: World, status: str) -> None:
    world.book("ada", "Off", "scope", status=status, ended_at=NOW)
    secret = world.subscribe("ada", "mine")
    assert world.titles(secret, NOW + timedelta(days=30)) == ["Off"]
    assert world.titles(secret, NOW + timedelta(days=31)) == []


def test_ninety_days_back_and_everything_ahead(world: World) -> None:
    world.book("ada", "Long past", "scope", start=NOW - timedelta(days=92), status="completed")
    world.book("ada", "Past", "scope", start=NOW - timedelta(days=89), status="completed")
    world.book("ada", "Far ahead", "scope", start=NOW + timedelta(days=900))
    assert world.sees("ada", "mine") == ["Past", "Far ahead"]


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("requested", "TENTATIVE"),
        ("approved", "CONFIRMED"),
        ("in_use", "CONFIRMED"),
        ("completed", "CONFIRMED"),
    ],
)
def test_a_status_is_shown_in_the_calendars_words(world: World, status: str, shown: str) -> None:
    world.book("ada", "Test", "scope", status=status)
    (entry,) = world.events(world.subscribe("ada", "mine"))
    assert entry["status"] == shown


def test_an_entry_in_full_tells_where_what_and_for_whom(world: World) -> None:
    world.book("ada", "Damp heat", "chamber", "scope", project="inverter")
    (entry,) = world.events(world.subscribe("ada", "mine"))
    assert str(entry["location"]) == "hall, Power lab"
    assert str(entry["url"]) == f"{BASE_URL}/reservations/res00"
    assert entry["categories"].cats == ["climate chamber", "oscilloscope", "economic"]
    assert str(entry["description"]) == ("Equipment: Chamber, Scope\nProject: Inverter\nHolder: Ada, Alpha")


def test_unattended_equipment_makes_nobody_busy_but_its_set_up_and_tear_down_do(world: World) -> None:
    world.book("ada", "Soak", "chamber", setup=0.5, teardown=1)
    shown = [
        (str(e["summary"]), str(e["transp"]), str(e["uid"]))
        for e in world.events(world.subscribe("ada", "mine"))
    ]
    assert shown == [
        ("Set-up: Soak", "OPAQUE", "res00-setup@labbook"),
        ("Soak", "TRANSPARENT", "res00@labbook"),
        ("Tear-down: Soak", "OPAQUE", "res00-teardown@labbook"),
    ]


def test_what_was_given_back_early_is_not_shown_as_used(world: World) -> None:
    booked = world.book("ada", "Short", "chamber", setup=0.5, teardown=1)
    secret = world.subscribe("ada", "mine")
    world.change(booked, status="completed", occupied_until=TOMORROW + timedelta(hours=2))
    shown = [(str(e["summary"]), e["dtend"].dt - TOMORROW) for e in world.events(secret)]
    assert shown == [("Set-up: Short", timedelta(0)), ("Short", timedelta(hours=2))]


def test_attended_equipment_keeps_its_set_up_within_one_opaque_entry(world: World) -> None:
    world.book("ada", "Probing", "scope", "chamber", setup=0.5)
    (entry,) = world.events(world.subscribe("ada", "mine"))
    assert (str(entry["summary"]), str(entry["transp"])) == ("Probing", "OPAQUE")


def test_a_reference_only_feed_holds_nothing_that_anybody_wrote(world: World) -> None:
    world.book("ada", "Hush", "chamber", setup=1, project="inverter")
    body = world.body(world.subscribe("ada", "mine", reference_only=True))
    assert b"SUMMARY:Reservation res00" in body
    for word in (b"Hush", b"Inverter", b"Ada", b"Alpha", b"economic"):
        assert word not in body


def test_a_calendar_speaks_its_subscribers_language(world: World) -> None:
    world.book("ada", "Hush", "chamber")
    world.write(lambda: world.session.execute(update(User).where(User.name == "Bea").values(locale="da")))
    assert world.sees("bea", "equipment:chamber") == ["Busy: Klimaskab"]


def test_sequence_grows_with_each_change_that_the_subscriber_may_see(world: World) -> None:
    booked = world.book("ada", "First", "scope")
    secret = world.subscribe("ada", "mine")
    seen = [world.events(secret)[0]["sequence"]]
    for title in ("Second", "Third"):
        world.change(booked, title=title)
        seen.append(world.events(secret)[0]["sequence"])
    assert seen == sorted(set(seen))


def test_a_change_that_the_subscriber_may_not_see_changes_neither_bytes_nor_tag(world: World) -> None:
    booked = world.book("ada", "Before", "scope", status="requested")
    secret = world.subscribe("bea", "facility:lab")
    before = feeds.read(world.session, secret, now=NOW, base_url=BASE_URL)
    later = NOW + timedelta(minutes=7)
    world.change(booked, later, title="After", notes="more", status="approved")
    world.book("ada", "Declined", "source", status="declined", ended_at=NOW)
    after = feeds.read(world.session, secret, now=later, base_url=BASE_URL)
    assert after.stamp != before.stamp
    assert (after.content, after.digest, after.modified) == (before.content, before.digest, before.modified)


def test_a_move_shows_in_a_strangers_calendar_as_the_blocks_own_next_sequence(world: World) -> None:
    world.book("ada", "Moves", "scope")
    secret = world.subscribe("bea", "equipment:scope")
    assert world.events(secret)[0]["sequence"] == 0
    moved = {
        "ends_at": TOMORROW + timedelta(hours=9),
        "sequence": 1,
        "changed_at": NOW + timedelta(minutes=1),
    }
    world.write(lambda: world.session.execute(update(Allocation).values(**moved)))
    assert world.events(secret)[0]["sequence"] == 1


def test_an_entry_that_leaves_moves_the_modification_date_forward(world: World) -> None:
    booked = world.book("ada", "Leaves", "scope")
    secret = world.subscribe("bea", "equipment:scope")
    before = feeds.read(world.session, secret, now=NOW, base_url=BASE_URL)
    world.change(booked, status="cancelled", ended_at=NOW)
    after = feeds.read(world.session, secret, now=NOW, base_url=BASE_URL)
    assert after.modified > before.modified
    assert after.digest != before.digest


def test_an_unchanged_feed_costs_one_query_and_a_changed_one_no_more_for_many_entries(world: World) -> None:
    secret = world.subscribe("ada", "facility:lab")
    statements: list[str] = []
    event.listen(world.session.get_bind(), "before_cursor_execute", lambda *a: statements.append(a[2]))

    def cost() -> int:
        statements.clear()
        world.body(secret)
        return len([s for s in statements if s.lstrip().upper().startswith("SELECT")])

    world.book("ada", "One", "scope")
    world.book("bea", "Other", "source")
    few = cost()
    assert cost() == 1
    for day in range(2, 12):
        world.book("ada", "More", "scope", start=NOW + timedelta(days=day))
        world.book("bea", "More", "source", start=NOW + timedelta(days=day))
    assert cost() == few <= 9


def test_what_changes_elsewhere_costs_a_look_and_no_rendering(world: World) -> None:
    world.book("ada", "Mine", "scope")
    secret = world.subscribe("bea", "equipment:scope")
    before = feeds.read(world.session, secret, now=NOW, base_url=BASE_URL)
    world.book("ada", "Elsewhere", "chamber")
    after = feeds.read(world.session, secret, now=NOW, base_url=BASE_URL)
    assert after.stamp != before.stamp
    assert after.content is before.content


def test_a_renamed_piece_of_equipment_shows_at_once(world: World) -> None:
    world.book("ada", "Mine", "scope")
    secret = world.subscribe("bea", "equipment:scope")
    world.body(secret)
    renamed = update(Equipment).where(Equipment.slug == "scope").values(name={"en": "Scope 1"})
    world.write(lambda: world.session.execute(renamed))
    assert world.titles(secret) == ["Busy: Scope 1"]


def test_a_new_day_is_read_anew(world: World) -> None:
    world.book("ada", "Off", "scope", status="cancelled", ended_at=NOW)
    secret = world.subscribe("ada", "mine")
    assert world.titles(secret, datetime(2026, 4, 26, 23, 59, tzinfo=UTC)) == ["Off"]
    assert world.titles(secret, datetime(2026, 4, 27, 0, 0, tzinfo=UTC)) == []


def test_only_the_hash_of_a_secret_is_kept(world: World) -> None:
    secret = world.subscribe("ada", "mine")
    stored = world.session.scalars(select(Feed)).one()
    assert secret not in repr(vars(stored))
    assert len(secret) >= 43


def test_one_feed_is_revoked_and_the_other_goes_on(world: World) -> None:
    first, second = world.subscribe("ada", "mine"), world.subscribe("ada", "organisation")
    ada = world.viewers["ada"]
    feeds.revoke(world.session, feeds.list_own(world.session, viewer=ada)[0].id, actor=ada, now=NOW)
    with pytest.raises(NotFound):
        world.body(first)
    world.body(second)
    assert [f.scope for f in feeds.list_own(world.session, viewer=ada)] == ["organisation"]


def test_nobody_revokes_the_feed_of_another(world: World) -> None:
    secret = world.subscribe("ada", "mine")
    ada, mia = world.viewers["ada"], world.viewers["mia"]
    with pytest.raises(NotFound):
        feeds.revoke(world.session, feeds.list_own(world.session, viewer=ada)[0].id, actor=mia, now=NOW)
    world.body(secret)


def test_whoever_holds_an_address_may_end_it(world: World) -> None:
    secret = world.subscribe("ada", "mine")
    feeds.revoke_address(world.session, secret, now=NOW)
    with pytest.raises(NotFound):
        world.body(secret)
    with pytest.raises(NotFound):
        feeds.revoke_address(world.session, secret, now=NOW)


def test_the_feeds_of_somebody_deactivated_are_unknown(world: World) -> None:
    secret = world.subscribe("ada", "mine")
    world.body(secret)
    transaction.write(
        world.session,
        lambda: world.session.execute(update(User).where(User.name == "Ada").values(active=False)),
    )
    with pytest.raises(NotFound):
        world.body(secret)


@pytest.mark.parametrize("secret", ["", "x", "../../etc/passwd", "é\ud800"])
def test_an_address_that_was_never_made_is_unknown(world: World, secret: str) -> None:
    with pytest.raises(NotFound):
        world.body(secret)


def test_last_use_is_noted_at_most_every_five_minutes(world: World) -> None:
    secret = world.subscribe("ada", "mine")

    def used_at(minutes: int) -> datetime | None:
        world.body(secret, NOW + timedelta(minutes=minutes))
        world.session.rollback()
        return feeds.list_own(world.session, viewer=world.viewers["ada"])[0].last_used_at

    assert [used_at(m) for m in (0, 4, 5, 9)] == [
        NOW, NOW, NOW + timedelta(minutes=5), NOW + timedelta(minutes=5),
    ]  # fmt: skip
