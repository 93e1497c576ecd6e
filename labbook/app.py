"""The factory: settings, extensions, blueprints, commands."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.middleware.proxy_fix import ProxyFix

from labbook import api, cli, feeds, jobs, logs, web
from labbook.config import Settings, load
from labbook.extensions import babel, csrf, db, limiter, login, migrate
from labbook.models.engine import prepare_engine
from labbook.signed_in import Sessions

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ROOT = Path(__file__).resolve().parent.parent
BODY_LIMIT = 1024 * 1024

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HARDENING = [
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Permissions-Policy", "geolocation=(), microphone=(), camera=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
]
HARDENING_HTTPS = [*HARDENING, ("Strict-Transport-Security", "max-age=31536000")]


def create_app(settings: Settings | None = None) -> Flask:
    """An app that serves pages, JSON and feeds; the scheduler starts with the serving command, not here."""
    settings = settings or load(ROOT / "instance")
    app = Flask(
        "labbook",
        root_path=str(ROOT),
        instance_path=str(settings.instance.resolve()),
        template_folder="templates",
        static_folder="static",
    )
    app.session_interface = Sessions()
    _configure(app, settings)
    _bind_extensions(app)
    if not settings.testing:
        logs.install(app)
    for channel in (web, api, feeds):
        channel.register(app)
    for code in (403, 404, 405, 413, 429, 500, 503):
        app.register_error_handler(code, _outside)
    jobs.register(app)
    cli.register(app)
    app.wsgi_app = _hardened(app.wsgi_app)  # type: ignore[assignment,method-assign]
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    return app


def _configure(app: Flask, settings: Settings) -> None:
    settings.instance.mkdir(parents=True, exist_ok=True)
    https = settings.base_url.startswith("https://")
    app.config.update(
        SETTINGS=settings,
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=_engine_options(settings.database_url),
        MAX_CONTENT_LENGTH=BODY_LIMIT,
        SESSION_COOKIE_NAME="labbook",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=https,
        REMEMBER_COOKIE_HTTPONLY=True,
        REMEMBER_COOKIE_SAMESITE="Lax",
        REMEMBER_COOKIE_SECURE=https,
        REMEMBER_COOKIE_DURATION=timedelta(days=30),
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_CHECK_DEFAULT=False,
        RATELIMIT_STORAGE_URI=settings.rate_limit_storage,
        RATELIMIT_HEADERS_ENABLED=False,
        BABEL_DEFAULT_LOCALE="en",
        BABEL_TRANSLATION_DIRECTORIES=str(ROOT / "labbook" / "translations"),
        TESTING=settings.testing,
    )


def _engine_options(url: str) -> dict[str, object]:
    # What a refused statement was given may be a secret, and its error is logged.
    options: dict[str, object] = {"hide_parameters": True}
    return options if url.startswith("sqlite") else options | {"pool_size": 10, "max_overflow": 20}


def _bind_extensions(app: Flask) -> None:
    db.init_app(app)
    migrate.init_app(app, db, directory=str(ROOT / "labbook" / "migrations"))
    login.init_app(app)
    csrf.init_app(app)
    babel.init_app(app, locale_selector=web.chosen_locale)
    limiter.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)


def _outside(error: Exception) -> ResponseReturnValue:
    """Addresses that nobody has, and defects: each channel says it in its own way."""
    known = error if isinstance(error, HTTPException) else InternalServerError()
    if request.path.startswith("/api/"):
        return api.http_error(known)
    if request.path.startswith("/feeds/"):
        return known.get_response()
    return web.http_error(known)


def _hardened(app: WSGIApplication) -> WSGIApplication:
    """What a browser is told with every answer. No view says any of it for itself."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        https = environ.get("wsgi.url_scheme") == "https"

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, headers + (HARDENING_HTTPS if https else HARDENING), *more)

        return app(environ, start)

    return answer
