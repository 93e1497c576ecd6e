"""Alembic's environment: the app's engine, the models' metadata, and the guards put back at the end."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from flask import current_app

from labbook.models import Base, Instant, guards


def render_item(kind: str, item: Any, autogen_context: Any) -> str | Literal[False]:
    """Instants keep their own type in migrations, so that both engines store them alike."""
    if kind == "type" and isinstance(item, Instant):
        autogen_context.imports.add("from labbook.models.base import Instant")
        return "Instant()"
    return False


def run() -> None:
    engine = current_app.extensions["migrate"].db.engine
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_item=render_item,
            render_as_batch=connection.dialect.name == "sqlite",
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()
            # SQLite's batch operations rebuild tables and silently drop their triggers.
            if "reservations" in set(connection.dialect.get_table_names(connection)):
                guards.install(connection)
                if missing := guards.missing(connection):
                    raise RuntimeError(f"guards are missing: {', '.join(missing)}")
        connection.commit()


run()
