"""Changing a reservation: words at once; time and equipment at once, or as a change that waits for a yes.

A change request is the holder's and a manager decides it; a proposal is a manager's and the holder decides
it. Either holds only what it adds (new minus old) while it waits; accepting swaps, anything else drops it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from labbook.domain import policy
from labbook.domain.access import EDITORS, Viewer, parties
from labbook.domain.allocation import Wish
from labbook.domain.errors import Forbidden, Problem, WrongStatus
from labbook.domain.interval import Interval, subtract
from labbook.domain.reservation import OF_THE_TIME, Party, Status
from labbook.domain.timing import of_all
from labbook.domain.utility import excess
from labbook.models import Change, Participant, Piece, Reservation
from labbook.services import (
    draws,
    environments,
    facts,
    journal,
    people,
    pools,
    transaction,
    visits,
    waitlist,
    webhooks,
)
from labbook.services.commands import ChangeReservation, Wanted
from labbook.services.facts import Placing, Plan
from labbook.services.occupancy import Placement, draw, drop_held, occupy
from labbook.services.opening import changed, may_decide, opened
from labbook.services.reservation_views import ReservationView, subject_of, view_of
from labbook.services.reservations import (
    Asking,
    Checked,
    check_plan,
    expect_end,
    override_problems,
    pieces_problems,
    refuse_held,
    refuse_if_any,
    when_problems,
    written_problems,
)

_MANAGER = frozenset({Party.MANAGER})
_LIVE = (Status.REQUESTED, Status.APPROVED, Status.IN_USE)


def change(
    session: Session,
    public_id: str,
    wish: ChangeReservation,
    *,
    revision: int | None,
    actor: Viewer,
    now: datetime,
) -> ReservationView:
    """Move, resize, re-equip, retitle. The answer's ``pending_change`` says when a manager must agree first.

    Raises ``NotFound``, ``Forbidden``, ``StaleRevision``, ``Refused``, ``WrongStatus``.
    """

    def work() -> ReservationView:
        reservation = _opened(session, public_id, EDITORS, "edit", actor, revision, wish)
        refuse_held(reservation, "offer")
        problems = written_problems(wish.title, wish.notes, wish.reason) + override_problems(wish.override)
        if wish.draws is not None:
            draws.refuse_unless_theirs(
                session,
                actor,
                reservation.facility_id,
                holder_id=reservation.holder_id,
                is_block=reservation.kind == "block" or reservation.hold == "option",
            )
        _edit(session, reservation, wish, problems, actor, now)
        if not wish.is_material:
            problems += when_problems(reservation.starts_at, reservation.ends_at, wish.expected_end)
            refuse_if_any(problems, ())
            if wish.draws is not None:
                _restate(session, reservation, wish.draws, wish.reason, actor, now)
            return view_of(session, reservation, viewer=actor)
        wished = _wished(session, reservation, wish, problems)
        warnings = _check(session, reservation, wished, wish, problems, actor, now)
        if wish.draws is not None or _takes_effect_at_once(session, reservation, wished, actor):
            laid = _swap(session, reservation, wished, warnings, actor, now, "move", wish.reason)
            warnings = replace(warnings, problems=[*warnings.problems, *laid])
            _post_moved(session, reservation, actor, now)
        else:
            # The end that is expected is so at once, whatever becomes of the change.
            refuse_if_any(when_problems(reservation.starts_at, reservation.ends_at, wish.expected_end), ())
            _hold(session, reservation, wished, warnings, actor, now, "change", wish.reason)
        return view_of(session, reservation, viewer=actor, problems=warnings.problems)

    return transaction.rehearse(session, work) if wish.dry_run else transaction.write(session, work)


def propose(
    session: Session,
    public_id: str,
    wish: ChangeReservation,
    *,
    revision: int | None,
    actor: Viewer,
    now: datetime,
) -> ReservationView:
    """A manager proposes another time or equipment, held until the holder accepts or declines."""

    def work() -> ReservationView:
        reservation = _opened(session, public_id, _MANAGER, "propose", actor, revision, wish)
        refuse_held(reservation)
        problems = written_problems(None, None, wish.reason) + override_problems(wish.override)
        if not wish.is_material:
            refuse_if_any([*problems, Problem("missing", "start")], ())
        wished = _wished(session, reservation, wish, problems)
        if reservation.status == Status.IN_USE:
            raise WrongStatus("propose", reservation.status)
        checked = _check(session, reservation, wished, wish, problems, actor, now, proposing=True)
        _hold(session, reservation, wished, checked, actor, now, "proposal", wish.reason)
        return view_of(session, reservation, viewer=actor, problems=checked.problems)

    return transaction.write(session, work)


def withdraw(
    session: Session, public_id: str, *, revision: int | None, actor: Viewer, now: datetime
) -> ReservationView:
    """Take back one's own undecided change."""

    def work() -> ReservationView:
        reservation = _opened(session, public_id, EDITORS, "withdraw", actor, revision)
        waiting = pending(reservation)
        if waiting is None:
            raise WrongStatus("withdraw", reservation.status)
        proposer = Party.HOLDER if waiting.kind == "change" else Party.MANAGER
        if proposer not in parties(actor, subject_of(reservation)):
            raise Forbidden("withdraw")
        _close(session, reservation, "withdrawn", actor, now, "")
        return view_of(session, reservation, viewer=actor)

    return transaction.write(session, work)


