"""Resolving whom and what a command names, without telling the asker of anybody else's people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, exists, func, or_, select
from sqlalchemy.orm import Session, joinedload

from labbook.domain.access import Role, Viewer
from labbook.domain.errors import Problem
from labbook.domain.visibility import scope_of
from labbook.models import EnvironmentVersion, Project, ProjectMember, Reservation, StaffMembership, User
from labbook.services.known_projects import known

_ACTIVE = (
    select(User)
    .where(User.email.in_(bindparam("emails", expanding=True)), User.active)
    .options(joinedload(User.organisation, innerjoin=True))
)


@dataclass(frozen=True)
class Party:
    """Those a reservation names, resolved; ``problems`` for those that could not be."""

    holder: User | None
    participants: list[User]
    project: Project | None
    problems: list[Problem]


def resolve(
    session: Session,
    *,
    actor: Viewer,
    facility_id: int,
    holder: str | None,
    participants: Iterable[str] = (),
    project: str | None = None,
) -> Party:
    """``holder`` None is the actor. Staff may name anybody; others only people of their organisation.

    A participant must be able to see the reservation: of the holder's organisation or a member of its
    project. Who does not exist and who is not yours to name get the same answer.
    """
    problems: list[Problem] = []
    named = {email.strip().lower() for email in participants}
    holder_email = (holder or actor.email).strip().lower()
    users = {
        user.email: user for user in session.scalars(_ACTIVE, {"emails": sorted({holder_email, *named})})
    }
    the_holder = users.get(holder_email)
    if the_holder is not None and not (
        the_holder.organisation_id == actor.organisation_id or actor.is_staff_of(facility_id)
    ):
        the_holder = None
    if the_holder is None:
        problems.append(Problem("unknown_user", "holder", params={"user": holder_email}))
    the_project = _project(session, project, actor, the_holder, problems)
    return Party(
        the_holder,
        _participants(session, named, users, the_holder, the_project, problems),
        the_project,
        problems,
    )


def resolve_changed(
    session: Session,
    *,
    actor: Viewer,
    reservation: Reservation,
    participants: Iterable[str] | None,
    project: str | None,
) -> Party:
    """Whom and what a change of a reservation newly names; who stays on it is not asked for again.

    None leaves participants or project as they are. With another project those who stay must still be able
    to see the reservation.
    """
    problems: list[Problem] = []
    the_project = reservation.project
    if project is not None and project != (the_project.slug if the_project else ""):
        the_project = _project(session, project, actor, reservation.holder, problems)
    present = {p.user.email: p.user for p in reservation.participants}
    named = set(present) if participants is None else {email.strip().lower() for email in participants}
    users = {user.email: user for user in session.scalars(_ACTIVE, {"emails": sorted(named - set(present))})}
    if the_project is not reservation.project:
        found = _participants(session, named, users | present, reservation.holder, the_project, problems)
    else:
        added = named - set(present)
        found = [user for email, user in present.items() if email in named]
        found += _participants(session, added, users, reservation.holder, the_project, problems)
    return Party(reservation.holder, found, the_project, problems)


def _project(
    session: Session, slug: str | None, actor: Viewer, holder: User | None, problems: list[Problem]
) -> Project | None:
    """One that the actor knows of, or, where they book for somebody, one that the holder may charge."""
    if not slug:
        return None
    mine = known(scope_of(actor))
    if holder is not None and holder.id != actor.id:
        a_member = exists().where(ProjectMember.project_id == Project.id, ProjectMember.user_id == holder.id)
        mine = or_(mine, Project.organisation_id == holder.organisation_id, a_member)
    project = session.scalar(select(Project).where(Project.slug == slug, mine))
    if project is None:
        problems.append(Problem("unknown_project", "project", params={"project": slug}))
        return None
    if not project.active:
        problems.append(Problem("project_closed", "project", params={"project": slug}))
    return project


def _participants(
    session: Session,
    named: set[str],
    users: dict[str, User],
    holder: User | None,
    project: Project | None,
    problems: list[Problem],
) -> list[User]:
    if not named or holder is None:
        return []
    members: set[int] = set()
    if project is not None:
        members = set(
            session.scalars(select(ProjectMember.user_id).where(ProjectMember.project_id == project.id))
        )
    found = []
    for email in sorted(named):
        user = users.get(email)
        if user is not None and (user.organisation_id == holder.organisation_id or user.id in members):
            found.append(user)
        else:
            problems.append(Problem("unknown_participant", "participants", params={"user": email}))
    return found


def decides_for(session: Session, actor: Viewer, facility_id: int, holder_id: int) -> bool:
    """A manager decides for others; for themselves only where the lab has no other manager, and never as
    somebody's deputy."""
    if not actor.manages(facility_id):
        return False
    if holder_id != actor.id:
        return True
    if not actor.manages_by_right(facility_id):
        return False
    others = session.scalar(
        select(func.count())
        .select_from(User)
        .join(StaffMembership, StaffMembership.user_id == User.id)
        .where(
            StaffMembership.facility_id == facility_id,
            User.role == "manager",
            User.active,
            User.id != actor.id,
        )
    )
    return not others


def recipe_problems(
    session: Session, holder: User, recipe: EnvironmentVersion | None, field: str
) -> list[Problem]:
    """As ``domain.visibility.sees_recipe``, of somebody who isn't asking: by one organisation's recipe a
    manager books for its own people only, and hands over to nobody else.
    """
    if recipe is None or recipe.environment.organisation_id in (None, holder.organisation_id):
        return []
    if is_staff(session, holder, recipe.environment.facility_id):
        return []
    return [Problem("environment_of_others", field, params={"environment": recipe.environment.slug})]


def is_staff(session: Session, user: User, facility_id: int) -> bool:
    """As ``Viewer.is_staff_of``, of somebody who isn't asking."""
    if user.role == Role.ADMIN:
        return True
    found = exists().where(StaffMembership.user_id == user.id, StaffMembership.facility_id == facility_id)
    return user.role in (Role.TECHNICIAN, Role.MANAGER) and bool(session.scalar(select(found)))
