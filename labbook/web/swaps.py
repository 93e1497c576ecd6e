"""Equipment fails or a test slips: what it touches, what could replace it, and one step to move it all."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from labbook.domain.errors import Problem, Refused
from labbook.domain.interval import Interval
from labbook.services import choices, swaps
from labbook.services.choices import BookingChoices
from labbook.services.swaps import Choice, Move, Outage, Slip, Swap, SwapPlan
from labbook.web import booking, fields, keeping, slot_values
from labbook.web.fields import Fields
from labbook.web.page import database, now, page_blueprint, viewer

blueprint = page_blueprint("swaps")

LEAVE, CANCEL = "leave", "cancel"


@blueprint.get("/manage/swap")
def show() -> str:
    swaps.require_any(viewer())
    kept = keeping.typed("/manage/swap")
    offered = choices.for_booking(database(), viewer=viewer())
    values = kept.form if kept.form else _from_address(offered)
    zone = _zone(values, offered)
    problems, plan = list(kept.problems), None
    if values.get("equipment") or (values.get("reservation") and (kept.form or values.get("until_date"))):
        try:
            plan = swaps.plan(database(), _what(Fields(values), zone), actor=viewer(), now=now())
        except Refused as refusal:
            problems += [p for p in refusal.problems if p not in problems]
    return render_template(
        "manage/swap.html",
        equipment=[each for each in offered.equipment if each.staffs],
        values=values,
        kept=kept,
        problems=problems,
        plan=plan,
        chosen=_chosen(values, plan),
        value_of=lambda choice: slot_values.written(choice.use, choice.pieces),
        zone=zone.key,
        names=booking.names(offered),
        fold={n: fields.is_fold_day(values.get(f"{n}_date", ""), zone) for n in ("since", "until")},
    )


@blueprint.post("/manage/swap")
def act() -> Response:
    """Look what it touches; or carry out what was chosen for each."""
    swaps.require_any(viewer())
    if "look" in request.form:
        return keeping.show_again(200)
    read = Fields(request.form)
    offered = choices.for_booking(database(), viewer=viewer())
    zone = _zone(request.form, offered)
    command = Swap(_what(read, zone), _moves(read), read.line("reason"), read.ticked("block"))
    done = swaps.swap(database(), command, actor=viewer(), now=now())
    said = [
        ngettext("%(num)s reservation was moved.", "%(num)s reservations were moved.", done.moved),
        ngettext("%(num)s was cancelled.", "%(num)s were cancelled.", done.cancelled)
        if done.cancelled
        else "",
        _("Everybody concerned is told."),
    ]
    flash(" ".join(filter(None, said)), "success")
    return redirect(url_for("swaps.show"), 303)


def _what(read: Fields, zone: ZoneInfo) -> Outage | Slip:
    """Raises ``Refused`` with everything that cannot be read."""
    slipping = read.chosen("reservation")
    until = read.instant("until", zone, whole_day="" if slipping else "end")
    if slipping:
        if until is None:
            raise Refused(read.problems)
        return Slip(slipping, until)
    since = read.instant("since", zone, required=False, whole_day="start") or now()
    slug = read.chosen("equipment")
    if slug is None:
        read.problems.append(Problem("missing", "equipment"))
    if until is not None and until <= since:
        read.problems.append(Problem("end_before_start", "until", params={"start": since, "end": until}))
    if read.problems or until is None or slug is None:
        raise Refused(read.problems)
    return Outage(slug, Interval(since, until))


def _moves(read: Fields) -> tuple[Move, ...]:
    """What was chosen for each reservation; what is left as it is, is no move."""
    found = []
    for name, value in read.form.items():
        kind, _dash, public_id = name.partition("-")
        if kind != "choice" or value == LEAVE:
            continue
        revision = read.form.get(f"revision-{public_id}", "")
        if not (revision.isascii() and revision.isdecimal() and len(revision) < 10):
            raise Refused([Problem("missing", "revision")])
        choice = None if value == CANCEL else Choice(*slot_values.read(value, name))
        found.append(Move(fields.lookup(public_id), int(revision), choice))
    return tuple(found)


def _chosen(values: MultiDict[str, str], plan: SwapPlan | None) -> dict[str, str]:
    """Reservation -> the choice that is ticked: the one picked before, else the first that there is."""
    found = {}
    for each in plan.touched if plan is not None else ():
        offered = [slot_values.written(choice.use, choice.pieces) for choice in each.choices]
        picked = values.get(f"choice-{each.id}", "")
        known = picked in (*offered, LEAVE, CANCEL)
        found[each.id] = picked if known else (offered[0] if offered else LEAVE)
    return found


def _zone(values: MultiDict[str, str], offered: BookingChoices) -> ZoneInfo:
    return ZoneInfo(offered.zone_of([values.get("equipment", "")], None))


def _from_address(offered: BookingChoices) -> MultiDict[str, str]:
    """``?equipment=&since=&until=`` or ``?reservation=&until=``."""
    found: MultiDict[str, str] = MultiDict()
    for name in ("equipment", "reservation"):
        if request.args.get(name):
            found[name] = fields.lookup(request.args[name])
    zone = _zone(found, offered)
    for name, value in fields.prefilled(request.args, zone, ("since", "until")).items():
        found[name] = value
    if found.get("equipment") and "until_date" not in found:
        week_on = (now() + timedelta(days=7, hours=1)).replace(minute=0, second=0, microsecond=0)
        for name, value in fields.wall_fields("until", week_on, zone).items():
            found[name] = value
    return found
