"""Loading what the rules need, in a constant number of queries, with the locks taken in the one order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from labbook.domain.allocation import Occupied, Wish, choose, shortage
from labbook.domain.calibration import calibration_due
from labbook.domain.errors import Conflict, Problem
from labbook.domain.interval import Interval
from labbook.domain.policy import BudgetFacts, OrganisationFacts, PieceFacts, SlotPolicy, is_attended
from labbook.domain.timing import overlaid, timing_from
from labbook.domain.utility import peak
from labbook.domain.wall_time import Hours
from labbook.models import (
    Closure,
    EnvironmentVersion,
    Equipment,
    EquipmentDraw,
    EquipmentQualification,
    Facility,
    Instant,
    Organisation,
    Qualification,
    QualificationKind,
    Reservation,
    Utility,
)
from labbook.services import pools
from labbook.services.commands import Wanted
from labbook.services.occupancy import DrawSpan, Placement, drawn, occupied_places, occupy


def slot_policy(equipment: Equipment) -> SlotPolicy:
    decision = equipment.slot_decision
    return SlotPolicy(
        shortest=timedelta(seconds=equipment.slot_shortest),
        longest=timedelta(seconds=equipment.slot_longest),
        grid=timedelta(seconds=equipment.slot_grid),
        lead=timedelta(seconds=equipment.slot_lead),
        horizon=timedelta(seconds=equipment.slot_horizon),
        grace=timedelta(seconds=equipment.slot_grace),
        decision=None if decision is None else timedelta(seconds=decision),
    )


def piece_facts(
    equipment: Equipment,
    wanted: int,
    occupied: Interval | None = None,
    recipe: EnvironmentVersion | None = None,
) -> PieceFacts:
    """One piece as the rules see it; used for a recipe, it is as attended and asks for what that says too."""
    asked = frozenset(q.kind.slug for q in equipment.qualifications)
    return PieceFacts(
        slug=equipment.slug,
        category=equipment.category,
        state=equipment.state,
        places=equipment.places,
        wanted=wanted,
        attended=is_attended([equipment.attended], recipe.staffing if recipe else None),
        approval=equipment.approval,
        check_in=equipment.check_in,
        policy=slot_policy(equipment),
        qualifications=asked | frozenset(recipe.qualifications) if recipe else asked,
        calibration_due=calibration_due(equipment.calibration_interval, equipment.calibrated_on),
        occupied=occupied,
        timing=overlaid(timing_from(equipment.facility.timing), timing_from(equipment.timing)),
    )


@dataclass(frozen=True)
class Plan:
    """Pieces of one facility over one period, as loaded: what a request, a move or an approval reasons about.

    Each piece occupies its own set-up and tear-down; an environment that states them replaces them all.
    ``since``: nothing is occupied any more that lies before it. ``stated``: utility -> thousandths of its
    unit that a manager stated, instead of what is reckoned. ``ambient``: the profile asked for without a
    recipe.
    """

    pieces: Sequence[tuple[Equipment, int]]
    use: Interval
    environment: EnvironmentVersion | None = None
    since: datetime | None = None
    stated: Mapping[str, int] = field(default_factory=dict)
    ambient: Mapping[str, Any] = field(default_factory=dict)

    @property
    def facility(self) -> Facility:
        return self.pieces[0][0].facility

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.facility.time_zone)

    def span(self, equipment: Equipment) -> Interval:
        """The interval that one piece is occupied."""
        before, after = equipment.setup, equipment.teardown
        if self.environment is not None:
            longest = (max(e.setup for e, _ in self.pieces), max(e.teardown for e, _ in self.pieces))
            before = longest[0] if self.environment.setup is None else self.environment.setup
            after = longest[1] if self.environment.teardown is None else self.environment.teardown
        span = self.use.widened(timedelta(seconds=before), timedelta(seconds=after))
        if self.since is not None and span.start < self.since < span.end:
            return Interval(self.since, span.end)
        return span

    @cached_property
    def occupied(self) -> Interval:
        """From the earliest set-up to the latest tear-down of all pieces."""
        spans = [self.span(equipment) for equipment, _ in self.pieces]
        return Interval(min(s.start for s in spans), max(s.end for s in spans))

    @property
    def named_draws(self) -> Mapping[str, int]:
        """Utility -> what is drawn of it over all that is occupied, instead of the sum of the parts'."""
        recipe = dict(self.environment.draws) if self.environment is not None else {}
        return recipe | dict(self.stated)

    @property
    def profile(self) -> Mapping[str, Any]:
        """What it needs around itself, in stored ranges; empty where that is not stated."""
        return self.ambient if self.environment is None else self.environment.ambient

    @property
    def attended(self) -> Mapping[str, str] | None:
        """The recipe's name, where it says that somebody is there throughout."""
        recipe = self.environment
        return recipe.name if recipe is not None and recipe.staffing == "attended" else None

    @cached_property
    def facts(self) -> list[PieceFacts]:
        return [
            piece_facts(equipment, wanted, self.span(equipment), self.environment)
            for equipment, wanted in self.pieces
        ]


