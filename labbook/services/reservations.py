"""Requesting reservations: everything checked, then everything written, or nothing."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import Text, cast, select
from sqlalchemy.orm import Session

from labbook.domain import policy
from labbook.domain.access import Viewer
from labbook.domain.errors import Conflict, Forbidden, Problem, Refused
from labbook.domain.interval import Interval
from labbook.domain.policy import Facts, Phase
from labbook.domain.reservation import BLOCKING, Clock, Status, Step, next_step
from labbook.domain.timing import Timing, of_all, timing_from
from labbook.domain.words import NOTES_LIMIT, TITLE_LIMIT, text_problems
from labbook.models import (
    Allocation,
    EnvironmentVersion,
    Equipment,
    HistoryEntry,
    IdempotencyKey,
    Participant,
    Piece,
    Reservation,
    User,
)
from labbook.models.project import ACTIVITIES
from labbook.services import (
    draws,
    environments,
    facts,
    journal,
    people,
    sharing,
    slot_search,
    transaction,
    visit_views,
    visits,
    webhooks,
)
from labbook.services.commands import RequestReservation, Wanted
from labbook.services.facts import Plan
from labbook.services.occupancy import DrawSpan, draw
from labbook.services.reservation_views import ReservationView, history_views, summary_of, view_of

PIECES_LIMIT = 50
CHOICES = 8
"""How often pieces are chosen anew because somebody was faster."""
HOLDS = ("offer", "option")
_YEARS = (1990, 2190)


def request(
    session: Session, command: RequestReservation, *, actor: Viewer, now: datetime
) -> ReservationView:
    """Request (and, where the equipment approves automatically, approve) a reservation.

    Pieces that are chosen for it are chosen without their locks. Where somebody was faster, they are chosen
    anew, as long as that changes anything.
    Raises ``Refused`` with every problem and conflict, ``Forbidden`` for a block by somebody who is not
    staff there. With ``dry_run`` the answer is what would be, and nothing is kept.
    """

    def work() -> ReservationView:
        return make(session, command, actor=actor, now=now)

    run = transaction.rehearse if command.dry_run else transaction.write
    before: Sequence[Conflict] = ()
    for _ in range(CHOICES):
        try:
            return run(session, work)
        except Refused as refusal:
            if command.equipment or refusal.conflicts in (before, ()):
                raise
            before = refusal.conflicts
    return run(session, work)


def make(
    session: Session,
    command: RequestReservation,
    *,
    actor: Viewer,
    now: datetime,
    wrong: Sequence[Problem] = (),
) -> ReservationView:
    """As ``request``, as part of another use case's transaction; ``wrong`` is what it has found already."""
    repeated = _repeated(session, command, actor)
    if repeated is not None:
        return view_of(session, repeated, viewer=actor)
    problems = [*wrong, *written_problems(command.title, command.notes, command.reason)]
    problems += override_problems(command.override)
    problems += when_problems(command.start, command.end, command.expected_end)
    if command.activity is not None and command.activity not in ACTIVITIES:
        problems.append(Problem("unknown_activity", "activity", params={"activity": command.activity}))
    when_is_sound = not any(p.field in ("start", "end") for p in problems)
    command = replace(command, equipment=facts.resolved(session, command.equipment))
    if len(command.needs) > slot_search.NEEDS_LIMIT:
        limit = {"limit": slot_search.NEEDS_LIMIT}
        raise Refused([*problems, Problem("too_many_pieces", "needs", params=limit)])
    choose = partial(slot_search.choose, session, viewer=actor, now=now, ambient=command.ambient)
    recipe, wanted = environments.pieces_for(
        session, command, problems, choose=choose if when_is_sound else None, viewer=actor
    )
    pieces = facts.load_equipment(session, wanted, lock=True)
    # The same request may have come twice at once: the second has waited for the first one's locks.
    repeated = _repeated(session, command, actor)
    if repeated is not None:
        return view_of(session, repeated, viewer=actor)
    problems += facts.unknown_equipment(wanted, pieces)
    problems += pieces_problems(command.equipment, pieces, recipe or command.needs or None)
    if not pieces:
        raise Refused(problems)
    if command.use_now:
        command = _from_now(command, pieces, recipe, now, problems)
    if len({equipment.facility_id for equipment, _ in pieces}) > 1:
        raise Refused([*problems, Problem("several_facilities", "equipment")])
    facility_id = pieces[0][0].facility_id
    if command.kind == "block" and not actor.is_staff_of(facility_id):
        raise Forbidden("block")
    if command.hold == "option" and not actor.manages(facility_id):
        raise Forbidden("option")
    named = people.resolve(
        session,
        actor=actor,
        facility_id=facility_id,
        holder=command.holder,
        participants=command.participants,
        project=command.project,
    )
    problems += named.problems
    if not when_is_sound or named.holder is None:
        raise Refused(problems)
    stated = _stated_draws(session, command, facility_id, named.holder, actor, problems)
    plan = Plan(pieces, Interval(command.start, command.end), recipe, stated=stated, ambient=command.ambient)
    problems += _standing_problems(session, command, plan, named.holder, actor, now)
    checked = check_plan(
        session,
        plan,
        Asking(
            actor=actor,
            holder_id=named.holder.id,
            organisation=facts.organisation_facts(named.holder.organisation),
            now=now,
            override=command.override,
            is_block=command.kind == "block",
            use_now=command.use_now,
            traceable=command.traceable,
            for_customer=command.hold == "option",
        ),
    )
    if command.override and checked.may_override and not command.reason.strip():
        problems.append(Problem("reason_missing", "reason"))
    refuse_if_any([*problems, *checked.problems], checked.placing.conflicts, checked.overridden)
    reservation = _build(command, actor, now, plan, named, checked)
    session.add(reservation)
    session.flush()
    facts.take(session, reservation, checked.placing, now)
    draw(session, reservation, checked.draws)
    if reservation.status == Status.IN_USE:
        session.flush()
        webhooks.opened(session, [reservation.id], now)
    readouts, late = visits.plan(session, reservation, now)
    told = _tell(session, reservation, command, actor, now, automatic=reservation.status != Status.REQUESTED)
    if command.idempotency_key:
        session.add(
            IdempotencyKey(
                user_id=actor.id,
                key=command.idempotency_key,
                fingerprint=command.fingerprint,
                reservation_id=reservation.id,
                created_at=now,
            )
        )
    session.flush()
    # All there is to tell of it has just been written: there is nothing to read back.
    return summary_of(
        reservation,
        viewer=actor,
        problems=[*checked.problems, *late],
        long_test=visit_views.view(reservation, readouts),
        history=history_views(told, reservation),
        messages=(),
    )


