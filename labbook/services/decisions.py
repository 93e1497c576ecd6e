"""Steps along the transition table, each one transaction: status, allocations, history, messages."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from labbook.domain import policy
from labbook.domain.access import PRESENT, Viewer
from labbook.domain.errors import Forbidden, Problem, Refused, WrongStatus
from labbook.domain.interval import Interval
from labbook.domain.policy import Facts, Phase
from labbook.domain.reservation import TRANSITIONS, Action, Occupation, Party, Status, sources, transition
from labbook.domain.words import NOTES_LIMIT, text_problems
from labbook.models import Message, Remark, Reservation, User
from labbook.services import (
    changes,
    draws,
    facts,
    journal,
    overruns,
    people,
    sharing,
    transaction,
    visits,
    waitlist,
)
from labbook.services.commands import ChangeReservation, Decide
from labbook.services.facts import Plan
from labbook.services.occupancy import draw
from labbook.services.opening import changed, may_decide, opened
from labbook.services.reservation_views import ReservationView, view_of
from labbook.services.reservations import override_problems, refuse_held, refuse_if_any, written_problems
from labbook.services.steps import advance

CAUSES = ("user", "lab", "fault")


def approve(session: Session, command: Decide, *, actor: Viewer, now: datetime) -> ReservationView:
    """Approve a request, or whatever change of it is pending and yours to accept."""

    def work() -> ReservationView:
        reservation = _opened(
            session, command, Action.APPROVE, actor, extra=frozenset({Party.HOLDER}), takes=()
        )
        refuse_held(reservation)
        if command.draws is not None:
            draws.restate(session, reservation, command.draws, command.reason, actor=actor, now=now)
        if changes.pending(reservation) is not None and changes.is_decider(reservation, actor):
            changes.accept(session, reservation, actor=actor, now=now, reason=command.reason)
            return view_of(session, reservation, viewer=actor)
        if not may_decide(session, reservation, actor):
            raise Forbidden(Action.APPROVE)
        problems = policy.check(_facts(session, reservation, reservation.holder_id, now), Phase.APPROVAL)
        may_override = reservation.holder_id != actor.id
        new = _set_aside(reservation, command, problems, may_override=may_override)
        changes.lapse(session, reservation, now)
        reservation.approved_at, reservation.approved_by_id = now, actor.id
        problems += visits.relay(session, reservation, now, confirmed=True)
        advance(session, reservation, Action.APPROVE, actor=actor, now=now, reason=command.reason, new=new)
        _post(
            session, "approved", reservation, actor, now, [reservation.holder_id, reservation.requested_by_id]
        )
        return view_of(session, reservation, viewer=actor, problems=problems)

    return transaction.write(session, work)


def decline(session: Session, command: Decide, *, actor: Viewer, now: datetime) -> ReservationView:
    """Decline a request with a reason, or whatever change of it is pending and yours to decide."""

    def work() -> ReservationView:
        reservation = _opened(session, command, Action.DECLINE, actor, extra=frozenset({Party.HOLDER}))
        refuse_held(reservation)
        if changes.pending(reservation) is not None and changes.is_decider(reservation, actor):
            changes.decline(session, reservation, actor=actor, now=now, reason=command.reason)
            return view_of(session, reservation, viewer=actor)
        if not actor.manages(reservation.facility_id):
            raise Forbidden(Action.DECLINE)
        problems = written_problems(None, None, command.reason)
        if not command.reason.strip():
            problems.append(Problem("reason_missing", "reason"))
        refuse_if_any(problems, ())
        advance(session, reservation, Action.DECLINE, actor=actor, now=now, reason=command.reason)
        _post(
            session, "declined", reservation, actor, now, [reservation.holder_id, reservation.requested_by_id]
        )
        return view_of(session, reservation, viewer=actor)

    return transaction.write(session, work)


def cancel(session: Session, command: Decide, *, actor: Viewer, now: datetime) -> ReservationView:
    """Cancel, naming the cause: the user's, the lab's or a fault's. The latter two are staff's to name."""

    def work() -> ReservationView:
        return view_of(session, cancelled(session, command, actor=actor, now=now), viewer=actor)

    return transaction.write(session, work)


def cancelled(session: Session, command: Decide, *, actor: Viewer, now: datetime) -> Reservation:
    """As ``cancel``, as part of another use case's transaction."""
    reservation = _opened(session, command, Action.CANCEL, actor)
    staff = actor.is_staff_of(reservation.facility_id)
    own = actor.id in (reservation.holder_id, reservation.requested_by_id)
    cause = command.cause or ("lab" if staff and not own else "user")
    problems = written_problems(None, None, command.reason)
    if cause not in CAUSES:
        problems.append(Problem("unknown_cause", "cause", params={"cause": cause}))
    elif cause != "user" and not staff:
        problems.append(Problem("cause_is_staffs", "cause", params={"cause": cause}))
    refuse_if_any(problems, ())
    reservation.cancel_cause = cause
    advance(
        session,
        reservation,
        Action.CANCEL,
        actor=actor,
        now=now,
        reason=command.reason,
        new={"cause": cause},
    )
    if reservation.hold is not None:
        waitlist.released(session, [reservation], now)
    told = [reservation.holder_id, reservation.requested_by_id]
    if cause != "user":  # nobody among them knows of it
        told += [participant.user_id for participant in reservation.participants]
    if not staff and reservation.hold is None:
        told += journal.managers_of(session, reservation.facility_id, now)
    _post(session, "cancelled", reservation, actor, now, told)
    return reservation


