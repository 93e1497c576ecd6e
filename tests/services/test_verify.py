from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.capability import parse_need
from labbook.models import guards
from labbook.services import changes, decisions, reservations, sweep, verify
from labbook.services.commands import ChangeReservation, Decide
from tests.cast import NOW, Cast, at
from tests.services.test_reservations import book, wish


def found(session: Session) -> list[str]:
    return [breach.code for breach in verify.verify(session)]


def tamper(session: Session, *statements: str, **values: object) -> None:
    """Write past every guard, as somebody with a database shell can, and put the guards back."""
    session.rollback()
    connection = session.connection(execution_options={"labbook_write": True})
    if connection.dialect.name == "sqlite":
        triggers = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all()
        for name in triggers:
            connection.execute(text(f"DROP TRIGGER {name}"))
    else:
        connection.execute(text(f"ALTER TABLE allocations DROP CONSTRAINT {guards.NO_OVERLAP}"))
        connection.execute(text("SET LOCAL session_replication_role = replica"))
    for statement in statements:
        connection.execute(text(statement), values)
    if connection.dialect.name == "sqlite":
        guards.install(connection)
    session.commit()
    session.expire_all()


def only_guard_may_miss(codes: list[str]) -> list[str]:
    """PostgreSQL would not take its constraint back over rows that overlap."""
    return [code for code in codes if code != "guard_missing"]


def test_after_a_full_story_every_promise_holds(session: Session, cast: Cast) -> None:
    chamber = book(session, cast.anna, "chamber").id
    decisions.approve(session, Decide(chamber), actor=cast.mia, now=NOW)
    wish = ChangeReservation(start=at("2026-03-25 10:00"), end=at("2026-03-25 12:00"))
    changes.change(session, chamber, wish, revision=None, actor=cast.anna, now=NOW)
    book(session, cast.anna, "scope", "source")
    book(session, cast.carla, "cycler:3")
    given_back = book(session, cast.bo, "scope-2").id
    sweep.sweep(session, now=at("2026-03-24 10:30"))
    decisions.check_in(session, Decide(chamber), actor=cast.anna, now=at("2026-03-24 10:45"))
    decisions.check_out(session, Decide(given_back), actor=cast.bo, now=at("2026-03-24 11:00"))
    assert verify.verify(session) == []
    sweep.sweep(session, now=at("2026-03-26 10:30"))
    assert verify.verify(session) == []


@pytest.mark.parametrize(
    ("sqlite", "postgresql", "guard"),
    [
        ("DROP TRIGGER history_frozen", "DROP TRIGGER history_frozen ON history", "history_frozen"),
        (
            "DROP TRIGGER draws_budget_insert",
            "ALTER TABLE draws DISABLE TRIGGER draws_budget",
            "draws_budget",
        ),
        (
            "DROP TRIGGER allocations_overlap_update",
            f"ALTER TABLE allocations DROP CONSTRAINT {guards.NO_OVERLAP}",
            "overlap",
        ),
    ],
)
def test_a_guard_taken_away_is_missed(session: Session, sqlite: str, postgresql: str, guard: str) -> None:
    name = session.get_bind().dialect.name
    session.execute(text(sqlite if name == "sqlite" else postgresql))
    session.commit()
    [breach] = verify.verify(session)
    assert breach.code == "guard_missing"
    assert guard in breach.params["guard"]


def test_a_guard_that_was_hollowed_out_is_noticed(session: Session) -> None:
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text("DROP TRIGGER history_kept"))
        session.execute(text("CREATE TRIGGER history_kept BEFORE DELETE ON history BEGIN SELECT 1; END"))
    else:
        hollow = "BEGIN RETURN OLD; END"
        session.execute(
            text(
                "CREATE OR REPLACE FUNCTION labbook_guard_history() RETURNS trigger "
                f"LANGUAGE plpgsql AS $$ {hollow} $$"
            )
        )
    session.commit()
    assert found(session) == ["guard_altered"]


def test_an_overlap_is_found_although_the_row_denies_that_it_blocks(session: Session, cast: Cast) -> None:
    book(session, cast.anna, "scope")
    other = book(session, cast.carla, "scope", start="2026-03-24 12:00", end="2026-03-24 13:00")
    place = "(SELECT min(place_id) FROM allocations)"
    mine = "(SELECT id FROM reservations WHERE public_id = :other)"
    tamper(
        session,
        f"UPDATE allocations SET starts_at = (SELECT min(starts_at) FROM allocations), place_id = {place}, "
        f"blocking = false WHERE reservation_id = {mine}",
        "UPDATE reservations SET starts_at = (SELECT min(starts_at) FROM reservations), "
        "occupied_from = (SELECT min(starts_at) FROM reservations), "
        "due_at = (SELECT min(starts_at) FROM reservations) WHERE public_id = :other",
        other=other.id,
    )
    assert only_guard_may_miss(found(session)) == ["overlap", "blocking_differs"]


