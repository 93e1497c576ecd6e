"""Which recipes somebody may list, read, book and subscribe to (``Scope.has_recipe`` as SQL), and as what."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, or_, true

from labbook.domain.visibility import Scope
from labbook.models import Environment, EnvironmentVersion

NEWEST = and_(
    EnvironmentVersion.environment_id == Environment.id, EnvironmentVersion.number == Environment.version
)
"""A recipe joined with its newest version."""


def known_recipe(scope: Scope) -> ColumnElement[bool]:
    """Everybody's, one's organisation's own, and all there is in the facilities one is staff of."""
    if scope.everything:
        return true()
    return or_(
        Environment.organisation_id.is_(None),
        Environment.organisation_id == scope.organisation_id,
        Environment.facility_id.in_(sorted(scope.facility_ids)),
    )
