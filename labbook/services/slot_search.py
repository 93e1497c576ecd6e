"""The earliest slots that really work: what the exact search (``domain.slots``) needs, loaded for it.

A constant number of queries whatever the lab's size: only what could serve a need is read in full, and what
is booked is read for the near future first. The search goes on into further time, in at most as many steps
as ``_STRETCHES`` has, only where nothing has been found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.capability import surplus
from labbook.domain.choosing import TooIntricate
from labbook.domain.errors import Problem, Refused
from labbook.domain.interval import Interval
from labbook.domain.matching import Candidate, Need
from labbook.domain.policy import OrganisationFacts, is_attended
from labbook.domain.sharing import clash
from labbook.domain.slots import (
    Ask,
    Because,
    Budget,
    Closed,
    Found,
    Piece,
    Slot,
    Span,
    Wish,
    instant,
    search,
    ticks,
)
from labbook.domain.utility import coarse
from labbook.domain.wall_time import Hours, midnight
from labbook.models import (
    EnvironmentVersion,
    Equipment,
    Facility,
    Organisation,
    Qualification,
    QualificationKind,
    Utility,
)
from labbook.services import environments, facts, sharing
from labbook.services.commands import Wanted
from labbook.services.occupancy import drawn_spans, occupied_spans

LIMIT = 100
NEEDS_LIMIT = 20
_STRETCHES = (timedelta(days=45), timedelta(days=200))
"""How far is read first, and how far then, counted from the earliest start; at last to the end asked for."""

_LAST = datetime(2190, 1, 1, tzinfo=UTC)
"""No reservation may begin later."""

_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class FindSlots:
    """``duration`` of use within ``[since, until]``, for a recipe, for named pieces, or for ``needs``.

    ``facility``: its slug; None for needs that several could meet: where it works first.
    ``until`` None: as far ahead as what is asked for may be booked. ``ambient``: stored ranges, of what is
    asked for without a recipe. ``spread``: not every start, but the next that begins after the one before
    is over, or a day later; for choosing among them. ``apart_from``: reservations whose own time does not
    count, since they would be moved. ``without``: pieces that are not to be had over a period.
    ``empty``: as if nothing were booked. ``agreed``: the time is what was agreed on before, so that lead
    time, grid and the shortest slot do not count.
    """

    duration: timedelta
    since: datetime
    until: datetime | None = None
    environment: str | None = None
    equipment: tuple[Wanted, ...] = ()
    needs: tuple[Need, ...] = ()
    facility: str | None = None
    ambient: Mapping[str, Any] = field(default_factory=dict)
    limit: int = 5
    spread: bool = False
    apart_from: tuple[int, ...] = ()
    without: Mapping[str, Interval] = field(default_factory=dict)
    empty: bool = False
    agreed: bool = False


@dataclass(frozen=True)
class FoundSlot:
    """``by_need``: the piece chosen for each need, in the needs' order."""

    use: Interval
    occupied: Interval
    by_need: tuple[Wanted, ...]
    surplus: float

    @property
    def pieces(self) -> tuple[Wanted, ...]:
        return tuple(sorted(self.by_need, key=lambda wanted: wanted.slug))


@dataclass(frozen=True)
class InTheWay:
    """What stood in the way before the first slot. ``until`` None: throughout what was looked at.

    It says of others no more than their busy blocks do.
    """

    reason: str
    equipment: str | None = None
    utility: str | None = None
    need: int | None = None
    until: datetime | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Elsewhere:
    """Another facility that could meet the needs, and when at the earliest; ``first`` None: at no time."""

    facility: str
    name: Mapping[str, str]
    first: Interval | None


@dataclass(frozen=True)
class FoundSlots:
    """``searched``: from when until when. ``names``: of every piece and utility that is mentioned.

    All of it is in the one ``facility``; ``elsewhere``: the others that were looked at for the same.
    """

    facility: str
    facility_name: Mapping[str, str]
    slots: Sequence[FoundSlot]
    because: Sequence[InTheWay]
    needs: Sequence[Need]
    zone: str
    searched: Interval
    names: Mapping[str, Mapping[str, str]]
    elsewhere: Sequence[Elsewhere] = ()


