"""Random days in a laboratory, and what must be true of every one of them, told anew from the rules' words.

Nothing here asks the transition table or the clock of the engine what is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import Row, event, func, select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, NotFound, Refused, StaleRevision, WrongStatus
from labbook.models import Allocation, Facility, HistoryEntry, OutboxMessage, Reservation, WaitlistEntry
from labbook.services import changes, decisions, reservations, sweep, verify, waiting
from labbook.services.commands import ChangeReservation, Decide, RequestReservation, Wanted
from labbook.services.waiting import JoinWaitlist
from tests.cast import Cast, equipment

BLOCKING = {"requested", "approved", "in_use"}
BY_PEOPLE = {
    ("requested", "approved"),
    ("requested", "declined"),
    ("requested", "cancelled"),
    ("approved", "cancelled"),
    ("approved", "in_use"),
    ("no_show", "in_use"),
    ("in_use", "completed"),
    ("in_use", "aborted"),
}
BY_THE_CLOCK = {
    ("requested", "expired"),
    ("approved", "cancelled"),
    ("approved", "in_use"),
    ("approved", "no_show"),
    ("in_use", "completed"),
}

PIECES = ("scope", "chamber", "rig", "cycler", "source", "source-2")
"""By itself; by a manager, with check-in; by itself, with check-in; four places; two that share a feeder."""

ALWAYS = (
    *("request",) * 4, "use_now", "block", "option", "wait", "take", "let_go",
    *("pass_time",) * 9, "sweep", "sweep_one", "sleep", "jump_back",
)  # fmt: skip
AFTER = {
    "requested": (*("approve",) * 5, "decline", "answer", "cancel", "propose", "re_equip"),
    "approved": (*("check_in",) * 3, "cancel", "move", "move", "re_equip", "propose", "answer", "transfer"),
    "in_use": ("check_out", "check_out", "abort", "extend", "extend", "move", "expect", "answer"),
    "no_show": ("come_late", "come_late"),
}

REFUSALS = (Forbidden, NotFound, Refused, StaleRevision, WrongStatus)


class Crash(BaseException):
    """The process is gone; nobody catches this."""


@dataclass(frozen=True)
class Op:
    """One thing that happens; the numbers are read by whatever ``what`` is.

    ``crash``: the process dies ahead of that many more statements; 0 never.
    """

    chance: int
    who: str
    which: int
    piece: str
    hour: int
    hours: int
    crash: int
    what: str = ""


@contextmanager
def dying(session: Session, after: int) -> Iterator[None]:
    """Die ahead of the statement of that number."""
    left = after

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Crash

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", count)
    try:
        yield
    except Crash:
        session.close()
    finally:
        event.remove(engine, "before_cursor_execute", count)


def furnish(session: Session, cast: Cast) -> None:
    """The rig, which the cast does not have."""
    session.connection(execution_options={"labbook_write": True})
    facility = session.get_one(Facility, cast.facility_id)
    equipment(session, facility, "rig", approval="automatic", check_in="required", teardown=900)
    session.commit()


class World:
    """One lab from ``start`` on. ``told`` is the number of the last history entry that was looked at."""

    def __init__(self, session: Session, cast: Cast, start: datetime) -> None:
        self.session, self.cast, self.start, self.now = session, cast, start, start
        self.statuses: dict[int, str] = {}
        self.rows: dict[int, Row[Any]] = {}
        self.done: Counter[str] = Counter()
        self.told = self.posted = 0

    def run(self, op: Op) -> None:
        """Let it happen, and look at everything afterwards."""
        possible = self.possible()
        op = replace(op, what=possible[op.chance % len(possible)])
        finished = False
        with dying(self.session, op.crash):
            try:
                getattr(self, op.what)(op)
                self.done[op.what] += 1
            except REFUSALS as refusal:
                codes = {p.code for p in getattr(refusal, "problems", ())}
                assert "taken_meanwhile" not in codes, "nobody else is there"
                self.done[f"{op.what} refused"] += 1
            finished = True
        self.session.rollback()
        self.look(op, finished)

    def possible(self) -> list[str]:
        """What makes sense now, the usual several times; much of it is refused all the same."""
        found = [*ALWAYS]
        present = {row.status for row in self.rows.values()}
        for status, names in AFTER.items():
            if status in present:
                found += names
        return found

    # --- what may happen ------------------------------------------------------------------------------

    def actor(self, op: Op) -> Viewer:
        found: Viewer = getattr(self.cast, op.who)
        return found

    def target(self, op: Op, *statuses: str, ready: Callable[[Any], bool] = bool) -> Any:
        """One of those that are in such a status now, of those that are ready if any is."""
        fitting = [row for _, row in sorted(self.rows.items()) if row.status in statuses]
        fitting = list(filter(ready, fitting)) or fitting
        if not fitting:
            raise NotFound("reservation")
        return fitting[op.which % len(fitting)]

    def acting(self, op: Op, row: Any) -> Viewer:
        """Mostly whoever it concerns."""
        owner = next(v for v in vars(self.cast).values() if getattr(v, "id", None) == row.holder_id)
        return self.actor(op) if op.which % 4 == 0 else owner

    def when(self, op: Op) -> tuple[datetime, datetime]:
        start = max(self.start, self.now.replace(minute=0, second=0, microsecond=0))
        start += timedelta(hours=op.hour)
        return start, start + timedelta(hours=op.hours)

    def wish(self, op: Op, **more: Any) -> RequestReservation:
        start, end = self.when(op)
        places = 1 + op.which % 3 if op.piece == "cycler" else 1
        return RequestReservation((Wanted(op.piece, places),), start, end, "A day", **more)

    def request(self, op: Op) -> None:
        mates = (self.cast.bo.email,) if op.who == "anna" else ()
        wish = self.wish(op, participants=mates)
        reservations.request(self.session, wish, actor=self.actor(op), now=self.now)

    def use_now(self, op: Op) -> None:
        wish = self.wish(op, use_now=True)
        reservations.request(self.session, wish, actor=self.actor(op), now=self.now)

    def block(self, op: Op) -> None:
        wish = self.wish(op, kind="block")
        reservations.request(self.session, wish, actor=self.cast.mia, now=self.now)

    def option(self, op: Op) -> None:
        until = self.now + timedelta(hours=op.hours)
        wish = self.wish(op, hold="option", customer="Gamma", decide_by=until)
        reservations.request(self.session, wish, actor=self.cast.mia, now=self.now)

    def approve(self, op: Op) -> None:
        row = self.target(op, "requested", ready=lambda row: row.hold is None)
        decisions.approve(self.session, Decide(row.public_id), actor=self.cast.mia, now=self.now)

    def decline(self, op: Op) -> None:
        command = Decide(self.target(op, "requested").public_id, reason="No")
        decisions.decline(self.session, command, actor=self.cast.max, now=self.now)

    def answer(self, op: Op) -> None:
        """Whoever is asked agrees to a change or a proposal."""
        row = self.target(op, "requested", "approved", "in_use")
        decisions.approve(self.session, Decide(row.public_id), actor=self.acting(op, row), now=self.now)

    def cancel(self, op: Op) -> None:
        row = self.target(op, "requested", "approved")
        decisions.cancel(self.session, Decide(row.public_id), actor=self.acting(op, row), now=self.now)

    def check_in(self, op: Op) -> None:
        row = self.target(op, "approved", ready=lambda row: row.occupied_from <= self.now)
        decisions.check_in(self.session, Decide(row.public_id), actor=self.acting(op, row), now=self.now)

    def come_late(self, op: Op) -> None:
        row = self.target(op, "no_show")
        decisions.check_in(self.session, Decide(row.public_id), actor=self.acting(op, row), now=self.now)

    def check_out(self, op: Op) -> None:
        row = self.target(op, "in_use")
        decisions.check_out(self.session, Decide(row.public_id), actor=self.acting(op, row), now=self.now)

    def abort(self, op: Op) -> None:
        command = Decide(self.target(op, "in_use").public_id, reason="It smokes")
        decisions.abort(self.session, command, actor=self.cast.mia, now=self.now)

    def extend(self, op: Op) -> None:
        row = self.target(op, "in_use")
        command = Decide(row.public_id, until=row.ends_at + timedelta(hours=op.hours))
        decisions.extend(self.session, command, actor=self.acting(op, row), now=self.now)

    def move(self, op: Op) -> None:
        row = self.target(op, "requested", "approved", "in_use")
        start, end = self.when(op)
        wish = ChangeReservation(end=end) if op.which % 2 else ChangeReservation(start=start, end=end)
        self.change(row, wish, self.acting(op, row))

    def re_equip(self, op: Op) -> None:
        row = self.target(op, "requested", "approved")
        self.change(row, ChangeReservation(equipment=(Wanted(op.piece),)), self.acting(op, row))

    def expect(self, op: Op) -> None:
        row = self.target(op, "approved", "in_use")
        wish = ChangeReservation(expected_end=row.ends_at - timedelta(minutes=15 * op.hours))
        self.change(row, wish, self.acting(op, row))

    def change(self, row: Any, wish: ChangeReservation, actor: Viewer) -> None:
        changes.change(self.session, row.public_id, wish, revision=None, actor=actor, now=self.now)

    def propose(self, op: Op) -> None:
        row = self.target(op, "requested", "approved")
        start, end = self.when(op)
        wish = ChangeReservation(start=start, end=end)
        actor = self.cast.mia
        changes.propose(self.session, row.public_id, wish, revision=None, actor=actor, now=self.now)

    def transfer(self, op: Op) -> None:
        row = self.target(op, "requested", "approved", "in_use")
        command = Decide(row.public_id, to=self.actor(op).email)
        decisions.transfer(self.session, command, actor=self.cast.max, now=self.now)

    def wait(self, op: Op) -> None:
        start, end = self.when(op)
        command = JoinWaitlist(
            (op.piece,),
            start,
            end + timedelta(hours=4),
            end - start,
            "I wait",
            mode="offer" if op.which % 2 else "book",
        )
        waiting.join(self.session, command, actor=self.actor(op), now=self.now)

    def take(self, op: Op) -> None:
        self.on_entry(op, waiting.take)

    def let_go(self, op: Op) -> None:
        self.on_entry(op, waiting.let_go if op.which % 2 else waiting.withdraw)

    def on_entry(self, op: Op, step: Any) -> None:
        found = self.session.scalars(
            select(WaitlistEntry)
            .where(WaitlistEntry.state.in_(("offered", "waiting")))
            .order_by(WaitlistEntry.state, WaitlistEntry.id)
        ).all()
        if not found:
            raise NotFound("entry")
        entry = found[op.which % len(found)]
        owner = next(v for v in vars(self.cast).values() if getattr(v, "id", None) == entry.user_id)
        step(self.session, entry.public_id, actor=owner, now=self.now)

    def sweep(self, op: Op) -> None:
        self.swept(sweep.sweep(self.session, now=self.now))

    def sweep_one(self, op: Op) -> None:
        self.swept(sweep.sweep(self.session, now=self.now, limit=1))

    def swept(self, done: Counter[str]) -> None:
        assert not done["failed"], done
        self.done.update({f"clock: {step}": count for step, count in done.items()})

    def pass_time(self, op: Op) -> None:
        """To the next instant at which something is due, or close to it; then the scheduler looks."""
        coming = sweep.next_due(self.session)
        if coming is not None and coming > self.now:
            self.now = coming + timedelta(microseconds=op.which % 3 - 1)
        else:
            self.now += timedelta(minutes=20)
        self.sweep(op)

    def sleep(self, op: Op) -> None:
        """Nobody looks meanwhile."""
        self.now += timedelta(minutes=37 * op.hours)

    def jump_back(self, op: Op) -> None:
        self.now -= timedelta(minutes=41 * op.hours)
        self.sweep(op)

    # --- what must be true ------------------------------------------------------------------------------

    def look(self, op: Op, finished: bool) -> None:
        before, self.rows = self.rows, {row.id: row for row in self.session.execute(_ROWS)}
        entries = self.session.execute(
            select(HistoryEntry.__table__).where(HistoryEntry.id > self.told).order_by(HistoryEntry.id)
        ).all()
        self.told = max((e.id for e in entries), default=self.told)
        swept = op.what in ("sweep", "sweep_one", "pass_time", "jump_back")
        if not finished and not swept:
            assert not entries, "all or nothing"
            assert self.rows == before
        self._follow(entries, before, swept)
        assert {row.id: row.status for row in self.rows.values()} == self.statuses
        self._posted()
        self._places()
        if entries or self.rows != before:
            assert verify.verify(self.session) == []
        if finished and swept and op.what != "sweep_one":
            self._nothing_left()
        self.session.rollback()

    def _follow(self, entries: Sequence[Any], before: dict[int, Any], swept: bool) -> None:
        """Each step of each history is one that the rules know, taken by who may, and not before its time."""
        moved = set()
        displaced = {e.reservation_id for e in entries if e.action == "displaced"}
        for entry in entries:
            key = entry.reservation_id
            if "status" not in entry.new:
                continue
            if entry.action == "request":
                assert key not in self.statuses
                self.statuses[key] = "requested"
                continue
            edge = (entry.old["status"], entry.new["status"])
            assert edge[0] == self.statuses[key]
            self.statuses[key] = edge[1]
            moved.add(key)
            by_clock = entry.rule in ("scheduler", "outlasted")
            assert edge in (BY_THE_CLOCK if by_clock else BY_PEOPLE), edge
            if by_clock:
                assert swept
                row = before.get(key, self.rows[key])
                self._in_time(edge[1], row, waited=key in displaced)
        if not swept:
            assert len(moved) <= 1
        self._once(entries)

    def _in_time(self, target: str, row: Any, *, waited: bool) -> None:
        guarded = row.check_in == "required"
        match target:
            case "expired":
                assert self.now >= min(row.decide_by or row.starts_at, row.starts_at)
            case "in_use":
                assert not guarded
                assert row.displaced_since is None
                assert self.now >= row.occupied_from
            case "completed":
                assert not guarded
                assert self.now >= row.occupied_until
            case "no_show":
                assert guarded
                assert row.displaced_since is None
                assert not waited
                begins = max(row.starts_at, row.freed_at or row.starts_at)
                assert self.now >= min(begins + timedelta(seconds=row.grace), row.ends_at)
            case "cancelled":
                freed_too_late = row.freed_at is not None and row.freed_at >= row.ends_at
                assert waited or row.displaced_since is not None or freed_too_late
                assert self.now >= row.occupied_until

    def _once(self, entries: Sequence[Any]) -> None:
        """What the clock notes of a reservation it notes once, until somebody did something to it."""
        for key in {e.reservation_id for e in entries}:
            told = self.session.execute(
                select(HistoryEntry.action, HistoryEntry.rule, HistoryEntry.old, HistoryEntry.new)
                .where(HistoryEntry.reservation_id == key)
                .order_by(HistoryEntry.id)
            ).all()
            edges = [(e.old.get("status"), e.new["status"]) for e in told if "status" in e.new]
            assert len(set(edges)) == len(edges)
            noted = [e.action for e in told if e.rule != "scheduler" or e.action not in ("start", "freed")]
            for one, next_one in pairwise(noted):
                assert one != next_one or one not in ("overrun", "flagged", "displaced", "deputy")

    def _posted(self) -> None:
        """Nobody is told the same of the same reservation twice by one event."""
        rows = self.session.execute(
            select(OutboxMessage.id, OutboxMessage.user_id, OutboxMessage.reservation_id, OutboxMessage.kind)
            .where(OutboxMessage.id > self.posted)
            .order_by(OutboxMessage.id)
        ).all()
        self.posted = max((row.id for row in rows), default=self.posted)
        told = Counter(row[1:] for row in rows if row.reservation_id is not None)
        assert not {each: count for each, count in told.items() if count > 1}

    def _places(self) -> None:
        """Nothing that blocks overlaps; who is displaced waits for what is in use past its end."""
        held: dict[int, list[Any]] = {}
        for row in self.session.execute(_ALLOCATIONS):
            held.setdefault(row.place_id, []).append(row)
        for rows in held.values():
            blocking = [r for r in rows if self.rows[r.reservation_id].status in BLOCKING]
            assert all(one.ends_at <= other.starts_at for one, other in pairwise(blocking))
        for row in self.rows.values():
            if row.displaced_since is None:
                continue
            assert row.status == "approved"
            assert self._standing_before(row, held), f"{row.public_id} is displaced by nobody"

    def _standing_before(self, row: Any, held: dict[int, list[Any]]) -> list[Any]:
        """Whoever is still on its places, past the end of their own time."""
        own = [a for rows in held.values() for a in rows if a.reservation_id == row.id and not a.change_id]
        found = []
        for mine in own:
            for other in held[mine.place_id]:
                holding = self.rows[other.reservation_id]
                stands = holding.status == "in_use" and holding.check_in == "required"
                if (
                    stands
                    and holding.id != row.id
                    and not other.change_id
                    and other.starts_at < mine.starts_at
                ):
                    assert holding.ends_at <= mine.starts_at
                    found.append(holding)
        return found

    def _nothing_left(self) -> None:
        """After a whole pass nothing is due, by the row and by the rules' own words."""
        coming = sweep.next_due(self.session)
        assert coming is None or coming > self.now
        for row in self.rows.values():
            guarded, waits = row.check_in == "required", row.displaced_since is not None
            match row.status:
                case "requested":
                    assert min(row.decide_by or row.starts_at, row.starts_at) > self.now
                case "approved" if waits:
                    assert row.occupied_until > self.now
                case "approved" if not guarded:
                    assert max(row.occupied_from, row.freed_at or row.occupied_from) > self.now
                case "approved" if row.flagged_at is None:
                    begins = max(row.starts_at, row.freed_at or row.starts_at)
                    assert min(begins + timedelta(seconds=row.grace), row.ends_at) > self.now
                case "in_use" if guarded:
                    assert row.ends_at > self.now or row.overrun_since is not None
                case "in_use":
                    assert row.occupied_until > self.now


_ROWS = select(Reservation.__table__).order_by(Reservation.id)
_ALLOCATIONS = select(
    Allocation.place_id,
    Allocation.reservation_id,
    Allocation.change_id,
    Allocation.starts_at,
    Allocation.ends_at,
).order_by(Allocation.place_id, Allocation.starts_at, func.coalesce(Allocation.change_id, 0))