# Built once: putting these statements together takes longer than running them.
_EQUIPMENT = (
    select(Equipment)
    .where(Equipment.slug.in_(bindparam("slugs", expanding=True)))
    .order_by(Equipment.id)
    .options(
        joinedload(Equipment.facility, innerjoin=True),
        selectinload(Equipment.place_rows),
        selectinload(Equipment.draws).joinedload(EquipmentDraw.utility, innerjoin=True),
        selectinload(Equipment.qualifications).joinedload(EquipmentQualification.kind, innerjoin=True),
    )
)
_LOCKED_EQUIPMENT = _EQUIPMENT.execution_options(populate_existing=True).with_for_update(
    key_share=True, of=Equipment
)
_CLOSURES = select(Closure).where(
    Closure.facility_id == bindparam("facility_id"),
    Closure.starts_at < bindparam("until", type_=Instant()),
    Closure.ends_at > bindparam("since", type_=Instant()),
)


def load_equipment(session: Session, wanted: Iterable[Wanted], *, lock: bool) -> list[tuple[Equipment, int]]:
    """The pieces with everything the rules need, in order of id; unknown slugs are left out.

    ``lock`` takes the rows' locks in that order: the one order everywhere, so that writers queue
    instead of meeting in a deadlock.
    """
    counts: dict[str, int] = {}
    for each in wanted:
        counts[each.slug] = counts.get(each.slug, 0) + each.places
    query = _LOCKED_EQUIPMENT if lock else _EQUIPMENT
    return [(each, counts[each.slug]) for each in session.scalars(query, {"slugs": sorted(counts)})]


def wanted_of(reservation: Reservation) -> list[Wanted]:
    """What the reservation has, as one would ask for it."""
    return [Wanted(piece.equipment.slug, piece.places) for piece in reservation.pieces]


def resolved(session: Session, wanted: Sequence[Wanted]) -> tuple[Wanted, ...]:
    """With the places that a whole piece has now."""
    slugs = [each.slug for each in wanted if each.whole]
    if not slugs:
        return tuple(wanted)
    query = select(Equipment.slug, Equipment.places).where(Equipment.slug.in_(slugs))
    places = dict(session.execute(query).all())
    return tuple(
        replace(each, places=places.get(each.slug, each.places)) if each.whole else each for each in wanted
    )


def unknown_equipment(wanted: Iterable[Wanted], found: Sequence[tuple[Equipment, int]]) -> list[Problem]:
    known = {equipment.slug for equipment, _ in found}
    missing = sorted({w.slug for w in wanted} - known)
    return [Problem("unknown_equipment", "equipment", params={"equipment": slug}) for slug in missing]


def hours_of(session: Session, facility: Facility, within: Interval) -> Hours:
    asked = {"facility_id": facility.id, "since": within.start, "until": within.end}
    closures = session.scalars(_CLOSURES, asked).all()
    return Hours(
        zone=ZoneInfo(facility.time_zone),
        staffed=facility.staffed,
        country=facility.country,
        unstaffed=tuple(Interval(c.starts_at, c.ends_at) for c in closures if c.kind == "unstaffed"),
        shutdowns=tuple(Interval(c.starts_at, c.ends_at) for c in closures if c.kind == "shutdown"),
    )


def organisation_facts(organisation: Organisation) -> OrganisationFacts:
    categories = organisation.bookable_categories
    return OrganisationFacts(
        categories=None if categories is None else frozenset(categories),
        until=organisation.may_book_until,
    )


def qualifications_of(session: Session, user_id: int, plan: Plan) -> Mapping[str, date | None]:
    """Kind -> last valid day of one user, asked only where a piece asks for it."""
    if not any(piece.qualifications for piece in plan.facts):
        return {}
    rows = session.execute(
        select(QualificationKind.slug, Qualification.valid_until)
        .join(Qualification, Qualification.kind_id == QualificationKind.id)
        .where(Qualification.user_id == user_id)
    )
    return dict(rows.all())


@dataclass(frozen=True)
class Placing:
    """Where the pieces would go; ``conflicts`` where they cannot. ``moves``: what of a pool's has to go to
    another unit first; ``pooled``: place -> the pool it is of.
    """

    placements: Sequence[Placement]
    conflicts: Sequence[Conflict]
    moves: Mapping[int, int] = field(default_factory=dict)
    pooled: Mapping[int, int] = field(default_factory=dict)


