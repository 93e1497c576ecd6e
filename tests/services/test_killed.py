"""A process killed while it writes leaves whole reservations only, and the next one carries on."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from labbook.models import Reservation
from labbook.services import reservations, sweep, verify
from labbook.services.commands import RequestReservation, Wanted
from tests.cast import NOW, Cast, at

ROOT = Path(__file__).resolve().parents[2]

WRITER = """
import sys
from datetime import timedelta
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from labbook.models.engine import prepare_engine
from labbook.services import reservations, viewers
from labbook.services.commands import RequestReservation, Wanted
from tests.cast import NOW, at

with Session(prepare_engine(create_engine(sys.argv[1]))) as session:
    anna = viewers.by_email(session, "anna@alpha.example", NOW)
    for number in range(2000):
        start = at("2026-03-24 08:00") + timedelta(minutes=15 * number)
        wish = RequestReservation((Wanted("scope"),), start, start + timedelta(minutes=15), "a test")
        reservations.request(session, wish, actor=anna, now=NOW)
        print(number, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_every_promise_kept(
    session: Session, cast: Cast, database_url: str
) -> None:
    said = 0
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, database_url], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said = int(line) + 1
            if said == 12:
                break
    finally:
        process.kill()
        process.wait(timeout=10)
    assert said == 12
    session.rollback()
    kept = session.scalar(select(func.count()).select_from(Reservation)) or 0
    assert kept >= said
    assert verify.verify(session) == []

    start = at("2026-03-24 08:00")
    wish = RequestReservation((Wanted("scope-2"),), start, start + timedelta(minutes=15), "the next")
    reservations.request(session, wish, actor=cast.anna, now=NOW)
    done = sweep.sweep(session, now=at("2026-05-01 08:00"))  # the restart comes weeks late
    assert done["completed"] >= kept + 1  # a commit that the kill did not reach may have come after
    assert verify.verify(session) == []
