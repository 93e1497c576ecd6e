"""One line an event on standard error, with a request id, and never a secret."""

from __future__ import annotations

import logging
import re
import secrets
import time
import traceback
from typing import TextIO

from flask import Flask, Response, g, has_request_context, request

_SECRETS = re.compile(r"(/feeds/|/invitation/|/reset/|/kiosk-key/)[^/?\s.]+")

_ROW = re.compile(r"^DETAIL: .*\n?", re.MULTILINE)
"""PostgreSQL adds the whole row that it refused."""


def masked(path: str) -> str:
    """A path whose secret part, if it has one, is hidden."""
    return _SECRETS.sub(r"\1***", path)


class _WithRequest(logging.Filter):
    """Adds the request's id, and hides secrets in whatever is logged, the trace of an error included."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = getattr(g, "request_id", "-") if has_request_context() else "-"
        said = record.getMessage()
        if record.exc_info:
            trace = "".join(traceback.format_exception(*record.exc_info))
            said = f"{said}\n{_ROW.sub('', trace)}"
        record.msg = masked(said).rstrip().replace("\r", "\\r").replace("\n", "\\n")
        record.args, record.exc_info, record.exc_text = (), None, None
        return True


_WITH_REQUEST = _WithRequest()
_SERVERS = ("werkzeug", "waitress", "gunicorn.access", "gunicorn.error")
"""Their own lines name paths, so that they must not pass unmasked either."""


def lines_to(stream: TextIO | None = None) -> logging.Handler:
    """One line an event; to standard error unless said otherwise."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(request_id)s %(message)s"))
    handler.addFilter(_WITH_REQUEST)
    return handler


def install(app: Flask) -> None:
    """Log every answer of the app in one line."""
    root = logging.getLogger("labbook")
    if not root.handlers:
        root.addHandler(lines_to())
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
        log.info("%s %s %s %.1fms", request.method, request.path, response.status_code, took)
        return response
