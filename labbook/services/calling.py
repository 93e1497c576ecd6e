"""One HTTP call with an end: whatever is at the other end, it takes a few seconds at most.

Redirects are not followed, no proxy is asked, and of the answer nothing but its status is read.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Timer
from urllib.parse import SplitResult, urlsplit

from labbook.domain.errors import Problem

TO_CONNECT, TO_READ = 3.0, 5.0
"""Seconds. Who answers drop by drop is cut off after both together."""

ADDRESS_LIMIT = 2000


class NoAnswer(Exception):
    """Nobody is there, or not in time, or what they say is no HTTP."""


def address_problems(url: str) -> list[Problem]:
    """Only a plain address is one: no name and password in it, and nothing that a server never sees."""
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        return [Problem("not_a_rigs_address", "url")]
    if parts.username is not None or parts.password is not None:
        return [Problem("address_with_credentials", "url")]
    return []


def _split(url: str) -> SplitResult | None:
    if len(url) > ADDRESS_LIMIT or not url.isascii() or not url.isprintable() or set(url) & set(' \\<>"#'):
        return None
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None
    except ValueError:  # a port that is none
        return None


def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
    """The status of the answer. Raises ``NoAnswer``."""
    parts = urlsplit(url)
    connection = _connection(parts)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with _ended_after(connection, TO_CONNECT + TO_READ):
            connection.connect()
            connection.sock.settimeout(TO_READ)
            connection.request("POST", path, body, dict(headers))
            return connection.getresponse().status
    except TimeoutError as error:
        raise NoAnswer("no answer in time") from error
    except (OSError, HTTPException, ValueError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


def _connection(parts: SplitResult) -> HTTPConnection:
    assert parts.hostname is not None
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return HTTPSConnection(parts.hostname, parts.port, timeout=TO_CONNECT, context=context)
    return HTTPConnection(parts.hostname, parts.port, timeout=TO_CONNECT)


@contextmanager
def _ended_after(connection: HTTPConnection, seconds: float) -> Iterator[None]:
    """A timeout counts from the last byte on, so that drops would keep a call going for ever."""
    over = []

    def end() -> None:
        over.append(True)
        if connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, HTTPException) as error:
        raise (TimeoutError() if over else error) from error
    finally:
        timer.cancel()
