"""Finding a time and booking it; and taking something for an hour with two clicks."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from labbook.domain.access import Viewer
from labbook.domain.errors import Problem, Refused
from labbook.domain.interval import Interval
from labbook.services import choices, free_time, home, reservations
from labbook.services.choices import BookingChoices
from labbook.services.commands import RequestReservation, Wanted
from labbook.services.reservation_views import ReservationView
from labbook.services.reservations import written_problems
from labbook.web import fields, keeping
from labbook.web.fields import Fields
from labbook.web.page import database, now, page_blueprint, viewer
from labbook.web.wording import sentences

blueprint = page_blueprint("booking")

USE_NOW_MINUTES = (30, 60, 120)
_HELPED = frozenset({"unstaffed", "shutdown", "lead_time", "in_the_past", "taken_meanwhile"})


@blueprint.get("/book")
def form() -> str:
    kept = keeping.typed("/book")
    offered = choices.for_booking(database(), viewer=viewer())
    values = kept.form or _from_address(offered)
    slugs = values.getlist("equipment")
    zone = ZoneInfo(offered.zone_of(slugs, values.get("environment")))
    return render_template(
        "booking/form.html",
        choices=offered,
        values=values,
        rows=_rows(values),
        kept=kept,
        zone=zone.key,
        names={each.slug: each.name for each in (*offered.equipment, *offered.environments)},
        fold={name: fields.is_fold_day(values.get(f"{name}_date", ""), zone) for name in ("start", "end")},
        instead=_instead(kept, offered),
        overridable=_overridable(kept, offered, viewer()),
        staffs=any(each.staffs for each in offered.equipment),
    )


@blueprint.post("/book")
def book() -> Response:
    if "add" in request.form or "remove" in request.form or "take" in request.form:
        return keeping.show_again(200)
    offered = choices.for_booking(database(), viewer=viewer())
    read = Fields(request.form)
    command = _command(read, offered)
    made = reservations.request(database(), command, actor=viewer(), now=now())
    _tell(made)
    return redirect(url_for("reservations.show", public_id=made.id), 303)


@blueprint.post("/equipment/<slug>/use-now")
def use_now(slug: str) -> Response:
    """From this minute on, for as long as was chosen, or until somebody else's time begins."""
    actor, at = viewer(), now()
    until = _chosen_end(slug, at)
    command = RequestReservation(
        equipment=(Wanted(slug),),
        start=at,
        end=until,
        title=request.form.get("title", "").strip() or _("In use by %(name)s", name=actor.name),
        project=request.form.get("project") or None,
        use_now=True,
    )
    made = reservations.request(database(), _once(command), actor=actor, now=at)
    flash(_("It is yours. Hand it back when you are done."), "success")
    return redirect(url_for("reservations.show", public_id=made.id), 303)


def _chosen_end(slug: str, at: datetime) -> datetime:
    chosen = request.form.get("minutes", "60")
    if chosen == "next":
        free = home.free_now(database(), viewer=viewer(), now=at, slug=slug)
        if not free:
            raise Refused([Problem("taken_meanwhile", "equipment")])
        return free[0].until or at + timedelta(hours=8)
    if chosen.isdecimal() and len(chosen) < 5:
        return at + timedelta(minutes=int(chosen))
    raise Refused([Problem("bad_number", "minutes", params={"value": chosen[:40]})])


def _tell(made: ReservationView) -> None:
    if made.status == "requested":
        flash(_("Requested. A manager will decide; you are told by mail."), "success")
    else:
        flash(_("Booked."), "success")
    for text in sentences(made.problems, made.zone, {p.slug: p.name for p in made.equipment}):
        flash(text, "warning")


def _from_address(offered: BookingChoices) -> MultiDict[str, str]:
    """``?equipment=a&equipment=b&environment=&start=&end=``, as links and the timeline write it."""
    args = request.args
    slugs = [slug for part in args.getlist("equipment") for slug in part.split(",") if slug]
    zone = ZoneInfo(offered.zone_of(slugs, args.get("environment")))
    values: MultiDict[str, str] = MultiDict(fields.prefilled(args, zone))
    values.setlist("equipment", slugs)
    for name in ("environment", "title", "project", "holder"):
        if args.get(name):
            values[name] = args[name]
    return values