def apply_now(
    session: Session,
    reservation: Reservation,
    wish: ChangeReservation,
    *,
    actor: Viewer,
    now: datetime,
    action: str,
) -> list[Problem]:
    """Check a wish on an opened reservation and carry it out; the warnings. Part of another use case."""
    wished, checked = _looked_at(session, reservation, wish, actor, now)
    laid = _swap(session, reservation, wished, checked, actor, now, action, wish.reason)
    return [*checked.problems, *laid]


def would_pass(
    session: Session, reservation: Reservation, wish: ChangeReservation, *, actor: Viewer, now: datetime
) -> None:
    """Raise what ``apply_now`` would raise, and change nothing."""
    _looked_at(session, reservation, wish, actor, now)


def _looked_at(
    session: Session, reservation: Reservation, wish: ChangeReservation, actor: Viewer, now: datetime
) -> tuple[_Wished, Checked]:
    problems = written_problems(None, None, wish.reason) + override_problems(wish.override)
    wished = _wished(session, reservation, wish, problems)
    return wished, _check(session, reservation, wished, wish, problems, actor, now)


def move_now(
    session: Session,
    public_id: str,
    wish: ChangeReservation,
    *,
    revision: int | None,
    actor: Viewer,
    now: datetime,
) -> None:
    """A manager moves somebody's reservation; all its people are told. Part of another use case.

    Raises what ``change`` raises; nobody moves their own where another would have to agree.
    """
    reservation = _opened(session, public_id, _MANAGER, "move", actor, revision, wish)
    refuse_held(reservation, "offer")
    if not may_decide(session, reservation, actor):
        raise Forbidden("move")
    apply_now(session, reservation, wish, actor=actor, now=now, action="move")
    _post_moved(session, reservation, actor, now, [p.user_id for p in reservation.participants])


def pending(reservation: Reservation) -> Change | None:
    return next((c for c in reservation.changes if c.state == "open"), None)


def is_decider(reservation: Reservation, actor: Viewer) -> bool:
    """Whether the pending change waits for this person's yes or no; never for whoever proposed it."""
    waiting = pending(reservation)
    if waiting is None or waiting.proposed_by_id == actor.id:
        return False
    decider = Party.MANAGER if waiting.kind == "change" else Party.HOLDER
    return decider in parties(actor, subject_of(reservation))


