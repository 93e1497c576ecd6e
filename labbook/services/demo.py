"""A laboratory to look around in: organisations, people, projects, and a week around today with life in it.

Everything is done as people would do it, by the same use cases, at the times they would have done it. Doing
it again adds nothing: accounts are known by their addresses, reservations by keys of their week.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Role, Viewer
from labbook.domain.errors import LabbookError
from labbook.domain.reservation import Status
from labbook.domain.wall_time import local_date, to_utc
from labbook.models import IdempotencyKey, Organisation, Project, User
from labbook.services import (
    catalogue,
    decisions,
    long_tests,
    organisations,
    permits,
    projects,
    qualifications,
    recipe_views,
    recipes,
    reservations,
    sweep,
    users,
    viewers,
)
from labbook.services.commands import Decide, OnTest, OnVisit, PlanVisit, RequestReservation, Wanted
from labbook.services.organisations import KeepOrganisation
from labbook.services.projects import KeepProject
from labbook.services.recipes import KeepRecipe
from labbook.services.users import CreateUser

CATALOGUE = Path(__file__).resolve().parent.parent / "examples" / "catalogue.toml"
PASSWORD = "ohm volt ampere"  # noqa: S105 - printed with the accounts, for looking around only
ZONE = ZoneInfo("Europe/Copenhagen")


@dataclass(frozen=True)
class Account:
    email: str
    name: str
    organisation: str
    role: str = Role.ENGINEER
    facilities: tuple[str, ...] = ()
    qualifications: tuple[str, ...] = ()


_ELECTRIC = ("low-voltage-power", "hv-dc", "capacitor-bank", "chamber")

ORGANISATIONS = (
    ("cie-lab", "The laboratory", "university"),
    ("alpha", "Alpha Drives", "company"),
    ("beta", "Beta Charging", "company"),
    ("uni", "University, power electronics", "university"),
)

ACCOUNTS = (
    Account("admin@lab.example", "Agnete Admin", "cie-lab", Role.ADMIN),
    Account("manager@lab.example", "Mette Manager", "cie-lab", Role.MANAGER, ("cie", "green-power")),
    Account("second@lab.example", "Gorm Manager", "cie-lab", Role.MANAGER, ("green-power",)),
    Account("technician@lab.example", "Tom Technician", "cie-lab", Role.TECHNICIAN, ("cie", "green-power")),
    Account(
        "anna@alpha.example",
        "Anna Alpha",
        "alpha",
        qualifications=(*_ELECTRIC, "coolant", "hil", "emc", "cell-room"),
    ),
    Account("bo@alpha.example", "Bo Alpha", "alpha", qualifications=("low-voltage-power", "chamber")),
    Account(
        "carla@beta.example", "Carla Beta", "beta", qualifications=(*_ELECTRIC, "emc", "rotating-machinery")
    ),
    Account(
        "dorte@uni.example",
        "Dorte Uni",
        "uni",
        qualifications=(*_ELECTRIC, "hil", "coolant", "sam", "shaker"),
    ),
)

PROJECTS = (
    KeepProject("traction-inverter", "Traction inverter, 800 V", "alpha", "economic", "A-4711"),
    KeepProject("charger-350", "Charger, 350 kW", "beta", "economic", "B-0815"),
    KeepProject("sic-reliability", "Reliability of SiC modules", "uni", "collaboration", "U-12"),
)

MEMBERS = {
    "traction-inverter": ("anna@alpha.example", "bo@alpha.example"),
    "charger-350": ("carla@beta.example",),
    "sic-reliability": ("dorte@uni.example", "anna@alpha.example"),
}


@dataclass(frozen=True)
class Planned:
    """``day`` counts from Monday of this week, ``at`` is the hour on the lab's clock, ``hours`` elapsed.

    ``fate``: what became of a request where a manager decides: ``approve``, ``decline``, ``cancel``, or
    nothing yet. Who has to check in does so unless ``missed``. ``expected``: after how many hours the end is.
    """

    who: str
    what: str
    day: int
    at: float
    hours: float
    title: str
    project: str = ""
    fate: str = "approve"
    places: int = 1
    missed: bool = False
    environment: bool = False
    expected: float = 0


_ANNA, _BO, _CARLA, _DORTE = (account.email for account in ACCOUNTS[4:])
_TRACTION, _CHARGER, _SIC = (project.slug for project in PROJECTS)

WEEK: Sequence[Planned] = (
    Planned(_ANNA, "oscilloscope-1", -4, 9, 2, "Gate driver check", _TRACTION),
    Planned(_DORTE, "chamber-2", -5, 10, 48, "Soak at −40 °C", _SIC, places=2),
    Planned(_CARLA, "grid-simulator-1", -3, 8, 6, "Harmonics at 16 A", _CHARGER),
    Planned(_BO, "test-bay-1", -4, 8, 7, "Bay for the first prototype", _TRACTION),
    Planned(_DORTE, "dc-source-2", -3, 9, 4, "Bias source trial", _SIC, missed=True),
    Planned(_ANNA, "chamber-1", -2, 9, 150, "Thermal cycling, 500 cycles", _TRACTION, places=3),
    Planned(_DORTE, "power-cycling-1", -6, 9, 700, "Power cycling, ΔTj 80 K", _SIC, places=6),
    Planned(_DORTE, "damp-heat-bias", -8, 9, 1168, "H3TRB, batch 7", _SIC, environment=True, expected=1000),
    Planned(_ANNA, "oscilloscope-1", 0, 8, 3, "Gate driver, second spin", _TRACTION),
    Planned(_BO, "oscilloscope-2", 0, 13, 2, "Start-up transient", _TRACTION),
    Planned(_CARLA, "grid-simulator-1", 0, 9, 6, "Voltage dips", _CHARGER),
    Planned(_ANNA, "grid-simulator-2", 0, 10, 28, "Inverter soak at 40 kVA", _TRACTION),
    Planned(_DORTE, "double-pulse-1", 0, 9, 2, "1.2 kV half bridge, 25 °C", _SIC),
    Planned(_DORTE, "double-pulse-1", 1, 9, 2, "1.2 kV half bridge, 150 °C", _SIC),
    Planned(_ANNA, "inverter-efficiency", 2, 9, 6, "Efficiency map, 400 V", _TRACTION, environment=True),
    Planned(_BO, "oscilloscope-1", 1, 10, 4, "EMI filter, time domain", _TRACTION),
    Planned(_DORTE, "oscilloscope-3", 1, 8, 2, "Short-circuit detection", _SIC),
    Planned(_CARLA, "power-analyser-2", 1, 9, 4, "Standby losses", _CHARGER),
    Planned(_CARLA, "oscilloscope-4", 2, 8, 6, "Contactor bounce", _CHARGER),
    Planned(_CARLA, "chamber-2", 2, 10, 52, "Charger at 45 °C", _CHARGER, places=4),
    Planned(_DORTE, "curve-tracer-1", 2, 9, 2, "Output characteristics", _SIC),
    Planned(_ANNA, "electronic-load-1", 3, 9, 5, "DC link discharge", _TRACTION),
    Planned(_BO, "test-bay-2", 3, 8, 8, "Cable routing", _TRACTION, fate=""),
    Planned(_CARLA, "dc-source-1", 3, 10, 8, "Isolation monitor", _CHARGER, fate=""),
    Planned(_DORTE, "thermal-shock-1", 4, 9, 96, "Solder joints, 300 cycles", _SIC, fate=""),
    Planned(_ANNA, "hil-1", 4, 8, 6, "Controller in the loop", _TRACTION),
    Planned(_CARLA, "dc-source-3", 4, 8, 56, "Charger at full power", _CHARGER),
    Planned(_DORTE, "sam-1", 4, 10, 3, "Delamination after batch 7", _SIC),
    Planned(_ANNA, "pv-simulator-1", 4, 8, 6, "MPPT, cloudy profile", _TRACTION, fate="decline"),
    Planned(_CARLA, "salt-spray-1", 2, 9, 96, "Connector, 96 h", _CHARGER, fate="cancel"),
    Planned(_CARLA, "salt-spray-1", 7, 9, 96, "Connector, 96 h, second lot", _CHARGER, fate=""),
    Planned(
        _ANNA,
        "damp-heat-bias",
        9,
        9,
        1168,
        "THB 85/85, six modules",
        _TRACTION,
        "",
        environment=True,
        expected=1000,
    ),
    Planned(_CARLA, "emc-chamber-1", 0, 9, 30, "Radiated emission, charger", _CHARGER),
    Planned(_ANNA, "emc-chamber-1", 3, 9, 6, "Pre-scan, inverter", _TRACTION),
    Planned(_ANNA, "emi-receiver-1", 3, 9, 6, "Pre-scan, inverter", _TRACTION),
    Planned(_CARLA, "grid-code", 8, 9, 30, "Grid code, charger", _CHARGER, "", environment=True),
    Planned(_DORTE, "shaker-1", 1, 10, 28, "Busbar resonance", _SIC),
    Planned(_CARLA, "motor-bench-1", 2, 10, 24, "Compressor drive", _CHARGER),
    Planned(_CARLA, "oscilloscope-5", 1, 9, 3, "Inrush", _CHARGER),
    Planned(_DORTE, "oscilloscope-6", 3, 12, 2, "Near field", _SIC),
    Planned(_ANNA, "oscilloscope-2", 7, 9, 4, "Gate driver, third spin", _TRACTION),
    Planned(_DORTE, "oscilloscope-4", 9, 10, 3, "Short circuit, hot", _SIC),
    Planned(_CARLA, "grid-simulator-2", 8, 8, 28, "Flicker", _CHARGER),
    Planned("technician@lab.example", "hil-1", 1, 8, 4, "Licence update"),
    Planned("technician@lab.example", "chamber-3", 1, 8, 48, "Yearly service"),
)


def fill(session: Session, *, now: datetime) -> Sequence[Account]:
    """Make whatever of it is missing. Raises ``StorageTrouble``."""
    catalogue.load(session, CATALOGUE.read_text("utf-8"), now=now)
    _directory(session, now)
    who = {account.email: _viewer(session, account.email, now) for account in ACCOUNTS}
    _projects(session, now)
    monday = local_date(now, ZONE) - timedelta(days=local_date(now, ZONE).weekday())
    who = {email: _viewer(session, email, now) for email in who}
    for number, planned in enumerate(WEEK):
        _play(session, planned, f"demo {monday} {number}", monday, who, now)
    _own_recipe(session, who[_ANNA], now)
    sweep.sweep(session, now=now)
    return ACCOUNTS


def _own_recipe(session: Session, anna: Viewer, now: datetime) -> None:
    """What one company saved for itself: its competitor does not know of it."""
    if any(each.organisation is not None for each in recipe_views.list_all(session, viewer=anna)):
        return
    values = {
        "name": {"en": "Cell ageing at 1C, 25 °C", "da": "Celleældning ved 1C, 25 °C"},
        "description": {"en": "Four cells in parallel channels, capacity read out every week."},
        "needs": [{"category": "battery-cycler", "capabilities": {"current": "50 A"}, "places": 4}],
        "run": "PT1008H",
        "readouts": [f"PT{168 * week}H" for week in range(1, 7)],
        "hazards": ["stored_energy"],
    }
    recipes.create(session, KeepRecipe("cie", values), actor=anna, now=now)


def _viewer(session: Session, email: str, now: datetime) -> Viewer:
    found = viewers.by_email(session, email, now)
    assert found is not None
    return found


def _directory(session: Session, now: datetime) -> None:
    known = set(session.scalars(select(Organisation.slug)))
    for slug, name, kind in ORGANISATIONS:
        if slug not in known:
            organisations.create(session, KeepOrganisation(slug, name, kind), actor=None, now=now)
    known = set(session.scalars(select(User.email)))
    for each in ACCOUNTS:
        if each.email in known:
            continue
        made = users.create(
            session,
            CreateUser(each.email, each.name, each.organisation, each.role, each.facilities, PASSWORD),
            actor=None,
            now=now,
        )
        for kind in each.qualifications:
            until = local_date(now, ZONE) + timedelta(days=300)
            qualifications.grant(
                session, made.id, kind, until, actor=_viewer(session, "admin@lab.example", now), now=now
            )


def _projects(session: Session, now: datetime) -> None:
    known = set(session.scalars(select(Project.slug)))
    admin = _viewer(session, "admin@lab.example", now)
    for project in PROJECTS:
        if project.slug in known:
            continue
        projects.create(session, project, actor=None, now=now)
        for email in MEMBERS[project.slug]:
            projects.add_member(session, project.slug, email, actor=admin)


def _play(
    session: Session, planned: Planned, key: str, monday: date, who: Mapping[str, Viewer], now: datetime
) -> None:
    """Ask, decide, and use it, each at the time that somebody would have.

    What does not fit (a public holiday, somebody's own booking) is left out: it is only an example.
    """
    actor = who[planned.who]
    if session.scalar(select(IdempotencyKey.id).where(IdempotencyKey.key == key)) is not None:
        return
    hour, minute = divmod(round(planned.at * 60), 60)
    start = to_utc(monday + timedelta(days=planned.day), time(hour, minute), ZONE)
    asked = min(now, start) - timedelta(days=3, hours=2)
    command = RequestReservation(
        equipment=() if planned.environment else (Wanted(planned.what, planned.places),),
        environment=planned.what if planned.environment else None,
        start=start,
        end=start + timedelta(hours=planned.hours),
        expected_end=start + timedelta(hours=planned.expected) if planned.expected else None,
        title=planned.title,
        project=planned.project or None,
        kind="booking" if planned.project else "block",
        activity=None if planned.project else "maintenance",
        idempotency_key=key,
        fingerprint=key,
    )
    try:
        made = reservations.request(session, command, actor=actor, now=asked)
        if made.status == Status.REQUESTED and planned.fate:
            _decide(session, planned, made.id, asked + timedelta(hours=5), who)
        if made.check_in == "required" and planned.fate == "approve" and not planned.missed:
            _use(session, made.id, actor, start, now, who)
    except LabbookError:
        session.rollback()


def _decide(session: Session, planned: Planned, made: str, at: datetime, who: Mapping[str, Viewer]) -> None:
    manager = who["manager@lab.example"]
    match planned.fate:
        case "approve":
            decisions.approve(session, Decide(made), actor=manager, now=at)
        case "decline":
            reason = "The bay is rebuilt that day. Would the week after do?"
            decisions.decline(session, Decide(made, reason=reason), actor=manager, now=at)
        case "cancel":
            decisions.cancel(session, Decide(made, cause="user"), actor=who[planned.who], now=at)


def _use(
    session: Session, made: str, actor: Viewer, start: datetime, now: datetime, who: Mapping[str, Viewer]
) -> None:
    if start > now:
        return
    view = decisions.check_in(session, Decide(made), actor=actor, now=start)
    if view.permit_required:
        permits.sign(session, Decide(made), actor=who["manager@lab.example"], now=start)
    if view.long_test is not None and view.long_test.visits:
        _run(session, made, who["technician@lab.example"], start, now)
    if view.end <= now:
        decisions.check_out(session, Decide(made), actor=actor, now=view.end)


def _run(session: Session, made: str, technician: Viewer, start: datetime, now: datetime) -> None:
    """The water failed for a night, and what was to be read out until now has been."""
    stopped = start + timedelta(hours=63)
    resumed = stopped + timedelta(hours=8)
    if resumed < now:
        alarm = OnTest(made, reason="Low flow of cooling water; the chamber switched itself off.")
        long_tests.pause(session, alarm, actor=technician, now=stopped)
        long_tests.resume(session, OnTest(made), actor=technician, now=resumed)
    wish = PlanVisit(made, after=timedelta(hours=336), note="Only modules 3 and 4")
    view = long_tests.plan(session, wish, actor=technician, now=min(resumed, now))
    assert view.long_test is not None
    for visit in view.long_test.visits:
        if visit.end <= now:
            found = OnVisit(made, visit.id, note="Leakage of all ten below 1 µA.")
            long_tests.done(session, found, actor=technician, now=visit.end)