def _stated_draws(
    session: Session,
    command: RequestReservation,
    facility_id: int,
    holder: User,
    actor: Viewer,
    problems: list[Problem],
) -> dict[str, int]:
    if not command.draws:
        return {}
    is_block = command.kind == "block" or command.hold == "option"  # neither has a customer's account
    draws.refuse_unless_theirs(session, actor, facility_id, holder_id=holder.id, is_block=is_block)
    problems += draws.reason_problems(command.draws, command.reason)
    return draws.stated(session, facility_id, command.draws, {}, problems)


def _standing_problems(
    session: Session, command: RequestReservation, plan: Plan, holder: User, actor: Viewer, now: datetime
) -> list[Problem]:
    """What is wrong with who this is for: a block is staff's own, and nobody enters for themselves what
    another manager would have had to approve.
    """
    facility_id = plan.facility.id
    if command.kind == "block":
        sound = holder.id == actor.id or people.is_staff(session, holder, facility_id)
        return [] if sound else [Problem("block_is_staffs", "holder")]
    if problems := people.recipe_problems(session, holder, plan.environment, "environment"):
        return problems
    afterwards = plan.use.start < now and not command.use_now and policy.needs_manager(plan.facts)
    if (
        afterwards
        and actor.manages(facility_id)
        and not people.decides_for(session, actor, facility_id, holder.id)
    ):
        return [Problem("not_for_oneself", "start")]
    return []