def take(session: Session, reservation: Reservation, placing: Placing, now: datetime) -> None:
    """Make the reservation occupy just what ``placing`` says."""
    occupy(session, reservation, placing.placements, now=now, moves=placing.moves, pooled=placing.pooled)


def place(
    session: Session,
    plan: Plan,
    *,
    now: datetime,
    apart_from: int | None = None,
    prefer: Iterable[int] = (),
) -> Placing:
    """Choose free places for every piece, or say when too few are free.

    Of a pool too few are free only when the count says so: what has not begun may go to other units.
    """
    all_places = [p.id for equipment, _ in plan.pieces for p in equipment.current_places]
    occupied = occupied_places(session, all_places, plan.occupied, apart_from=apart_from)
    preferred = set(prefer)
    placements: list[Placement] = []
    conflicts: list[Conflict] = []
    moves: dict[int, int] = {}
    pooled: dict[int, int] = {}
    for equipment, count in plan.pieces:
        places = [p.id for p in equipment.current_places]
        if count > len(places):
            continue  # a problem of its own (too_many_places)
        span = plan.span(equipment)
        liked = [p for p in places if p in preferred]
        if equipment.pool:
            pooled |= dict.fromkeys(places, equipment.id)
            chosen, others = _of_pool(session, equipment, occupied, span, count, liked, apart_from, now)
            moves |= others
        else:
            chosen = choose(places, occupied, span, count, liked)
        placements += [Placement(place_id, span) for place_id in chosen]
        if not chosen:
            conflicts += [
                Conflict(equipment.slug, short.start, short.end)
                for short in shortage(places, occupied, span, count)
            ]
    return Placing(placements, sorted(conflicts), moves, pooled)


def _of_pool(
    session: Session,
    equipment: Equipment,
    occupied: Occupied,
    span: Interval,
    count: int,
    liked: Sequence[int],
    apart_from: int | None,
    now: datetime,
) -> tuple[list[int], Mapping[int, int]]:
    """Units for the whole span, and what has to move for them; none where the count says no."""
    places = [p.id for p in equipment.current_places]
    bound: list[int] = []
    if apart_from is not None and span.start <= now:
        bound = pools.running_on(session, apart_from, places, now)[:count]
    chosen = choose(places, occupied, span, count, [*bound, *liked])
    if set(bound) <= set(chosen) and chosen:
        return chosen, {}
    wishes = [Wish(span, place) for place in bound] + [Wish(span)] * (count - len(bound))
    packed = pools.arrange(session, equipment, wishes, now=now, apart_from=apart_from, prefer=liked)
    return ([], {}) if packed is None else (list(packed.taken), packed.moves)


def draws_of(session: Session, plan: Plan) -> tuple[list[DrawSpan], dict[int, Utility]]:
    """What the plan draws, with the utilities' rows locked in order of id.

    For a utility that the environment names, its figure replaces the sum of the parts'; one that a manager
    states replaces both.
    """
    named = plan.named_draws
    spans: list[DrawSpan] = []
    for equipment, count in plan.pieces:
        spans += [
            DrawSpan(each.utility_id, each.amount * count, plan.span(equipment))
            for each in equipment.draws
            if each.utility.slug not in named and each.amount > 0
        ]
    ids = {each.utility_id for each in spans}
    if not ids and not named:
        return [], {}
    utilities = session.scalars(
        select(Utility)
        .where(or_(Utility.id.in_(ids), Utility.slug.in_(named)))
        .order_by(Utility.id)
        .with_for_update(key_share=True)
    ).all()
    spans += [
        DrawSpan(utility.id, named[utility.slug], plan.occupied)
        for utility in utilities
        if named.get(utility.slug, 0) > 0
    ]
    return spans, {utility.id: utility for utility in utilities}


def budgets(
    session: Session,
    plan: Plan,
    spans: Sequence[DrawSpan],
    utilities: Mapping[int, Utility],
    *,
    apart_from: int | None = None,
    exact: bool = True,
) -> list[BudgetFacts]:
    """The peak each utility would reach; ``exact`` for whoever may know what others draw."""
    if not utilities:
        return []
    present = drawn(session, list(utilities), plan.occupied, apart_from=apart_from)
    found = []
    for utility in utilities.values():
        own = [(s.span, s.amount) for s in spans if s.utility_id == utility.id]
        if not own:
            continue
        top, at = peak([*present.get(utility.id, ()), *own], plan.occupied)
        of_it = sum(amount for span, amount in own if span.has(at))
        found.append(
            BudgetFacts(utility.slug, utility.capacity, top, at, utility.unit, own=of_it, exact=exact)
        )
    return found


def decide_by(plan: Plan, now: datetime) -> datetime | None:
    """The earliest of the pieces' decision deadlines; None when none has one."""
    deadlines = [p.policy.decision for p in plan.facts if p.policy.decision is not None]
    return now + min(deadlines) if deadlines else None
