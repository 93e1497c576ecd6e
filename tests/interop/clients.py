"""Real calendar programs, run as their users run them: vdirsyncer fetches, khal shows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

_PROGRAMS = Path(sys.executable).parent

_VDIRSYNCER = """
[general]
status_path = "{home}/status/"

[pair lab]
a = "local"
b = "feed"
collections = null
conflict_resolution = "b wins"

[storage local]
type = "filesystem"
path = "{home}/lab/"
fileext = ".ics"

[storage feed]
type = "http"
url = "{url}"
"""

_KHAL = """
[calendars]
[[lab]]
path = {home}/lab/
readonly = {readonly}

[sqlite]
path = {home}/khal.db

[locale]
local_timezone = {zone}
default_timezone = {zone}
timeformat = %H:%M
dateformat = %Y-%m-%d
longdateformat = %Y-%m-%d
datetimeformat = %Y-%m-%d %H:%M
longdatetimeformat = %Y-%m-%d %H:%M
"""


class CalendarUser:
    """Somebody with vdirsyncer and khal, whose whole configuration is under ``home``."""

    def __init__(self, home: Path, url: str, zone: str = "Europe/Copenhagen") -> None:
        self.home = home
        (home / "lab").mkdir(parents=True)
        (home / "vdirsyncer.conf").write_text(_VDIRSYNCER.format(home=home, url=url), "utf-8")
        (home / "khal.conf").write_text(_KHAL.format(home=home, zone=zone, readonly=True), "utf-8")
        self._run("vdirsyncer", "-c", f"{home}/vdirsyncer.conf", "discover")

    def sync(self) -> str:
        """Everything vdirsyncer said; a complaint of it fails."""
        config = ("-v", "WARNING", "-c", f"{self.home}/vdirsyncer.conf")
        return self._run("vdirsyncer", *config, "sync", "--force-delete")

    def files(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted((self.home / "lab").glob("*.ics"))]

    def list(self, start: str, end: str, form: str = "{start} {end} {title}") -> list[str]:
        """What khal lists, a line for each event on each of its days."""
        config = ("-c", f"{self.home}/khal.conf")
        out = self._run("khal", *config, "list", "--day-format", "", "--format", form + "{nl}", start, end)
        return [line for line in out.splitlines() if line]

    def _run(self, program: str, *arguments: str) -> str:
        environment = {
            "HOME": str(self.home),
            "XDG_DATA_HOME": str(self.home / "share"),
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
        done = subprocess.run(
            [_PROGRAMS / program, *arguments], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


class InvitedUser(CalendarUser):
    """Somebody whose mail program hands the invitations that it gets to khal."""

    def __init__(self, home: Path, zone: str = "Europe/Copenhagen") -> None:
        self.home = home
        (home / "lab").mkdir(parents=True)
        (home / "khal.conf").write_text(_KHAL.format(home=home, zone=zone, readonly=False), "utf-8")

    def take(self, invitation: bytes) -> str:
        path = self.home / "invitation.ics"
        path.write_bytes(invitation)
        return self._run("khal", "-c", f"{self.home}/khal.conf", "import", "--batch", "-a", "lab", str(path))


@contextmanager
def served(body: bytes) -> Iterator[str]:
    """The address at which ``body`` is served on the loopback, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/calendar; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/feed.ics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
