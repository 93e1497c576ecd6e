"""Fixtures: fresh real databases on both engines, an app on each, and a small fixed cast."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from labbook.app import create_app
from labbook.extensions import db
from labbook.models.engine import prepare_engine
from tests.cast import Cast, make_cast
from tests.databases import ENGINES, Databases, settings_for


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    found = Databases(tmp_path_factory.mktemp("databases"))
    yield found
    found.close()


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    """A migrated, empty database of each engine in turn."""
    with databases.fresh(request.param) as url:
        yield url


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    """A session without any app, as services get it."""
    engine = prepare_engine(create_engine(database_url))
    with Session(engine) as found:
        yield found
    engine.dispose()


@pytest.fixture
def cast(session: Session) -> Cast:
    """The usual people, projects and equipment."""
    return make_cast(session)


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    found = create_app(settings_for(database_url, tmp_path / "instance"))
    with found.app_context():
        yield found
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def app_cast(app: Flask) -> Cast:
    return make_cast(db.session)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
