"""Recipes as their readers see them, in a constant number of queries: those that they may know of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, joinedload

from labbook.domain.access import Viewer, may_edit_recipe
from labbook.domain.capability import offers
from labbook.domain.errors import NotFound
from labbook.domain.matching import Candidate
from labbook.domain.visibility import scope_of
from labbook.models import Environment, EnvironmentVersion, Equipment, Organisation, User, Utility
from labbook.services.capability_search import read_needs
from labbook.services.differences import FieldChange, differences
from labbook.services.environments import each_need, in_service, needs_of
from labbook.services.equipment import DrawView, facility_id
from labbook.services.known_recipes import NEWEST, known_recipe


@dataclass(frozen=True)
class NeedView:
    """Named equipment, or any of a category whose capabilities contain these; ``whole``: every place."""

    equipment: str | None
    category: str | None
    capabilities: Mapping[str, str]
    count: int
    places: int
    whole: bool


@dataclass(frozen=True)
class EnvironmentView:
    """``setup`` and ``teardown`` in seconds, None for "the longest of its parts'"; so are ``run``, what it
    usually takes, and ``readouts``, of running. ``staffing`` None: as its parts say.

    ``organisation``: whose own it is, None for everybody's; ``owner`` saved it and may change it, None where
    the managers do. ``allowed``: ``edit``, ``retire``, ``restore``, ``publish``, ``take_over``.
    """

    slug: str
    facility: str
    facility_name: Mapping[str, str]
    example: bool
    version: int
    name: Mapping[str, str]
    description: Mapping[str, str]
    setup: int | None
    run: int | None
    teardown: int | None
    ambient: Mapping[str, str]
    draws: Sequence[DrawView]
    permit: bool
    staffing: str | None
    on_call: str
    safe_state: str
    qualifications: Sequence[str]
    hazards: Sequence[str]
    readouts: Sequence[int]
    needs: Sequence[NeedView]
    organisation: str | None
    organisation_name: str | None
    owner: str | None
    retired_at: datetime | None
    allowed: frozenset[str]


@dataclass(frozen=True)
class VersionView:
    """What a version changed of the one before; ``by``: for those only who may know who works at what.

    ``changes`` None: of the first that the reader may see nothing came before.
    """

    number: int
    at: datetime | None
    by: str | None
    note: str
    changes: Sequence[FieldChange] | None


SAID = (
    "name",
    "description",
    "needs",
    "ambient",
    "draws",
    "setup",
    "run",
    "teardown",
    "staffing",
    "on_call",
    "safe_state",
    "qualifications",
    "hazards",
    "permit",
    "readouts",
)
"""What a version says, in the order in which a page says it."""


def list_all(
    session: Session,
    *,
    viewer: Viewer,
    facility: str | None = None,
    giving: Sequence[tuple[str, str]] = (),
) -> list[EnvironmentView]:
    """Those that may be booked. ``giving``: quantities that lie within their ambient profile, or within what
    a need of theirs asks of its equipment.

    Raises ``Refused`` for a facility that does not exist and for a quantity that cannot be read.
    """
    wanted = read_needs(giving)
    query = _CURRENT
    if facility is not None:
        query = query.where(Environment.facility_id == facility_id(session, facility))
    return _read(
        session, query.where(Environment.retired_at.is_(None)), viewer, lambda row: _gives(row, wanted)
    )


def _gives(row: EnvironmentVersion, wanted: Mapping[str, Any]) -> bool:
    stated = [row.ambient, *(need.get("capabilities", {}) for need in row.needs)]
    return all(
        any(name in each and offers(each[name], range_) for each in stated) for name, range_ in wanted.items()
    )


def known_conditions(session: Session, *, viewer: Viewer) -> dict[str, str]:
    """What the viewer's recipes state of their ambient and ask of their equipment, each with an example."""
    found: dict[str, str] = {}
    for view in list_all(session, viewer=viewer):
        for stated in (view.ambient, *(need.capabilities for need in view.needs)):
            for name, text in stated.items():
                found.setdefault(name, text)
    return dict(sorted(found.items()))


def list_managed(session: Session, *, viewer: Viewer) -> list[EnvironmentView]:
    """All there is in the facilities that the viewer manages, the retired ones last."""
    query = _CURRENT
    if not viewer.is_admin:
        query = query.where(Environment.facility_id.in_(sorted(viewer.manages_at)))
    return sorted(_read(session, query, viewer), key=lambda view: view.retired_at is not None)


def find(session: Session, slug: str, *, viewer: Viewer) -> EnvironmentView:
    """Raises ``NotFound``, also for one that is not the viewer's to know."""
    found = _read(session, _CURRENT.where(Environment.slug == slug), viewer)
    if not found:
        raise NotFound("environment")
    return found[0]


def using(session: Session, slug: str, *, viewer: Viewer) -> list[EnvironmentView]:
    """The recipes of its facility that could use a piece: by its name, or by what it can do."""
    row = session.execute(
        select(
            Equipment.facility_id,
            Equipment.category,
            Equipment.places,
            Equipment.capabilities,
            Equipment.parallel,
        ).where(Equipment.slug == slug)
    ).one()
    piece = Candidate(slug, row.category, row.places, row.capabilities, offers, row.parallel)
    here = _CURRENT.where(Environment.facility_id == row.facility_id, Environment.retired_at.is_(None))
    return _read(session, here, viewer, lambda recipe: any(map(piece.serves, needs_of(recipe))))


