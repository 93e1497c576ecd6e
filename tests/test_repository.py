"""What must never be in the tree, whoever put it there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def texts() -> list[tuple[Path, str]]:
    return [
        (path, path.read_text("utf-8", errors="replace"))
        for path in tracked()
        if path.suffix not in (".png", ".ico", ".mo") and path != Path(__file__)
    ]


def test_no_third_party_or_generated_files_are_tracked() -> None:
    forbidden = re.compile(r"\.min\.(js|css)$|node_modules/|\.venv/|\.sqlite3?$|\.db$|static/vendor/")
    assert [str(p) for p in tracked() if forbidden.search(str(p.relative_to(ROOT)))] == []


def test_no_package_registry_and_no_path_of_a_machine_is_named() -> None:
    forbidden = re.compile(
        r"registry\.npmjs|files\.pythonhosted|pypi\.org/simple|deb\.debian\.org|(?<![\w.])/(?:work|root|home)/\w"
    )
    assert [(str(p), found[0]) for p, text in texts() if (found := forbidden.search(text))] == []


def test_templates_have_no_inline_script_style_or_handler() -> None:
    inline = re.compile(
        r"<script(?![^>]*(?:\bsrc=|application/json))|<style|\sstyle=|\son[a-z]+=", re.IGNORECASE
    )
    pages = [(p, t) for p, t in texts() if p.suffix == ".html" and "mail" not in p.parts]
    assert [(str(p), found[0]) for p, text in pages if (found := inline.search(text))] == []
