"""Finding a time and booking it; and taking something for an hour with two clicks."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from labbook.domain.access import Viewer
from labbook.domain.errors import Problem, Refused
from labbook.domain.interval import Interval
from labbook.services import choices, free_time, home, options, reservations
from labbook.services.choices import BookingChoices
from labbook.services.commands import RequestReservation, Wanted
from labbook.services.reservation_views import ReservationView
from labbook.web import asking, fields, keeping, outlook
from labbook.web.fields import Fields
from labbook.web.formatting import in_words, name_of
from labbook.web.page import database, now, page_blueprint, viewer
from labbook.web.wording import sentences

blueprint = page_blueprint("booking")

AN_HOUR = timedelta(hours=1)
DEFAULT_MINUTES = "60"
BUTTONS = frozenset({"add", "remove", "take"})
"""Buttons of the form that change it and send nothing."""


@blueprint.get("/book")
def form() -> str:
    kept = keeping.typed("/book")
    offered = choices.for_booking(database(), viewer=viewer())
    values = _taken(kept.form, offered) if kept.form else _from_address(offered)
    zone = asking.zone_of(values, offered)
    return render_template(
        "booking/form.html",
        choices=offered,
        values=values,
        options=_options(offered),
        rows=asking.rows(values),
        kept=kept,
        zone=zone.key,
        names=names(offered),
        fold={name: fields.is_fold_day(values.get(f"{name}_date", ""), zone) for name in _MOMENTS},
        outlook=outlook.of_refusal(Fields(values), offered, kept.problems, kept.conflicts),
        overridable=_overridable(kept, viewer()),
        staffs=any(each.staffs for each in offered.equipment),
        manages=viewer().decides,
        option="option" in request.args,
        once=values.get("once") or secrets.token_hex(8),
        now=now(),
    )


@blueprint.post("/book")
def book() -> Response:
    if BUTTONS & set(request.form):
        return keeping.show_again(200)
    offered = choices.for_booking(database(), viewer=viewer())
    asked = asking.command(Fields(request.form), offered)
    ask = reservations.request if asked.hold is None else options.create
    made = ask(database(), asked, actor=viewer(), now=now())
    tell(made)
    return redirect(url_for("reservations.show", public_id=made.id), 303)


@blueprint.post("/book/check")
def check() -> str:
    """What would become of the form as it stands: a part of the page, for its script."""
    offered = choices.for_booking(database(), viewer=viewer())
    found = outlook.rehearsed(Fields(request.form), offered)
    return render_template("booking/_outlook.html", outlook=found, names=names(offered), live=True)


@blueprint.post("/equipment/<slug>/use-now")
def use_now(slug: str) -> Response:
    """From this minute on, for as long as was chosen, or until somebody else's time begins."""
    actor, at = viewer(), now()
    until = _chosen_end(slug, at)
    asked = RequestReservation(
        equipment=(Wanted(slug),),
        start=at,
        end=until,
        title=request.form.get("title", "").strip() or _("In use by %(name)s", name=actor.name),
        project=Fields(request.form).chosen("project"),
        use_now=True,
    )
    try:
        made = reservations.request(database(), asking.once(request.form, asked), actor=actor, now=at)
    except Refused as refusal:
        return _rather_book(slug, refusal)
    flash(_("It is yours. Hand it back when you are done."), "success")
    return redirect(url_for("reservations.show", public_id=made.id), 303)


def _rather_book(slug: str, refusal: Refused) -> Response:
    """Not now: why, and the form with the next time that is free."""
    zone = choices.for_booking(database(), viewer=viewer()).zone_of([slug], None)
    for text in sentences(refusal.problems, zone):
        flash(text, "error")
    if refusal.conflicts:
        flash(_("Somebody else has it now. This is the next time that it is free."), "error")
    return redirect(url_for("booking.form", equipment=slug), 303)


_MOMENTS = ("start", "end", "expected_end")


def _chosen_end(slug: str, at: datetime) -> datetime:
    chosen = request.form.get("minutes", DEFAULT_MINUTES)
    if chosen == "next":
        free = home.free_now(database(), viewer=viewer(), now=at, slug=slug)
        return (free[0].until if free else None) or at + timedelta(hours=8)
    if chosen.isdecimal() and len(chosen) < 5:
        return (at + timedelta(minutes=int(chosen))).replace(second=0, microsecond=0)
    raise Refused([Problem("bad_number", "minutes", params={"value": chosen[:40]})])


