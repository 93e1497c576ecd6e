"""The declarative base, the naming of constraints, and instants that every engine stores alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, registry
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import JSON, TypeDecorator, TypeEngine

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware instant: ``timestamptz`` on PostgreSQL, microseconds since 1970 UTC on SQLite.

    SQLite has no zones; integers are small and sort right. A naive value is a defect
    of the caller and raises ``ValueError``.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive time has no place in the database")
        if dialect.name == "sqlite":
            return (value - _EPOCH) // _MICROSECOND
        return value

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """The bare function: a week's calendar has thousands of instants, and each call of one counts."""
        return _instant if dialect.name == "sqlite" else _in_utc


class StoredInstant(Instant):
    """The same, handed over as the driver gives it: for columns that most rows are not asked for.

    ``read_stored`` makes the instant of it.
    """

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        return None


def read_stored(value: int | datetime) -> datetime:
    """What a column of ``StoredInstant`` holds, as an instant in UTC."""
    found = _instant(value) if isinstance(value, int) else _in_utc(value)
    assert found is not None
    return found


@lru_cache(maxsize=32_768)
def _instant(microseconds: int | None) -> datetime | None:
    """Remembered, because a calendar's instants repeat: whole quarters of an hour, many times each."""
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


def _in_utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)


class microseconds(  # noqa: N801 - it is written as the function that it is
    FunctionElement[int]
):
    """An instant as whole microseconds since 1970 UTC, for reckoning with very many of them."""

    type = BigInteger()
    inherit_cache = True
    name = "microseconds"


@compiles(microseconds)
def _in_microseconds(element: microseconds, compiler: SQLCompiler, **given: Any) -> str:
    column = compiler.process(element.clauses, **given)
    if compiler.dialect.name == "sqlite":
        return f"({column})"  # stored as just that
    return f"CAST(EXTRACT(EPOCH FROM {column}) * 1000000 AS BIGINT)"


# SQLite only numbers rows by itself when the key is exactly INTEGER.
Key = BigInteger().with_variant(Integer(), "sqlite")


class Base(DeclarativeBase):
    # A registry rather than ``type_annotation_map`` here: Flask-SQLAlchemy copies the class's attributes.
    registry = registry(
        metadata=MetaData(naming_convention=NAMING),
        type_annotation_map={
            datetime: Instant(),
            dict[str, Any]: JSON(),
            dict[str, str]: JSON(),
            list[str]: JSON(),
        },
    )