def meets_today(session: Session, slug: str, *, viewer: Viewer) -> list[list[str]]:
    """For each need the slugs of what is in service and would meet it."""
    row = session.scalar(_CURRENT.where(Environment.slug == slug, known_recipe(scope_of(viewer))))
    if row is None:
        raise NotFound("environment")
    pieces = in_service(session, row.environment.facility_id)
    return [[piece.slug for piece in pieces if piece.serves(need)] for need in each_need(row)]


def history(session: Session, slug: str, *, viewer: Viewer) -> list[VersionView]:
    """The versions, newest first, each with what it changed.

    Of what a recipe was before it was published, and of who wrote it, outsiders learn nothing; those of the
    organisation that wrote it keep reading it.
    """
    recipe = session.scalar(
        select(Environment).where(Environment.slug == slug, known_recipe(scope_of(viewer)))
    )
    if recipe is None:
        raise NotFound("environment")
    inside = viewer.is_staff_of(recipe.facility_id) or recipe.organisation_id == viewer.organisation_id
    rows = session.execute(
        select(EnvironmentVersion, User.name, User.organisation_id)
        .outerjoin(User, EnvironmentVersion.created_by_id == User.id)
        .where(EnvironmentVersion.environment_id == recipe.id)
        .order_by(EnvironmentVersion.number)
    )
    found: list[VersionView] = []
    before: EnvironmentVersion | None = None
    for row, author, organisation_id in rows:
        ours = inside or organisation_id == viewer.organisation_id
        if not ours and row.number < recipe.open_from:
            continue
        said = {name: getattr(row, name) for name in SAID}
        found.append(
            VersionView(
                number=row.number,
                at=row.created_at,
                by=author if ours else None,
                note=row.note if ours or row.number > recipe.open_from else "",
                changes=None if before is None else differences(before, said),
            )
        )
        before = row
    return found[::-1]


_CURRENT = (
    select(EnvironmentVersion)
    .join(Environment, NEWEST)
    .options(
        joinedload(EnvironmentVersion.environment, innerjoin=True).joinedload(
            Environment.facility, innerjoin=True
        )
    )
    .order_by(Environment.facility_id, Environment.slug)
)


def _read(
    session: Session,
    query: Select[EnvironmentVersion],
    viewer: Viewer,
    only: Callable[[EnvironmentVersion], bool] = lambda _: True,
) -> list[EnvironmentView]:
    rows = [row for row in session.scalars(query.where(known_recipe(scope_of(viewer)))) if only(row)]
    slugs = {slug for row in rows for slug in row.draws}
    utilities = {u.slug: u for u in session.scalars(select(Utility).where(Utility.slug.in_(slugs)))}
    theirs = {row.environment.organisation_id for row in rows} - {None}
    names = {}
    if theirs:
        found = session.execute(
            select(Organisation.id, Organisation.slug, Organisation.name).where(Organisation.id.in_(theirs))
        )
        names = {id_: (slug, name) for id_, slug, name in found}
    owners = {row.environment.owner_id for row in rows} - {None}
    people = (
        dict(session.execute(select(User.id, User.name).where(User.id.in_(owners))).all()) if owners else {}
    )
    return [_view(row, utilities, names, people, viewer) for row in rows]


def _view(
    row: EnvironmentVersion,
    utilities: Mapping[str, Utility],
    organisations: Mapping[int, tuple[str, str]],
    people: Mapping[int, str],
    viewer: Viewer,
) -> EnvironmentView:
    recipe, facility = row.environment, row.environment.facility
    whose = organisations.get(recipe.organisation_id or 0, (None, None))
    return EnvironmentView(
        slug=recipe.slug,
        facility=facility.slug,
        facility_name=facility.name,
        example=facility.example,
        version=row.number,
        name=row.name,
        description=row.description,
        setup=row.setup,
        run=row.run,
        teardown=row.teardown,
        ambient={name: _written(value) for name, value in sorted(row.ambient.items())},
        draws=[
            DrawView(slug, utilities[slug].name, amount, utilities[slug].unit)
            for slug, amount in sorted(row.draws.items())
            if slug in utilities
        ],
        permit=row.permit,
        staffing=row.staffing,
        on_call=row.on_call,
        safe_state=row.safe_state,
        qualifications=row.qualifications,
        hazards=row.hazards,
        readouts=row.readouts,
        needs=[need_view(need) for need in row.needs],
        organisation=whose[0],
        organisation_name=whose[1],
        owner=people.get(recipe.owner_id or 0),
        retired_at=recipe.retired_at,
        allowed=allowed(recipe, viewer),
    )


def allowed(recipe: Environment, viewer: Viewer) -> frozenset[str]:
    """The steps that the viewer may take with a recipe that they know of."""
    manages = viewer.manages(recipe.facility_id)
    edits = may_edit_recipe(viewer, recipe.facility_id, recipe.owner_id)
    steps = {
        "edit": edits,
        "retire": (edits or manages) and recipe.retired_at is None,
        "restore": (edits or manages) and recipe.retired_at is not None,
        "publish": manages and recipe.organisation_id is not None,
        "take_over": manages and recipe.owner_id is not None,
    }
    return frozenset(step for step, may in steps.items() if may)


def need_view(need: Mapping[str, Any]) -> NeedView:
    """Of a need as it is stored."""
    return NeedView(
        equipment=need.get("equipment"),
        category=need.get("category"),
        capabilities={name: _written(value) for name, value in sorted(need.get("capabilities", {}).items())},
        count=need.get("count", 1),
        places=need.get("places", 1),
        whole=need.get("whole", False),
    )


def _written(stored: Any) -> str:
    """How a range was written in the catalogue."""
    return str(stored["text"] if isinstance(stored, Mapping) else stored)
