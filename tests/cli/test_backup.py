"""A copy taken while others write shows one moment, keeps every promise, and comes back whole."""

from __future__ import annotations

import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import create_engine, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from labbook.models import HistoryEntry, Reservation
from labbook.models.engine import prepare_engine
from labbook.services import reservations, verify
from labbook.services.backup import BackupError, backup, restore
from labbook.services.commands import RequestReservation, Wanted
from tests.cast import NOW, Cast, at, make_cast
from tests.cli.test_commands import run
from tests.databases import Databases


def _count(session: Session) -> tuple[int, int]:
    return (
        session.scalar(select(func.count()).select_from(Reservation)) or 0,
        session.scalar(select(func.count()).select_from(HistoryEntry)) or 0,
    )


class _Writer(threading.Thread):
    """Books one quarter after the other until it is told to end."""

    def __init__(self, url: str, cast: Cast) -> None:
        super().__init__(daemon=True)
        self.url, self.cast = url, cast
        self.written = threading.Semaphore(0)
        self.enough = threading.Event()
        self.booked = 0

    def run(self) -> None:
        engine = prepare_engine(create_engine(self.url))
        with Session(engine) as session:
            while not self.enough.is_set() and self.booked < 500:
                start = at("2026-03-24 08:00") + timedelta(minutes=15 * self.booked)
                command = RequestReservation(
                    (Wanted("scope"),), start, start + timedelta(minutes=15), f"run {self.booked}"
                )
                reservations.request(session, command, actor=self.cast.anna, now=NOW)
                self.booked += 1
                self.written.release()
        engine.dispose()


def test_a_copy_taken_while_others_write_is_whole_and_comes_back(
    databases: Databases, tmp_path: Path
) -> None:
    with databases.fresh("sqlite") as url, databases.fresh("sqlite") as other:
        engine = prepare_engine(create_engine(url))
        with Session(engine) as session:
            cast = make_cast(session)
        writer = _Writer(url, cast)
        writer.start()
        sizes = []
        for number in range(4):
            for _ in range(5):
                assert writer.written.acquire(timeout=30)
            sizes.append(backup(make_url(url), tmp_path / f"{number}.copy"))
        writer.enough.set()
        writer.join(timeout=30)
        assert not writer.is_alive()
        assert list(tmp_path.glob(".*")) == []
        counts = []
        for number in range(4):
            restore(make_url(other), tmp_path / f"{number}.copy", replace=True)
            restored = prepare_engine(create_engine(other))
            with Session(restored) as session:
                counts.append(_count(session)[0])
                assert verify.verify(session) == []
            restored.dispose()
        assert counts == sorted(counts)
        assert 5 <= counts[0] < counts[-1] <= writer.booked
        engine.dispose()


def test_a_copy_is_private_and_restoring_never_overwrites_by_accident(
    databases: Databases, tmp_path: Path
) -> None:
    with databases.fresh("sqlite") as url:
        engine = prepare_engine(create_engine(url))
        with Session(engine) as session:
            make_cast(session)
        engine.dispose()
        copy = tmp_path / "a.copy"
        backup(make_url(url), copy)
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        with pytest.raises(BackupError, match="not_empty"):
            restore(make_url(url), copy)
        with pytest.raises(BackupError, match="same_file"):
            backup(make_url(url), Path(str(make_url(url).database)))
        strange = tmp_path / "strange"
        strange.write_bytes(b"no database, and long enough to be read as one" * 50)
        with pytest.raises(BackupError, match="no_copy"):
            restore(make_url(url), strange, replace=True)
        missing = tmp_path / "nowhere" / "a.copy"
        with pytest.raises(BackupError, match="not_written"):
            backup(make_url(url), missing)


def test_the_commands_say_what_they_did_or_whose_tool_does_it(
    app: Flask, app_cast: Cast, tmp_path: Path
) -> None:
    file = tmp_path / "lab.copy"
    made = run(app, "backup", str(file))
    if app.config["SETTINGS"].database_url.startswith("sqlite"):
        assert made.exit_code == 0
        assert str(file) in made.output
        assert "--replace" in run(app, "restore", str(file)).stderr
        assert run(app, "restore", str(file), "--replace").exit_code == 0
        assert run(app, "verify").exit_code == 0
    else:
        assert made.exit_code == 1
        assert "pg_dump" in made.stderr