def check_in(session: Session, command: Decide, *, actor: Viewer, now: datetime) -> ReservationView:
    """Begin to use: from the start of set-up on; late, while the places are still free."""

    def work() -> ReservationView:
        reservation = _opened(session, command, Action.CHECK_IN, actor, takes=())
        problems = []
        if now < reservation.occupied_from:
            problems.append(Problem("too_early", params={"earliest": reservation.occupied_from}))
        if now >= reservation.occupied_until:
            problems.append(Problem("too_late", params={"end": reservation.occupied_until}))
        if overruns.kept_waiting(session, [reservation.id], now):
            problems.append(Problem("displaced"))
        # Asked of whoever operates: staff who check somebody in do it for the holder.
        participants = {p.user_id for p in reservation.participants}
        operator = actor.id if actor.id in participants else reservation.holder_id
        may_override = actor.manages(reservation.facility_id) and operator != actor.id
        step = transition(Action.CHECK_IN, Status(reservation.status))
        problems += policy.check(_facts(session, reservation, operator, now), Phase.CHECK_IN)
        new = _set_aside(reservation, command, problems, may_override=may_override)
        refuse_if_any(_still_another_profile(session, reservation), (), frozenset(reservation.overridden))
        if step.occupation is Occupation.RETAKE:
            exact = actor.is_staff_of(reservation.facility_id)
            _retake(session, reservation, now, exact=exact)
        reservation.checked_in_at = now
        problems += visits.relay(session, reservation, now)
        advance(session, reservation, Action.CHECK_IN, actor=actor, now=now, reason=command.reason, new=new)
        return view_of(session, reservation, viewer=actor, problems=problems)

    return transaction.write(session, work)


def check_out(session: Session, command: Decide, *, actor: Viewer, now: datetime) -> ReservationView:
    """Hand back; what is left of the slot is free again."""

    def work() -> ReservationView:
        reservation = _opened(session, command, Action.CHECK_OUT, actor, takes=())
        transition(Action.CHECK_OUT, Status(reservation.status))
        reservation.checked_out_at = now
        advance(session, reservation, Action.CHECK_OUT, actor=actor, now=now, reason=command.reason)
        return view_of(session, reservation, viewer=actor)

    return transaction.write(session, work)


def abort(session: Session, command: Decide, *, actor: Viewer, now: datetime) -> ReservationView:
    """Stop what runs (a fault, a danger); a manager's step, with a reason."""

    def work() -> ReservationView:
        reservation = _opened(session, command, Action.ABORT, actor, takes=())
        problems = written_problems(None, None, command.reason)
        if not command.reason.strip():
            problems.append(Problem("reason_missing", "reason"))
        refuse_if_any(problems, ())
        advance(session, reservation, Action.ABORT, actor=actor, now=now, reason=command.reason)
        _post(
            session, "aborted", reservation, actor, now, [reservation.holder_id, reservation.requested_by_id]
        )
        return view_of(session, reservation, viewer=actor)

    return transaction.write(session, work)


