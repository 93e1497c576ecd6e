"""Fixtures: fresh real databases on both engines, an app on each, and a small fixed cast."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from sqlalchemy.orm import Session

from labbook.app import create_app
from labbook.extensions import db
from tests.cast import Cast, make_cast
from tests.compiled import TEMPLATES, share_addresses
from tests.databases import ENGINES, Databases, settings_for
from tests.examples import THOROUGH
from tests.live import CHROMIUM_FLAGS, Server, chromium, serving
from tests.postgresql import in_memory
from tests.signing import Client

# A busy machine takes its time over an example, which is no fault of the example.
settings.register_profile("labbook", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("labbook"), max_examples=1000)
settings.load_profile("thorough" if THOROUGH else "labbook")

share_addresses()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """With several processes, whichever is done first takes over what another has not come to yet."""
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "worksteal"


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    with TemporaryDirectory(prefix="labbook", dir=in_memory()) as folder:
        found = Databases(Path(folder))
        yield found
        found.close()


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    """A migrated, empty database of each engine in turn."""
    with databases.fresh(request.param) as url:
        yield url


@pytest.fixture
def session(database_url: str, databases: Databases) -> Iterator[Session]:
    """A session without any app, as services get it."""
    with databases.engine(database_url) as engine, Session(engine) as found:
        yield found


@pytest.fixture
def cast(session: Session) -> Cast:
    """The usual people, projects and equipment."""
    return make_cast(session)


@pytest.fixture
def app(database_url: str, databases: Databases, tmp_path: Path) -> Iterator[Flask]:
    found = create_app(settings_for(database_url, tmp_path / "instance"))
    found.test_client_class = Client
    found.jinja_env.bytecode_cache = TEMPLATES
    options = found.config["SQLALCHEMY_ENGINE_OPTIONS"]
    with databases.engine(database_url, **options) as engine, found.app_context():
        db.engines[None] = engine
        yield found
        db.session.remove()


@pytest.fixture
def app_cast(app: Flask) -> Cast:
    return make_cast(db.session)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def live_server(app: Flask, database_url: str, app_cast: Cast, tmp_path: Path) -> Iterator[Server]:
    """The real server over the test's database, with the cast in it."""
    with serving(database_url, tmp_path / "live") as server:
        yield server


@pytest.fixture(scope="session")
def chromium_browser() -> Iterator[Browser]:
    found = chromium()
    if found is None:
        # Reason: at home there may be no browser, and the rest still runs; with CI=true it is a failure.
        pytest.skip(reason="no Chromium: apt-get install chromium, or set CHROMIUM=/path/to/it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def browser(chromium_browser: Browser) -> Iterator[BrowserContext]:
    """A fresh profile of a real browser, in the lab's zone, at the size of a desk's screen."""
    context = chromium_browser.new_context(
        viewport={"width": 1400, "height": 900}, timezone_id="Europe/Copenhagen", locale="en-GB"
    )
    context.set_default_timeout(10_000)
    yield context
    context.close()


_CI = os.environ.get("CI") == "true"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """On a gate nothing may be skipped: what could not run has not passed."""
    report = yield
    if _CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be skipped: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what could not run here, and what would make it run."""
    reasons = {
        str(r.longrepr[-1]) for r in terminalreporter.getreports("skipped") if isinstance(r.longrepr, tuple)
    }
    for reason in sorted(reasons):
        terminalreporter.write_line(f"could not run here: {reason}")
