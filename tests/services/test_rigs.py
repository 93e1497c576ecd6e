"""Rigs are put up, changed and tried by those who manage their equipment, and by nobody else."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from labbook.domain.access import Role, Viewer
from labbook.domain.errors import Forbidden, NotFound, Refused
from labbook.models import Webhook, WebhookDelivery
from labbook.services import rig_calls, rigs, sweep, transaction
from labbook.services.rigs import KeepRig
from tests.cast import NOW, Cast
from tests.rig import Rig
from tests.services.test_reservations import book, codes
from tests.services.test_webhooks import END, START

DAY = timedelta(days=1)
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "rigs.md"


def put_up(session: Session, who: Viewer, url: str = "http://rig.example/", **more: object) -> str:
    command = KeepRig("scope", url, **more)  # type: ignore[arg-type]
    return rigs.put_up(session, command, actor=who, now=NOW)


def page(session: Session, who: Viewer) -> rigs.RigPage:
    session.rollback()
    session.expire_all()
    return rigs.find(session, "scope", viewer=who)


def test_a_rig_is_off_until_it_is_switched_on_and_its_secret_is_seen_once(
    session: Session, cast: Cast
) -> None:
    secret = put_up(session, cast.mia)
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    shown = page(session, cast.mia)
    assert not shown.rig.active
    assert secret not in repr(shown)
    assert rigs.renew_secret(session, "scope", actor=cast.max) != secret


def test_only_those_who_manage_the_equipment_know_of_its_rig(session: Session, cast: Cast) -> None:
    for who in (cast.anna, cast.carla, cast.tom):
        with pytest.raises(Forbidden):
            put_up(session, who)
        with pytest.raises(Forbidden):
            rigs.list_managed(session, viewer=who)
    put_up(session, cast.mia)
    for who in (cast.anna, cast.carla, cast.tom):
        for attempt in (
            lambda who: rigs.find(session, "scope", viewer=who),
            lambda who: rigs.send_test(session, "scope", actor=who, now=NOW),
            lambda who: rigs.renew_secret(session, "scope", actor=who),
            lambda who: rigs.change(session, KeepRig("scope", "http://x.example/"), actor=who),
        ):
            with pytest.raises(NotFound):
                attempt(who)
    assert [each.equipment for each in rigs.list_managed(session, viewer=cast.ada)] == ["scope"]


def test_what_is_wrong_with_it_is_said_at_once(session: Session, cast: Cast) -> None:
    put_up(session, cast.mia)
    for command, expected in (
        (KeepRig("scope", "http://a:b@x/"), {"rig_exists", "address_with_credentials"}),
        (KeepRig("nothing", "ftp://x", "explode"), {"unknown_equipment", "not_a_rigs_address", "not_one_of"}),
    ):
        with pytest.raises(Refused) as refused:
            rigs.put_up(session, command, actor=cast.mia, now=NOW)
        assert codes(refused) == expected


def test_a_test_is_told_once_also_to_one_that_is_off_and_stands_in_no_row(
    session: Session, cast: Cast
) -> None:
    with Rig().open() as rig:
        secret = put_up(session, cast.mia, rig.url)
        rigs.send_test(session, "scope", actor=cast.mia, now=NOW)
        assert rig_calls.deliver_due(session, now=NOW) == {"delivered": 1}
        assert rig.events[0]["event"] == "test"
        assert rig.is_signed(secret)
        rig.answers = [500]
        rigs.send_test(session, "scope", actor=cast.mia, now=NOW)
        assert rig_calls.deliver_due(session, now=NOW) == {"given_up": 1}
    newest, first = page(session, cast.mia).deliveries
    assert (newest.state, newest.error, newest.retryable) == ("failed", "answered 500", True)
    assert (first.state, first.status) == ("delivered", 204)


def test_what_was_given_up_is_told_again_unless_the_rig_has_heard_of_something_later(
    session: Session, cast: Cast
) -> None:
    with Rig().open() as rig:
        put_up(session, cast.mia, rig.url, active=True)
        book(session, cast.anna, "scope")
        sweep.sweep(session, now=START)
        rig.answers = [500, 204]
        late = START + DAY
        assert rig_calls.deliver_due(session, now=late) == {"given_up": 1}
        (failed,) = page(session, cast.mia).deliveries
        assert (failed.state, failed.retryable, failed.title) == ("failed", True, "A test")
        with pytest.raises(NotFound):
            rigs.retry(session, "scope", failed.id, actor=cast.tom, now=late)
        rigs.retry(session, "scope", failed.id, actor=cast.mia, now=late)
        assert rig_calls.deliver_due(session, now=late) == {"delivered": 1}
        with pytest.raises(Refused) as refused:
            rigs.retry(session, "scope", failed.id, actor=cast.mia, now=late)
        assert codes(refused) == {"not_given_up"}
        sweep.sweep(session, now=late)
        rig_calls.deliver_due(session, now=late)
        again = update(WebhookDelivery).where(WebhookDelivery.id == failed.id)
        transaction.write(session, lambda: session.execute(again.values(failed_at=late, delivered_at=None)))
        with pytest.raises(Refused) as refused:
            rigs.retry(session, "scope", failed.id, actor=cast.mia, now=late)
        assert codes(refused) == {"told_something_later"}


def test_who_switches_a_rig_off_leaves_nothing_to_be_told_when_it_is_on_again(
    session: Session, cast: Cast
) -> None:
    put_up(session, cast.mia, active=True)
    book(session, cast.anna, "scope")
    sweep.sweep(session, now=START)
    rigs.change(session, KeepRig("scope", "http://rig.example/"), actor=cast.mia)
    rigs.change(session, KeepRig("scope", "http://rig.example/", active=True), actor=cast.mia)
    assert rig_calls.deliver_due(session, now=END) == {}
    assert [each.state for each in page(session, cast.mia).deliveries] == ["superseded"]


def test_a_long_story_is_read_in_pages(session: Session, cast: Cast) -> None:
    put_up(session, cast.mia)
    for _ in range(rigs.PAGE + 1):
        rigs.send_test(session, "scope", actor=cast.mia, now=NOW)
    first = page(session, cast.mia)
    assert (len(first.deliveries), first.before) == (rigs.PAGE, first.deliveries[-1].id)
    rest = rigs.find(session, "scope", viewer=cast.mia, before=first.before)
    assert (len(rest.deliveries), rest.before) == (1, None)


def test_a_manager_of_another_laboratory_knows_of_no_rig_here(session: Session, cast: Cast) -> None:
    assert session.scalars(select(Webhook)).all() == []
    put_up(session, cast.mia)
    elsewhere = replace(cast.carla, role=Role.MANAGER, facility_ids=frozenset({cast.facility_id + 1}))
    assert rigs.list_managed(session, viewer=elsewhere) == []
    assert rigs.without(session, viewer=elsewhere) == []
    with pytest.raises(NotFound):
        rigs.find(session, "scope", viewer=elsewhere)


def test_the_example_for_a_rigs_author_accepts_what_is_signed_and_nothing_else(
    session: Session, cast: Cast
) -> None:
    """As it stands in the documentation."""
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert len(example.strip().splitlines()) <= 12
    found: dict[str, object] = {}
    exec(example, found)
    verify = found["verify"]
    with Rig().open() as rig:
        secret = put_up(session, cast.mia, rig.url)
        rigs.send_test(session, "scope", actor=cast.mia, now=NOW)
        rig_calls.deliver_due(session, now=NOW)
        headers, body = rig.heard[0]
    at = NOW.timestamp()
    assert verify(secret, headers, body, at)["event"] == "test"  # type: ignore[operator]
    for wrong in (
        (secret, headers, body + b" ", at),
        (secret, headers | {"webhook-id": "msg_other"}, body, at),
        (secret, headers, body, at + 301),
        ("whsec_" + "A" * 43 + "=", headers, body, at),
    ):
        with pytest.raises(ValueError, match="not Labbook"):
            verify(*wrong)  # type: ignore[operator]
