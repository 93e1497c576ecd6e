"""A feed's address is its secret: whatever is logged shows that a feed was asked for, and not which."""

from __future__ import annotations

import logging
import re

from flask import Flask

_ADDRESS = re.compile(r"(/feeds/)[^/\s?#\"']+")
_SERVERS = ("werkzeug", "waitress", "gunicorn.access", "gunicorn.error")


def masked(text: str) -> str:
    """``text`` with the secret of every feed address in it replaced."""
    return _ADDRESS.sub(r"\1***", text)


class SecretsMasked(logging.Filter):
    """For loggers and handlers: lets everything through, without the secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if "/feeds/" in message:
            record.msg, record.args = masked(message), None
        return True


def install(app: Flask) -> None:
    for logger in (app.logger, *map(logging.getLogger, _SERVERS)):
        if not any(isinstance(known, SecretsMasked) for known in logger.filters):
            logger.addFilter(SecretsMasked())
