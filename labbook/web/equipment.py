"""The catalogue's pages: what there is, what it can do, and when it is free."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import zip_longest
from zoneinfo import ZoneInfo

from flask import g, render_template, request
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from labbook.domain.errors import Problem, Refused
from labbook.domain.interval import Interval
from labbook.domain.wall_time import local_date
from labbook.services import calendar, capability_search, equipment, faults, free_time, home, recipe_views
from labbook.services.calendar import BusyEntry, FullEntry, Window
from labbook.services.capability_search import Answer, Asked, Found
from labbook.services.commands import Wanted
from labbook.services.equipment import DrawView, EquipmentView, Sought, UtilityView
from labbook.services.home import FreeNow
from labbook.services.recipe_views import EnvironmentView
from labbook.web import recipe_words, strips
from labbook.web.formatting import capitalised, duration, locale_code
from labbook.web.page import database, now, page_blueprint, viewer
from labbook.web.periods import Length, Period, read_day
from labbook.web.recipe_words import written_range
from labbook.web.strips import Strip

blueprint = page_blueprint("equipment")

TEXT_LIMIT = 200
ABLE_LIMIT = 12


@blueprint.get("/equipment")
def index() -> str:
    """``?can=dc+voltage&range=800+V`` as often as there is something that it must be able to do."""
    args = request.args
    asked = {name: args.get(name, "").strip()[:TEXT_LIMIT] for name in ("facility", "category", "q")}
    able, problems = _able(args)
    numbers = {name: _number(args, name, problems) for name in ("places", "units")}
    sought = Sought(
        facility=asked["facility"] or None,
        category=asked["category"] or None,
        text=asked["q"],
        capabilities=tuple((_name(name), quantity) for name, quantity in able if quantity),
    )
    found = Answer([], [])
    if not problems:
        try:
            found = capability_search.search(database(), Asked(sought, numbers["places"], numbers["units"]))
        except Refused as refused:
            problems = list(refused.problems)
    facilities = equipment.list_facilities(database(), now=now())
    g.example = any(facility.example for facility in facilities)
    return render_template(
        "equipment/index.html",
        found=found,
        asked=asked,
        able=able,
        numbers=numbers,
        problems=problems,
        facilities=facilities,
        categories=equipment.categories(database()),
        known=equipment.known_capabilities(database()),
        fits=fits_in_words,
    )


def _able(args: MultiDict[str, str]) -> tuple[list[tuple[str, str]], list[Problem]]:
    """What it must be able to do, as typed: names beside quantities, or ``capability=name:quantity``."""
    found = list(zip_longest(args.getlist("can"), args.getlist("range"), fillvalue=""))
    for text in args.getlist("capability"):
        name, _colon, quantity = text.partition(":")
        found.append((name, quantity))
    able = [
        (name.strip()[:TEXT_LIMIT], quantity.strip()[:TEXT_LIMIT])
        for name, quantity in found
        if name.strip() or quantity.strip()
    ][:ABLE_LIMIT]
    half = any(not (name and quantity) for name, quantity in able)
    return able, [Problem("malformed_capability", "capability")] if half else []


def _name(typed: str) -> str:
    return typed.lower().replace(" ", "_").replace("-", "_")


def _number(args: MultiDict[str, str], name: str, problems: list[Problem]) -> int:
    text = args.get(name, "").strip() or "1"
    if text.isascii() and text.isdecimal() and 0 < int(text[:6]) <= 1000:
        return int(text)
    problems.append(Problem("bad_number", name, params={"value": text[:40]}))
    return 1


def fits_in_words(found: Found) -> list[str]:
    """``DC voltage 0 … 1500 V, 700 V more``; of what only nearly can, what falls short and nothing else."""
    said = []
    near = found.lacks_places or any(any(fit.less) for fit in found.fits)
    for fit in found.fits:
        name, offered = quality(fit.name), written_range(fit.offered)
        if any(fit.less):
            asked = written_range(fit.asked)
            said.append(
                _("%(name)s: %(offered)s of the %(asked)s asked for", name=name, offered=offered, asked=asked)
            )
        elif not near:
            more = _ends(*fit.more)
            said.append(f"{name} {offered}, {more}" if more else f"{name} {offered}")
    if found.lacks_places:
        said.append(_("too few places"))
    return said


def _ends(below: str, above: str) -> str:
    if below and above:
        return str(_("%(below)s more below, %(above)s above", below=below, above=above))
    return str(_("%(amount)s more", amount=below or above)) if below or above else ""


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
    """All that there is for the reader, or those that give what is asked for: 85 °C and 85 % rh."""
    able, problems = _able(request.args)
    found: list[EnvironmentView] = []
    if not problems:
        giving = [(_name(name), quantity) for name, quantity in able]
        try:
            found = recipe_views.list_all(database(), viewer=viewer(), giving=giving)
        except Refused as refused:
            problems = list(refused.problems)
    g.example = any(each.example for each in found)
    names = {each.slug: each.name for each in equipment.search_equipment(database(), Sought())}
    return render_template(
        "environments/index.html",
        items=found,
        names=names,
        able=able,
        problems=problems,
        known=recipe_views.known_conditions(database(), viewer=viewer()),
    )


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
    return {"quantity": quantity, "quality": quality, "written_range": written_range}
