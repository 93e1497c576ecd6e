"""What is passed on between people who must not know of each other: every byte of what each side gets."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import NotFound, Refused
from labbook.models import OutboxMessage, Relay, RelayReceiver, Reservation
from labbook.services import decisions, outbox, relays, transaction
from labbook.services.commands import Decide
from labbook.services.kiosks import Device
from labbook.services.outbox import Office
from labbook.services.post import carrier
from labbook.services.relays import PassOn
from tests.cast import NOW, Cast, at
from tests.services.test_reservations import book

THEN = at("2026-03-24 10:30")
OFFICE = Office("https://lab.example", "labbook@lab.example")
OF_ALPHA = re.compile(rb"anna|\bbo\b|alpha|joint|secret|reservations/|reservation-", re.IGNORECASE)
OF_BETA = re.compile(rb"carla|beta", re.IGNORECASE)


def running(session: Session, who: Viewer, cast: Cast, slug: str = "chamber", **more: object) -> str:
    view = book(session, who, slug, **more)
    if slug == "chamber":
        decisions.approve(session, Decide(reservation=view.id), actor=cast.mia, now=NOW)
    return view.id


def sent(session: Session, by: Viewer | Device, **more: object) -> str:
    command = PassOn("chamber", "alarm", **more)  # type: ignore[arg-type]
    return relays.pass_on(session, command, by=by, now=THEN)


def told(session: Session, kind: str = "relay") -> set[int]:
    session.rollback()
    query = select(OutboxMessage.user_id).where(OutboxMessage.kind == kind)
    return set(session.scalars(query))


def mails(session: Session, folder: Path) -> dict[str, bytes]:
    """Recipient -> every byte of what they were sent since the relay, headers included."""
    session.rollback()
    with carrier(None, folder) as way:
        outbox.send_due(session, way, OFFICE, now=THEN + timedelta(hours=1))
    found: dict[str, bytes] = {}
    for path in sorted(folder.glob("*.eml")):
        content = path.read_bytes()
        if b"/relay/" in content:
            to = re.findall(rb"^To: .*<(.*)>", content, re.MULTILINE)[0].decode()
            found[to] = found.get(to, b"") + content
    return found


def test_it_reaches_holder_participants_and_staff_and_nobody_else(session: Session, cast: Cast) -> None:
    running(session, cast.anna, cast, participants=(cast.bo.email,))
    sent(session, cast.carla)
    assert told(session) == {each.id for each in (cast.anna, cast.bo, cast.mia, cast.max, cast.tom)}


def test_with_nothing_there_the_staff_alone_are_told_and_the_sender_cannot_tell(
    session: Session, cast: Cast
) -> None:
    empty = sent(session, cast.carla)
    assert told(session) == {cast.mia.id, cast.max.id, cast.tom.id}
    running(session, cast.anna, cast, participants=(cast.bo.email,))
    taken = sent(session, cast.carla)
    seen = [relays.find(session, one, viewer=cast.carla) for one in (empty, taken)]
    plain = [{**vars(view), "id": ""} for view in seen]
    assert plain[0] == plain[1]


def test_neither_side_learns_anything_of_the_other_from_any_byte_of_its_mail(
    session: Session, cast: Cast, tmp_path: Path
) -> None:
    own = running(session, cast.anna, cast, participants=(cast.bo.email,), project="joint")
    one = sent(session, cast.carla, text="It beeps since ten.")
    got = mails(session, tmp_path / "first")
    assert set(got) == {cast.anna.email, cast.bo.email, cast.mia.email, cast.max.email, cast.tom.email}
    for content in got.values():
        assert not OF_BETA.search(content)
        assert b"It beeps since ten." in content
        assert own.encode() not in content
        assert f"https://lab.example/relay/{one}".encode() in content
        assert not re.search(rb"^References:", content, re.MULTILINE)
    relays.answer(session, one, "Let it beep, it is done at noon.", actor=cast.anna, now=THEN)
    answered = mails(session, tmp_path / "second")
    assert set(answered) == {cast.carla.email}
    content = answered[cast.carla.email]
    assert b"Let it beep, it is done at noon." in content
    assert not OF_ALPHA.search(content)
    assert own.encode() not in content
    assert not re.search(rb"^References:", content, re.MULTILINE)


def test_an_answer_of_the_staff_reads_like_one_of_the_holder(
    session: Session, cast: Cast, tmp_path: Path
) -> None:
    running(session, cast.anna, cast)
    bodies = []
    for number, who in enumerate((cast.anna, cast.tom)):
        one = sent(session, cast.carla)
        mails(session, tmp_path / f"sent{number}")
        relays.answer(session, one, "We look.", actor=who, now=THEN)
        content = mails(session, tmp_path / f"answer{number}")[cast.carla.email]
        bodies.append(re.sub(rb"[0-9a-f]{16,}|={15}\d+==", b"", content))
    assert bodies[0] == bodies[1]


def test_the_first_answer_counts_and_each_side_reads_it_at_its_address(session: Session, cast: Cast) -> None:
    running(session, cast.anna, cast)
    one = sent(session, cast.carla)
    assert relays.find(session, one, viewer=cast.anna).answerable
    with pytest.raises(Refused):
        relays.answer(session, one, " ", actor=cast.anna, now=THEN)
    relays.answer(session, one, "We look.", actor=cast.anna, now=THEN)
    with pytest.raises(Refused) as refused:
        relays.answer(session, one, "So do we.", actor=cast.tom, now=THEN)
    assert [p.code for p in refused.value.problems] == ["relay_answered"]
    for who in (cast.carla, cast.anna, cast.tom):
        view = relays.find(session, one, viewer=who)
        assert (view.answer, view.answerable) == ("We look.", False)


def test_to_everybody_else_there_is_no_such_thing(session: Session, cast: Cast) -> None:
    running(session, cast.anna, cast)
    one = sent(session, cast.carla)
    for who in (cast.dorte, cast.bo, cast.ada):
        with pytest.raises(NotFound):
            relays.find(session, one, viewer=who)
        with pytest.raises(NotFound):
            relays.answer(session, one, "We look.", actor=who, now=THEN)
    with pytest.raises(NotFound):
        relays.answer(session, one, "My own answer", actor=cast.carla, now=THEN)


def test_the_place_decides_among_several_and_without_one_all_are_told(session: Session, cast: Cast) -> None:
    running(session, cast.anna, cast, "cycler")
    running(session, cast.carla, cast, "cycler")
    for place, expected in (
        (1, {cast.anna.id}),
        (2, {cast.carla.id}),
        (3, set()),
        (None, {cast.anna.id, cast.carla.id}),
    ):
        one = relays.pass_on(session, PassOn("cycler", "smell", place=place), by=cast.dorte, now=THEN)
        row = session.scalars(select(Relay).where(Relay.public_id == one)).one()
        receivers = set(
            session.scalars(select(RelayReceiver.user_id).where(RelayReceiver.relay_id == row.id))
        )
        assert receivers - {cast.mia.id, cast.max.id, cast.tom.id} == expected


def test_what_overran_still_stands_there_whoevers_turn_it_is(session: Session, cast: Cast) -> None:
    one = running(session, cast.anna, cast, start="2026-03-24 07:30", end="2026-03-24 09:00")
    decisions.check_in(session, Decide(reservation=one), actor=cast.anna, now=at("2026-03-24 07:30"))
    running(session, cast.carla, cast)

    def overrun() -> None:
        row = session.scalars(select(Reservation).where(Reservation.public_id == one)).one()
        row.overrun_since = row.ends_at

    transaction.write(session, overrun)
    sent(session, cast.dorte)
    assert cast.anna.id in told(session)
    assert cast.carla.id not in told(session)


def test_so_many_an_hour_and_no_more(session: Session, cast: Cast) -> None:
    for _ in range(relays.AN_HOUR):
        sent(session, cast.carla)
    with pytest.raises(Refused) as refused:
        sent(session, cast.carla)
    assert [p.code for p in refused.value.problems] == ["relay_too_many"]
    sent(session, cast.dorte)
    relays.pass_on(
        session, PassOn("chamber", "leak"), by=cast.carla, now=THEN + timedelta(hours=1, minutes=1)
    )


def test_all_that_is_wrong_is_said_at_once(session: Session, cast: Cast) -> None:
    with pytest.raises(Refused) as refused:
        relays.pass_on(session, PassOn("chamber", "fire", "x" * 600), by=cast.carla, now=THEN)
    assert {p.code for p in refused.value.problems} == {"text_too_long", "missing"}
    with pytest.raises(NotFound):
        relays.pass_on(session, PassOn("nothing", "alarm"), by=cast.carla, now=THEN)