def accept(session: Session, reservation: Reservation, *, actor: Viewer, now: datetime, reason: str) -> None:
    """Swap: the reservation becomes what the change says. A manager's accepted proposal is an approval."""
    waiting = pending(reservation)
    assert waiting is not None
    if waiting.kind == "change" and not may_decide(session, reservation, actor):
        raise Forbidden("approve")
    wish = ChangeReservation(
        start=waiting.starts_at,
        end=waiting.ends_at,
        equipment=tuple(Wanted(p["slug"], p["places"]) for p in waiting.pieces),
    )
    wished = _wished(session, reservation, wish, [])
    checked = _check(session, reservation, wished, wish, [], actor, now, accepting=waiting)
    was, kind = reservation.status, waiting.kind
    waiting.state, waiting.decided_at, waiting.decided_by_id = "accepted", now, actor.id
    if was == Status.REQUESTED and kind == "proposal":
        reservation.status = Status.APPROVED
        reservation.approved_at, reservation.approved_by_id = now, waiting.proposed_by_id
    _swap(session, reservation, wished, checked, actor, now, "accept", reason, was=was)
    told = [reservation.holder_id, waiting.proposed_by_id]
    journal.post(session, "change_accepted", told, now=now, reservation=reservation, apart_from=actor.id)


def decline(session: Session, reservation: Reservation, *, actor: Viewer, now: datetime, reason: str) -> None:
    """Drop the change; the reservation stays what it was."""
    waiting = pending(reservation)
    assert waiting is not None
    _close(session, reservation, "declined", actor, now, reason)
    told = [reservation.holder_id, waiting.proposed_by_id]
    journal.post(session, "change_declined", told, now=now, reservation=reservation, apart_from=actor.id)


def lapse(session: Session, reservation: Reservation, now: datetime) -> None:
    """Whatever was pending is overtaken by a step of the reservation itself."""
    waiting = pending(reservation)
    if waiting is not None:
        waiting.state, waiting.decided_at = "lapsed", now
        _let_go(session, reservation, waiting, now)


def _let_go(session: Session, reservation: Reservation, change: Change, now: datetime) -> None:
    """What a change held in addition is free again."""
    drop_held(session, reservation)
    waitlist.freed(session, [piece["equipment_id"] for piece in change.pieces], now)


def lapse_begun(
    session: Session, reservation: Reservation, *, actor: Viewer | None, now: datetime, rule: str | None
) -> None:
    """What begins has its start and its equipment: a pending change of them is over, its people hear of it.

    One of the end alone can still be accepted.
    """
    waiting = pending(reservation)
    if waiting is None:
        return
    same_pieces = {p["equipment_id"]: p["places"] for p in waiting.pieces} == {
        p.equipment_id: p.places for p in reservation.pieces
    }
    if waiting.starts_at == reservation.starts_at and same_pieces:
        return
    lapse(session, reservation, now)
    session.flush()
    journal.record(
        session, reservation, "change_lapsed", actor=actor, now=now, rule=rule, new={"change": "lapsed"}
    )
    told = [reservation.holder_id, waiting.proposed_by_id]
    journal.post(session, "change_lapsed", told, now=now, reservation=reservation)


def _restate(
    session: Session,
    reservation: Reservation,
    texts: draws.Texts,
    reason: str,
    actor: Viewer,
    now: datetime,
) -> None:
    if draws.restate(session, reservation, texts, reason, actor=actor, now=now):
        changed(reservation, now)
        session.flush()


def settle(session: Session, reservation: Reservation, placing: Placing, now: datetime) -> None:
    """Occupy exactly what ``placing`` says and nothing else."""
    drop_held(session, reservation)
    facts.take(session, reservation, placing, now)


@dataclass(frozen=True)
class _Wished:
    plan: Plan
    wanted: tuple[Wanted, ...]


