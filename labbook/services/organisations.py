"""Organisations and what they may book, kept by managers and admins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import NotFound, Problem, Refused
from labbook.domain.words import text_problems
from labbook.models import Equipment, Facility, Organisation, Project, User
from labbook.models.organisation import KINDS as KINDS
from labbook.services import transaction
from labbook.services.directory import NAME_LIMIT, require_keeper, slug_problems


@dataclass(frozen=True)
class KeepOrganisation:
    """``categories`` None: all; ``until`` None: without end."""

    slug: str
    name: str
    kind: str
    categories: tuple[str, ...] | None = None
    until: date | None = None


@dataclass(frozen=True)
class OrganisationView:
    slug: str
    name: str
    kind: str
    categories: Sequence[str] | None
    until: date | None
    people: int


@dataclass(frozen=True)
class Belonging:
    """Where somebody belongs, by short names."""

    organisation: str
    facilities: Sequence[str]
    projects: Sequence[str]


def belonging(session: Session, *, viewer: Viewer) -> Belonging:
    facilities = select(Facility.slug).where(Facility.id.in_(sorted(viewer.facility_ids)))
    projects = select(Project.slug).where(Project.id.in_(sorted(viewer.project_ids)))
    return Belonging(
        organisation=session.scalars(
            select(Organisation.slug).where(Organisation.id == viewer.organisation_id)
        ).one(),
        facilities=session.scalars(facilities.order_by(Facility.slug)).all(),
        projects=session.scalars(projects.order_by(Project.slug)).all(),
    )


def list_all(session: Session, *, viewer: Viewer) -> list[OrganisationView]:
    require_keeper(viewer)
    people = dict(
        session.execute(
            select(User.organisation_id, func.count()).where(User.active).group_by(User.organisation_id)
        ).all()
    )
    rows = session.scalars(select(Organisation).order_by(Organisation.name))
    return [_view(row, people.get(row.id, 0)) for row in rows]


def find(session: Session, slug: str, *, viewer: Viewer) -> OrganisationView:
    require_keeper(viewer)
    row = session.scalar(select(Organisation).where(Organisation.slug == slug))
    if row is None:
        raise NotFound("organisation")
    return _view(row, 0)


def categories(session: Session) -> list[str]:
    """Those that the catalogue has."""
    return list(session.scalars(select(Equipment.category).distinct().order_by(Equipment.category)))


def create(
    session: Session, command: KeepOrganisation, *, actor: Viewer | None, now: datetime
) -> OrganisationView:
    """``actor`` None is whoever operates the machine."""
    if actor is not None:
        require_keeper(actor)

    def work() -> OrganisationView:
        wrong = slug_problems(command.slug) + _problems(session, command)
        if session.scalar(select(Organisation.id).where(Organisation.slug == command.slug)) is not None:
            wrong.append(Problem("slug_taken", "slug"))
        if wrong:
            raise Refused(wrong)
        row = Organisation(slug=command.slug, created_at=now)
        _write(row, command)
        session.add(row)
        session.flush()
        return _view(row, 0)

    return transaction.write(session, work)


def change(session: Session, command: KeepOrganisation, *, actor: Viewer) -> OrganisationView:
    require_keeper(actor)

    def work() -> OrganisationView:
        row = session.scalar(select(Organisation).where(Organisation.slug == command.slug).with_for_update())
        if row is None:
            raise NotFound("organisation")
        if wrong := _problems(session, command):
            raise Refused(wrong)
        _write(row, command)
        return _view(row, 0)

    return transaction.write(session, work)


def _problems(session: Session, command: KeepOrganisation) -> list[Problem]:
    wrong = text_problems(command.name, "name", limit=NAME_LIMIT, required=True)
    if command.kind not in KINDS:
        wrong.append(Problem("unknown_kind", "kind", params={"kind": command.kind}))
    known = set(categories(session)) if command.categories else set()
    wrong += [
        Problem("unknown_category", "categories", params={"category": each})
        for each in command.categories or ()
        if each not in known
    ]
    return wrong


def _write(row: Organisation, command: KeepOrganisation) -> None:
    row.name, row.kind = command.name.strip(), command.kind
    row.bookable_categories = None if command.categories is None else sorted(command.categories)
    row.may_book_until = command.until


def _view(row: Organisation, people: int) -> OrganisationView:
    return OrganisationView(row.slug, row.name, row.kind, row.bookable_categories, row.may_book_until, people)
