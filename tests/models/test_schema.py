from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from labbook.domain.access import Role, Viewer
from labbook.models import Allocation, Base, Draw, guards
from labbook.models.many import among
from labbook.services.reservation_views import Search, search


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


def test_a_list_of_reservations_is_read_in_its_order_and_not_sorted(session: Session) -> None:
    """Else a page of fifty costs as much as all there are."""
    if session.get_bind().dialect.name != "sqlite":
        return
    viewer = Viewer(id=1, name="Anna", email="a@a.example", organisation_id=1, role=Role.ENGINEER)
    asked: list[tuple[str, object]] = []

    def note(_: object, __: object, statement: str, given: object, *rest: object) -> None:
        asked.append((statement, given))

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", note)
    search(session, Search(), viewer=viewer)
    event.remove(engine, "before_cursor_execute", note)
    statement, given = next(each for each in asked if "FROM reservations" in each[0])
    plan = str(session.connection().exec_driver_sql("EXPLAIN QUERY PLAN " + statement, given).all())
    assert "ix_reservations_start" in plan
    assert "TEMP B-TREE" not in plan


def test_a_list_of_ids_is_looked_up_and_not_compared_with_every_row(session: Session) -> None:
    query = select(Allocation.id).where(among(Allocation.reservation_id, "ids"))
    explain = "EXPLAIN QUERY PLAN " if session.get_bind().dialect.name == "sqlite" else "EXPLAIN "
    if explain == "EXPLAIN ":
        session.execute(text("SET enable_seqscan = off"))  # the table is empty
    asked: list[tuple[str, object]] = []

    def note(_: object, __: object, statement: str, given: object, *rest: object) -> None:
        asked.append((statement, given))

    event.listen(session.get_bind(), "before_cursor_execute", note)
    assert session.scalars(query, {"ids": [1, 2, 3]}).all() == []
    event.remove(session.get_bind(), "before_cursor_execute", note)
    statement, given = asked[-1]
    plan = str(session.connection().exec_driver_sql(explain + statement, given).all())
    assert "ix_allocations_reservation" in plan
    assert "SCAN allocations" not in plan