def _opened(
    session: Session,
    public_id: str,
    allowed: frozenset[Party],
    action: str,
    actor: Viewer,
    revision: int | None,
    wish: ChangeReservation | None = None,
) -> Reservation:
    takes = [w.slug for w in wish.equipment or ()] if wish and wish.is_material else None
    return opened(
        session, public_id, actor=actor, allowed=allowed, action=action, revision=revision, takes=takes
    )


def _edit(
    session: Session,
    reservation: Reservation,
    wish: ChangeReservation,
    problems: list[Problem],
    actor: Viewer,
    now: datetime,
) -> None:
    """Words, project and people: not material, so at once."""
    old: dict[str, Any] = {}
    new: dict[str, Any] = {}
    if wish.title is not None and wish.title.strip() != reservation.title:
        old["title"], new["title"] = reservation.title, wish.title.strip()
        reservation.title = wish.title.strip()
    if wish.notes is not None and wish.notes != reservation.notes:
        old["notes"], new["notes"] = reservation.notes, wish.notes
        reservation.notes = wish.notes
    before = reservation.expected_end
    expected = None if wish.without_expected_end else wish.expected_end or before
    if expect_end(reservation, expected):
        old["expected_end"], new["expected_end"] = before, expected
    if wish.project is not None or wish.participants is not None:
        _edit_people(session, reservation, wish, problems, actor, old, new)
    if new and not problems:
        changed(reservation, now)
        session.flush()
        for side in (old, new):
            side |= {name: journal.kept(session, side[name]) for name in journal.TEXTS if name in side}
        why = "" if wish.is_material else wish.reason  # said once, with what is material
        journal.record(session, reservation, "edit", actor=actor, now=now, old=old, new=new, reason=why)


def _edit_people(
    session: Session,
    reservation: Reservation,
    wish: ChangeReservation,
    problems: list[Problem],
    actor: Viewer,
    old: dict[str, Any],
    new: dict[str, Any],
) -> None:
    named = people.resolve_changed(
        session,
        actor=actor,
        reservation=reservation,
        participants=wish.participants,
        project=wish.project,
    )
    problems += named.problems
    if named.problems:
        return
    if named.project is not reservation.project:
        old["project"] = reservation.project.slug if reservation.project else None
        new["project"] = named.project.slug if named.project else None
        reservation.project = named.project
        reservation.activity = named.project.activity if named.project else reservation.activity
    before, wanted = ({p.user_id for p in reservation.participants}, {user.id for user in named.participants})
    if wanted != before:
        old["participants"], new["participants"] = sorted(before), sorted(wanted)
        for row in [p for p in reservation.participants if p.user_id not in wanted]:
            reservation.participants.remove(row)
        added = [user for user in named.participants if user.id not in before]
        reservation.participants += [Participant(user=user) for user in added]


def _wished(
    session: Session, reservation: Reservation, wish: ChangeReservation, problems: list[Problem]
) -> _Wished:
    """The plan that the wish makes of the reservation; locks all equipment, old and new, in order of id."""
    if Status(reservation.status) not in _LIVE:
        refuse_if_any(problems, ())
        raise WrongStatus("move", reservation.status)
    start, end = wish.start or reservation.starts_at, wish.end or reservation.ends_at
    problems += when_problems(start, end, wish.expected_end)
    present = tuple(Wanted(p.equipment.slug, p.places) for p in reservation.pieces)
    wanted = present if wish.equipment is None else facts.resolved(session, wish.equipment)
    counts = environments.counted(wanted)
    other_pieces = counts != environments.counted(present)
    if reservation.status == Status.IN_USE:
        if start != reservation.starts_at:
            problems.append(Problem("already_begun", "start"))
        if other_pieces:
            problems.append(Problem("already_begun", "equipment"))
    both = {w.slug for w in (*wanted, *present)}
    locked = facts.load_equipment(session, [Wanted(slug) for slug in both], lock=True)
    pieces = [(equipment, counts[equipment.slug]) for equipment, _ in locked if equipment.slug in counts]
    problems += facts.unknown_equipment(wanted, pieces) + pieces_problems(wanted, pieces)
    problems += draws.reason_problems(wish.draws, wish.reason)
    stated = draws.stated(
        session, reservation.facility_id, wish.draws or {}, reservation.draws_stated, problems
    )
    if {equipment.facility_id for equipment, _ in pieces} - {reservation.facility_id}:
        problems.append(Problem("several_facilities", "equipment"))
    recipe = reservation.environment_version
    if recipe is not None and wanted and other_pieces:
        problems += environments.mismatches(session, recipe, wanted)
    refuse_if_any(problems, ())
    began = [a.starts_at for a in reservation.allocations if reservation.status == Status.IN_USE]
    return _Wished(
        Plan(
            pieces,
            Interval(start, end),
            recipe,
            since=min(began, default=None),  # whoever came late took the places from then on only
            stated=stated,
            ambient=reservation.ambient,
        ),
        wanted,
    )


