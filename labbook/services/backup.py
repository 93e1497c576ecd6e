"""A consistent copy of the embedded database while the service runs, and back.

PostgreSQL has its own tools for this, which know more than we do; ``NotEmbedded`` sends people there.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import URL

BUSY_SECONDS = 10
_TELLING = ("organisations", "users", "facilities")


class BackupError(Exception):
    """Why it cannot be done; ``code`` is one of ``SENTENCES`` of the command."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code} {detail}")
        self.code = code
        self.detail = detail


def backup(url: URL, target: Path) -> int:
    """Write the copy, whole or not at all, and return its size. Raises ``BackupError``.

    The copy is taken in one step: it shows one moment, and writers go on meanwhile.
    """
    source = _embedded(url)
    if not source.exists():
        raise BackupError("no_database", str(source))
    if target.exists() and target.samefile(source):
        raise BackupError("same_file", str(target))
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.touch(mode=0o600, exist_ok=False)  # it holds everybody's bookings and password hashes
        with closing(_open(source)) as live, closing(sqlite3.connect(part)) as copy:
            live.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
            _require_sound(copy)
        _sync(part)
        part.replace(target)
        _sync(target.parent)
    except (sqlite3.Error, OSError) as error:
        raise BackupError("not_written", str(error)) from error
    finally:
        part.unlink(missing_ok=True)
    return target.stat().st_size


def restore(url: URL, source: Path, *, replace: bool = False) -> str:
    """Put a copy back, in one transaction; returns its schema's revision. Raises ``BackupError``.

    A database with people in it is left alone unless ``replace``.
    """
    target = _embedded(url)
    if target.exists() and target.samefile(source):
        raise BackupError("same_file", str(source))
    try:
        with closing(_open(source)) as kept:
            revision = _revision(kept)
            _require_sound(kept)
            fresh = not target.exists()
            with closing(sqlite3.connect(target, timeout=BUSY_SECONDS)) as live:
                if fresh:
                    target.chmod(0o600)
                if not replace and _inhabited(live):
                    raise BackupError("not_empty", str(target))
                kept.backup(live)
    except (sqlite3.Error, OSError) as error:
        raise BackupError("not_written", str(error)) from error
    return revision


def _embedded(url: URL) -> Path:
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        raise BackupError("not_embedded")
    return Path(url.database)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)


def _revision(kept: sqlite3.Connection) -> str:
    try:
        row = kept.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError:
        row = None
    if row is None:
        raise BackupError("no_copy")
    return str(row[0])


def _require_sound(database: sqlite3.Connection) -> None:
    found = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise BackupError("damaged", str(found))


def _inhabited(live: sqlite3.Connection) -> bool:
    tables = {name for (name,) in live.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return any(
        live.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()[0]  # noqa: S608  our own names
        for table in _TELLING
        if table in tables
    )


def _sync(path: Path) -> None:
    """To the disk, also through a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
