"""The catalogue's pages: what there is, what it can do, and when it is free."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from flask import g, render_template, request
from flask_babel import gettext as _

from labbook.domain.errors import Problem, Refused
from labbook.domain.interval import Interval
from labbook.domain.wall_time import local_date
from labbook.services import calendar, equipment, faults, free_time, home, recipe_views
from labbook.services.calendar import BusyEntry, FullEntry, Window
from labbook.services.commands import Wanted
from labbook.services.equipment import DrawView, EquipmentView, Sought, UtilityView
from labbook.services.home import FreeNow
from labbook.web import recipe_words, strips
from labbook.web.formatting import capitalised, duration, locale_code
from labbook.web.page import database, now, page_blueprint, viewer
from labbook.web.periods import Length, Period, read_day
from labbook.web.strips import Strip

blueprint = page_blueprint("equipment")

TEXT_LIMIT = 200


@blueprint.get("/equipment")
def index() -> str:
    args = request.args
    asked = {
        name: args.get(name, "").strip()[:TEXT_LIMIT] for name in ("facility", "category", "q", "capability")
    }
    found, problems = _found(asked)
    facilities = equipment.list_facilities(database(), now=now())
    g.example = any(facility.example for facility in facilities)
    return render_template(
        "equipment/index.html",
        items=found,
        asked=asked,
        problems=problems,
        facilities=facilities,
        categories=equipment.categories(database()),
    )


def _found(asked: dict[str, str]) -> tuple[list[EquipmentView], list[Problem]]:
    """What matches; a quantity that cannot be read is said, and the rest still looked for."""
    wanted: tuple[tuple[str, str], ...] = ()
    problems = []
    if asked["capability"]:
        name, _colon, quantity = asked["capability"].partition(":")
        wanted = ((name.strip().replace(" ", "_"), quantity.strip()),)
    sought = Sought(
        facility=asked["facility"] or None,
        category=asked["category"] or None,
        text=asked["q"],
        capabilities=wanted,
    )
    try:
        return equipment.search_equipment(database(), sought), []
    except Refused as refused:
        problems = list(refused.problems)
    return [], problems


@blueprint.get("/equipment/<slug>")
def show(slug: str) -> str:
    view = equipment.find_equipment(database(), slug)
    g.example = view.example
    zone = ZoneInfo(view.zone)
    week = Period(Length.WEEK, read_day(request.args.get("date", "")) or local_date(now(), zone))
    return render_template(
        "equipment/show.html",
        item=view,
        week=week,
        strip=_strip(view, week, zone),
        next_free=_next_free(view),
        free_now=_free_now(view),
        policy=_policy(view),
        environments=recipe_views.using(database(), slug, viewer=viewer()),
        staffs=equipment.is_staff_of(database(), slug, viewer=viewer()),
        faults=faults.list_open(database(), viewer=viewer(), equipment=slug),
    )


def _strip(view: EquipmentView, week: Period, zone: ZoneInfo) -> Strip:
    within = week.within(zone)
    found = calendar.read(database(), Window(within, equipment=(view.slug,)), viewer=viewer())
    locale = locale_code()
    entries: list[FullEntry | BusyEntry] = [*found.full, *found.busy]
    blocks = [strips.block_of_entry(entry, locale) for entry in entries]
    return strips.lay_out(blocks, within.start, within.end, view.zone, locale=locale, now=now())


def _next_free(view: EquipmentView) -> Interval | None:
    """From when on it is free for as long as its shortest slot, at least an hour where that is allowed."""
    if view.state != "in_service":
        return None
    length = min(max(view.slot.shortest, timedelta(hours=1)), view.slot.longest)
    return free_time.next_free(database(), [Wanted(view.slug)], now() + view.slot.lead, length, now=now())


def _free_now(view: EquipmentView) -> FreeNow | None:
    found = home.free_now(database(), viewer=viewer(), now=now(), slug=view.slug)
    return found[0] if found else None


def _policy(view: EquipmentView) -> list[tuple[str, str]]:
    """How it is booked, in words."""
    slot = view.slot
    rows = [
        (
            _("Approval"),
            _("a manager decides") if view.approval == "manager" else _("booked at once"),
        ),
        (_("Length"), _("%(least)s to %(most)s", least=duration(slot.shortest), most=duration(slot.longest))),
        (_("In steps of"), duration(slot.grid)),
    ]
    if slot.lead:
        rows.append((_("Ahead, at least"), duration(slot.lead)))
    rows.append((_("Ahead, at most"), duration(slot.horizon)))
    if slot.decision is not None:
        rows.append((_("A request lapses after"), duration(slot.decision)))
    if view.setup or view.teardown:
        around = (duration(timedelta(seconds=view.setup)), duration(timedelta(seconds=view.teardown)))
        rows.append((_("Set-up, tear-down"), ", ".join(around)))
    if view.check_in == "required":
        rows.append((_("Check-in"), _("needed within %(grace)s of the start", grace=duration(slot.grace))))
    else:
        rows.append((_("Check-in"), _("none: it begins and ends by itself")))
    if view.attended:
        rows.append((_("Use"), _("attended, while the laboratory is staffed")))
    return rows


@blueprint.get("/environments")
def environments() -> str:
    found = recipe_views.list_all(database(), viewer=viewer())
    g.example = any(each.example for each in found)
    names = {each.slug: each.name for each in equipment.search_equipment(database(), Sought())}
    return render_template("environments/index.html", items=found, names=names)


@blueprint.get("/environments/<slug>")
def environment(slug: str) -> str:
    view = recipe_views.find(database(), slug, viewer=viewer())
    g.example = view.example
    names = {each.slug: each.name for each in equipment.search_equipment(database(), Sought(retired=True))}
    lab = equipment.find_facility(database(), view.facility, now=now())
    return render_template(
        "environments/show.html",
        item=view,
        names=names,
        zone=lab.zone,
        meets=recipe_views.meets_today(database(), slug, viewer=viewer()),
        versions=[
            (version, recipe_words.changes(version.changes or (), names, lab.utilities))
            for version in recipe_views.history(database(), slug, viewer=viewer())
        ],
    )


def quantity(draw: DrawView | UtilityView) -> str:
    """``"250 kVA"`` of 250000 thousandths."""
    thousandths = draw.amount if isinstance(draw, DrawView) else draw.capacity
    return f"{(Decimal(thousandths) / 1000).normalize():f} {draw.unit}".strip()


def quality(name: str) -> str:
    """The name of a capability as a person reads it."""
    return capitalised(name)


@blueprint.app_context_processor
def _words() -> dict[str, object]:
    return {"quantity": quantity, "quality": quality, "written_range": recipe_words.written_range}
