"""One line an event on standard error, with a request id, and never a secret."""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import Any

from flask import Flask, Response, g, has_request_context, request

_SECRETS = re.compile(r"(/feeds/|/invitation/|/reset/|/kiosk-key/)[^/?\s.]+")


def masked(path: str) -> str:
    """A path whose secret part, if it has one, is hidden."""
    return _SECRETS.sub(r"\1***", path)


class _WithRequest(logging.Filter):
    """Adds the request's id, and hides secrets in whatever is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = getattr(g, "request_id", "-") if has_request_context() else "-"
        record.msg = masked(record.getMessage().replace("\n", "\\n"))
        record.args = ()
        return True


_WITH_REQUEST = _WithRequest()
_SERVERS = ("werkzeug", "waitress", "gunicorn.access", "gunicorn.error")
"""Their own lines name paths, so that they must not pass unmasked either."""


def install(app: Flask) -> None:
    """Log every answer of the app in one line."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(request_id)s %(message)s"))
    handler.addFilter(_WITH_REQUEST)
    root = logging.getLogger("labbook")
    if not root.handlers:
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        root.propagate = False
    log = logging.getLogger("labbook.http")

    for server in _SERVERS:
        logging.getLogger(server).addFilter(_WITH_REQUEST)

    @app.before_request
    def _begin() -> None:
        g.request_id = secrets.token_hex(6)
        g.began = time.perf_counter()

    @app.after_request
    def _log(response: Response) -> Response:
        response.headers.setdefault("X-Request-Id", g.get("request_id", "-"))
        took = (time.perf_counter() - g.get("began", time.perf_counter())) * 1000
        details: tuple[Any, ...] = (request.method, masked(request.path), response.status_code, took)
        log.info("%s %s %s %.1fms", *details)
        return response
