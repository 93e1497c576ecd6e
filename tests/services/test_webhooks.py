"""Rigs are told of their windows: every opening and closing, in order, signed, whatever the rig does."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.orm import Session

from labbook.formats.signature import secret_of
from labbook.models import Equipment, Reservation, Webhook, WebhookDelivery
from labbook.services import (
    calling,
    changes,
    decisions,
    reservations,
    rig_calls,
    sweep,
    transaction,
    webhooks,
)
from labbook.services.commands import ChangeReservation, Decide, RequestReservation, Wanted
from tests.cast import NOW, Cast, at
from tests.rig import Rig, until
from tests.services.test_reservations import book
from tests.services.test_sweep import approved_chamber, stored

ROOT = Path(__file__).resolve().parents[2]
SECRET = secret_of(b"k" * 32)
START, END = at("2026-03-24 10:00"), at("2026-03-24 12:00")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig().open() as found:
        yield found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As patient as in life, on a smaller scale."""
    monkeypatch.setattr(calling, "TO_CONNECT", 0.3)
    monkeypatch.setattr(calling, "TO_READ", 0.5)


def hook(session: Session, cast: Cast, rig: Rig, slug: str = "scope", **more: object) -> int:
    def work() -> int:
        equipment_id = session.scalars(select(Equipment.id).where(Equipment.slug == slug)).one()
        values = {"url": rig.url, "secret": SECRET, "active": True, "created_by_id": cast.mia.id}
        row = Webhook(equipment_id=equipment_id, created_at=NOW, **(values | more))
        session.add(row)
        session.flush()
        return row.id

    return transaction.write(session, work)


def deliver(session: Session, now: datetime) -> dict[str, int]:
    """All that is due, in as many passes as a slow machine needs for it."""
    done: Counter[str] = Counter()
    while more := rig_calls.deliver_due(session, now=now):
        done += more
    return dict(done)


def deliveries(session: Session) -> list[WebhookDelivery]:
    session.rollback()
    session.expire_all()
    return list(session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))


def test_a_rig_hears_that_its_window_opens_and_closes(session: Session, cast: Cast, rig: Rig) -> None:
    hook(session, cast, rig, on_close="signal")
    view = book(session, cast.anna, "scope")
    sweep.sweep(session, now=START)
    assert deliver(session, START) == {"delivered": 1}
    sweep.sweep(session, now=END)
    assert deliver(session, END) == {"delivered": 1}
    opened, closed = rig.events
    assert opened == {
        "id": opened["id"],
        "event": "window.opened",
        "equipment": "scope",
        "reservation": view.id,
        "occurred_at": "2026-03-24T09:00:00Z",
        "allowed": True,
        "until": "2026-03-24T11:00:00Z",
    }
    assert closed == {
        "id": closed["id"],
        "event": "window.closed",
        "equipment": "scope",
        "reservation": view.id,
        "occurred_at": "2026-03-24T11:00:00Z",
        "allowed": False,
        "until": None,
        "safe_state": True,
    }
    assert rig.paths == ["/labbook?rig=1"] * 2
    assert all(row.delivered_at and row.due_at is None for row in deliveries(session))


def test_what_is_sent_is_signed_with_the_time_and_the_id_of_the_event(
    session: Session, cast: Cast, rig: Rig
) -> None:
    hook(session, cast, rig)
    book(session, cast.anna, "scope")
    sweep.sweep(session, now=START)
    deliver(session, START)
    (headers, _), (event_,) = rig.heard[0], rig.events
    assert headers["webhook-id"] == event_["id"] == deliveries(session)[0].public_id
    assert headers["webhook-timestamp"] == str(int(START.timestamp()))
    assert rig.is_signed(SECRET)
    assert not rig.is_signed(secret_of(b"x" * 32))


def test_a_rig_that_does_not_want_it_hears_nothing_of_a_safe_state(
    session: Session, cast: Cast, rig: Rig
) -> None:
    hook(session, cast, rig)
    book(session, cast.anna, "scope")
    sweep.sweep(session, now=END)
    deliver(session, END)
    assert all("safe_state" not in each for each in rig.events)


def test_nobody_is_told_who_did_not_ask_for_it(session: Session, cast: Cast, rig: Rig) -> None:
    hook(session, cast, rig, active=False)
    hook(session, cast, rig, "scope-2")
    book(session, cast.anna, "scope")
    sweep.sweep(session, now=END)
    assert deliveries(session) == []


