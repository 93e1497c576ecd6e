from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from labbook.models import Allocation, Base, Draw, guards


def test_the_migrations_make_what_the_models_say(session: Session) -> None:
    context = MigrationContext.configure(session.connection())
    assert compare_metadata(context, Base.metadata) == []


def test_a_migrated_database_has_every_guard(session: Session) -> None:
    assert guards.missing(session.connection()) == []


def test_what_blocks_is_found_by_place_and_by_utility_without_reading_the_rest(session: Session) -> None:
    """SQLite takes a partial index only where the query says its condition in the same words."""
    if session.get_bind().dialect.name != "sqlite":
        return
    placed = select(Allocation.id).where(Allocation.place_id == 1, Allocation.blocking)
    drawn = select(Draw.id).where(Draw.utility_id == 1, Draw.blocking)
    raw = "SELECT ends_at FROM allocations WHERE place_id = 1 AND blocking = 1 AND starts_at < 5"
    for query, index in (
        (placed, "ix_allocations_place"),
        (drawn, "ix_draws_utility"),
        (raw, "ix_allocations_place"),
    ):
        statement = str(
            query
            if isinstance(query, str)
            else query.compile(session.get_bind(), compile_kwargs={"literal_binds": True})
        )
        plan = session.execute(text("EXPLAIN QUERY PLAN " + statement)).all()
        assert index in str(plan)
