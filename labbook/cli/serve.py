"""``flask serve``: one process that serves, with the scheduler inside where the settings say so."""

from __future__ import annotations

import contextlib
import gc
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import flask_migrate
import waitress
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy.engine import make_url

from labbook.cli.readiness import examined, known_revisions, require_ready
from labbook.config import Settings
from labbook.extensions import db

THREADS = 8


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=5000, envvar="PORT", show_default=True, type=click.IntRange(1, 65535))
@with_appcontext
def serve(host: str, port: int) -> None:
    """Prepare the database and serve until Ctrl-C or SIGTERM.

    An older schema is migrated. The embedded database, when it is made, gets the demo; a database that a
    setting names is never filled.
    """
    signal.signal(signal.SIGTERM, _end)
    settings: Settings = current_app.config["SETTINGS"]
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    _prepare(settings)
    require_ready()
    db.session.remove()
    try:
        server = waitress.create_server(
            app,
            host=host,
            port=port,
            threads=THREADS,
            ident=None,
            clear_untrusted_proxy_headers=not settings.trusted_proxies,
        )
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    _collect_seldom()
    with _scheduling(settings):
        click.echo(f"Labbook is at http://{host}:{port} (Ctrl-C ends it)")
        server.run()
        server.close()


def _collect_seldom() -> None:
    """A week of a calendar makes thousands of tuples and dicts, none of them in a cycle, and by Python's
    default each thousand has the collector look through all there is.
    """
    gc.collect()
    gc.freeze()  # what is there now stays for good
    gc.set_threshold(20_000, 20, 20)


def _end(*_: Any) -> None:
    raise SystemExit(0)


def _prepare(settings: Settings) -> None:
    """Migrate what is older than this code, and fill the embedded database once."""
    fresh = settings.default_database and not Path(str(make_url(settings.database_url).database)).exists()
    found = examined()
    newest, known = known_revisions()
    if found.schema is None or (found.schema != newest and found.schema in known):
        db.session.remove()
        flask_migrate.upgrade()
    if fresh and not settings.is_production:
        _fill()


def _fill() -> None:
    demo = current_app.cli.get_command(click.get_current_context(), "demo")
    if demo is not None:
        click.get_current_context().invoke(demo)


@contextlib.contextmanager
def _scheduling(settings: Settings) -> Iterator[None]:
    if settings.scheduler != "embedded":
        yield
        return
    scheduler = current_app.extensions["labbook_scheduler"]
    scheduler.start()
    try:
        yield
    finally:
        scheduler.stop()