def _from_now(
    command: RequestReservation,
    pieces: Sequence[tuple[Equipment, int]],
    recipe: EnvironmentVersion | None,
    now: datetime,
    problems: list[Problem],
) -> RequestReservation:
    """Begin at once: the set-up begins now, and the time of use after it. Not where a manager must agree."""
    for equipment, _ in pieces:
        if equipment.approval == "manager":
            problems.append(
                Problem("use_now_needs_approval", "equipment", params={"equipment": equipment.slug})
            )
    length = max(command.end - command.start, timedelta(minutes=1))
    start = now + (now - Plan(pieces, Interval(now, now + length), recipe).occupied.start)
    return replace(command, start=start, end=start + (command.end - command.start))


def _repeated(session: Session, command: RequestReservation, actor: Viewer) -> Reservation | None:
    """What the same key made before; a key that stood for something else is refused."""
    if not command.idempotency_key or command.dry_run:
        return None
    kept = session.scalar(
        select(IdempotencyKey).where(
            IdempotencyKey.user_id == actor.id, IdempotencyKey.key == command.idempotency_key
        )
    )
    if kept is None:
        return None
    if kept.fingerprint != command.fingerprint:
        raise Refused([Problem("idempotency_key_reused", "Idempotency-Key")])
    return session.get(Reservation, kept.reservation_id)


def written_problems(title: str | None, notes: str | None, reason: str = "") -> list[Problem]:
    """What is wrong with the words; None is not looked at."""
    problems = []
    if title is not None:
        problems += text_problems(title, "title", limit=TITLE_LIMIT, required=True)
    if notes is not None:
        problems += text_problems(notes, "notes", limit=NOTES_LIMIT, lines=True)
    return problems + text_problems(reason, "reason", limit=NOTES_LIMIT, lines=True)


def override_problems(codes: Sequence[str]) -> list[Problem]:
    """A problem for what is no rule that anybody may set aside."""
    if frozenset(codes) <= policy.OVERRIDABLE:
        return []
    return [Problem("not_one_of", "override", params={"choices": sorted(policy.OVERRIDABLE)})]


def when_problems(start: datetime, end: datetime, expected_end: datetime | None = None) -> list[Problem]:
    problems = [
        Problem("out_of_range", name)
        for name, at in (("start", start), ("end", end))
        if not _YEARS[0] <= at.year < _YEARS[1]
    ]
    if end <= start:
        problems.append(Problem("end_before_start", "end", params={"start": start, "end": end}))
    elif expected_end is not None and not start < expected_end <= end:
        problems.append(Problem("expected_end_outside", "expected_end"))
    return problems


def pieces_problems(
    wanted: Sequence[Wanted], found: Sequence[object], recipe: object | None = None
) -> list[Problem]:
    problems = []
    if not wanted and recipe is None:
        problems.append(Problem("missing", "equipment"))
    if len(wanted) > PIECES_LIMIT:
        problems.append(Problem("too_many_pieces", "equipment", params={"limit": PIECES_LIMIT}))
    return problems


@dataclass(frozen=True)
class Asking:
    """In whose name and how freely a plan is checked. ``reservation_id``: whose own rows do not count.

    ``proposed``: a manager chose the time, so that grid and lead time do not count for whoever accepts it.
    ``for_customer``: an option; what is asked of its holder is asked of whoever will be.
    """

    actor: Viewer
    holder_id: int
    organisation: policy.OrganisationFacts
    now: datetime
    override: tuple[str, ...] = ()
    is_block: bool = False
    use_now: bool = False
    reservation_id: int | None = None
    keep_start: bool = False
    proposed: bool = False
    traceable: bool = False
    for_customer: bool = False