def find(session: Session, asked: FindSlots, *, viewer: Viewer | None, now: datetime) -> FoundSlots:
    """The earliest feasible slots, by start, each with the pieces that leave the least capability unused.

    All pieces of a reservation are in one facility: where several have what is asked for, each is looked at.
    ``viewer`` None, for equipment and needs: whoever it is for, so that nothing is asked of their
    organisation and qualifications.
    Raises ``Refused`` with everything that is wrong with the question; a question that no slot answers has
    ``because`` instead.
    """
    problems = _wrong(asked)
    recipe, needs = _needs(session, asked, problems, viewer)
    if problems:
        raise Refused(problems)
    return _first_of(
        [
            _Looking(session, one, recipe, needs, viewer, now).found()
            for one in _by_facility(session, asked, recipe, needs)
        ]
    )


def find_for(
    session: Session,
    asked: FindSlots,
    recipe: EnvironmentVersion | None,
    needs: Sequence[Need],
    *,
    viewer: Viewer,
    now: datetime,
) -> FoundSlots:
    """The same for what a reservation was made for: the recipe as it was then, or any needs."""
    return _Looking(session, asked, recipe, needs, viewer, now).found()


def _by_facility(
    session: Session, asked: FindSlots, recipe: EnvironmentVersion | None, needs: Sequence[Need]
) -> list[FindSlots]:
    """The question for each facility that has something of every category; as it was where one is said."""
    if recipe is not None or asked.facility is not None or any(need.equipment for need in needs):
        return [asked]
    wanted = {need.category for need in needs}
    rows = session.execute(
        select(Facility.slug, Equipment.category)
        .join(Equipment, Equipment.facility_id == Facility.id)
        .where(Equipment.category.in_(wanted), Equipment.state != "retired")
        .distinct()
    ).all()
    has = {slug: {row[1] for row in rows if row[0] == slug} for slug, _category in rows}
    most = max((len(categories) for categories in has.values()), default=0)
    able = sorted(slug for slug, categories in has.items() if len(categories) == most)
    return [replace(asked, facility=slug) for slug in able] or [asked]


def _first_of(answers: Sequence[FoundSlots]) -> FoundSlots:
    """Where it works first; of those where it works at no time, the one that lacks least."""
    ever = datetime.max.replace(tzinfo=UTC)
    best = min(
        answers,
        key=lambda each: (
            each.slots[0].use.start if each.slots else ever,
            sum(hindrance.reason == "unmet" for hindrance in each.because),
        ),
    )
    return replace(
        best,
        elsewhere=[
            Elsewhere(each.facility, each.facility_name, each.slots[0].use if each.slots else None)
            for each in answers
            if each is not best
        ],
    )


def _wrong(asked: FindSlots) -> list[Problem]:
    problems = []
    named = [asked.environment is not None, bool(asked.equipment), bool(asked.needs)]
    if not any(named):
        problems.append(Problem("missing", "environment"))
    if sum(named) > 1:
        problems.append(Problem("one_question", "environment"))
    if asked.duration <= timedelta(0):
        problems.append(Problem("bad_length", "duration", params={"value": str(asked.duration)}))
    elif asked.until is not None and asked.until - asked.since < asked.duration:
        problems.append(Problem("window_too_short", "to"))
    ends = (("from", asked.since), ("to", asked.until))
    problems += [Problem("out_of_range", name) for name, at in ends if at is not None and at >= _LAST]
    if len(asked.needs) > NEEDS_LIMIT:
        problems.append(Problem("too_many_pieces", "need", params={"limit": NEEDS_LIMIT}))
    return problems