def test_a_slot_that_was_used_at_once_aborted_or_handed_back_is_told_too(
    session: Session, cast: Cast, rig: Rig
) -> None:
    hook(session, cast, rig)
    now = at("2026-03-24 09:07")
    view = book_at_once(session, cast, now)
    decisions.check_out(session, Decide(view), actor=cast.anna, now=now + 20 * MINUTE)
    again = book_at_once(session, cast, now + 30 * MINUTE)
    decisions.abort(session, Decide(again, reason="Smoke"), actor=cast.mia, now=now + 40 * MINUTE)
    assert [row.event for row in deliveries(session)] == [webhooks.OPENED, webhooks.CLOSED] * 2


def book_at_once(session: Session, cast: Cast, now: datetime) -> str:

    wish = RequestReservation((Wanted("scope"),), now, now + 60 * MINUTE, "A test", use_now=True)
    return reservations.request(session, wish, actor=cast.anna, now=now).id


def test_an_extension_tells_the_rig_the_new_end(session: Session, cast: Cast, rig: Rig) -> None:
    hook(session, cast, rig, "chamber")
    public_id = approved_chamber(session, cast)
    decisions.check_in(session, Decide(public_id), actor=cast.anna, now=START)
    wish = Decide(public_id, until=END + 60 * MINUTE)
    decisions.extend(session, wish, actor=cast.anna, now=START + MINUTE)
    assert deliver(session, START + MINUTE) == {"delivered": 2}
    assert [each["until"] for each in rig.events] == ["2026-03-24T11:30:00Z", "2026-03-24T12:30:00Z"]


def test_a_part_whose_set_up_begins_later_hears_of_it_then(session: Session, cast: Cast, rig: Rig) -> None:
    hook(session, cast, rig)  # the scope has no set-up, the chamber half an hour
    view = book(session, cast.anna, "scope", "chamber")
    decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    decisions.check_in(session, Decide(view.id), actor=cast.anna, now=START - 30 * MINUTE)
    assert deliver(session, START - MINUTE) == {}
    assert deliver(session, START) == {"delivered": 1}
    (told,) = rig.events
    assert (told["allowed"], told["occurred_at"]) == (True, "2026-03-24T09:00:00Z")


def test_a_window_that_closed_before_the_part_was_due_never_opens(
    session: Session, cast: Cast, rig: Rig
) -> None:
    hook(session, cast, rig)
    view = book(session, cast.anna, "scope", "chamber")
    decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)
    decisions.check_in(session, Decide(view.id), actor=cast.anna, now=START - 30 * MINUTE)
    decisions.check_out(session, Decide(view.id), actor=cast.anna, now=START - 20 * MINUTE)
    assert deliver(session, START - 20 * MINUTE) == {"delivered": 1}
    assert deliver(session, START) == {"superseded": 1}
    assert [name for name, _ in rig.said] == ["window.closed"]


def test_the_rig_of_a_shelf_is_not_stopped_while_another_shelf_is_in_use(
    session: Session, cast: Cast, rig: Rig
) -> None:
    hook(session, cast, rig, "cycler", on_close="signal")
    book(session, cast.anna, "cycler:1")
    book(session, cast.carla, "cycler:1", end="2026-03-24 14:00")
    sweep.sweep(session, now=START)
    sweep.sweep(session, now=END)
    sweep.sweep(session, now=at("2026-03-24 14:00"))
    deliver(session, at("2026-03-24 14:00"))
    assert [row.payload.get("safe_state") for row in deliveries(session)] == [None, None, False, True]


def test_a_failing_rig_is_asked_again_after_growing_pauses_and_given_up_after_a_day(
    session: Session, cast: Cast, rig: Rig
) -> None:
    hook(session, cast, rig)
    book(session, cast.anna, "scope")
    sweep.sweep(session, now=START)
    rig.answers = [500]
    now, pauses = START, []
    while (row := deliveries(session)[0]).due_at is not None:
        pauses.append(row.due_at - now)
        now = row.due_at
        deliver(session, now)
    waited = [round(pause.total_seconds()) for pause in pauses[1:8]]
    assert waited == [15, 30, 60, 120, 300, 600, 600]
    assert row.failed_at is not None
    assert timedelta(days=1) <= row.failed_at - START < timedelta(days=1, minutes=11)
    assert (row.response_status, row.error) == (500, "answered 500")
    assert len({headers["webhook-id"] for headers, _ in rig.heard}) == 1
    assert all(rig.is_signed(SECRET, n) for n in (0, -1))


