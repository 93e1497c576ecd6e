"""Many rows in one statement, on either engine: what ten thousand steps at one instant live on.

SQLite has no round trips: one prepared statement is run for each row. PostgreSQL gets all rows as one JSON
document, so that a batch is one statement, parsed once, and its triggers fire once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, JSON, BigInteger, Connection, Dialect, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

from labbook.models.base import Base

Rows = Sequence[Mapping[str, Any]]
"""Each with the same names, which are the columns'."""


class _Numbers(TypeDecorator[Collection[int]]):
    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(JSON() if dialect.name == "sqlite" else ARRAY(BigInteger()))

    def process_bind_param(self, value: Collection[int] | None, dialect: Dialect) -> Any:
        return None if value is None else list(value)


class _Among(FunctionElement[bool]):
    # Not Boolean: on SQLite that would be compared with 1, and no index serves such a comparison.
    type: TypeEngine[Any] = NullType()
    inherit_cache = True


def among(column: Any, name: str) -> ColumnElement[bool]:
    """That ``column`` is one of the numbers bound to ``name``: one parameter, however many there are.

    A parameter for each makes another statement of every batch, and reading it takes longer than running it.
    """
    return _Among(column, bindparam(name, type_=_Numbers()))


@compiles(_Among, "sqlite")
def _among_sqlite(element: _Among, compiler: Any, **kw: Any) -> str:
    column, numbers = (compiler.process(each, **kw) for each in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({numbers}))"


@compiles(_Among, "postgresql")
def _among_postgresql(element: _Among, compiler: Any, **kw: Any) -> str:
    column, numbers = (compiler.process(each, **kw) for each in element.clauses)
    return f"{column} = ANY ({numbers})"


def insert_many(connection: Connection, model: type[Base], rows: Rows) -> None:
    """What a row does not name has its default in the database."""
    _run(connection, _insert, model, rows)


def update_many(connection: Connection, model: type[Base], rows: Rows) -> None:
    """Set what each row names where the ``id`` is the row's."""
    _run(connection, _update, model, rows)


def _run(connection: Connection, write: Any, model: type[Base], rows: Rows) -> None:
    if not rows:
        return
    names = tuple(sorted(rows[0], key="id".__eq__))  # the id is last
    if connection.dialect.name == "postgresql":
        columns = _written_columns(model, names, connection.dialect)
        statement = write(model.__tablename__, names, columns)
        connection.exec_driver_sql(statement, (json.dumps(rows, default=datetime.isoformat),))
        return
    processors = [_processor(model, name, connection.dialect) for name in names]
    values = [
        [row[name] for row in rows] if process is None else [process(row[name]) for row in rows]
        for name, process in zip(names, processors, strict=True)
    ]
    connection.exec_driver_sql(write(model.__tablename__, names, None), list(zip(*values, strict=True)))


@lru_cache
def _processor(model: type[Base], name: str, dialect: Dialect) -> Any:
    return model.__table__.c[name].type.dialect_impl(dialect).bind_processor(dialect)


@lru_cache
def _written_columns(model: type[Base], names: tuple[str, ...], dialect: Dialect) -> str:
    return ", ".join(f"{name} {model.__table__.c[name].type.compile(dialect)}" for name in names)


@lru_cache
def _insert(table: str, names: tuple[str, ...], columns: str | None) -> str:
    listed = ", ".join(names)
    if columns is None:
        return f"INSERT INTO {table} ({listed}) VALUES ({', '.join('?' * len(names))})"
    return f"INSERT INTO {table} ({listed}) SELECT {listed} FROM json_to_recordset(%s) AS given ({columns})"


@lru_cache
def _update(table: str, names: tuple[str, ...], columns: str | None) -> str:
    changed = names[:-1]
    if columns is None:
        return f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in changed)} WHERE id = ?"
    settings = ", ".join(f"{name} = given.{name}" for name in changed)
    return (
        f"UPDATE {table} SET {settings} FROM json_to_recordset(%s) AS given ({columns}) "
        f"WHERE {table}.id = given.id"
    )