def _needs(
    session: Session, asked: FindSlots, problems: list[Problem], viewer: Viewer | None
) -> tuple[EnvironmentVersion | None, list[Need]]:
    if asked.environment is not None:
        assert viewer is not None  # whose recipes they may know of
        recipe = environments.current(session, asked.environment, problems, viewer=viewer)
        if recipe is None:
            return None, []
        return recipe, environments.needs_of(recipe)
    if asked.equipment:
        counts = environments.counted(asked.equipment)
        return None, [Need(equipment=slug, places=places) for slug, places in counts.items()]
    return None, list(asked.needs)


def choose(
    session: Session,
    recipe: EnvironmentVersion | None,
    needs: Sequence[Need],
    use: Interval,
    *,
    viewer: Viewer,
    now: datetime,
    ambient: Mapping[str, Any],
) -> dict[str, int] | None:
    """Slug -> places with which the recipe, or the needs, work at just this time; None where they do not.

    Where only lead time, grid or length stand in the way, the pieces too, so that the rules can say it.
    """
    if use.start < now:
        return None
    asked = FindSlots(use.duration, use.start, use.end, ambient=ambient, limit=1)
    for one in (asked, replace(asked, agreed=True)):
        questions = _by_facility(session, one, recipe, needs)
        slots = _first_of(
            [find_for(session, each, recipe, needs, viewer=viewer, now=now) for each in questions]
        ).slots
        if slots:
            return {piece.slug: piece.places for piece in slots[0].pieces}
    return None


