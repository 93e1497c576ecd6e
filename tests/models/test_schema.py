from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.orm import Session

from labbook.models import Base, guards


def test_the_migrations_make_what_the_models_say(session: Session) -> None:
    context = MigrationContext.configure(session.connection())
    assert compare_metadata(context, Base.metadata) == []


def test_a_migrated_database_has_every_guard(session: Session) -> None:
    assert guards.missing(session.connection()) == []