def _keeps_start(reservation: Reservation, wished: _Wished, accepting: Change | None) -> bool:
    """A start that stays may have passed; so may one that a manager proposed when it had."""
    start = wished.plan.use.start
    proposed_past = accepting is not None and accepting.kind == "proposal" and start < accepting.created_at
    return start == reservation.starts_at or proposed_past


def _check(
    session: Session,
    reservation: Reservation,
    wished: _Wished,
    wish: ChangeReservation,
    problems: list[Problem],
    actor: Viewer,
    now: datetime,
    *,
    accepting: Change | None = None,
    proposing: bool = False,
) -> Checked:
    checked = check_plan(
        session,
        wished.plan,
        Asking(
            actor=actor,
            holder_id=reservation.holder_id,
            organisation=facts.organisation_facts(reservation.organisation),
            now=now,
            override=wish.override,
            is_block=reservation.kind == "block",
            use_now=False,
            reservation_id=reservation.id,
            keep_start=_keeps_start(reservation, wished, accepting),
            proposed=proposing or (accepting is not None and accepting.kind == "proposal"),
        ),
    )
    # What a manager set aside once counts on for a manager and for giving back, not for another wish.
    keeps = checked.may_override or _only_gives_back(reservation, wished)
    earlier = [*(reservation.overridden if keeps else ()), *(accepting.overridden if accepting else ())]
    overridden = checked.overridden | policy.set_aside(checked.problems, earlier)
    if wish.override and checked.may_override and not wish.reason.strip():
        problems = [*problems, Problem("reason_missing", "reason")]
    refuse_if_any([*problems, *checked.problems], checked.placing.conflicts, overridden)
    return replace(checked, overridden=overridden)


def _takes_effect_at_once(session: Session, reservation: Reservation, wished: _Wished, actor: Viewer) -> bool:
    """Requests are still to be decided; giving back needs nobody; automatic equipment never asks."""
    if reservation.status != Status.APPROVED or reservation.kind == "block":
        return True
    if may_decide(session, reservation, actor):
        return True
    return _only_gives_back(reservation, wished) or not policy.needs_manager(wished.plan.facts)


def _only_gives_back(reservation: Reservation, wished: _Wished) -> bool:
    before = {p.equipment.slug: p.places for p in reservation.pieces}
    booked = Interval(reservation.starts_at, reservation.ends_at)
    return booked.contains(wished.plan.use) and all(
        count <= before.get(equipment.slug, 0) for equipment, count in wished.plan.pieces
    )


