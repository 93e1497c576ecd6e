"""Recipes: made and changed in the browser or by the catalogue file, each change a version of its own.

Reservations keep the version they were made with. A manager's recipes are the laboratory's; anybody else's
are their organisation's own until a manager publishes them. What loosens a rule (less drawn than the parts
draw, less set-up, attended pieces left alone) only a manager may say.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer, may_edit_recipe
from labbook.domain.errors import Forbidden, NotFound, Problem, Refused
from labbook.domain.visibility import scope_of
from labbook.domain.words import NOTES_LIMIT, text_problems
from labbook.formats.catalogue_entries import EnvironmentEntry, Fault, KnownEquipment, KnownUtility
from labbook.formats.catalogue_table import Report, Table
from labbook.formats.recipes import Around, read_recipe, unmet
from labbook.models import Environment, EnvironmentVersion, Equipment, Facility, Utility
from labbook.services import qualifications, transaction
from labbook.services.differences import FieldChange, differences
from labbook.services.directory import slug_problems
from labbook.services.environments import in_service
from labbook.services.known_recipes import known_recipe

RESERVED = ("new",)
"""Short names that are addresses of pages."""

MANAGERS_ONLY = ("setup", "teardown", "draws")
"""What replaces the parts' own: less of it would loosen a rule."""


@dataclass(frozen=True)
class KeepRecipe:
    """What a recipe shall say: ``values`` by the keys of the catalogue file.

    ``slug`` is for a manager's new recipe only. ``edited_from``: the version that was on the screen.
    """

    facility: str
    values: Mapping[str, Any]
    slug: str = ""
    note: str = ""
    edited_from: int | None = None


@dataclass(frozen=True)
class Kept:
    """``changed``: whether there is a new version."""

    slug: str
    version: int
    changed: bool


@dataclass(frozen=True)
class Signature:
    """When a version was made, by whom (None: from the catalogue file), and what it changed."""

    at: datetime
    by_id: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Look:
    """What would meet a recipe today: for each need the pieces (slugs) that are in service; none of all as
    long as the needs cannot be read.

    ``unmet``: the index of a need that nothing meets; -1 where only all of them together cannot be met.
    """

    meets: Sequence[Sequence[str]]
    unmet: int | None
    problems: Sequence[Problem] = ()


# --- use cases --------------------------------------------------------------------------------------------


def create(
    session: Session,
    command: KeepRecipe,
    *,
    actor: Viewer,
    now: datetime,
    wrong: Sequence[Problem] = (),
) -> Kept:
    """A new recipe: the laboratory's if the actor manages it, else their organisation's own.

    Raises ``Refused`` with everything; ``wrong`` is what was found before.
    """

    def work() -> Kept:
        facility = _facility(session, command.facility, lock=True)
        manages = actor.manages(facility.id)
        problems = [*wrong, *(_slug_problems(session, command.slug) if manages else ())]
        entry = _entry(session, command, facility, problems, manages=manages)
        row = Environment(
            slug=command.slug if manages else _own_slug(entry.name),
            facility_id=facility.id,
            organisation_id=None if manages else actor.organisation_id,
            owner_id=None if manages else actor.id,
        )
        write_first(session, row, entry, Signature(now, actor.id, command.note.strip()))
        transaction.touch(session, facility.id)
        return Kept(row.slug, 1, changed=True)

    return transaction.write(session, work)


def change(
    session: Session,
    slug: str,
    command: KeepRecipe,
    *,
    actor: Viewer,
    now: datetime,
    wrong: Sequence[Problem] = (),
) -> Kept:
    """A new version, where anything differs.

    Raises ``NotFound``, ``Forbidden``, and ``Refused`` with everything, among it ``changed_meanwhile`` where
    there is a newer version than the one that was edited.
    """

    def work() -> Kept:
        row = _known(session, slug, actor, lock=True)
        if not may_edit_recipe(actor, row.facility_id, row.owner_id):
            raise Forbidden("edit")
        problems = list(wrong)
        if command.edited_from != row.version:
            params = {"number": row.version}
            problems.append(Problem("changed_meanwhile", "edited_from", params=params))
        entry = _entry(session, command, row.facility, problems, manages=row.owner_id is None)
        changes = write_next(session, row, entry, Signature(now, actor.id, command.note.strip()))
        transaction.touch(session, row.facility_id)
        return Kept(row.slug, row.version, changed=bool(changes))

    return transaction.write(session, work)


def retire(session: Session, slug: str, *, actor: Viewer, now: datetime) -> None:
    """Not to be booked any more; what is booked stays."""
    _set_retired(session, slug, now, actor)


def restore(session: Session, slug: str, *, actor: Viewer) -> None:
    """To be booked again."""
    _set_retired(session, slug, None, actor)


def publish(session: Session, slug: str, *, actor: Viewer) -> None:
    """Everybody's from now on, and the managers' to edit. What it was before stays its organisation's."""

    def work() -> None:
        row = _managed(session, slug, actor, "publish")
        row.organisation_id = row.owner_id = None
        row.open_from = row.version
        transaction.touch(session, row.facility_id)

    transaction.write(session, work)


def take_over(session: Session, slug: str, *, actor: Viewer) -> None:
    """Its organisation's only, as it was; from now on the managers edit it."""

    def work() -> None:
        _managed(session, slug, actor, "take_over").owner_id = None

    transaction.write(session, work)


def look(session: Session, facility: str, values: Mapping[str, Any], *, actor: Viewer) -> Look:
    """What would meet each need today, and what would be refused."""
    home = _facility(session, facility)
    entry, faults = _read(session, "", home, values)
    problems = [_problem(fault) for fault in faults]
    if not actor.manages(home.id):
        problems += _loosening(session, entry, values)
    if any(fault.keys[1:2] == ("needs",) for fault in faults):
        return Look([], None, problems)
    candidates = in_service(session, home.id)
    meets = [[piece.slug for piece in candidates if piece.serves(need.asked())] for need in entry.needs]
    return Look(meets, unmet(entry, candidates), problems)