def extend(session: Session, command: Decide, *, actor: Viewer, now: datetime) -> ReservationView:
    """Go on until ``until`` while the places are free; what is in use needs no new approval for that."""

    def work() -> ReservationView:
        reservation = opened(
            session,
            command.reservation,
            actor=actor,
            allowed=PRESENT,
            action="extend",
            revision=command.revision,
            takes=(),
        )
        if command.until is None:
            raise Refused([Problem("missing", "until")])
        if command.until <= now:
            raise Refused([Problem("in_the_past", "until", params={"start": command.until, "now": now})])
        if command.until <= reservation.ends_at:
            raise Refused([Problem("not_longer", "until", params={"end": reservation.ends_at})])
        if reservation.status != Status.IN_USE:
            raise WrongStatus("extend", reservation.status)
        wish = ChangeReservation(end=command.until, override=command.override, reason=command.reason)
        problems = changes.apply_now(session, reservation, wish, actor=actor, now=now, action="extend")
        return view_of(session, reservation, viewer=actor, problems=problems)

    return transaction.write(session, work)


def transfer(session: Session, command: Decide, *, actor: Viewer, now: datetime) -> ReservationView:
    """Make somebody else the holder; staff may choose anybody, others a colleague."""

    def work() -> ReservationView:
        reservation = opened(
            session,
            command.reservation,
            actor=actor,
            allowed=frozenset({Party.HOLDER, Party.MANAGER}),
            action="transfer",
            revision=command.revision,
        )
        refuse_held(reservation)
        if not command.to:
            raise Refused([Problem("missing", "to")])
        _require_live(reservation, "transfer")
        named = people.resolve(session, actor=actor, facility_id=reservation.facility_id, holder=command.to)
        if named.holder is None:
            raise Refused([replace(problem, field="to") for problem in named.problems])
        known = _facts(session, reservation, named.holder.id, now, of=named.holder)
        if reservation.kind == "block" and not people.is_staff(
            session, named.holder, reservation.facility_id
        ):
            raise Refused([Problem("block_is_staffs", "to")])
        if not _may_take_over(session, reservation, named.holder, known, actor):
            raise Forbidden("transfer")
        problems = policy.check(known, Phase.APPROVAL)
        problems += people.recipe_problems(session, named.holder, reservation.environment_version, "to")
        overridden = frozenset(reservation.overridden)
        # What was set aside for one person is not for another, nor by a manager for themselves.
        if not actor.manages(reservation.facility_id) or named.holder.id == actor.id:
            overridden -= policy.OF_THE_HOLDER
        refuse_if_any(problems, (), overridden)
        reservation.overridden = sorted(overridden)
        _hand_over(session, reservation, named.holder, actor, now, command.reason)
        return view_of(session, reservation, viewer=actor, problems=problems)

    return transaction.write(session, work)


def _may_take_over(session: Session, reservation: Reservation, to: User, known: Facts, actor: Viewer) -> bool:
    """Nobody hands themselves what they could approve for another and not for themselves."""
    if to.id != actor.id or not actor.manages(reservation.facility_id):
        return True
    if reservation.status == Status.REQUESTED or not policy.needs_manager(known.pieces):
        return True
    return people.decides_for(session, actor, reservation.facility_id, to.id)


def _hand_over(
    session: Session, reservation: Reservation, to: User, actor: Viewer, now: datetime, reason: str
) -> None:
    before = reservation.holder_id
    reservation.holder = to
    reservation.organisation = to.organisation
    changed(reservation, now)
    session.flush()
    journal.record(
        session,
        reservation,
        "transfer",
        actor=actor,
        now=now,
        old={"holder": before},
        new={"holder": to.id},
        reason=reason,
    )
    _post(session, "transferred", reservation, actor, now, [before, to.id])


def message(session: Session, command: Decide, *, actor: Viewer, now: datetime) -> ReservationView:
    """Write into the reservation's thread: a manager asks, the holder answers."""

    def work() -> ReservationView:
        reservation = opened(
            session,
            command.reservation,
            actor=actor,
            allowed=PRESENT,
            action="message",
            revision=command.revision,
        )
        problems = text_problems(command.text, "text", limit=NOTES_LIMIT, required=True, lines=True)
        refuse_if_any(problems, ())
        remark = Remark(text=command.text)
        session.add(remark)
        session.flush()
        session.add(Message(reservation_id=reservation.id, author_id=actor.id, at=now, remark_id=remark.id))
        session.flush()
        told = [reservation.holder_id, reservation.requested_by_id]
        if not actor.is_staff_of(reservation.facility_id):
            told += journal.managers_of(session, reservation.facility_id, now)
        _post(session, "message", reservation, actor, now, told)
        return view_of(session, reservation, viewer=actor)

    return transaction.write(session, work)