def tell(made: ReservationView) -> None:
    """What became of it, with whatever else is good to know."""
    if made.hold is not None:
        flash(_("Held as an option."), "success")
    elif made.status == "requested":
        flash(_("Requested. A manager will decide; you are told by mail."), "success")
    elif made.status == "completed":
        flash(_("Entered afterwards."), "success")
    else:
        flash(_("Booked."), "success")
    for text in sentences(made.problems, made.zone, {p.slug: p.name for p in made.equipment}):
        flash(text, "warning")


def names(offered: BookingChoices) -> dict[str, dict[str, str]]:
    """What the slugs in problems are called."""
    named = {each.slug: dict(each.name) for each in (*offered.equipment, *offered.environments)}
    return {slug: dict(name) for slug, name in offered.utilities.items()} | named


def _options(offered: BookingChoices) -> dict[str, list[tuple[str, str]]]:
    """Values and labels of the form's selects."""
    return {
        "environments": [(each.slug, name_of(each.name)) for each in offered.environments],
        "projects": [(each.slug, f"{each.name} ({each.organisation_name})") for each in offered.projects],
        "activities": [(code, in_words(code)) for code in offered.activities],
    }


def _taken(form: MultiDict[str, str], offered: BookingChoices) -> MultiDict[str, str]:
    """The form, with an offered time in place of what was typed where that button was pressed."""
    values = form.copy()
    start, _slash, end = values.pop("take", "").partition("/")
    if start and end:
        args = MultiDict([("start", start), ("end", end)])
        _replace(values, fields.prefilled(args, asking.zone_of(form, offered)))
    return values


def _replace(values: MultiDict[str, str], period: dict[str, str]) -> None:
    """Another period in the form's fields, and nothing left of the one before."""
    for name in ("start_fold", "end_fold", "duration"):
        values.poplist(name)
    for name, value in period.items():
        values[name] = value


def _from_address(offered: BookingChoices) -> MultiDict[str, str]:
    """``?equipment=a&equipment=b&environment=&start=&end=``, as links and the timeline write it."""
    args = request.args
    slugs = [fields.lookup(slug) for part in args.getlist("equipment") for slug in part.split(",") if slug]
    zone = ZoneInfo(offered.zone_of(slugs, args.get("environment")))
    values: MultiDict[str, str] = MultiDict(fields.prefilled(args, zone))
    values.setlist("equipment", slugs)
    for name in ("environment", "title", "project", "holder", "duration", "kind"):
        if args.get(name):
            values[name] = args[name]
    _suggest(values, slugs, offered, zone)
    return values


def _suggest(values: MultiDict[str, str], slugs: list[str], offered: BookingChoices, zone: ZoneInfo) -> None:
    """What nobody has said yet: the next free hour, and a title for what approves itself."""
    known = {each.slug: each for each in offered.equipment}
    chosen = [known[slug] for slug in slugs if slug in known]
    if chosen and "start_date" not in values:
        wanted = [Wanted(each.slug) for each in chosen]
        free = free_time.next_free(database(), wanted, now(), AN_HOUR, now=now())
        _replace(values, _typed_period(free, zone))
    if "start_date" not in values:
        values["start_date"] = f"{now().astimezone(zone):%Y-%m-%d}"
    if "end_date" not in values and "duration" not in values:
        values["duration"] = "1 h"
    if chosen and all(each.automatic for each in chosen) and "title" not in values:
        values["title"] = _("Measurement")


def _typed_period(period: Interval | None, zone: ZoneInfo) -> dict[str, str]:
    if period is None:
        return {}
    return fields.wall_fields("start", period.start, zone) | fields.wall_fields("end", period.end, zone)


def _overridable(kept: keeping.Typed, actor: Viewer) -> list[str]:
    """The codes that this manager may set aside for somebody else's reservation."""
    if not actor.decides:
        return []
    return sorted({p.code for p in kept.problems if p.overridable} | set(kept.form.getlist("override")))