def _set_retired(session: Session, slug: str, at: datetime | None, actor: Viewer) -> None:
    def work() -> None:
        row = _known(session, slug, actor, lock=True)
        edits = may_edit_recipe(actor, row.facility_id, row.owner_id)
        if not (edits or actor.manages(row.facility_id)):
            raise Forbidden("retire")
        row.retired_at = at
        transaction.touch(session, row.facility_id)

    transaction.write(session, work)


def _managed(session: Session, slug: str, actor: Viewer, action: str) -> Environment:
    row = _known(session, slug, actor, lock=True)
    if not actor.manages(row.facility_id):
        raise Forbidden(action)
    return row


def _known(session: Session, slug: str, actor: Viewer, *, lock: bool) -> Environment:
    query = select(Environment).where(Environment.slug == slug, known_recipe(scope_of(actor)))
    fresh = query.execution_options(populate_existing=True)
    row = session.scalar(fresh.with_for_update(of=Environment) if lock else fresh)
    if row is None:
        raise NotFound("environment")
    return row


def _facility(session: Session, slug: str, *, lock: bool = False) -> Facility:
    """``lock``: whoever makes the next of the same short name at once waits, and reads that it is taken."""
    query = select(Facility).where(Facility.slug == slug)
    found = session.scalar(query.with_for_update(of=Facility, key_share=True) if lock else query)
    if found is None:
        raise Refused([Problem("unknown_facility", "facility", params={"facility": slug})])
    return found


def _slug_problems(session: Session, slug: str) -> list[Problem]:
    if wrong := slug_problems(slug):
        return wrong
    taken = slug in RESERVED or session.scalar(select(Environment.id).where(Environment.slug == slug))
    return [Problem("slug_taken", "slug", params={"slug": slug})] if taken else []


def _own_slug(name: Mapping[str, str]) -> str:
    """Nobody learns from a name that is taken what others called theirs."""
    words = re.sub(r"[^a-z0-9]+", "-", next(iter(name.values())).lower()).strip("-")
    return f"{words[:40].strip('-') or 'recipe'}-{secrets.token_hex(4)}"


# --- reading what was typed -------------------------------------------------------------------------------


def _entry(
    session: Session, command: KeepRecipe, facility: Facility, problems: list[Problem], *, manages: bool
) -> EnvironmentEntry:
    """The recipe, or ``Refused`` with all that is wrong with it, ``problems`` included."""
    problems += text_problems(command.note, "note", limit=NOTES_LIMIT, lines=True)
    entry, faults = _read(session, command.slug, facility, command.values)
    problems += map(_problem, faults)
    if not manages:
        problems += _loosening(session, entry, command.values)
    if problems:
        raise Refused(problems)
    return entry


def _read(
    session: Session, slug: str, facility: Facility, values: Mapping[str, Any]
) -> tuple[EnvironmentEntry, list[Fault]]:
    report = Report({})
    around = _around(session, facility)
    return read_recipe(Table(report, ("recipe",), values, ""), slug, facility.slug, around), report.faults


def _problem(fault: Fault) -> Problem:
    """``needs.0.capabilities.volume`` is the field of what is wrong there."""
    code = "missing" if fault.code == "key_missing" else fault.code
    return Problem(code, ".".join(map(str, fault.keys[1:])), params=dict(fault.params))


def _loosening(session: Session, entry: EnvironmentEntry, values: Mapping[str, Any]) -> list[Problem]:
    wrong = [Problem("managers_only", key) for key in MANAGERS_ONLY if key in values]
    if entry.staffing == "unattended":
        wrong.append(Problem("managers_only", "staffing"))
    unknown = set(entry.qualifications) - set(qualifications.kinds(session))
    return wrong + [
        Problem("unknown_qualification", "qualifications", params={"qualification": each})
        for each in sorted(unknown)
    ]


def _around(session: Session, facility: Facility) -> Around:
    utilities = session.execute(
        select(Utility.slug, Utility.unit).where(Utility.facility_id == facility.id).order_by(Utility.slug)
    )
    pieces = session.scalars(
        select(Equipment)
        .where(Equipment.facility_id == facility.id, Equipment.state != "retired")
        .order_by(Equipment.slug)
    )
    return Around(
        {slug: KnownUtility(facility.slug, unit) for slug, unit in utilities},
        {
            row.slug: KnownEquipment(facility.slug, row.category, row.places, row.capabilities, row.parallel)
            for row in pieces
        },
    )


# --- writing versions -------------------------------------------------------------------------------------


def write_first(session: Session, row: Environment, entry: EnvironmentEntry, signed: Signature) -> None:
    """The first version of a recipe that is new."""
    row.version = 1
    session.add(row)
    session.flush()
    _add(session, row, entry, signed)


def write_next(
    session: Session, row: Environment, entry: EnvironmentEntry, signed: Signature
) -> list[FieldChange]:
    """A new version, if anything differs from the current one; what differs."""
    current = next(version for version in row.versions if version.number == row.version)
    changes = differences(current, entry.values())
    if changes:
        row.version += 1
        _add(session, row, entry, signed)
    return changes


def _add(session: Session, row: Environment, entry: EnvironmentEntry, signed: Signature) -> None:
    qualifications.make_kinds(session, entry.qualifications)
    row.versions.append(
        EnvironmentVersion(
            environment_id=row.id,
            number=row.version,
            note=signed.note,
            created_at=signed.at,
            created_by_id=signed.by_id,
            **entry.values(),
        )
    )
    session.flush()