@dataclass(frozen=True)
class Checked:
    """``overridden``: those of ``problems`` that are set aside by somebody who may."""

    problems: list[Problem]
    placing: facts.Placing
    draws: list[DrawSpan]
    overridden: frozenset[str]
    may_override: bool
    enter_past: bool


def check_plan(session: Session, plan: Plan, asking: Asking) -> Checked:
    """Ask every rule of the request phase, and look for room. Takes the utilities' locks."""
    manages = asking.actor.manages(plan.facility.id)
    # Nobody sets a rule aside for themselves, not even where they are the only manager.
    may_override = manages and (asking.for_customer or asking.holder_id != asking.actor.id)
    own = asking.reservation_id
    placing = facts.place(session, plan, now=asking.now, apart_from=own, prefer=_own_places(session, own))
    spans, utilities = facts.draws_of(session, plan)
    known = Facts(
        now=asking.now,
        use=plan.use,
        occupied=plan.occupied,
        pieces=plan.facts,
        attended=plan.attended,
        hours=facts.hours_of(session, plan.facility, plan.occupied),
        organisation=asking.organisation,
        qualified=facts.qualifications_of(session, asking.holder_id, plan),
        budgets=facts.budgets(
            session,
            plan,
            spans,
            utilities,
            apart_from=own,
            exact=asking.actor.is_staff_of(plan.facility.id),
        ),
        free_of_grid=manages or asking.use_now or asking.is_block or asking.proposed,
        free_of_lead=asking.proposed or asking.keep_start,
        enter_past=manages or asking.keep_start,
        is_block=asking.is_block,
        ambient_clashes={} if asking.is_block else sharing.clashes(session, plan, apart_from=own),
        traceable=asking.traceable,
    )
    problems = policy.check(known, Phase.REQUEST)
    if asking.for_customer:
        problems = [p for p in problems if p.code not in policy.OF_THE_HOLDER]
    if asking.use_now:  # it is requested, approved and checked in at once
        asked = {p.code for p in problems}
        problems += [p for p in policy.check(known, Phase.CHECK_IN) if p.code not in asked]
    overridden = policy.set_aside(problems, asking.override) if may_override else frozenset[str]()
    return Checked(problems, placing, spans, overridden, may_override, enter_past=manages)


def _own_places(session: Session, reservation_id: int | None) -> list[int]:
    if reservation_id is None:
        return []
    return list(
        session.scalars(
            select(Allocation.place_id).where(Allocation.reservation_id == reservation_id).distinct()
        )
    )


def refuse_if_any(
    problems: Sequence[Problem], conflicts: Sequence[Conflict], overridden: frozenset[str] = frozenset()
) -> None:
    """Raise ``Refused`` with everything, warnings included, when something blocks."""
    if policy.blocking(problems, overridden):
        raise Refused([p for p in problems if not (p.overridable and p.code in overridden)], conflicts)
    if conflicts:
        raise Refused((), conflicts)