@pytest.mark.parametrize(
    ("how", "error"),
    [("close", "RemoteDisconnected"), ("redirect", "answered 307"), ("hang", "no answer in time"),
     ("drip", "no answer in time"), (404, "answered 404")],
)  # fmt: skip
@pytest.mark.usefixtures("quick")
def test_whatever_a_rig_does_the_event_waits_and_the_call_has_an_end(
    session: Session, cast: Cast, rig: Rig, how: int | str, error: str
) -> None:
    hook(session, cast, rig)
    book(session, cast.anna, "scope")
    sweep.sweep(session, now=START)
    rig.answers = [how, 200]
    begun = time.monotonic()
    assert deliver(session, START) == {"postponed": 1}
    assert time.monotonic() - begun < 3
    assert error in str(deliveries(session)[0].error)
    assert deliver(session, START + MINUTE) == {"delivered": 1}
    assert rig.paths == ["/labbook?rig=1"] * 2  # nobody followed the redirect
    assert deliveries(session)[0].error is None


def test_where_nobody_listens_the_event_waits(session: Session, cast: Cast) -> None:
    rig = Rig()
    rig._server.server_close()
    hook(session, cast, rig)
    book(session, cast.anna, "scope")
    sweep.sweep(session, now=START)
    assert deliver(session, START) == {"postponed": 1}
    assert "ConnectionRefused" in str(deliveries(session)[0].error)


@pytest.mark.usefixtures("quick")
def test_a_rig_that_hangs_holds_up_no_other(session: Session, cast: Cast, rig: Rig) -> None:
    with Rig().open() as other:
        hook(session, cast, rig)
        hook(session, cast, other, "scope-2")
        rig.answers = ["hang"]
        book(session, cast.anna, "scope")
        book(session, cast.anna, "scope-2")
        sweep.sweep(session, now=END)
        begun = time.monotonic()
        assert deliver(session, END) == {"superseded": 2, "delivered": 1, "postponed": 1}
        assert [name for name, _ in other.said] == ["window.closed"]
        assert time.monotonic() - begun < 3


def test_what_comes_later_waits_for_what_came_before(session: Session, cast: Cast, rig: Rig) -> None:
    hook(session, cast, rig)
    first = book(session, cast.anna, "scope").id
    second = book(session, cast.carla, "scope", start="2026-03-24 12:00", end="2026-03-24 14:00").id
    rig.answers = [500, 500, 204]
    sweep.sweep(session, now=START)
    deliver(session, START)
    sweep.sweep(session, now=END)
    assert deliver(session, END) == {"superseded": 1, "postponed": 1}  # its opening is overtaken by now
    assert deliver(session, END + MINUTE) == {"delivered": 2}
    assert rig.said[2:] == [("window.closed", first), ("window.opened", second)]


def test_a_new_event_has_the_one_before_it_tried_soon(session: Session, cast: Cast, rig: Rig) -> None:
    hook(session, cast, rig)
    book(session, cast.anna, "scope")
    sweep.sweep(session, now=START)
    rig.answers = [500]
    now = START
    for _ in range(6):
        deliver(session, now)
        row = deliveries(session)[0]
        assert row.due_at is not None
        now = row.due_at
    assert now - START > 15 * MINUTE
    moment = now - 5 * MINUTE
    transaction.write(session, lambda: webhooks.opened(session, [row.reservation_id], moment))  # type: ignore[list-item]
    due = deliveries(session)[0].due_at
    assert due is not None
    assert timedelta(0) < due - moment <= webhooks.LEASE


def test_a_closing_that_comes_late_does_not_stop_whoever_came_next(
    session: Session, cast: Cast, rig: Rig
) -> None:
    hook(session, cast, rig, on_close="signal")
    book(session, cast.anna, "scope")
    book(session, cast.carla, "scope", start="2026-03-24 13:00", end="2026-03-24 14:00")
    rig.answers = [500, 204]
    sweep.sweep(session, now=START)
    sweep.sweep(session, now=END)
    deliver(session, END)
    sweep.sweep(session, now=at("2026-03-24 13:00"))
    deliver(session, at("2026-03-24 13:00"))
    assert [(e["event"], e.get("safe_state")) for e in rig.events] == [
        ("window.closed", True),  # it did not hear of that
        ("window.closed", False),
        ("window.opened", None),
    ]


def test_what_was_written_for_a_rig_that_was_switched_off_is_not_told(
    session: Session, cast: Cast, rig: Rig
) -> None:
    hook(session, cast, rig)
    book(session, cast.anna, "scope")
    sweep.sweep(session, now=START)
    transaction.write(session, lambda: session.execute(update(Webhook).values(active=False)))
    assert deliver(session, START) == {"superseded": 1}
    assert rig.heard == []


