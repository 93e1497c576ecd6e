"""A rig on the loopback that is told of its slot windows, and behaves as it is made to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Rig:
    """``answers`` are used up one by one, the last for good: a status, ``hang``, ``drip``, ``close`` or
    ``redirect``. What it heard is in ``heard``, with the headers."""

    def __init__(self) -> None:
        self.answers: list[int | str] = [204]
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []
        self.let_go = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/labbook?rig=1"

    @contextmanager
    def open(self) -> Iterator[Rig]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.let_go.set()
            self._server.shutdown()
            self._server.server_close()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.heard]

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(each["event"], each["reservation"]) for each in self.events]

    def is_signed(self, secret: str, number: int = -1) -> bool:
        """Checked as a stranger to our code would."""
        headers, body = self.heard[number]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(secret.split("_", 1)[1])
        made = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return hmac.compare_digest(headers["webhook-signature"], f"v1,{made}")

    def _next(self) -> int | str:
        with self._lock:
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        rig = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                rig.paths.append(self.path)
                rig.heard.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self._answer(rig._next())

            def do_GET(self) -> None:
                rig.paths.append(f"GET {self.path}")
                self.send_response(200)
                self.end_headers()

            def _answer(self, how: int | str) -> None:
                self.close_connection = True
                if how == "hang":
                    rig.let_go.wait(30)
                elif how == "drip":
                    with suppress(OSError):
                        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
                            self.wfile.write(bytes([byte]))
                            if rig.let_go.wait(0.2):
                                return
                elif how == "redirect":
                    self.send_response(307)
                    self.send_header("Location", "/elsewhere")
                    self.end_headers()
                elif isinstance(how, int):
                    self.send_response(how)
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def until(true: Any, within: float = 10) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False
