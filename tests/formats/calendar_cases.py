"""Entries whose bytes are kept as golden files, and which every calendar client has to read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from labbook.formats.icalendar import CalendarEntry, CalendarHead, unattended

HEAD = CalendarHead("Lab; north, hall 1", "Europe/Copenhagen", timedelta(minutes=15))
CHANGED = datetime(2026, 2, 1, 12, 0, 30, 250_000, tzinfo=UTC)

AWKWARD_TITLES = {
    "emoji": "Inverter ⚡ burn-in 🔥🧑🏽‍🔬 phase 2",
    "commas": "1,5 kW, 3 phases, 50 Hz",
    "semicolons": "DC; AC; both\\neither",
    "newlines": "first line\nsecond line\r\nthird line",
    "very-long": "Prüfung der Überspannungsfestigkeit " * 8 + "Ende",
    "combining": "Re\u0301sume\u0301 o\u0308f te\u0302st " * 6 + "end",
    "backslashes": "C:\\new\\table \\, \\; \\\\",
    "right-to-left": "בדיקה של מהפך, then English",
    "quotes": "\"quoted\" 'single' <b>&amp;</b> =?utf-8?q?x?=",
}


def entry(uid: str, starts_at: datetime, hours: float, summary: str, **more: object) -> CalendarEntry:
    ends_at = starts_at + timedelta(hours=hours)
    return CalendarEntry(f"{uid}@labbook", 0, CHANGED, starts_at, ends_at, summary, **more)  # type: ignore[arg-type]


def awkward() -> list[CalendarEntry]:
    start = datetime(2026, 6, 1, 8, tzinfo=UTC)
    return [
        entry(
            name, start + timedelta(days=day), 2, title, status="CONFIRMED", description=f"{title}\n{title}"
        )
        for day, (name, title) in enumerate(AWKWARD_TITLES.items())
    ]


def daylight_saving() -> list[CalendarEntry]:
    """From 01:30 to 03:30 of the wall, on the days of 23 and of 25 hours in Denmark."""
    return [
        entry("spring", datetime(2026, 3, 29, 0, 30, tzinfo=UTC), 1, "Over the gap", status="CONFIRMED"),
        entry("autumn", datetime(2026, 10, 24, 23, 30, tzinfo=UTC), 3, "Over the fold", status="TENTATIVE"),
        entry("fold", datetime(2026, 10, 25, 1, 15, tzinfo=UTC), 0.5, "Second 02:15", status="CONFIRMED"),
    ]


def full() -> list[CalendarEntry]:
    start = datetime(2026, 6, 1, 8, tzinfo=UTC)
    shown = entry(
        "r1", start, 4, "EMC précompliance", status="CONFIRMED",
        description="Project: Ωmega\nHolder: Åse", location="power-hall",
        categories=("emc-receiver", "contract, research"), url="https://lab.example/reservations/r1",
    )  # fmt: skip
    cancelled = entry("r2", start + timedelta(days=1), 1, "Called off", status="CANCELLED")
    busy = entry("b1", start + timedelta(days=2), 3, "Busy")
    return [shown, cancelled, busy]


def alone_overnight() -> list[CalendarEntry]:
    start = datetime(2026, 6, 1, 18, tzinfo=UTC)
    chamber = entry("r3", start, 168, "Damp heat", status="CONFIRMED", location="climate")
    return list(
        unattended(
            chamber,
            occupied_from=start - timedelta(minutes=30),
            occupied_until=chamber.ends_at + timedelta(hours=1),
            setup_summary="Set-up: Damp heat",
            teardown_summary="Tear-down: Damp heat",
        )
    )


def visited() -> list[CalendarEntry]:
    """Read out over the change of the clocks, and once more while it stood still; without set-up."""
    start = datetime(2026, 3, 24, 9, tzinfo=UTC)
    test = entry("r4", start, 200, "THB 85/85", status="CONFIRMED", location="climate")
    return list(
        unattended(
            test,
            occupied_from=start,
            occupied_until=test.ends_at,
            setup_summary="",
            teardown_summary="",
            visits=[
                entry("r4-a1", start + timedelta(hours=168), 0.5, "Read-out after 168 h: THB 85/85",
                      status="CONFIRMED", description="Leakage\nand threshold"),
                entry("r4-a2", start + timedelta(hours=190), 0.5, "Read-out after 190 h: THB 85/85",
                      status="TENTATIVE"),
            ],
        )
    )  # fmt: skip


CALENDARS = {
    "awkward": awkward,
    "daylight_saving": daylight_saving,
    "full": full,
    "unattended": alone_overnight,
    "visited": visited,
    "empty": list,
}
