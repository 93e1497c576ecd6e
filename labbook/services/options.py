"""Options: a manager's tentative hold for a customer who may not have an account yet.

An option is a request that holds its time like any other and that nobody decides: it lapses, or a manager
makes a reservation of it for somebody with an account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session

from labbook.domain import policy
from labbook.domain.access import Viewer
from labbook.domain.errors import Problem, Refused, WrongStatus
from labbook.domain.interval import Interval
from labbook.domain.reservation import Action, Party, Status
from labbook.domain.words import TITLE_LIMIT, text_problems
from labbook.models import Reservation
from labbook.services import facts, journal, people, reservations, transaction, waitlist
from labbook.services.commands import RequestReservation, Wanted
from labbook.services.directory import NAME_LIMIT, require_manager
from labbook.services.facts import Plan
from labbook.services.opening import changed, opened
from labbook.services.people import Party as Named
from labbook.services.reservation_views import ReservationView, loading, summary_of, view_of
from labbook.services.reservations import Asking, Checked, override_problems, refuse_if_any, written_problems
from labbook.services.steps import advance

PAST_LIMIT = 20
_MANAGER = frozenset({Party.MANAGER})


@dataclass(frozen=True)
class ConvertOption:
    """Make a reservation of it for ``holder`` (an e-mail address), charged to ``project``.

    ``title`` None: as it is. ``override`` names what the manager sets aside for the holder, for ``reason``.
    """

    reservation: str
    holder: str | None
    project: str | None = None
    title: str | None = None
    override: tuple[str, ...] = ()
    reason: str = ""


def create(session: Session, command: RequestReservation, *, actor: Viewer, now: datetime) -> ReservationView:
    """Hold a time for ``command.customer`` until ``command.decide_by``.

    Raises ``Refused`` with everything, ``Forbidden`` for who does not manage the facility. What is asked of a
    holder is asked of whoever will be one.
    """
    command = replace(command, hold="option", holder=None, kind="booking", use_now=False)
    wrong = text_problems(command.customer, "customer", limit=NAME_LIMIT, required=True)
    wrong += _until_problems(command.decide_by, command.start, now, "option_until")
    if command.start <= now:
        wrong.append(Problem("in_the_past", "start"))
    return transaction.write(
        session, lambda: reservations.make(session, command, actor=actor, now=now, wrong=wrong)
    )


def prolong(
    session: Session, public_id: str, until: datetime | None, *, actor: Viewer, now: datetime
) -> ReservationView:
    """Let it lapse at another time."""

    def work() -> ReservationView:
        reservation = _open(session, public_id, "prolong", actor)
        refuse_if_any(_until_problems(until, reservation.starts_at, now, "until"), ())
        before, reservation.decide_by = reservation.decide_by, until
        changed(reservation, now)
        session.flush()
        old, new = {"decide_by": before}, {"decide_by": until}
        journal.record(session, reservation, "prolong", actor=actor, now=now, old=old, new=new)
        return view_of(session, reservation, viewer=actor)

    return transaction.write(session, work)


def release(session: Session, public_id: str, *, actor: Viewer, now: datetime) -> ReservationView:
    """Let it lapse now."""

    def work() -> ReservationView:
        reservation = _open(session, public_id, "release", actor)
        reservation.cancel_cause = "lab"
        advance(session, reservation, Action.CANCEL, actor=actor, now=now, new={"cause": "lab"})
        waitlist.released(session, [reservation], now)
        return view_of(session, reservation, viewer=actor)

    return transaction.write(session, work)


def convert(session: Session, command: ConvertOption, *, actor: Viewer, now: datetime) -> ReservationView:
    """Its manager's yes is in it, unless it is for themselves and another manager could decide."""

    def work() -> ReservationView:
        reservation = _open(session, command.reservation, "convert", actor)
        problems = written_problems(None, None, command.reason) + override_problems(command.override)
        if command.title is not None:
            problems += text_problems(command.title, "title", limit=TITLE_LIMIT, required=True)
        if not command.holder:
            raise Refused([*problems, Problem("missing", "holder")])
        named = people.resolve(
            session,
            actor=actor,
            facility_id=reservation.facility_id,
            holder=command.holder,
            project=command.project,
        )
        problems += named.problems
        if named.holder is None:
            raise Refused(problems)
        problems += people.recipe_problems(session, named.holder, reservation.environment_version, "holder")
        wanted = [Wanted(piece.equipment.slug, piece.places) for piece in reservation.pieces]
        plan = Plan(
            facts.load_equipment(session, wanted, lock=True),
            Interval(reservation.starts_at, reservation.ends_at),
            reservation.environment_version,
            stated=reservation.draws_stated,
            ambient=reservation.ambient,
        )
        checked = _checked(session, reservation, plan, named, command, problems, actor, now)
        _hand_over(session, reservation, named, command, actor, now)
        reservation.overridden = sorted(checked.overridden)
        _decide(session, reservation, plan, actor, now)
        told = [reservation.holder_id]
        journal.post(session, "booked_for_you", told, now=now, reservation=reservation, apart_from=actor.id)
        return view_of(session, reservation, viewer=actor, problems=checked.problems)

    return transaction.write(session, work)