class _Looking:
    """One question, with what is loaded for it once; and what is booked, stretch by stretch."""

    def __init__(
        self,
        session: Session,
        asked: FindSlots,
        recipe: EnvironmentVersion | None,
        needs: Sequence[Need],
        viewer: Viewer | None,
        now: datetime,
    ) -> None:
        self.session = session
        self.asked = asked
        self.recipe = recipe
        self.needs = needs
        self.now = now
        self.facility = self._facility()
        self.zone = ZoneInfo(self.facility.time_zone)
        self.asks, slugs = self._asks()
        self.pieces = {
            equipment.slug: equipment
            for equipment, _ in facts.load_equipment(session, map(Wanted, slugs), lock=False)
        }
        self.utilities = self._utilities()
        # Whoever manages books for others, too: what is asked of a holder is looked at with the request.
        self.is_staff = viewer is not None and viewer.is_staff_of(self.facility.id)
        self.asker = None if viewer is None or viewer.manages(self.facility.id) else viewer
        organisation = (
            OrganisationFacts()
            if self.asker is None
            else facts.organisation_facts(session.get_one(Organisation, self.asker.organisation_id))
        )
        self.excluded = self._excluded(organisation)
        until = organisation.until
        self.may_book_until = None if until is None else midnight(until + _DAY, self.zone)

    def found(self) -> FoundSlots:
        since = max(self.asked.since, self.now)
        # Nothing begins beyond the horizon: further time would be read for nothing.
        until = min(self.asked.until or _LAST, self._furthest(since))
        slots: list[Slot] = []
        because: list[Because] = []
        at = since
        for end in self._ends(since, until):
            if end - at >= self.asked.duration:
                found = self._within(at, end, self.asked.limit - len(slots))
                if not slots:
                    because += found.because
                slots += found.slots
                # What begins so late that it would not have been over is looked at in the next stretch.
                at = end - self.asked.duration + _MICROSECOND
            if len(slots) >= self.asked.limit:
                break
        return FoundSlots(
            facility=self.facility.slug,
            facility_name=self.facility.name,
            slots=[self._slot(each) for each in slots],
            because=self._in_the_way(because, slots[0].start if slots else None),
            needs=self.needs,
            zone=self.zone.key,
            searched=Interval(since, max(until, since + _MICROSECOND)),
            names={slug: piece.name for slug, piece in self.pieces.items()}
            | {utility.slug: utility.name for utility in self.utilities},
        )

    def _within(self, since: datetime, until: datetime, limit: int) -> Found:
        stretch = self._stretch(Interval(since, until))
        apart = min(self.asked.duration, _DAY) // _MICROSECOND if self.asked.spread else 1
        try:
            return search(self._wish(since, until), *stretch, limit=limit, apart=apart)
        except TooIntricate as error:
            raise Refused([Problem("too_intricate", "need")]) from error

    # --- what does not change with the time looked at -------------------------------------------

    def _asks(self) -> tuple[list[Ask], set[str]]:
        """For each need, which pieces would serve it and with how much to spare."""
        candidates = environments.candidates(self.session, self.facility.id, self.needs)
        asks = []
        for need in self.needs:
            serves = {each.slug: _surplus(each, need) for each in candidates if each.serves(need)}
            asks.append(Ask(None if need.whole else need.places, serves))
        return asks, {slug for ask in asks for slug in ask.serves}

    def _facility(self) -> Facility:
        """The one that all of it is in. Raises ``Refused`` where that is not one."""
        if self.recipe is not None:
            return self.session.get_one(Facility, self.recipe.environment.facility_id)
        named = {need.equipment for need in self.needs if need.equipment is not None}
        categories = {need.category for need in self.needs if need.equipment is None}
        of_these = Equipment.slug.in_(named) if named else Equipment.category.in_(categories)
        query = select(Facility.id, Facility.slug, Equipment.slug).join(
            Equipment, Equipment.facility_id == Facility.id
        )
        rows = self.session.execute(query.where(of_these)).all()
        problems = [
            Problem("unknown_equipment", "equipment", params={"equipment": slug})
            for slug in sorted(named - {row[2] for row in rows})
        ]
        found = {row[0]: row[1] for row in rows}
        if self.asked.facility is not None:
            found = {key: slug for key, slug in found.items() if slug == self.asked.facility}
        if not problems and len(found) != 1:
            code = "several_facilities" if found else "no_such_category"
            problems.append(Problem(code, "facility" if not named else "equipment"))
        if problems:
            raise Refused(problems)
        return self.session.get_one(Facility, next(iter(found)))

    def _utilities(self) -> list[Utility]:
        named = set(self._named_draws())
        drawing = {d.utility.slug for e in self.pieces.values() for d in e.draws if d.amount > 0}
        if not named | drawing:
            return []
        return list(self.session.scalars(select(Utility).where(Utility.slug.in_(named | drawing))))

    def _named_draws(self) -> dict[str, int]:
        return dict(self.recipe.draws) if self.recipe is not None else {}

    def _excluded(self, organisation: OrganisationFacts) -> dict[str, str]:
        """Pieces that this viewer may not have at any time, and why."""
        if organisation.categories is None:
            return {}
        return {
            slug: "organisation_category"
            for slug, piece in self.pieces.items()
            if piece.category not in organisation.categories
        }

    def _furthest(self, since: datetime) -> datetime:
        horizons = [timedelta(seconds=piece.slot_horizon) for piece in self.pieces.values()]
        return max(since, self.now + max(horizons, default=timedelta(0))) + self.asked.duration

    def _ends(self, since: datetime, until: datetime) -> list[datetime]:
        near = [since + max(stretch, 3 * self.asked.duration) for stretch in _STRETCHES]
        return [*(end for end in near if end < until), until]

    def _wish(self, since: datetime, until: datetime) -> Wish:
        recipe = self.recipe
        return Wish(
            asks=self.asks,
            duration=self.asked.duration // _MICROSECOND,
            since=ticks(since),
            until=ticks(until),
            setup=_micro(recipe.setup) if recipe is not None else None,
            teardown=_micro(recipe.teardown) if recipe is not None else None,
            recipe=recipe is not None,
            draws=self._named_draws(),
            zone=self.zone,
        )

    # --- what is there over one stretch ---------------------------------------------------------

    def _stretch(self, within: Interval) -> tuple[dict[str, Piece], dict[str, Budget]]:
        before, after = self._margins()
        wide = within.widened(before, after)
        places = {slug: [p.id for p in piece.current_places] for slug, piece in self.pieces.items()}
        ids = [] if self.asked.empty else [each for own in places.values() for each in own]
        occupied = occupied_spans(self.session, ids, wide, apart_from=self.asked.apart_from)
        hours = facts.hours_of(self.session, self.facility, wide)
        # What has to be set up first cannot have been set up before now.
        shut = [Closed("set_up", (_ALWAYS[0], ticks(self.now)))]
        shut += [Closed("shutdown", _span(each)) for each in hours.shutdowns_within(wide)]
        staffing = self.recipe.staffing if self.recipe is not None else None
        attended = {slug for slug, piece in self.pieces.items() if is_attended([piece.attended], staffing)}
        unstaffed = [Closed("unstaffed", span) for span in _unstaffed(hours, wide)] if attended else []
        others = self._other_ambients(wide)
        # The same list for every piece that has no more: the search looks at each list once.
        unless_staffed = [*shut, *unstaffed]
        qualified = self._qualified()
        units = {}
        for slug, piece in self.pieces.items():
            closed = unless_staffed if slug in attended else shut
            units[slug] = self._unit(
                piece,
                [occupied.get(place_id, ()) for place_id in places[slug]],
                [*closed, *others[slug]] if slug in others else closed,
                qualified,
            )
        return units, self._budgets(wide)

    def _margins(self) -> tuple[timedelta, timedelta]:
        """The longest set-up and tear-down that could be laid around the use."""
        pieces = self.pieces.values()
        own = self.recipe
        before = max((p.setup for p in pieces), default=0)
        after = max((p.teardown for p in pieces), default=0)
        if own is not None:
            before, after = max(before, own.setup or 0), max(after, own.teardown or 0)
        return timedelta(seconds=before), timedelta(seconds=after)

    def _unit(
        self,
        piece: Equipment,
        places: Sequence[Sequence[Span]],
        closed: Sequence[Closed],
        qualified: Mapping[str, datetime | None],
    ) -> Piece:
        policy = facts.slot_policy(piece)
        if (out := self.asked.without.get(piece.slug)) is not None:
            closed = [*closed, Closed("out", _span(out))]
        barred = self.excluded.get(piece.slug) or self._unqualified(piece, qualified)
        if barred is not None:
            closed = [Closed(barred, _ALWAYS)]
        latest = self.now + policy.horizon
        for kind in self._asks_for(piece):
            until = qualified.get(kind)
            if until is not None:
                latest = min(latest, until - _MICROSECOND)
        return Piece(
            slug=piece.slug,
            places=places,
            pool=piece.pool,
            setup=_micro(piece.setup) or 0,
            teardown=_micro(piece.teardown) or 0,
            grid=(_SECOND if self.asked.agreed else policy.grid) // _MICROSECOND,
            shortest=0 if self.asked.agreed else policy.shortest // _MICROSECOND,
            longest=policy.longest // _MICROSECOND,
            earliest=None if self.asked.agreed else ticks(self.now + policy.lead),
            latest=ticks(latest),
            ends_by=None if self.may_book_until is None else ticks(self.may_book_until),
            closed=closed,
            draws={d.utility.slug: d.amount for d in piece.draws if d.amount > 0},
        )

    def _unqualified(self, piece: Equipment, qualified: Mapping[str, datetime | None]) -> str | None:
        if self.asker is None:
            return None
        missing = any(kind not in qualified for kind in self._asks_for(piece))
        return "qualification_missing" if missing else None

    def _asks_for(self, piece: Equipment) -> set[str]:
        """The qualifications that whoever operates it needs, the recipe's included."""
        of_recipe = self.recipe.qualifications if self.recipe is not None else []
        return {row.kind.slug for row in piece.qualifications} | set(of_recipe)

    def _qualified(self) -> dict[str, datetime | None]:
        """Kind -> until when the viewer may begin something; None for good."""
        if self.asker is None or not any(map(self._asks_for, self.pieces.values())):
            return {}
        rows = self.session.execute(
            select(QualificationKind.slug, Qualification.valid_until)
            .join(Qualification, Qualification.kind_id == QualificationKind.id)
            .where(Qualification.user_id == self.asker.id)
        )
        return {kind: None if until is None else midnight(until + _DAY, self.zone) for kind, until in rows}

    def _other_ambients(self, within: Interval) -> dict[str, list[Closed]]:
        """On shared pieces, what runs under another profile than the one asked for."""
        mine = dict(self.recipe.ambient) if self.recipe is not None else dict(self.asked.ambient)
        shared = [piece.id for piece in self.pieces.values() if piece.places > 1]
        if not shared or self.asked.empty:
            return {}
        found: dict[str, list[Closed]] = {}
        for slug, start, end, ambient in sharing.profiles(
            self.session, shared, within, apart_from=self.asked.apart_from, stated_only=not mine
        ):
            if clash(self.pieces[slug].capabilities, mine, ambient):
                found.setdefault(slug, []).append(Closed("other_ambient", (ticks(start), ticks(end))))
        return found

    def _budgets(self, within: Interval) -> dict[str, Budget]:
        if not self.utilities:
            return {}
        ids = [] if self.asked.empty else [u.id for u in self.utilities]
        present = drawn_spans(self.session, ids, within, apart_from=self.asked.apart_from)
        return {u.slug: Budget(u.capacity, present.get(u.id, ())) for u in self.utilities}

    # --- the answer -----------------------------------------------------------------------------

    def _slot(self, slot: Slot) -> FoundSlot:
        return FoundSlot(
            use=Interval(instant(slot.start), instant(slot.end)),
            occupied=Interval(*map(instant, slot.occupied)),
            by_need=tuple(
                Wanted(slug, self.pieces[slug].places if need.whole else need.places)
                for slug, need in zip(slot.chosen, self.needs, strict=True)
            ),
            surplus=slot.surplus,
        )

    def _in_the_way(self, because: Iterable[Because], first: int | None) -> list[InTheWay]:
        """One for each reason and thing, with the latest ``until``: what stood in the way longest first.

        Where there is no ``first`` slot, nothing ended it.
        """
        latest: dict[tuple[str, str], InTheWay] = {}
        utilities = {utility.slug: utility for utility in self.utilities}
        for each in because:
            until = None if first is None else instant(min(each.until, first))
            params = dict(each.params)
            if each.subject in utilities:
                params["unit"] = utilities[each.subject].unit
                if not self.is_staff:
                    params["peak"] = coarse(params["peak"], params["capacity"])
                params |= {name: params[name] / 1000 for name in ("peak", "wanted", "capacity")}
            if each.reason == "unmet":
                need = self.needs[int(each.subject)]
                params["category"] = need.category or need.equipment
            found = InTheWay(
                reason=each.reason,
                equipment=each.subject if each.subject in self.pieces else None,
                utility=each.subject if each.subject in utilities else None,
                need=int(each.subject) if each.reason == "unmet" else None,
                until=until,
                params=params,
            )
            latest[each.reason, each.subject] = found
        ever = datetime.max.replace(tzinfo=UTC)
        return sorted(latest.values(), key=lambda each: each.until or ever, reverse=True)


_ALWAYS = (-(2**62), 2**62)


def _unstaffed(hours: Hours, within: Interval) -> list[Span]:
    """The stretches of ``within`` in which nobody is there."""
    staffed = [_span(each) for each in hours.staffed_within(within)]
    start, end = _span(within)
    edges = [start, *(edge for span in staffed for edge in span), end]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]


def _surplus(candidate: Candidate, need: Need) -> float:
    """Nothing for a piece that is named: there is no other to have instead."""
    return sum(
        surplus(candidate.offer(name, candidate.takes(need)), wanted)
        for name, wanted in need.capabilities.items()
    )


def _span(interval: Interval) -> Span:
    return ticks(interval.start), ticks(interval.end)


def _micro(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1_000_000