def counted(session: Session, ids: list[int], step: object) -> int:
    statements: list[str] = []

    def note(*given: object) -> None:
        statements.append(str(given[2]))

    def work() -> int:
        before = len(statements)
        step(session, ids, START)  # type: ignore[operator]
        return len(statements) - before

    event.listen(session.get_bind(), "before_cursor_execute", note)
    try:
        return transaction.write(session, work)
    finally:
        event.remove(session.get_bind(), "before_cursor_execute", note)


def test_it_costs_one_query_where_nobody_listens_and_as_many_for_twenty_as_for_one(
    session: Session, cast: Cast, rig: Rig
) -> None:
    for hour in range(20):
        start = NOW + timedelta(hours=2 + hour)
        changes_wish = {"start": f"{start:%Y-%m-%d %H:00}", "end": f"{start:%Y-%m-%d %H:30}"}
        book(session, cast.anna, "scope", **changes_wish)
    ids = list(session.scalars(select(Reservation.id)))
    assert {counted(session, ids, step) for step in (webhooks.opened, webhooks.closed)} == {1}
    assert counted(session, [], webhooks.opened) == 0
    hook(session, cast, rig, on_close="signal")
    for step in (webhooks.opened, webhooks.closed):
        assert counted(session, ids[:1], step) == counted(session, ids, step) <= 4


CALLER = """
import sys, time
from datetime import datetime
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from labbook.models.engine import prepare_engine
from labbook.services import rig_calls

with Session(prepare_engine(create_engine(sys.argv[1]))) as session:
    rig_calls.deliver_due(session, now=datetime.fromisoformat(sys.argv[2]))
"""


def test_who_is_killed_between_the_call_and_the_mark_calls_again_with_the_same_id(
    session: Session, cast: Cast, rig: Rig, database_url: str
) -> None:
    hook(session, cast, rig)
    book(session, cast.anna, "scope")
    sweep.sweep(session, now=START)
    rig.answers = ["hang", 204]
    process = subprocess.Popen([sys.executable, "-c", CALLER, database_url, START.isoformat()], cwd=ROOT)
    try:
        assert until(lambda: rig.heard, within=60)
    finally:
        process.kill()
        process.wait(timeout=10)
    assert deliver(session, START) == {}  # it is claimed
    assert deliver(session, START + MINUTE) == {"delivered": 1}
    assert len({headers["webhook-id"] for headers, _ in rig.heard}) == 1
    assert len(rig.heard) == 2
    assert stored(session, rig.events[0]["reservation"]).status == "in_use"


def test_a_change_of_a_reservation_that_has_not_begun_tells_no_rig(
    session: Session, cast: Cast, rig: Rig
) -> None:
    hook(session, cast, rig)
    view = book(session, cast.anna, "scope")
    wish = ChangeReservation(end=END + 60 * MINUTE)
    changes.change(session, view.id, wish, revision=None, actor=cast.anna, now=NOW)
    assert deliveries(session) == []


@pytest.mark.parametrize(
    ("url", "codes"),
    [
        ("https://rig.lab.example/labbook?x=1", []),
        ("http://192.168.1.7:8080/", []),
        ("http://[::1]:9000/x", []),
        ("http://me:secret@rig.example/", ["address_with_credentials"]),
        ("http://me@rig.example/", ["address_with_credentials"]),
        ("ftp://rig.example/", ["not_a_rigs_address"]),
        ("file:///etc/passwd", ["not_a_rigs_address"]),
        ("rig.example/x", ["not_a_rigs_address"]),
        ("http:///x", ["not_a_rigs_address"]),
        ("http://rig.example:99999/", ["not_a_rigs_address"]),
        ("http://rig.example:0/", ["not_a_rigs_address"]),
        ("http://rig.example/#part", ["not_a_rigs_address"]),
        ("http://rig.example/a b", ["not_a_rigs_address"]),
        ("http://rig.example/\r\nX: y", ["not_a_rigs_address"]),
        ("http://[::1", ["not_a_rigs_address"]),
        ("", ["not_a_rigs_address"]),
        ("http://rig.example/" + "x" * 2000, ["not_a_rigs_address"]),
    ],
)
def test_an_address_is_plain_and_holds_no_secret(url: str, codes: list[str]) -> None:
    assert [problem.code for problem in calling.address_problems(url)] == codes