def _swap(
    session: Session,
    reservation: Reservation,
    wished: _Wished,
    checked: Checked,
    actor: Viewer,
    now: datetime,
    action: str,
    reason: str,
    *,
    was: str | None = None,
) -> list[Problem]:
    """Make the reservation what was wished, all of it; warnings of what is planned while it runs."""
    plan = wished.plan
    moved = plan.use.start - reservation.starts_at
    lapse(session, reservation, now)
    drop_held(session, reservation)
    old = _material(reservation) | ({"status": was} if was is not None else {})
    reservation.starts_at, reservation.ends_at = plan.use.start, plan.use.end
    reservation.occupied_from, reservation.occupied_until = plan.occupied.start, plan.occupied.end
    if reservation.expected_end is not None and not plan.use.has(reservation.expected_end):
        reservation.expected_end = None
    reservation.flagged_at = None
    reservation.overrun_since = reservation.grow_at = None
    if moved or not _has_same_pieces(reservation, plan):
        reservation.displaced_since = reservation.freed_at = None
    reservation.taken = sorted(frozenset(reservation.taken) - OF_THE_TIME)
    reservation.timing = of_all(p.timing for p in plan.facts).stored()
    reservation.overridden = sorted(checked.overridden)
    taken_back = _takes_permit_back(reservation, plan, now)
    stated, reservation.draws_stated = reservation.draws_stated, dict(plan.stated)
    _set_pieces(session, reservation, plan)
    guarded = [p for p in plan.facts if p.check_in == "required" and reservation.kind == "booking"]
    reservation.check_in = "required" if guarded else "none"
    reservation.grace = min((int(p.policy.grace.total_seconds()) for p in guarded), default=0)
    changed(reservation, now)
    session.flush()
    facts.take(session, reservation, checked.placing, now)
    draw(session, reservation, checked.draws)
    session.flush()
    if reservation.status == Status.IN_USE:
        webhooks.opened(session, [reservation.id], now)
    laid = visits.relay(session, reservation, now, moved=moved, confirmed=was == Status.REQUESTED)
    waitlist.freed(session, [each for each, _ in old["equipment"]], now)
    new = _material(reservation) | ({"status": reservation.status} if was is not None else {})
    if taken_back is not None:
        old, new = old | {"permit": taken_back}, new | {"permit": None}
    if stated != reservation.draws_stated:
        old |= {"draws": draws.in_words(session, stated)}
        new |= {"draws": draws.in_words(session, reservation.draws_stated)}
    journal.record(
        session,
        reservation,
        action,
        actor=actor,
        now=now,
        old={k: v for k, v in old.items() if new[k] != v},
        new={k: v for k, v in new.items() if old[k] != v},
        reason=reason,
    )
    return laid


def _takes_permit_back(reservation: Reservation, plan: Plan, now: datetime) -> datetime | None:
    """When it was signed, where a change undoes that: other equipment, or a set-up that is still to come, is
    not what was looked at.
    """
    signed = reservation.permit_signed_at
    same = _has_same_pieces(reservation, plan)
    if signed is None or (same and plan.occupied.start <= now):
        return None
    reservation.permit_signed_at = reservation.permit_signed_by_id = None
    return signed


def _has_same_pieces(reservation: Reservation, plan: Plan) -> bool:
    before = {p.equipment_id: p.places for p in reservation.pieces}
    return before == {equipment.id: count for equipment, count in plan.pieces}


def _set_pieces(session: Session, reservation: Reservation, plan: Plan) -> None:
    wanted = {equipment.id: count for equipment, count in plan.pieces}
    for row in [p for p in reservation.pieces if p.equipment_id not in wanted]:
        reservation.pieces.remove(row)
    session.flush()
    present = {p.equipment_id: p for p in reservation.pieces}
    for equipment, count in plan.pieces:
        if equipment.id in present:
            present[equipment.id].places = count
        else:
            reservation.pieces.append(Piece(equipment=equipment, places=count))


def _material(reservation: Reservation) -> dict[str, Any]:
    return {
        "start": reservation.starts_at,
        "end": reservation.ends_at,
        "equipment": sorted([p.equipment_id, p.places] for p in reservation.pieces),
        "overridden": reservation.overridden,
    }