def _build(
    command: RequestReservation,
    actor: Viewer,
    now: datetime,
    plan: Plan,
    named: people.Party,
    checked: Checked,
) -> Reservation:
    holder = named.holder
    assert holder is not None
    is_block = command.kind == "block"
    guarded = [p for p in plan.facts if p.check_in == "required" and not is_block]
    activity = command.activity or (named.project.activity if named.project else None)
    reservation = Reservation(
        public_id=secrets.token_hex(8),
        facility_id=plan.facility.id,
        kind=command.kind,
        status=_first_status(command, plan, now),
        title=command.title.strip(),
        notes=command.notes,
        starts_at=plan.use.start,
        ends_at=plan.use.end,
        occupied_from=plan.occupied.start,
        occupied_until=plan.occupied.end,
        expected_end=command.expected_end,
        project_id=named.project.id if named.project else None,
        activity=activity or ("maintenance" if is_block else "research"),
        organisation_id=holder.organisation_id,
        holder_id=holder.id,
        requested_by_id=actor.id,
        environment_version_id=plan.environment.id if plan.environment else None,
        needs=environments.stored_needs(command.needs) if command.environment is None else [],
        ambient=dict(command.ambient) if command.environment is None else {},
        traceable=command.traceable,
        permit_required=plan.environment is not None and plan.environment.permit,
        check_in="required" if guarded else "none",
        grace=min((int(p.policy.grace.total_seconds()) for p in guarded), default=0),
        overridden=sorted(checked.overridden),
        draws_stated=dict(plan.stated),
        decide_by=facts.decide_by(plan, now),
        timing=of_all(p.timing for p in plan.facts).stored(),
        created_at=now,
        changed_at=now,
        revision=1,
        pieces=[Piece(equipment_id=equipment.id, places=count) for equipment, count in plan.pieces],
        participants=[Participant(user_id=user.id) for user in named.participants],
        # Known to be empty: otherwise each would be asked for.
        allocations=[],
        draws=[],
        changes=[],
    )
    if command.hold is not None:
        reservation.hold, reservation.customer = command.hold, command.customer.strip()
        reservation.decide_by = command.decide_by
    _stamp(reservation, actor, now)
    refresh_due(reservation)
    return reservation


def _first_status(command: RequestReservation, plan: Plan, now: datetime) -> Status:
    """What a new reservation is at once: entered afterwards it has happened, on trust of a manager."""
    if command.hold is not None:
        return Status.REQUESTED
    if plan.use.end <= now:
        return Status.COMPLETED
    if plan.use.start < now or command.use_now:
        return Status.IN_USE
    if command.kind == "booking" and policy.needs_manager(plan.facts):
        return Status.REQUESTED
    return Status.APPROVED


def _stamp(reservation: Reservation, actor: Viewer, now: datetime) -> None:
    if reservation.status == Status.REQUESTED:
        return
    reservation.approved_at = now
    if reservation.status in (Status.IN_USE, Status.COMPLETED):
        reservation.checked_in_at = min(reservation.starts_at, now)
    if reservation.status == Status.COMPLETED:
        reservation.ended_at = reservation.checked_out_at = reservation.ends_at


def refresh_due(reservation: Reservation) -> None:
    """Derive when the scheduler must act next from what the row now says."""
    step = next_step(clock_of(reservation))
    reservation.due_at = None if step is None else step[1]
    reservation.due_attempts, reservation.due_error = 0, None


def expect_end(reservation: Reservation, at: datetime | None) -> bool:
    """Another end is expected, and whoever asked for word of it hears anew; whether it is another."""
    if at == reservation.expected_end:
        return False
    reservation.expected_end = at
    reservation.taken = [step for step in reservation.taken if step != Step.EXPECTED_END]
    return True


CLOCK_COLUMNS = (
    Reservation.status,
    Reservation.starts_at,
    Reservation.ends_at,
    Reservation.occupied_from,
    Reservation.occupied_until,
    Reservation.check_in,
    Reservation.grace,
    Reservation.created_at,
    Reservation.approved_at,
    Reservation.decide_by,
    Reservation.expected_end,
    cast(Reservation.timing, Text).label("timing"),
    cast(Reservation.taken, Text).label("taken"),
    Reservation.hold,
    Reservation.flagged_at,
    Reservation.overrun_since,
    Reservation.grow_at,
    Reservation.displaced_since,
    Reservation.freed_at,
    Reservation.permit_required,
    Reservation.permit_signed_at,
)
"""What ``clock_of`` reads of a row. Few timings are as many rows': as text, each is read once."""


