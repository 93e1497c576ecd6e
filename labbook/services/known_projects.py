"""``Scope.knows`` as SQL: which projects somebody may name, list and subscribe to."""

from __future__ import annotations

from sqlalchemy import ColumnElement, exists, or_, true

from labbook.domain.visibility import Scope
from labbook.models import Project, Reservation


def known(scope: Scope) -> ColumnElement[bool]:
    if scope.everything:
        return true()
    own = or_(Project.organisation_id == scope.organisation_id, Project.id.in_(sorted(scope.project_ids)))
    if not scope.facility_ids:
        return own
    charged_here = exists().where(
        Reservation.project_id == Project.id, Reservation.facility_id.in_(sorted(scope.facility_ids))
    )
    return or_(own, charged_here)
