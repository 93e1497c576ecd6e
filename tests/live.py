"""The real server in a process of its own, and a real browser."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    """Where a Chromium is: ``CHROMIUM`` or on the PATH."""
    named = os.environ.get("CHROMIUM")
    return named or shutil.which("chromium") or shutil.which("chromium-browser")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Server:
    url: str
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def serving(database_url: str, instance: Path, **environment: str) -> Iterator[Server]:
    """``flask serve`` on a free port of the loopback, stopped by SIGTERM at the end."""
    port = free_port()
    instance.mkdir(parents=True, exist_ok=True)
    env = os.environ | {
        "LABBOOK_DATABASE_URL": database_url,
        "LABBOOK_SECRET_KEY": "a key for tests, long enough to be taken",
        "LABBOOK_SCHEDULER": "off",
        "LABBOOK_BASE_URL": f"http://127.0.0.1:{port}",
        "PORT": str(port),
    }
    log = (instance / "serve.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "wsgi", "serve"],
        cwd=ROOT,
        env=env | environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process, instance / "serve.log")
        yield Server(url, process)
    finally:
        process.terminate()
        process.wait(timeout=10)
        log.close()


def start_scheduler(database_url: str, folder: Path) -> subprocess.Popen[bytes]:
    """``flask scheduler`` in a process of its own; whoever starts it ends it. Nobody takes its mail."""
    folder.mkdir(parents=True, exist_ok=True)
    env = os.environ | {
        "LABBOOK_DATABASE_URL": database_url,
        "LABBOOK_SECRET_KEY": "a key for tests, long enough to be taken",
        "LABBOOK_SCHEDULER": "off",
        "LABBOOK_MAIL_URL": f"smtp://127.0.0.1:{free_port()}",
    }
    with (folder / "scheduler.log").open("ab") as log:
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "scheduler"]
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server stopped: {log.read_text()}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/healthz", timeout=2):
            return
        time.sleep(0.05)
    raise RuntimeError("the server did not answer in 30 s")
