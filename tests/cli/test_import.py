"""An existing calendar is taken event by event; what cannot be taken is said with its UID."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from labbook.extensions import db
from labbook.models import Reservation
from labbook.services import verify
from tests.cast import ZONE, Cast
from tests.cli.test_commands import run

FILE = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//a lab//its old calendar//EN
BEGIN:VEVENT
UID:one@old
DTSTAMP:20260101T000000Z
DTSTART:{day4}T080000Z
DTEND:{day4}T100000Z
SUMMARY:Gate drive
ORGANIZER:mailto:Anna@alpha.example
END:VEVENT
BEGIN:VEVENT
UID:two@old
DTSTAMP:20260101T000000Z
DTSTART:{day4}T090000Z
DTEND:{day4}T110000Z
SUMMARY:Overlaps the first
END:VEVENT
BEGIN:VEVENT
UID:three@old
DTSTAMP:20260101T000000Z
DTSTART:{day5}T090000
DTEND:{day5}T110000
SUMMARY:Floats
END:VEVENT
BEGIN:VEVENT
UID:four@old
DTSTAMP:20260101T000000Z
DTSTART;VALUE=DATE:{day6}
SUMMARY:A whole day of service
END:VEVENT
BEGIN:VEVENT
UID:five@old
DTSTAMP:20260101T000000Z
DTSTART:{day7}T090000Z
DTEND:{day7}T110000Z
RRULE:FREQ=WEEKLY
SUMMARY:Every week
END:VEVENT
END:VCALENDAR
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "old.ics"
    today = datetime.now(UTC).date()  # the command takes the present, and the chamber a year from it
    days = {f"day{n}": f"{today + timedelta(days=30 + n):%Y%m%d}" for n in range(4, 8)}
    found.write_text(FILE.format(**days).replace("\n", "\r\n"), newline="")
    return found


def kept() -> list[Reservation]:
    db.session.rollback()
    return list(db.session.scalars(select(Reservation).order_by(Reservation.starts_at)))


def test_each_event_is_taken_or_reported_and_none_twice(app: Flask, app_cast: Cast, file: Path) -> None:
    rehearsed = run(app, "reservations", "import", str(file), "--equipment", "chamber", "--dry-run")
    assert rehearsed.output.endswith("not taken.\n")
    assert kept() == []
    done = run(app, "reservations", "import", str(file), "--equipment", "chamber")
    assert done.exit_code == 1
    assert "2 taken, 0 known already, 3 not taken." in done.stdout
    for uid in ("two@old", "three@old", "five@old"):
        assert f"{uid}: " in done.stderr
    assert "chamber is taken" in done.stderr
    booked, block = kept()
    assert (booked.kind, booked.status, booked.holder_id) == ("booking", "approved", app_cast.anna.id)
    assert (block.kind, block.status, block.title) == ("block", "approved", "A whole day of service")
    assert (block.starts_at.astimezone(ZONE).hour, block.ends_at.astimezone(ZONE).hour) == (0, 0)
    again = run(app, "reservations", "import", str(file), "--equipment", "chamber")
    assert "0 taken, 2 known already, 3 not taken." in again.stdout
    assert verify.verify(db.session()) == []


def test_what_a_manager_organised_another_manager_approves(app: Flask, app_cast: Cast, file: Path) -> None:
    events = file.read_bytes().replace(b"Anna@alpha.example", app_cast.mia.email.encode())
    file.write_bytes(events)
    done = run(app, "reservations", "import", str(file), "--equipment", "chamber")
    (mias,) = [row for row in kept() if row.title == "Gate drive"]
    assert (mias.status, mias.holder.email) == ("approved", app_cast.mia.email)
    assert mias.approved_by_id == app_cast.max.id
    again = run(app, "reservations", "import", str(file), "--equipment", "chamber")
    assert done.exit_code == again.exit_code
    assert len([row for row in kept() if row.title == "Gate drive"]) == 1


def test_what_is_no_calendar_or_no_equipment_is_said(app: Flask, app_cast: Cast, file: Path) -> None:
    assert (
        "no such equipment" in run(app, "reservations", "import", str(file), "--equipment", "nothing").stderr
    )
    file.write_bytes(b"\xff\xfe no calendar")
    assert (
        "is no iCalendar file" in run(app, "reservations", "import", str(file), "--equipment", "scope").stderr
    )
