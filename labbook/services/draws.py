"""What a reservation draws from the utilities: stated by a manager, reckoned again, and held for a change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain import policy
from labbook.domain.access import Viewer
from labbook.domain.capability import QuantityError, parse_draw
from labbook.domain.errors import Forbidden, Problem, Refused, WrongStatus
from labbook.domain.interval import Interval
from labbook.domain.reservation import BLOCKING
from labbook.domain.utility import excess, written
from labbook.models import Change, Reservation, Utility
from labbook.services import facts, journal, people
from labbook.services.commands import Wanted
from labbook.services.facts import Plan
from labbook.services.occupancy import DrawSpan, draw

Texts = Mapping[str, str | None]


def stated(
    session: Session, facility_id: int, texts: Texts, before: Mapping[str, int], problems: list[Problem]
) -> dict[str, int]:
    """``before`` with what ``texts`` say of each utility; what is wrong with them goes into ``problems``."""
    if not texts:
        return dict(before)
    found = dict(before)
    units = dict(
        session.execute(select(Utility.slug, Utility.unit).where(Utility.facility_id == facility_id)).all()
    )
    for slug, text in texts.items():
        if slug not in units:
            problems.append(Problem("unknown_utility", "draws", params={"utility": slug[:100]}))
        elif text is None:
            found.pop(slug, None)
        else:
            try:
                found[slug] = parse_draw(text, units[slug])
            except QuantityError as error:
                problems.append(Problem(error.code, f"draws.{slug}", params=dict(error.params)))
    return found


def refuse_unless_theirs(
    session: Session, actor: Viewer, facility_id: int, *, holder_id: int, is_block: bool
) -> None:
    """The lab's figure is a manager's to state, and nobody's for themselves while another could."""
    if is_block and actor.manages(facility_id):
        return
    if not people.decides_for(session, actor, facility_id, holder_id):
        raise Forbidden("draws")


def reason_problems(texts: Texts | None, reason: str) -> list[Problem]:
    return [Problem("reason_missing", "reason")] if texts and not reason.strip() else []


def restate(
    session: Session, reservation: Reservation, texts: Texts, reason: str, *, actor: Viewer, now: datetime
) -> bool:
    """Draw from now on what a manager states, and hold for a pending change only what it then adds.

    Part of another use case, on an opened reservation; whether anything is different now.
    """
    refuse_unless_theirs(
        session,
        actor,
        reservation.facility_id,
        holder_id=reservation.holder_id,
        is_block=reservation.kind == "block",
    )
    problems = reason_problems(texts, reason)
    before = dict(reservation.draws_stated)
    after = stated(session, reservation.facility_id, texts, before, problems)
    if problems:
        raise Refused(problems)
    if reservation.status not in BLOCKING:
        raise WrongStatus("draws", reservation.status)
    if after == before:
        return False
    own, held = _reckoned(session, reservation, after)
    reservation.draws_stated = after
    waiting = _waiting(reservation)
    if waiting is not None:
        draw(session, reservation, (), change_id=waiting.id)
    draw(session, reservation, own)
    session.flush()
    if waiting is not None:
        draw(session, reservation, added(reservation, held), change_id=waiting.id)
    record(session, reservation, before, after, reason, actor=actor, now=now)
    return True


def record(
    session: Session,
    reservation: Reservation,
    before: Mapping[str, int],
    after: Mapping[str, int],
    reason: str,
    *,
    actor: Viewer,
    now: datetime,
) -> None:
    old, new = ({"draws": in_words(session, side)} for side in (before, after))
    journal.record(session, reservation, "draws", actor=actor, now=now, old=old, new=new, reason=reason)


def in_words(session: Session, amounts: Mapping[str, int]) -> dict[str, str]:
    """Utility -> ``"4 kVA"``."""
    if not amounts:
        return {}
    query = select(Utility.slug, Utility.unit).where(Utility.slug.in_(amounts)).order_by(Utility.slug)
    return {slug: written(amounts[slug], unit) for slug, unit in session.execute(query)}


def added(reservation: Reservation, wanted: Sequence[DrawSpan]) -> list[DrawSpan]:
    """By how much ``wanted`` exceeds what the reservation draws already: what a change holds."""
    found = []
    for utility_id in sorted({s.utility_id for s in wanted}):
        new = [(s.span, s.amount) for s in wanted if s.utility_id == utility_id]
        old = [
            (Interval(d.starts_at, d.ends_at), d.amount)
            for d in reservation.draws
            if d.utility_id == utility_id and d.change_id is None
        ]
        found += [DrawSpan(utility_id, amount, span) for span, amount in excess(new, old)]
    return found


def _waiting(reservation: Reservation) -> Change | None:
    return next((change for change in reservation.changes if change.state == "open"), None)


def _reckoned(
    session: Session, reservation: Reservation, after: Mapping[str, int]
) -> tuple[list[DrawSpan], list[DrawSpan]]:
    """What it would draw, and what it would with its pending change. Raises ``Refused`` over a budget.

    Where both fit, the greater of the two at each instant fits, too.
    """
    found: list[list[DrawSpan]] = []
    problems: list[Problem] = []
    for plan in _plans(session, reservation, after):
        spans, utilities = facts.draws_of(session, plan)
        present = facts.budgets(session, plan, spans, utilities, apart_from=reservation.id)
        problems += policy.over_budget(present)
        found.append(spans)
    if problems:
        raise Refused(list(_beside_the_draws(problems)))
    own = [_until_now_occupied(reservation, span) for span in found[0]]
    return own, found[1] if len(found) > 1 else []


def _beside_the_draws(problems: Sequence[Problem]) -> Iterator[Problem]:
    """Shown where the figure was typed: the time has been agreed."""
    for each in problems:
        yield Problem(each.code, "draws", each.weight, each.overridable, each.params)


def _plans(session: Session, reservation: Reservation, after: Mapping[str, int]) -> Iterator[Plan]:
    recipe = reservation.environment_version
    use = Interval(reservation.starts_at, reservation.ends_at)
    began = min(a.starts_at for a in reservation.allocations if a.change_id is None)
    pieces = facts.load_equipment(session, facts.wanted_of(reservation), lock=False)
    yield Plan(pieces, use, recipe, since=began, stated=after)
    waiting = _waiting(reservation)
    if waiting is not None:
        wanted = [Wanted(piece["slug"], piece["places"]) for piece in waiting.pieces]
        pieces = facts.load_equipment(session, wanted, lock=False)
        yield Plan(pieces, Interval(waiting.starts_at, waiting.ends_at), recipe, stated=after)


def _until_now_occupied(reservation: Reservation, span: DrawSpan) -> DrawSpan:
    """What has overrun draws as long as it occupies."""
    if reservation.overrun_since is None or span.span.end >= reservation.occupied_until:
        return span
    grown = Interval(span.span.start, reservation.occupied_until)
    return DrawSpan(span.utility_id, span.amount, grown)
