"""Waiting for what is taken: mine, and for managers everybody's, in order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from labbook.domain.errors import Problem, Refused
from labbook.services import choices, waiting, waitlist_views
from labbook.services.choices import BookingChoices
from labbook.services.waiting import JoinWaitlist
from labbook.services.waitlist_views import EntryView
from labbook.web import fields, keeping
from labbook.web.fields import Fields
from labbook.web.formatting import duration
from labbook.web.page import database, now, page_blueprint, viewer
from labbook.web.sign_in import own_path

blueprint = page_blueprint("waitlist")

STEPS: dict[str, tuple[Callable[..., EntryView], object]] = {
    "take": (waiting.take, _l("Taken. Where a manager has to agree, it is held for you until they decide.")),
    "let-go": (waiting.let_go, _l("Let go; it is offered to the next in line.")),
    "withdraw": (waiting.withdraw, _l("You wait for it no longer.")),
}


@blueprint.get("/waitlist")
def show() -> str:
    actor, kept = viewer(), keeping.typed("/waitlist")
    offered = choices.for_booking(database(), viewer=actor)
    values = kept.form or _from_address(offered)
    zone = _zone(values, offered)
    entries = waitlist_views.mine(database(), viewer=actor)
    return render_template(
        "waitlist/show.html",
        offered=[each for each in entries if each.state == "offered"],
        waiting=[each for each in entries if each.state == "waiting"],
        past=[each for each in entries if not each.is_open],
        choices=[each for each in offered.equipment if each.in_service],
        projects=[(each.slug, f"{each.name} ({each.organisation_name})") for each in offered.projects],
        values=values,
        rows=_rows(values),
        names={each.slug: each.name for each in offered.equipment},
        fold={n: fields.is_fold_day(values.get(f"{n}_date", ""), zone) for n in ("earliest", "latest")},
        zone=zone.key,
        kept=kept,
    )


@blueprint.post("/waitlist")
def join() -> Response:
    if "add" in request.form:
        return keeping.show_again(200)
    read = Fields(request.form)
    offered = choices.for_booking(database(), viewer=viewer())
    waiting.join(database(), _command(read, _zone(read.form, offered)), actor=viewer(), now=now())
    flash(_("You are on the waitlist. You are told by mail as soon as it becomes free."), "success")
    return redirect(url_for("waitlist.show"), 303)


@blueprint.post("/waitlist/<public_id>/<any(take, 'let-go', withdraw):step>")
def act(public_id: str, step: str) -> Response:
    run, said = STEPS[step]
    entry = run(database(), public_id, actor=viewer(), now=now())
    flash(str(said), "success")
    after = request.form.get("next", "")
    if step == "take" and entry.offer is not None:
        return redirect(url_for("reservations.show", public_id=entry.offer.reservation), 303)
    return redirect(own_path(after) if after else url_for("waitlist.show"), 303)


@blueprint.get("/manage/waitlist")
def managed() -> str:
    return render_template(
        "manage/waitlist.html", lines=waitlist_views.lines(database(), viewer=viewer()), now=now()
    )


def _command(read: Fields, zone: ZoneInfo) -> JoinWaitlist:
    """Raises ``Refused`` with everything that cannot be read."""
    earliest, latest = read.instant("earliest", zone), read.instant("latest", zone)
    length = read.length("duration")
    if length is None and earliest is not None and latest is not None and not read.line("duration"):
        length = latest - earliest  # all of it
    places = read.number("places")
    if read.problems or earliest is None or latest is None:
        missing = [] if any(read.form.getlist("equipment")) else [Problem("missing", "equipment")]
        missing += [] if read.line("title") else [Problem("missing", "title")]
        raise Refused([*missing, *read.problems])
    return JoinWaitlist(
        equipment=tuple(fields.lookup(slug) for slug in read.form.getlist("equipment") if slug),
        places=places,
        earliest=earliest,
        latest=latest,
        duration=length or timedelta(0),
        title=read.line("title"),
        mode=read.line("mode") or "offer",
        project=read.chosen("project"),
    )


def _from_address(offered: BookingChoices) -> MultiDict[str, str]:
    """``?equipment=&places=&earliest=&latest=&title=&project=``, as links write it."""
    args = request.args
    found: MultiDict[str, str] = MultiDict(
        {n: args[n] for n in ("title", "project", "places") if args.get(n)}
    )
    found.setlist("equipment", [fields.lookup(slug) for slug in args.getlist("equipment") if slug])
    period = fields.prefilled(args, _zone(found, offered), ("earliest", "latest"))
    found.update(period)
    if "earliest_date" in period and "latest_date" in period:
        found["duration"] = duration(_length(period, _zone(found, offered)))
    return found


def _length(period: dict[str, str], zone: ZoneInfo) -> timedelta:
    read = Fields(MultiDict(period))
    earliest, latest = read.instant("earliest", zone), read.instant("latest", zone)
    return latest - earliest if earliest is not None and latest is not None else timedelta(hours=1)


def _rows(values: MultiDict[str, str]) -> list[str]:
    """What is chosen, with an empty line beside the first, and another where it was asked for."""
    found = [fields.lookup(slug) for slug in values.getlist("equipment") if slug]
    room = 2 if not found else len(found) + 1
    return found + [""] * (room - len(found) + (1 if "add" in values else 0))


def _zone(form: MultiDict[str, str], offered: BookingChoices) -> ZoneInfo:
    return ZoneInfo(offered.zone_of([fields.lookup(slug) for slug in form.getlist("equipment")], None))