def _rows(values: MultiDict[str, str]) -> list[tuple[str, str]]:
    """Slug and places of each line of the form, with an empty one where another was asked for."""
    slugs, places = values.getlist("equipment"), values.getlist("places")
    rows = [(slug, places[i] if i < len(places) else "1") for i, slug in enumerate(slugs)]
    if (gone := values.get("remove", "")).isdecimal() and int(gone) < len(rows):
        del rows[int(gone)]
    if "add" in values or not rows:
        rows.append(("", "1"))
    return rows


def _command(read: Fields, offered: BookingChoices) -> RequestReservation:
    """Raises ``Refused`` with everything that cannot be read, and what is wrong with the words."""
    rows = [(slug, places) for slug, places in _rows(read.form) if slug]
    environment = read.chosen("environment")
    zone = ZoneInfo(offered.zone_of([slug for slug, _places in rows], environment))
    start, end = read.instant("start", zone), read.instant("end", zone)
    wanted = tuple(Wanted(slug, _places(places, read)) for slug, places in rows)
    expected = read.instant("expected_end", zone, required=False)
    if read.problems or start is None or end is None:
        missing = [] if wanted or environment else [Problem("missing", "equipment")]
        words = written_problems(read.line("title"), read.text("notes"), read.text("reason"))
        raise Refused([*missing, *read.problems, *words])
    return _once(
        RequestReservation(
            equipment=wanted,
            environment=environment,
            start=start,
            end=end,
            expected_end=expected,
            title=read.line("title"),
            notes=read.text("notes"),
            project=read.chosen("project"),
            activity=read.chosen("activity"),
            holder=read.chosen("holder"),
            participants=read.listed("participants"),
            traceable=read.ticked("traceable"),
            kind="block" if read.chosen("kind") == "block" else "booking",
            override=tuple(read.form.getlist("override")),
            reason=read.text("reason"),
        )
    )


def _places(text: str, read: Fields) -> int:
    if text.strip() in ("", "1"):
        return 1
    if text.isascii() and text.isdecimal() and 0 < int(text[:9]) < 100_000:
        return int(text)
    read.problems.append(Problem("bad_number", "equipment", params={"value": text[:40]}))
    return 1


def _once(command: RequestReservation) -> RequestReservation:
    """A form carries a token: sent twice as it is it books once, changed it books anew."""
    token = request.form.get("once", "")
    if not token or len(token) > 64:
        return command
    content = sorted((k, v) for k, v in request.form.items(multi=True) if k != "csrf_token")
    fingerprint = hashlib.sha256(repr(content).encode("utf-8", "surrogatepass")).hexdigest()
    return replace(command, idempotency_key=f"form:{fingerprint}", fingerprint=fingerprint)


def _instead(kept: keeping.Typed, offered: BookingChoices) -> Interval | None:
    """The next time that would work, beside a refusal of the one asked for."""
    if not (kept.conflicts or _HELPED & {p.code for p in kept.problems}):
        return None
    read = Fields(kept.form)
    rows = [(slug, places) for slug, places in _rows(kept.form) if slug]
    zone = ZoneInfo(offered.zone_of([slug for slug, _places in rows], None))
    start, end = read.instant("start", zone), read.instant("end", zone)
    if not rows or start is None or end is None or end <= start:
        return None
    wanted = [Wanted(slug, _places(places, read)) for slug, places in rows]
    return free_time.next_free(database(), wanted, start, end - start, viewer=viewer(), now=now())


def _overridable(kept: keeping.Typed, offered: BookingChoices, actor: Viewer) -> list[str]:
    """The codes that this manager may set aside for somebody else's reservation."""
    already = kept.form.getlist("override")
    if actor.role not in ("manager", "admin") or not offered.equipment:
        return []
    return sorted({p.code for p in kept.problems if p.overridable} | set(already))