def clock_of(row: Any) -> Clock:
    """The clock of a reservation, or of any row that has ``CLOCK_COLUMNS``."""
    timing, taken = row.timing, row.taken
    return Clock(
        status=Status(row.status),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        occupied_from=row.occupied_from,
        occupied_until=row.occupied_until,
        check_in=row.check_in,
        grace=timedelta(seconds=row.grace),
        requested_at=row.created_at,
        approved_at=row.approved_at,
        decide_by=row.decide_by,
        expected_end=row.expected_end,
        timing=(_timing_in(timing) if isinstance(timing, str) else timing_from(timing or {})).settled(
            guarded=row.check_in == "required"
        ),
        taken=_steps_in(taken) if isinstance(taken, str) else frozenset(map(Step, taken or ())),
        held=row.hold is not None,
        flagged_at=row.flagged_at,
        overrun_since=row.overrun_since,
        grow_at=row.grow_at,
        displaced_since=row.displaced_since,
        freed_at=row.freed_at,
        permit_missing=bool(row.permit_required) and row.permit_signed_at is None,
    )


@lru_cache(maxsize=1024)
def _timing_in(text: str) -> Timing:
    return timing_from(json.loads(text))


@lru_cache(maxsize=1024)
def _steps_in(text: str) -> frozenset[Step]:
    return frozenset(map(Step, json.loads(text)))


def _tell(
    session: Session,
    reservation: Reservation,
    command: RequestReservation,
    actor: Viewer,
    now: datetime,
    *,
    automatic: bool,
) -> list[HistoryEntry]:
    """History from the request on, and a message to whoever must know."""
    asked = journal.record(
        session,
        reservation,
        "request",
        actor=None if command.waited else actor,
        now=now,
        rule="waitlist" if command.waited else None,
        new={
            "status": Status.REQUESTED,
            "start": reservation.starts_at,
            "end": reservation.ends_at,
            "equipment": [[piece.equipment_id, piece.places] for piece in reservation.pieces],
            "overridden": reservation.overridden,
            **({"hold": command.hold} if command.hold else {}),
            **({"draws": draws.in_words(session, stated)} if (stated := reservation.draws_stated) else {}),
        },
        reason=command.reason,
    )
    told = [asked]
    if automatic:
        rule = "automatic"
        if command.kind == "block":
            rule = "staff_block"
        elif reservation.starts_at < now:
            rule = "entered_afterwards"
        steps = {
            Status.APPROVED: ["approve"],
            Status.IN_USE: ["approve", "check_in"],
            Status.COMPLETED: ["approve", "check_in", "check_out"],
        }[Status(reservation.status)]
        after = {"approve": Status.APPROVED, "check_in": Status.IN_USE, "check_out": Status.COMPLETED}
        before = Status.REQUESTED
        for step in steps:
            old, new = {"status": before}, {"status": after[step]}
            told.append(
                journal.record(session, reservation, step, actor=None, now=now, rule=rule, old=old, new=new)
            )
            before = after[step]
    elif reservation.status in BLOCKING and command.hold is None:
        tell_managers(session, reservation, actor, now)
    if reservation.kind == "booking":
        journal.post(
            session, "booked_for_you", [reservation.holder_id], now=now, reservation=reservation,
            apart_from=actor.id,
        )  # fmt: skip
    return told


def tell_managers(session: Session, reservation: Reservation, actor: Viewer, now: datetime) -> None:
    """That it waits for their yes."""
    managers = journal.managers_of(session, reservation.facility_id, now)
    journal.post(session, "requested", managers, now=now, reservation=reservation, apart_from=actor.id)


def refuse_held(reservation: Reservation, *holds: str) -> None:
    """Say what it is, where a step is not for what is held (``holds``, or any)."""
    if reservation.status != Status.REQUESTED or reservation.hold not in (holds or HOLDS):
        return
    params = {"holder": reservation.holder.name, "until": reservation.decide_by}
    raise Refused([Problem(f"held_as_{reservation.hold}", params=params)])
