"""Test environments: reading recipes, and choosing the equipment that meets their needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.allocation import free_throughout
from labbook.domain.capability import offers
from labbook.domain.errors import Problem
from labbook.domain.interval import Interval
from labbook.domain.matching import Candidate, Need, match
from labbook.domain.visibility import scope_of
from labbook.models import (
    Environment,
    EnvironmentVersion,
    Equipment,
)
from labbook.services import facts
from labbook.services.commands import RequestReservation, Wanted
from labbook.services.facts import Plan
from labbook.services.known_recipes import NEWEST, known_recipe
from labbook.services.occupancy import occupied_places


def current(
    session: Session, slug: str, problems: list[Problem], *, viewer: Viewer
) -> EnvironmentVersion | None:
    """The newest version of a recipe, to be booked by. One that is not the viewer's to know is as unknown as
    one that there never was.
    """
    found = session.scalar(
        select(EnvironmentVersion)
        .join(Environment, NEWEST)
        .where(Environment.slug == slug, known_recipe(scope_of(viewer)))
    )
    if found is None or found.environment.retired_at is not None:
        code = "unknown_environment" if found is None else "environment_retired"
        problems.append(Problem(code, "environment", params={"environment": slug}))
        return None
    return found


Choose = Callable[[EnvironmentVersion | None, Sequence[Need], Interval], Mapping[str, int] | None]
"""The pieces with which a recipe, or needs without one, work at just that time, by every rule; else None."""


def pieces_for(
    session: Session,
    command: RequestReservation,
    problems: list[Problem],
    *,
    choose: Choose | None,
    viewer: Viewer,
) -> tuple[EnvironmentVersion | None, tuple[Wanted, ...]]:
    """The recipe asked for and the pieces to book: those named, or those chosen for it.

    Named pieces must be exactly what the recipe needs. Without names they are those of the earliest slot, if
    that is this time; else free equipment, or at last equipment that would do otherwise, so that what
    stands in the way shows.
    """
    if command.environment is not None and command.needs:
        problems.append(Problem("needs_and_environment", "needs"))
    if command.environment is None and command.needs and not command.equipment:
        return None, _pieces_for_needs(command, problems, choose)
    if command.environment is None:
        problems += _strangers_to(session, command)
        return None, command.equipment
    recipe = current(session, command.environment, problems, viewer=viewer)
    if recipe is None:
        return None, command.equipment
    if command.equipment:
        problems += mismatches(session, recipe, command.equipment)
        return recipe, command.equipment
    needs = needs_of(recipe)
    candidates = in_service(session, recipe.environment.facility_id)
    chosen: Mapping[str, int] | None = None
    if choose is not None:
        use = Interval(command.start, command.end)
        chosen = choose(recipe, needs, use) or match(needs, _free(session, recipe, candidates, use))
    chosen = chosen or match(needs, candidates)
    if chosen is None:
        problems.append(
            Problem("environment_unmet", "environment", params={"environment": command.environment})
        )
        return recipe, ()
    return recipe, tuple(Wanted(slug, places) for slug, places in sorted(chosen.items()))


def _pieces_for_needs(
    command: RequestReservation, problems: list[Problem], choose: Choose | None
) -> tuple[Wanted, ...]:
    if choose is None:
        return ()
    chosen = choose(None, command.needs, Interval(command.start, command.end))
    if chosen is None:
        problems.append(Problem("needs_unmet", "needs"))
        return ()
    return tuple(Wanted(slug, places) for slug, places in sorted(chosen.items()))


def _strangers_to(session: Session, command: RequestReservation) -> list[Problem]:
    """A problem unless the named pieces are exactly what was looked for, where that is said."""
    if not command.needs:
        return []
    asked = counted(command.equipment)
    rows = _read_candidates(session, _OFFERED.where(Equipment.slug.in_(asked)))
    named = [each.with_places(min(each.places, asked[each.slug])) for each in rows]
    return [] if match(command.needs, named) == asked else [Problem("needs_mismatch", "equipment")]


def mismatches(session: Session, recipe: EnvironmentVersion, wanted: Sequence[Wanted]) -> list[Problem]:
    """A problem unless the named pieces are exactly what the recipe needs, no place more and none less."""
    asked = counted(wanted)
    named = [
        candidate.with_places(min(candidate.places, asked[candidate.slug]))
        for candidate in in_service(session, recipe.environment.facility_id)
        if candidate.slug in asked
    ]
    found = match(needs_of(recipe), named)
    whole = {each.slug for each in wanted if each.whole}  # to oneself, though less of it would do
    if (
        found is not None
        and found.keys() == asked.keys()
        and all(asked[slug] == n or (slug in whole and asked[slug] > n) for slug, n in found.items())
    ):
        return []
    return [Problem("environment_mismatch", "equipment", params={"environment": recipe.environment.slug})]


def counted(wanted: Iterable[Wanted]) -> dict[str, int]:
    """Slug -> places, however often a piece is named."""
    counts: dict[str, int] = {}
    for each in wanted:
        counts[each.slug] = counts.get(each.slug, 0) + each.places
    return counts


def needs_of(recipe: EnvironmentVersion) -> list[Need]:
    """Each need once for every piece that it asks for."""
    return read_needs(recipe.needs)


def each_need(recipe: EnvironmentVersion) -> list[Need]:
    """Each need once, however many pieces it asks for."""
    return read_needs({**need, "count": 1} for need in recipe.needs)


def read_needs(stored: Iterable[Mapping[str, Any]]) -> list[Need]:
    """The same of needs as they are stored."""
    return [
        Need(
            equipment=need.get("equipment"),
            category=need.get("category"),
            capabilities=need.get("capabilities", {}),
            places=need.get("places", 1),
            whole=need.get("whole", False),
        )
        for need in stored
        for _ in range(need.get("count", 1))
    ]


def stored_needs(needs: Iterable[Need]) -> list[dict[str, Any]]:
    """As ``EnvironmentVersion`` keeps them."""
    found: list[dict[str, Any]] = []
    for need in needs:
        what: dict[str, Any] = (
            {"category": need.category, "capabilities": dict(need.capabilities)}
            if need.equipment is None
            else {"equipment": need.equipment}
        )
        how_many = {"whole": True} if need.whole else {"places": need.places}
        found.append(what | {"count": 1} | how_many)
    return found


_OFFERED = (
    select(Equipment.slug, Equipment.category, Equipment.places, Equipment.capabilities, Equipment.parallel)
    .where(Equipment.state == "in_service")
    .order_by(Equipment.slug)
)


def in_service(session: Session, facility_id: int) -> list[Candidate]:
    """Everything of a facility that may meet a need."""
    return _read_candidates(session, _OFFERED.where(Equipment.facility_id == facility_id))


def candidates(session: Session, facility_id: int, needs: Sequence[Need]) -> list[Candidate]:
    """Of what is in service, the named pieces and those of the categories that are needed."""
    named = [need.equipment for need in needs if need.equipment is not None]
    categories = {need.category for need in needs if need.equipment is None}
    return _read_candidates(
        session,
        _OFFERED.where(
            Equipment.facility_id == facility_id,
            or_(Equipment.slug.in_(named), Equipment.category.in_(categories)),
        ),
    )


def _read_candidates(session: Session, query: Select[Any]) -> list[Candidate]:
    return [
        Candidate(slug, category, places, capabilities, meets=offers, parallel=parallel)
        for slug, category, places, capabilities, parallel in session.execute(query)
    ]


def _free(
    session: Session, recipe: EnvironmentVersion, candidates: list[Candidate], use: Interval
) -> list[Candidate]:
    """The candidates with how many of their places are free throughout."""
    pieces = facts.load_equipment(session, [Wanted(c.slug) for c in candidates], lock=False)
    plan = Plan(pieces, use, recipe)
    ids = [p.id for equipment, _ in pieces for p in equipment.current_places]
    occupied = occupied_places(session, ids, plan.occupied)
    left = {
        equipment.slug: free_throughout(
            [p.id for p in equipment.current_places], occupied, plan.span(equipment), pool=equipment.pool
        )
        for equipment, _ in pieces
    }
    return [c.with_places(left[c.slug]) for c in candidates if left.get(c.slug)]
