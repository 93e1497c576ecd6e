"""The rules a reservation is checked against: one small function each, and every problem returned together.

Each rule is asked at the phases it belongs to: at the request (or a change of time or equipment), again at
the approval, and again at check-in. ``Facts`` is everything the rules need, loaded beforehand in a constant
number of queries; conflicts over places and budgets are facts too, since only the database knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from labbook.domain.errors import Problem, Weight
from labbook.domain.interval import Interval
from labbook.domain.timing import UNSTATED, Timing
from labbook.domain.utility import coarse
from labbook.domain.wall_time import Hours, local_date, on_grid


class Phase(StrEnum):
    REQUEST = "request"
    APPROVAL = "approval"
    CHECK_IN = "check_in"


@dataclass(frozen=True)
class SlotPolicy:
    """How a piece of equipment may be booked; ``decision`` None means "no deadline"."""

    shortest: timedelta = timedelta(minutes=15)
    longest: timedelta = timedelta(days=90)
    grid: timedelta = timedelta(minutes=15)
    lead: timedelta = timedelta(0)
    horizon: timedelta = timedelta(days=365)
    grace: timedelta = timedelta(minutes=30)
    decision: timedelta | None = None


@dataclass(frozen=True)
class PieceFacts:
    """One piece of equipment as the rules see it; ``wanted`` is how many of its ``places`` are asked for.

    ``occupied``: with its own set-up and tear-down; None where that is the whole reservation's.
    """

    slug: str
    category: str
    state: str
    places: int
    wanted: int
    attended: bool
    approval: str
    check_in: str
    policy: SlotPolicy
    qualifications: frozenset[str] = frozenset()
    calibration_due: date | None = None
    occupied: Interval | None = None
    timing: Timing = UNSTATED


def is_attended(parts: Iterable[bool], staffing: str | None) -> bool:
    """Whether somebody has to be there: as the recipe says, else as soon as one of its parts asks for it."""
    return any(parts) if staffing is None else staffing == "attended"


@dataclass(frozen=True)
class OrganisationFacts:
    """``categories`` None: all; ``until`` None: without end."""

    categories: frozenset[str] | None = None
    until: date | None = None


@dataclass(frozen=True)
class BudgetFacts:
    """The peak that a utility would reach with this reservation, in thousandths of ``unit``; ``own`` of it is
    this one's.
    """

    utility: str
    capacity: int
    peak: int
    at: datetime
    unit: str
    own: int = 0
    exact: bool = True

    @property
    def told(self) -> int:
        """The peak as whoever asks is told it: to the staff exactly, to others with the rest in round
        figures.
        """
        return self.peak if self.exact else self.own + coarse(self.peak - self.own, self.capacity)


@dataclass(frozen=True)
class Facts:
    """What is asked for, of what, by whom.

    ``use`` is the time of use, ``occupied`` includes set-up and tear-down. ``free_of_grid``: a manager, or
    "use now". ``free_of_lead``: what a manager proposed. ``enter_past``: a manager enters what happened.
    ``qualified``: kind -> last valid day (None: for good) of whoever will operate. ``ambient_clashes``:
    shared piece -> the code of what keeps this from it. ``attended``: the name of the recipe that says that
    somebody is there throughout, whatever its parts say.
    """

    now: datetime
    use: Interval
    occupied: Interval
    pieces: Sequence[PieceFacts]
    hours: Hours
    organisation: OrganisationFacts = field(default_factory=OrganisationFacts)
    qualified: Mapping[str, date | None] = field(default_factory=dict)
    budgets: Sequence[BudgetFacts] = ()
    free_of_grid: bool = False
    free_of_lead: bool = False
    enter_past: bool = False
    is_block: bool = False
    attended: Mapping[str, str] | None = None
    ambient_clashes: Mapping[str, str] = field(default_factory=dict)
    traceable: bool = False


Rule = Callable[[Facts], Iterator[Problem]]


def in_service(facts: Facts) -> Iterator[Problem]:
    if facts.is_block:
        return
    for piece in facts.pieces:
        if piece.state != "in_service":
            yield Problem(piece.state, "equipment", overridable=False, params={"equipment": piece.slug})


def not_retired(facts: Facts) -> Iterator[Problem]:
    """Staff may block what is out of service (it is being repaired), never what is gone."""
    if facts.is_block:
        for piece in facts.pieces:
            if piece.state == "retired":
                yield Problem("retired", "equipment", params={"equipment": piece.slug})


def places_enough(facts: Facts) -> Iterator[Problem]:
    for piece in facts.pieces:
        if piece.wanted > piece.places:
            yield Problem(
                "too_many_places",
                "equipment",
                params={"equipment": piece.slug, "wanted": piece.wanted, "places": piece.places},
            )


def not_in_the_past(facts: Facts) -> Iterator[Problem]:
    if facts.use.start < facts.now and not facts.enter_past:
        yield Problem("in_the_past", "start", params={"start": facts.use.start, "now": facts.now})


def lead_time(facts: Facts) -> Iterator[Problem]:
    """Nor does it count for a block of staff, nor for what is entered afterwards."""
    if facts.free_of_lead or facts.is_block or facts.use.start < facts.now:
        return
    for piece in facts.pieces:
        if facts.use.start - facts.now < piece.policy.lead:
            yield Problem(
                "lead_time",
                "start",
                overridable=True,
                params={
                    "equipment": piece.slug,
                    "lead": piece.policy.lead,
                    "earliest": facts.now + piece.policy.lead,
                },
            )


def horizon(facts: Facts) -> Iterator[Problem]:
    for piece in facts.pieces:
        if facts.use.start - facts.now > piece.policy.horizon:
            yield Problem(
                "beyond_horizon",
                "start",
                overridable=True,
                params={
                    "equipment": piece.slug,
                    "horizon": piece.policy.horizon,
                    "latest": facts.now + piece.policy.horizon,
                },
            )


def slot_length(facts: Facts) -> Iterator[Problem]:
    for piece in facts.pieces:
        if facts.use.duration < piece.policy.shortest and not facts.free_of_grid:
            yield Problem(
                "too_short",
                "end",
                overridable=True,
                params={"equipment": piece.slug, "shortest": piece.policy.shortest},
            )
        if facts.use.duration > piece.policy.longest and not facts.is_block:
            yield Problem(
                "too_long",
                "end",
                overridable=True,
                params={"equipment": piece.slug, "longest": piece.policy.longest},
            )


def grid(facts: Facts) -> Iterator[Problem]:
    if facts.free_of_grid:
        return
    for piece in facts.pieces:
        for name, instant in (("start", facts.use.start), ("end", facts.use.end)):
            if not on_grid(instant, piece.policy.grid, facts.hours.zone):
                yield Problem("off_grid", name, params={"equipment": piece.slug, "grid": piece.policy.grid})


def staffed_hours(facts: Facts) -> Iterator[Problem]:
    """Attended equipment is used, set up and torn down while somebody is there."""
    if facts.is_block:
        return
    if facts.attended is not None:
        if not facts.hours.is_staffed_throughout(facts.occupied):
            yield Problem("unstaffed", "start", overridable=True, params={"equipment": facts.attended})
        return
    for piece in facts.pieces:
        if piece.attended and not facts.hours.is_staffed_throughout(piece.occupied or facts.occupied):
            yield Problem("unstaffed", "start", overridable=True, params={"equipment": piece.slug})


def shutdowns_ahead(facts: Facts) -> Iterator[Problem]:
    """At check-in, what is over no longer counts."""
    if facts.now < facts.occupied.end:
        ahead = Interval(max(facts.now, facts.occupied.start), facts.occupied.end)
        for closed in facts.hours.shutdowns_within(ahead):
            yield Problem("shutdown", "start", params={"start": closed.start, "end": closed.end})


def shutdowns(facts: Facts) -> Iterator[Problem]:
    for closed in facts.hours.shutdowns_within(facts.occupied):
        yield Problem("shutdown", "start", params={"start": closed.start, "end": closed.end})


def _last_day(facts: Facts) -> date:
    """The day of the last instant of use: what ends at midnight does not touch the day that begins then."""
    return local_date(facts.use.end - timedelta(microseconds=1), facts.hours.zone)


def organisation_may_book(facts: Facts) -> Iterator[Problem]:
    if facts.is_block:
        return
    may = facts.organisation
    if may.until is not None and _last_day(facts) > may.until:
        yield Problem("organisation_until", "end", overridable=True, params={"until": may.until})
    for piece in facts.pieces:
        if may.categories is not None and piece.category not in may.categories:
            yield Problem(
                "organisation_category",
                "equipment",
                overridable=True,
                params={"equipment": piece.slug, "category": piece.category},
            )


def _qualification(facts: Facts, running_out: Weight) -> Iterator[Problem]:
    if facts.is_block:
        return
    first, last = local_date(facts.use.start, facts.hours.zone), _last_day(facts)
    for kind in sorted({kind for piece in facts.pieces for kind in piece.qualifications}):
        until = facts.qualified.get(kind, date.min)
        if until is None:
            continue
        params = {"qualification": kind, "until": until}
        if until < first:
            yield Problem("qualification_missing", "holder", overridable=True, params=params)
        elif until < last:
            yield Problem("qualification_ends", "holder", running_out, overridable=True, params=params)


def qualification(facts: Facts) -> Iterator[Problem]:
    """Missing: blocking. Running out before the end: a warning."""
    yield from _qualification(facts, "warning")


def qualification_lasts(facts: Facts) -> Iterator[Problem]:
    """At check-in, running out before the end blocks too."""
    yield from _qualification(facts, "blocking")


def calibration(facts: Facts) -> Iterator[Problem]:
    last = _last_day(facts)
    for piece in facts.pieces:
        if piece.calibration_due is not None and piece.calibration_due < last:
            yield Problem(
                "calibration_ends",
                "equipment",
                weight="warning",
                params={"equipment": piece.slug, "due": piece.calibration_due},
            )


def traceable_calibration(facts: Facts) -> Iterator[Problem]:
    """What has to be traceable needs a calibration that holds until its end."""
    last = max(_last_day(facts), local_date(facts.now, facts.hours.zone))
    for piece in facts.pieces:
        due = piece.calibration_due
        if facts.traceable and due is not None and due < last:
            yield Problem("calibration_lapsed", "equipment", params={"equipment": piece.slug, "due": due})


def utility_budget(facts: Facts) -> Iterator[Problem]:
    yield from over_budget(facts.budgets)


def over_budget(budgets: Iterable[BudgetFacts]) -> Iterator[Problem]:
    for budget in budgets:
        if budget.peak > budget.capacity:
            yield Problem(
                "over_budget",
                "start",
                params={
                    "utility": budget.utility,
                    "peak": budget.told / 1000,
                    "capacity": budget.capacity / 1000,
                    "unit": budget.unit,
                    "at": budget.at,
                },
            )


def ambient(facts: Facts) -> Iterator[Problem]:
    """A shared chamber runs one profile at a time; a manager may know that whoever states none bears it."""
    for slug, code in sorted(facts.ambient_clashes.items()):
        if code == "unstated_ambient":
            yield Problem("unstated_ambient", "environment", overridable=True, params={"equipment": slug})
        else:
            yield Problem("other_ambient", "environment", params={"equipment": slug})


OVERRIDABLE = frozenset(
    {
        "lead_time",
        "beyond_horizon",
        "too_short",
        "too_long",
        "unstaffed",
        "organisation_until",
        "organisation_category",
        "qualification_missing",
        "qualification_ends",
        "unstated_ambient",
    }
)
"""The codes that a manager may set aside for somebody else; each problem says so of itself, too."""

OF_THE_HOLDER = frozenset(
    {code for code in OVERRIDABLE if code.startswith(("organisation_", "qualification_"))}
)
"""Those that were set aside for a person, and not for a time."""


RULES: Mapping[Phase, Sequence[Rule]] = {
    Phase.REQUEST: (
        in_service,
        not_retired,
        places_enough,
        not_in_the_past,
        lead_time,
        horizon,
        slot_length,
        grid,
        staffed_hours,
        shutdowns,
        organisation_may_book,
        qualification,
        calibration,
        utility_budget,
        ambient,
    ),
    Phase.APPROVAL: (
        in_service,
        not_retired,
        places_enough,
        staffed_hours,
        shutdowns,
        organisation_may_book,
        qualification,
        calibration,
    ),
    Phase.CHECK_IN: (in_service, not_retired, shutdowns_ahead, qualification_lasts, traceable_calibration),
}


def check(facts: Facts, phase: Phase = Phase.REQUEST) -> list[Problem]:
    """Every problem that stands in the way at ``phase``, in the order of the rules."""
    return [problem for rule in RULES[phase] for problem in rule(facts)]


def blocking(problems: Sequence[Problem], overridden: Collection[str] = ()) -> list[Problem]:
    """Those that refuse: not warnings, and not set aside by somebody who may."""
    return [p for p in problems if p.weight == "blocking" and not (p.overridable and p.code in overridden)]


def set_aside(problems: Sequence[Problem], codes: Collection[str]) -> frozenset[str]:
    """Those of ``codes`` that stand in the way now: what never occurred is not set aside for later."""
    return frozenset(p.code for p in problems if p.overridable and p.code in codes)


def needs_manager(pieces: Sequence[PieceFacts]) -> bool:
    """One piece that a manager approves makes the whole reservation wait for a manager."""
    return any(piece.approval == "manager" for piece in pieces)