def _hold(
    session: Session,
    reservation: Reservation,
    wished: _Wished,
    checked: Checked,
    actor: Viewer,
    now: datetime,
    kind: str,
    reason: str,
) -> None:
    """Keep the change for a decision, holding what it adds and nothing twice."""
    earlier = pending(reservation)
    if earlier is not None:
        earlier.state, earlier.decided_at, earlier.decided_by_id = "withdrawn", now, actor.id
        drop_held(session, reservation)
    row = Change(
        kind=kind,
        proposed_by_id=actor.id,
        starts_at=wished.plan.use.start,
        ends_at=wished.plan.use.end,
        pieces=[
            {"equipment_id": equipment.id, "slug": equipment.slug, "places": count}
            for equipment, count in wished.plan.pieces
        ],
        overridden=sorted(checked.overridden),
        created_at=now,
    )
    reservation.changes.append(row)
    session.flush()
    own: dict[int, list[Interval]] = {}
    for allocation in reservation.allocations:
        own.setdefault(allocation.place_id, []).append(Interval(allocation.starts_at, allocation.ends_at))
    added = [
        Placement(p.place_id, left)
        for p in checked.placing.placements
        if p.place_id not in checked.placing.pooled
        for left in subtract(p.span, own.get(p.place_id, ()))
    ]
    of_pools, moves = _added_of_pools(session, wished.plan, own, now)
    occupy(session, reservation, [*added, *of_pools], now=now, change_id=row.id, moves=moves)
    draw(session, reservation, draws.added(reservation, checked.draws), change_id=row.id)
    changed(reservation, now)
    session.flush()
    session.refresh(row, ["proposed_by"])
    journal.record(
        session,
        reservation,
        kind,
        actor=actor,
        now=now,
        old=_material(reservation),
        new={
            "start": row.starts_at,
            "end": row.ends_at,
            "equipment": sorted([p["equipment_id"], p["places"]] for p in row.pieces),
            "overridden": row.overridden,
        },
        reason=reason,
    )
    told = (
        [reservation.holder_id, reservation.requested_by_id]
        if kind == "proposal"
        else journal.managers_of(session, reservation.facility_id, now)
    )
    journal.post(session, kind, told, now=now, reservation=reservation, apart_from=actor.id)


def _added_of_pools(
    session: Session, plan: Plan, own: Mapping[int, Sequence[Interval]], now: datetime
) -> tuple[list[Placement], dict[int, int]]:
    """What the plan adds of pools, by the count: on whichever units, beside what the reservation has."""
    placements: list[Placement] = []
    moves: dict[int, int] = {}
    for equipment, count in plan.pieces:
        if not equipment.pool:
            continue
        present = [(span, 1) for place in equipment.place_rows for span in own.get(place.id, ())]
        more = excess([(plan.span(equipment), count)], present)
        wishes = [Wish(span) for span, number in more for _ in range(number)]
        packed = pools.arrange(session, equipment, wishes, now=now) if wishes else None
        if packed is not None:
            placements += [Placement(p, w.span) for p, w in zip(packed.taken, wishes, strict=True)]
            moves |= packed.moves
    return placements, moves


def _close(
    session: Session, reservation: Reservation, state: str, actor: Viewer, now: datetime, reason: str
) -> None:
    waiting = pending(reservation)
    assert waiting is not None
    waiting.state, waiting.decided_at, waiting.decided_by_id = state, now, actor.id
    _let_go(session, reservation, waiting, now)
    changed(reservation, now)
    session.flush()
    journal.record(
        session, reservation, f"change_{state}", actor=actor, now=now, new={"change": state}, reason=reason
    )


def _post_moved(
    session: Session, reservation: Reservation, actor: Viewer, now: datetime, others: Sequence[int] = ()
) -> None:
    told = [reservation.holder_id, reservation.requested_by_id, *others]
    if reservation.status == Status.REQUESTED and reservation.hold is None:
        told += journal.managers_of(session, reservation.facility_id, now)
    journal.post(session, "moved", told, now=now, reservation=reservation, apart_from=actor.id)
