"""Projects: what reservations are charged to, and who else sees them. Managers keep them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from labbook.domain.access import Role, Viewer
from labbook.domain.errors import NotFound, Problem, Refused
from labbook.domain.words import text_problems
from labbook.models import Project, ProjectMember, User
from labbook.models.project import ACTIVITIES as ACTIVITIES
from labbook.services import transaction
from labbook.services.directory import (
    NAME_LIMIT,
    organisation_named,
    require_keeper,
    slug_problems,
)


@dataclass(frozen=True)
class KeepProject:
    slug: str
    name: str
    organisation: str
    activity: str
    account_reference: str = ""
    active: bool = True
    members: tuple[str, ...] = ()  # e-mail addresses, of whoever the project is created with


@dataclass(frozen=True)
class Member:
    id: int
    name: str
    email: str
    organisation_name: str


@dataclass(frozen=True)
class ProjectView:
    slug: str
    name: str
    organisation: str
    organisation_name: str
    activity: str
    account_reference: str
    active: bool
    members: Sequence[Member]


def chargeable(session: Session, *, viewer: Viewer) -> list[ProjectView]:
    """Those that the viewer may charge: the organisation's, those they are a member of; for staff all."""
    return [view for view in list_visible(session, viewer=viewer) if view.active]


def list_visible(session: Session, *, viewer: Viewer) -> list[ProjectView]:
    query = _loading().order_by(Project.active.desc(), Project.name, Project.id)
    if not _sees_all(viewer):
        query = query.where(
            or_(Project.organisation_id == viewer.organisation_id, Project.id.in_(sorted(viewer.project_ids)))
        )
    return [_view(row) for row in session.scalars(query)]


def find(session: Session, slug: str, *, viewer: Viewer) -> ProjectView:
    """``NotFound`` also for a project that isn't the viewer's to know of."""
    row = session.scalar(_loading().where(Project.slug == slug))
    if row is None or not (
        _sees_all(viewer) or row.organisation_id == viewer.organisation_id or row.id in viewer.project_ids
    ):
        raise NotFound("project")
    return _view(row)


def create(session: Session, command: KeepProject, *, actor: Viewer | None, now: datetime) -> ProjectView:
    """``actor`` None is whoever operates the machine."""
    if actor is not None:
        require_keeper(actor)

    def work() -> ProjectView:
        wrong = slug_problems(command.slug) + _problems(command)
        organisation = organisation_named(session, command.organisation, wrong)
        if session.scalar(select(Project.id).where(Project.slug == command.slug)) is not None:
            wrong.append(Problem("slug_taken", "slug"))
        members = [_user(session, email, wrong) for email in dict.fromkeys(command.members)]
        if wrong or organisation is None:
            raise Refused(wrong)
        row = Project(slug=command.slug, organisation=organisation, created_at=now)
        _write(row, command)
        row.members = [ProjectMember(user_id=user.id) for user in members if user]
        session.add(row)
        session.flush()
        return _reread(session, row)

    return transaction.write(session, work)


def change(session: Session, command: KeepProject, *, actor: Viewer) -> ProjectView:
    """Name, activity, account reference, open or closed. The organisation stays."""
    require_keeper(actor)

    def work() -> ProjectView:
        row = _locked(session, command.slug)
        if wrong := _problems(command):
            raise Refused(wrong)
        _write(row, command)
        session.flush()
        return _reread(session, row)

    return transaction.write(session, work)


def add_member(session: Session, slug: str, email: str, *, actor: Viewer) -> None:
    """From then on they see everything that is charged to the project."""
    require_keeper(actor)

    def work() -> None:
        row = _locked(session, slug)
        wrong: list[Problem] = []
        user = _user(session, email, wrong)
        if user is None:
            raise Refused(wrong)
        if user.id not in {m.user_id for m in row.members}:
            row.members.append(ProjectMember(user_id=user.id))

    transaction.write(session, work)


def remove_member(session: Session, slug: str, user_id: int, *, actor: Viewer) -> None:
    require_keeper(actor)

    def work() -> None:
        row = _locked(session, slug)
        member = next((m for m in row.members if m.user_id == user_id), None)
        if member is None:
            raise NotFound("member")
        row.members.remove(member)

    transaction.write(session, work)


def _sees_all(viewer: Viewer) -> bool:
    return viewer.role != Role.ENGINEER


def _user(session: Session, email: str, problems: list[Problem]) -> User | None:
    user = session.scalar(select(User).where(User.email == email.strip().lower(), User.active))
    if user is None:
        problems.append(Problem("unknown_user", "email", params={"user": email.strip()}))
    return user


def _problems(command: KeepProject) -> list[Problem]:
    wrong = text_problems(command.name, "name", limit=NAME_LIMIT, required=True)
    wrong += text_problems(command.account_reference, "account_reference", limit=NAME_LIMIT)
    if command.activity not in ACTIVITIES:
        wrong.append(Problem("unknown_activity", "activity", params={"activity": command.activity}))
    return wrong


def _write(row: Project, command: KeepProject) -> None:
    row.name, row.activity, row.active = command.name.strip(), command.activity, command.active
    row.account_reference = command.account_reference.strip()


def _locked(session: Session, slug: str) -> Project:
    row = session.scalar(select(Project).where(Project.slug == slug).with_for_update())
    if row is None:
        raise NotFound("project")
    return row


def _loading() -> Select[Project]:
    return select(Project).options(
        joinedload(Project.organisation, innerjoin=True),
        selectinload(Project.members)
        .joinedload(ProjectMember.user, innerjoin=True)
        .joinedload(User.organisation, innerjoin=True),
    )


def _view(row: Project) -> ProjectView:
    people = sorted((m.user for m in row.members), key=lambda user: (user.name, user.id))
    return ProjectView(
        slug=row.slug,
        name=row.name,
        organisation=row.organisation.slug,
        organisation_name=row.organisation.name,
        activity=row.activity,
        account_reference=row.account_reference,
        active=row.active,
        members=[Member(user.id, user.name, user.email, user.organisation.name) for user in people],
    )


def _reread(session: Session, row: Project) -> ProjectView:
    session.refresh(row)
    return _view(row)
