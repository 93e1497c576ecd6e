"""Projects: what reservations are charged to, and who else sees them.

Managers keep them. Who becomes a member sees what is charged to the project, so that only the project's
own organisation lets anybody in: a manager of it, or an admin.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, joinedload, selectinload

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, NotFound, Problem, Refused
from labbook.domain.visibility import scope_of
from labbook.domain.words import text_problems
from labbook.models import Project, ProjectMember, User
from labbook.models.project import ACTIVITIES as ACTIVITIES
from labbook.services import transaction
from labbook.services.directory import (
    NAME_LIMIT,
    is_keeper,
    organisation_named,
    require_keeper,
    slug_problems,
)
from labbook.services.known_projects import known

log = logging.getLogger(__name__)


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
    open: bool = True
    """Whether the members and the account are told; else they are empty here."""
    lets_in: bool = False
    """Whether the viewer decides who is a member."""


def chargeable(session: Session, *, viewer: Viewer) -> list[ProjectView]:
    """Those that the viewer knows of and that are open, without their members."""
    query = select(Project).where(Project.active, known(scope_of(viewer)))
    query = query.options(joinedload(Project.organisation, innerjoin=True))
    rows = session.scalars(query.order_by(Project.name, Project.id))
    return [_view(row, viewer, members=False) for row in rows]


def list_visible(session: Session, *, viewer: Viewer) -> list[ProjectView]:
    query = _loading().where(known(scope_of(viewer)))
    query = query.order_by(Project.active.desc(), Project.name, Project.id)
    return [_view(row, viewer) for row in session.scalars(query)]


def find(session: Session, slug: str, *, viewer: Viewer) -> ProjectView:
    """``NotFound`` also for a project that isn't the viewer's to know of."""
    row = session.scalar(_loading().where(Project.slug == slug, known(scope_of(viewer))))
    if row is None:
        raise NotFound("project")
    return _view(row, viewer)


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
        if members and actor is not None and not _may_let_in(actor, organisation.id):
            raise Forbidden("project_members")
        row = Project(slug=command.slug, organisation=organisation, created_at=now)
        _write(row, command)
        row.members = [ProjectMember(user_id=user.id) for user in members if user]
        session.add(row)
        session.flush()
        return _reread(session, row, actor)

    return transaction.write(session, work)


def change(session: Session, command: KeepProject, *, actor: Viewer) -> ProjectView:
    """Name, activity, account reference, open or closed. The organisation stays; so does the account
    reference where it isn't the actor's to know.
    """
    require_keeper(actor)

    def work() -> ProjectView:
        row = _locked(session, command.slug, actor)
        if wrong := _problems(command):
            raise Refused(wrong)
        account = row.account_reference
        _write(row, command)
        if not scope_of(actor).opens(row.id, row.organisation_id):
            row.account_reference = account
        session.flush()
        return _reread(session, row, actor)

    return transaction.write(session, work)


def add_member(session: Session, slug: str, email: str, *, actor: Viewer) -> None:
    """From then on they see everything that is charged to the project."""
    require_keeper(actor)

    def work() -> int:
        row = _members_of(session, slug, actor)
        wrong: list[Problem] = []
        user = _user(session, email, wrong)
        if user is None:
            raise Refused(wrong)
        if user.id not in {m.user_id for m in row.members}:
            row.members.append(ProjectMember(user_id=user.id))
        return user.id

    log.info("user %d let user %d into project %s", actor.id, transaction.write(session, work), slug)


def remove_member(session: Session, slug: str, user_id: int, *, actor: Viewer) -> None:
    require_keeper(actor)

    def work() -> None:
        row = _members_of(session, slug, actor)
        member = next((m for m in row.members if m.user_id == user_id), None)
        if member is None:
            raise NotFound("member")
        row.members.remove(member)

    transaction.write(session, work)
    log.info("user %d took user %d out of project %s", actor.id, user_id, slug)


def _may_let_in(actor: Viewer, organisation_id: int) -> bool:
    return is_keeper(actor) and (actor.is_admin or actor.organisation_id == organisation_id)


def _members_of(session: Session, slug: str, actor: Viewer) -> Project:
    row = _locked(session, slug, actor)
    if not _may_let_in(actor, row.organisation_id):
        raise Forbidden("project_members")
    return row


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


def _locked(session: Session, slug: str, actor: Viewer) -> Project:
    query = select(Project).where(Project.slug == slug, known(scope_of(actor)))
    row = session.scalar(query.with_for_update())
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


def _view(row: Project, viewer: Viewer | None, *, members: bool = True) -> ProjectView:
    opened = viewer is None or scope_of(viewer).opens(row.id, row.organisation_id)
    told = row.members if members and opened else ()
    people = sorted((m.user for m in told), key=lambda user: (user.name, user.id))
    return ProjectView(
        slug=row.slug,
        name=row.name,
        organisation=row.organisation.slug,
        organisation_name=row.organisation.name,
        activity=row.activity,
        account_reference=row.account_reference if opened else "",
        active=row.active,
        members=[Member(u.id, u.name, u.email, u.organisation.name) for u in people],
        open=opened,
        lets_in=viewer is not None and _may_let_in(viewer, row.organisation_id),
    )


def _reread(session: Session, row: Project, viewer: Viewer | None) -> ProjectView:
    session.refresh(row)
    return _view(row, viewer)
