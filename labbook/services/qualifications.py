"""Trainings and instructions: who holds which, granted and revoked by managers."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import NotFound, Problem, Refused
from labbook.models import Qualification, QualificationKind, User
from labbook.services import transaction
from labbook.services.directory import require_keeper
from labbook.services.users import Held


def kinds(session: Session) -> list[str]:
    return list(session.scalars(select(QualificationKind.slug).order_by(QualificationKind.slug)))


def make_kinds(session: Session, slugs: Collection[str]) -> dict[str, QualificationKind]:
    """Every kind by its slug; those of ``slugs`` that are new are made, as part of another's transaction."""
    rows = session.scalars(select(QualificationKind).order_by(QualificationKind.id))
    found = {row.slug: row for row in rows}
    for slug in sorted(set(slugs) - found.keys()):
        found[slug] = QualificationKind(slug=slug)
        session.add(found[slug])
    session.flush()
    return found


def held_by(session: Session, *, viewer: Viewer) -> list[Held]:
    """The viewer's own."""
    rows = session.execute(
        select(QualificationKind.slug, Qualification.valid_until)
        .join(Qualification, Qualification.kind_id == QualificationKind.id)
        .where(Qualification.user_id == viewer.id)
        .order_by(QualificationKind.slug)
    )
    return [Held(kind, until) for kind, until in rows]


def grant(
    session: Session, user_id: int, kind: str, until: date | None, *, actor: Viewer, now: datetime
) -> None:
    """Until a day (inclusive) or for good; a grant of the same kind is replaced."""
    require_keeper(actor)

    def work() -> None:
        user, kind_id = _named(session, user_id, kind)
        row = session.scalar(
            select(Qualification).where(Qualification.user_id == user.id, Qualification.kind_id == kind_id)
        )
        if row is None:
            row = Qualification(user_id=user.id, kind_id=kind_id)
            session.add(row)
        row.valid_until, row.granted_by_id, row.granted_at = until, actor.id, now

    transaction.write(session, work)


def revoke(session: Session, user_id: int, kind: str, *, actor: Viewer) -> None:
    require_keeper(actor)

    def work() -> None:
        user, kind_id = _named(session, user_id, kind)
        row = session.scalar(
            select(Qualification).where(Qualification.user_id == user.id, Qualification.kind_id == kind_id)
        )
        if row is None:
            raise NotFound("qualification")
        session.delete(row)

    transaction.write(session, work)


def _named(session: Session, user_id: int, kind: str) -> tuple[User, int]:
    user = session.get(User, user_id)
    if user is None:
        raise NotFound("user")
    kind_id = session.scalar(select(QualificationKind.id).where(QualificationKind.slug == kind))
    if kind_id is None:
        raise Refused([Problem("unknown_qualification", "kind", params={"qualification": kind})])
    return user, kind_id