HOT = {"temperature": parse_need("85 degC").stored()}
COLD = {"temperature": parse_need("-40 degC").stored()}


def soak(session: Session, who: Viewer) -> object:
    return reservations.request(session, replace(wish("cycler:2"), ambient=HOT), actor=who, now=NOW)


def stated(session: Session, cast: Cast, amount: str) -> object:
    asked = replace(wish("source"), holder=cast.anna.email, reason="Measured", draws={"feeder-a": amount})
    return reservations.request(session, asked, actor=cast.mia, now=NOW)


TAMPERINGS: dict[str, tuple[Callable[[Session, Cast], object], list[str], list[str]]] = {
    "a budget overdrawn": (
        lambda session, cast: book(session, cast.anna, "source"),
        ["UPDATE draws SET amount = 10001"],
        ["over_budget"],
    ),
    "a draw that nobody stated": (
        lambda session, cast: stated(session, cast, "4 kVA"),
        ["UPDATE draws SET amount = 6000"],
        ["draws_differ"],
    ),
    "a draw where none was stated": (
        lambda session, cast: stated(session, cast, "4 kVA"),
        ["UPDATE reservations SET draws_stated = '{\"feeder-a\": 0}'"],
        ["draws_differ"],
    ),
    "a hot and a cold test in one chamber": (
        lambda session, cast: [soak(session, cast.anna), soak(session, cast.carla)],
        [
            f"UPDATE reservations SET ambient = '{json.dumps(COLD)}' "
            "WHERE id = (SELECT max(id) FROM reservations)"
        ],
        ["other_ambient"],
    ),
    "a status written by hand": (
        lambda session, cast: book(session, cast.anna, "scope"),
        ["UPDATE reservations SET status = 'cancelled', due_at = NULL"],
        ["blocking_differs", "history_differs"],
    ),
    "a place taken away": (
        lambda session, cast: book(session, cast.anna, "cycler:3"),
        ["DELETE FROM allocations WHERE id = (SELECT min(id) FROM allocations)"],
        ["places_differ"],
    ),
    "a piece that occupies nothing": (
        lambda session, cast: book(session, cast.anna, "scope", "scope-2"),
        ["DELETE FROM pieces WHERE equipment_id = (SELECT max(equipment_id) FROM pieces)"],
        ["places_differ"],
    ),
    "a tear-down cut off": (
        lambda session, cast: book(session, cast.anna, "chamber"),
        ["UPDATE allocations SET ends_at = (SELECT ends_at FROM reservations)"],
        ["span_differs"],
    ),
    "a history with its end torn off": (
        lambda session, cast: book(session, cast.anna, "scope"),
        ["DELETE FROM history WHERE action = 'approve'"],
        ["history_differs"],
    ),
    "no history at all": (
        lambda session, cast: book(session, cast.anna, "scope"),
        ["DELETE FROM history"],
        ["history_differs"],
    ),
    "a row that the scheduler would never see": (
        lambda session, cast: book(session, cast.anna, "scope"),
        ["UPDATE reservations SET due_at = NULL"],
        ["due_differs"],
    ),
    "a message that nobody will send": (
        lambda session, cast: book(session, cast.anna, "chamber"),
        ["UPDATE outbox SET due_at = NULL WHERE id = (SELECT min(id) FROM outbox)"],
        ["message_lost"],
    ),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_every_kind_of_tampering_is_found(session: Session, cast: Cast, what: str) -> None:
    prepare, statements, codes = TAMPERINGS[what]
    prepare(session, cast)
    assert found(session) == []
    tamper(session, *statements)
    assert only_guard_may_miss(found(session)) == codes


def test_a_change_left_open_by_a_reservation_that_ended_is_found(session: Session, cast: Cast) -> None:
    chamber = book(session, cast.anna, "chamber").id
    decisions.approve(session, Decide(chamber), actor=cast.mia, now=NOW)
    wish = ChangeReservation(start=at("2026-03-25 10:00"), end=at("2026-03-25 12:00"))
    changes.change(session, chamber, wish, revision=None, actor=cast.anna, now=NOW)
    tamper(session, "UPDATE changes SET state = 'declined'")
    assert only_guard_may_miss(found(session)) == ["change_holds"]


def test_a_row_put_aside_after_a_failure_is_no_breach(
    session: Session, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    book(session, cast.anna, "scope")

    def failing(*_: object, **__: object) -> None:
        raise RuntimeError("poisoned")

    monkeypatch.setattr("labbook.services.steps.journal.record", failing)
    sweep.sweep(session, now=at("2026-03-24 10:00") + timedelta(seconds=1))
    assert found(session) == []