def _checked(
    session: Session,
    reservation: Reservation,
    plan: Plan,
    named: Named,
    command: ConvertOption,
    problems: list[Problem],
    actor: Viewer,
    now: datetime,
) -> Checked:
    """Every rule, asked of the new holder; the time itself was the manager's choice."""
    assert named.holder is not None
    checked = reservations.check_plan(
        session,
        plan,
        Asking(
            actor=actor,
            holder_id=named.holder.id,
            organisation=facts.organisation_facts(named.holder.organisation),
            now=now,
            override=command.override,
            reservation_id=reservation.id,
            keep_start=True,
            proposed=True,
            traceable=reservation.traceable,
        ),
    )
    # What a manager set aside for a customer they do not set aside for themselves by becoming one.
    kept = reservation.overridden if named.holder.id != actor.id else ()
    overridden = checked.overridden | policy.set_aside(checked.problems, kept)
    if command.override and checked.may_override and not command.reason.strip():
        problems = [*problems, Problem("reason_missing", "reason")]
    refuse_if_any([*problems, *checked.problems], checked.placing.conflicts, overridden)
    return replace(checked, overridden=overridden)


def _hand_over(
    session: Session,
    reservation: Reservation,
    named: Named,
    command: ConvertOption,
    actor: Viewer,
    now: datetime,
) -> None:
    """The customer has an account by now: their name is kept nowhere else."""
    assert named.holder is not None
    before = reservation.holder_id
    reservation.holder, reservation.organisation = named.holder, named.holder.organisation
    reservation.requested_by_id = actor.id
    if named.project is not None:
        reservation.project, reservation.activity = named.project, named.project.activity
    if command.title is not None:
        reservation.title = command.title.strip()
    reservation.hold, reservation.customer = None, ""
    changed(reservation, now)
    session.flush()
    journal.record(
        session,
        reservation,
        "convert",
        actor=actor,
        now=now,
        old={"holder": before, "hold": "option"},
        new={"holder": reservation.holder_id, "hold": None},
        reason=command.reason,
    )


def _decide(session: Session, reservation: Reservation, plan: Plan, actor: Viewer, now: datetime) -> None:
    reservation.decide_by = facts.decide_by(plan, now)
    if not policy.needs_manager(plan.facts):
        reservation.approved_at = now
        advance(session, reservation, Action.APPROVE, actor=None, now=now, rule="automatic")
    elif people.decides_for(session, actor, reservation.facility_id, reservation.holder_id):
        reservation.approved_at, reservation.approved_by_id = now, actor.id
        advance(session, reservation, Action.APPROVE, actor=actor, now=now)
    else:
        changed(reservation, now)
        reservations.tell_managers(session, reservation, actor, now)


def _open(session: Session, public_id: str, action: str, actor: Viewer) -> Reservation:
    """An option that has neither lapsed nor been made a reservation, with the locks of what it holds."""
    reservation = opened(
        session, public_id, actor=actor, allowed=_MANAGER, action=action, revision=None, takes=()
    )
    if reservation.hold != "option" or reservation.status != Status.REQUESTED:
        raise WrongStatus(action, reservation.status)
    return reservation


def _until_problems(until: datetime | None, start: datetime, now: datetime, field: str) -> list[Problem]:
    if until is None:
        return [Problem("missing", field)]
    return [] if now < until <= start else [Problem("option_until", field)]


# --- reading ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """``open`` by when they lapse, ``over`` the last that lapsed or were given up."""

    open: Sequence[ReservationView]
    over: Sequence[ReservationView]


def list_managed(session: Session, *, viewer: Viewer) -> Options:
    """Those of the facilities that the viewer manages."""
    require_manager(viewer)
    held = select(Reservation).where(Reservation.hold == "option", _managed(viewer)).options(*loading())
    waits = Reservation.status == Status.REQUESTED
    still = session.scalars(held.where(waits).order_by(Reservation.decide_by, Reservation.id))
    over = session.scalars(
        held.where(Reservation.status.in_((Status.EXPIRED, Status.CANCELLED)))
        .order_by(Reservation.changed_at.desc(), Reservation.id.desc())
        .limit(PAST_LIMIT)
    )
    return Options(
        [summary_of(row, viewer=viewer) for row in still], [summary_of(row, viewer=viewer) for row in over]
    )


def _managed(viewer: Viewer) -> ColumnElement[bool]:
    if viewer.is_admin:
        return true()
    return Reservation.facility_id.in_(sorted(viewer.manages_at))