def _opened(
    session: Session,
    command: Decide,
    action: Action,
    actor: Viewer,
    *,
    extra: frozenset[Party] = frozenset(),
    takes: Collection[str] | None = None,
) -> Reservation:
    parties = frozenset[Party]().union(*(t.parties for t in TRANSITIONS if t.action is action))
    return opened(
        session,
        command.reservation,
        actor=actor,
        allowed=parties | extra,
        action=action,
        revision=command.revision,
        takes=takes,
    )


def _set_aside(
    reservation: Reservation, command: Decide, problems: list[Problem], *, may_override: bool
) -> dict[str, object]:
    """Refuse unless all that blocks is set aside, now or before; what of it is new, for the history."""
    wrong = written_problems(None, None, command.reason) + override_problems(command.override)
    added = frozenset[str]()
    if command.override and may_override:
        if not command.reason.strip():
            wrong.append(Problem("reason_missing", "reason"))
        added = policy.set_aside(problems, command.override)
    overridden = added | frozenset(reservation.overridden)
    refuse_if_any([*wrong, *problems], (), overridden)
    reservation.overridden = sorted(overridden)
    return {"overridden": sorted(added)} if added else {}


def _still_another_profile(session: Session, reservation: Reservation) -> list[Problem]:
    """What overruns on the other places of a shared piece keeps its profile as long as it is there."""
    if reservation.kind == "block":
        return []
    found = sharing.overrunning(session, _plan_of(session, reservation), apart_from=reservation.id)
    return [Problem("other_ambient", "environment", params={"equipment": slug}) for slug in found]


def _plan_of(session: Session, reservation: Reservation) -> Plan:
    return Plan(
        facts.load_equipment(session, facts.wanted_of(reservation), lock=False),
        Interval(reservation.starts_at, reservation.ends_at),
        reservation.environment_version,
        ambient=reservation.ambient,
    )


def _retake(session: Session, reservation: Reservation, now: datetime, *, exact: bool) -> None:
    """Occupy again from now on what a missed check-in had released, if nobody else took it."""
    plan = Plan(
        facts.load_equipment(session, facts.wanted_of(reservation), lock=True),
        Interval(max(now, reservation.starts_at), reservation.ends_at)
        if now < reservation.ends_at
        else Interval(reservation.starts_at, reservation.ends_at),
        reservation.environment_version,
        since=now,  # whoever was there until just now is not in the way of a set-up that lies before
        stated=reservation.draws_stated,
        ambient=reservation.ambient,
    )
    own = [a.place_id for a in reservation.allocations if a.change_id is None]
    placing = facts.place(session, plan, now=now, apart_from=reservation.id, prefer=own)
    spans, utilities = facts.draws_of(session, plan)
    budgets = facts.budgets(session, plan, spans, utilities, apart_from=reservation.id, exact=exact)
    known = replace(
        _facts(session, reservation, reservation.holder_id, now),
        budgets=budgets,
        ambient_clashes=sharing.clashes(session, plan, apart_from=reservation.id),
    )
    in_the_way = [*policy.utility_budget(known), *policy.ambient(known)]
    refuse_if_any(in_the_way, placing.conflicts, frozenset(reservation.overridden))
    changes.settle(session, reservation, placing, now)
    draw(session, reservation, spans)  # what others drew meanwhile is not drawn back


def _facts(
    session: Session, reservation: Reservation, operator_id: int, now: datetime, *, of: User | None = None
) -> Facts:
    """``of``: whose organisation counts, where that is not the holder's."""
    pieces = facts.load_equipment(session, facts.wanted_of(reservation), lock=False)
    plan = Plan(pieces, Interval(reservation.starts_at, reservation.ends_at), reservation.environment_version)
    return Facts(
        now=now,
        use=plan.use,
        occupied=plan.occupied,
        pieces=plan.facts,
        attended=plan.attended,
        hours=facts.hours_of(session, plan.facility, plan.occupied),
        organisation=facts.organisation_facts((of or reservation).organisation),
        qualified=facts.qualifications_of(session, operator_id, plan),
        is_block=reservation.kind == "block",
        traceable=reservation.traceable,
    )


def _require_live(reservation: Reservation, action: str) -> None:
    if Status(reservation.status) not in sources(Action.CANCEL) | {Status.IN_USE}:
        raise WrongStatus(action, reservation.status)


def _post(
    session: Session, kind: str, reservation: Reservation, actor: Viewer, now: datetime, told: list[int]
) -> None:
    journal.post(session, kind, told, now=now, reservation=reservation, apart_from=actor.id)
