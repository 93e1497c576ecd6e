"""A database that served a test is, for the next one, as if it never had."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from labbook.models import Base, HistoryEntry, QualificationKind, guards
from tests.cast import make_cast
from tests.databases import ENGINES, Databases
from tests.services.test_reservations import book


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_of_one_test_is_left_for_the_next(databases: Databases, engine: str) -> None:
    for _ in range(2):
        with databases.fresh(engine) as url, databases.engine(url) as found, Session(found) as session:
            for table in Base.metadata.sorted_tables:
                assert session.scalar(select(func.count()).select_from(table)) == 0, table.name
            cast = make_cast(session)
            assert cast.facility_id == 1
            book(session, cast.anna, "source")
            session.add(QualificationKind(slug="rolled-back"))
            session.flush()
            session.rollback()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_guard_that_one_test_took_away_is_there_for_the_next(databases: Databases, engine: str) -> None:
    drop = "DROP TRIGGER history_frozen" + ("" if engine == "sqlite" else " ON history")
    for _ in range(2):
        with databases.fresh(engine) as url, databases.engine(url) as found, Session(found) as session:
            assert guards.missing(session.connection()) == []
            book(session, make_cast(session).anna, "scope")
            with pytest.raises(DBAPIError):
                session.execute(update(HistoryEntry).values(action="nothing"))
            session.rollback()
            session.execute(text(drop))
            session.commit()
