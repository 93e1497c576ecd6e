"""Reservations: my list, one of them with everything that can be done to it, and the steps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import NotFound as NoPage
from werkzeug.wrappers import Response

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, Problem, Refused
from labbook.domain.interval import Interval
from labbook.domain.reservation import grows_next
from labbook.formats import moments
from labbook.services import (
    changes,
    choices,
    decisions,
    free_time,
    permits,
    queue,
    reservation_views,
    waitlist_views,
)
from labbook.services.commands import ChangeReservation, Decide, Wanted
from labbook.services.reservation_views import ReservationView, Search
from labbook.web import asking, fields, history, keeping, running, strips
from labbook.web.fields import Fields
from labbook.web.formatting import locale_code
from labbook.web.page import database, now, page_blueprint, viewer
from labbook.web.sign_in import own_path
from labbook.web.wording import sentences

blueprint = page_blueprint("reservations")

Step = Callable[..., ReservationView]

STEPS: dict[str, tuple[Step, object]] = {
    "approve": (decisions.approve, _l("Approved.")),
    "accept": (decisions.approve, _l("The change is accepted.")),
    "decline": (decisions.decline, _l("Declined.")),
    "refuse": (decisions.decline, _l("The change is declined; the reservation stays as it was.")),
    "cancel": (decisions.cancel, _l("Cancelled.")),
    "check-in": (decisions.check_in, _l("Checked in. Hand it back when you are done.")),
    "check-out": (decisions.check_out, _l("Handed back. The rest of the time is free again.")),
    "abort": (decisions.abort, _l("Aborted.")),
    "extend": (decisions.extend, _l("Extended.")),
    "transfer": (decisions.transfer, _l("Transferred.")),
    "message": (decisions.message, _l("Sent.")),
    "permit": (permits.sign, _l("The permit is signed.")),
}

VIEWS = {
    "upcoming": ("requested", "approved", "in_use"),
    "past": ("completed", "declined", "cancelled", "expired", "no_show", "aborted"),
}


@blueprint.get("/reservations")
def mine() -> str:
    which = request.args.get("show", "upcoming")
    if which not in VIEWS:
        raise NoPage()
    scope, text = request.args.get("of", "mine"), fields.lookup(request.args.get("q", "").strip()[:100])
    search = Search(
        status=VIEWS[which],
        mine=scope == "mine",
        of_projects=scope == "projects",
        of_organisation=scope == "organisation",
        text=text,
        newest_first=which == "past",
        after=_cursor(request.args.get("after", "")),
        limit=50,
    )
    page = reservation_views.search(database(), search, viewer=viewer())
    following = None
    if page.next is not None:
        after = f"{page.next[0].isoformat()}_{page.next[1]}"
        following = url_for("reservations.mine", show=which, of=scope, q=text or None, after=after)
    return render_template(
        "reservations/mine.html",
        items=page.items,
        following=following,
        which=which,
        scope=scope,
        q=text,
        whichs=(("upcoming", _("Now and ahead")), ("past", _("Past and cancelled"))),
        scopes=_scopes(viewer()),
    )


def _scopes(actor: Viewer) -> list[tuple[str, str]]:
    found = [
        ("mine", _("Mine")),
        ("projects", _("My projects")),
        ("organisation", _("My organisation")),
    ]
    if actor.is_admin or actor.staff_at:
        found.append(("all", _("All of the laboratory")))
    return found


def _cursor(text: str) -> tuple[datetime, str] | None:
    instant, _, row = text.rpartition("_")
    try:
        at = datetime.fromisoformat(instant.replace(" ", "+"))
    except ValueError:
        return None
    return (at, row) if at.tzinfo is not None else None


@blueprint.get("/reservations/<public_id>")
def show(public_id: str) -> str:
    actor = viewer()
    view = reservation_views.find(database(), public_id, viewer=actor)
    kept = keeping.shown_again()
    zone = ZoneInfo(view.zone)
    editing = bool({"edit", "move", "propose", "transfer", "draws"} & view.allowed)
    offered = choices.for_booking(database(), viewer=actor) if editing else None
    now_fields = _fields_of(view, zone)
    values = _merged(now_fields, kept)
    return render_template(
        "reservations/show.html",
        view=view,
        yours="approve" not in view.allowed or queue.is_yours(database(), view, viewer=actor),
        plots=_plots(view, actor),
        alternatives=_alternatives(view),
        now=now(),
        zone=view.zone,
        names={
            **(offered.utilities if offered else {}),
            **{piece.slug: piece.name for piece in view.equipment},
        },
        clock=running.shown(view, kept, now()),
        visit_state=running.state,
        kept=kept,
        step=_step_of(kept),
        seen=moments.exact(now()),
        log=history.lines(view),
        since=history.since(view, kept.form.get("seen", "")) if kept and kept.notice else [],
        was=now_fields,
        values=values,
        rows=[*(row for row in asking.rows(values) if row[0]), ("", "1", False)],
        fold={n: fields.is_fold_day(now_fields.get(f"{n}_date", ""), zone) for n in ("start", "end")},
        choices=offered,
        drawable=[u for u in offered.stated if u.facility == view.facility] if offered else [],
        stated={each.utility: each.amount for each in view.draws if each.stated},
        project_options=[(each.slug, each.name) for each in offered.projects] if offered else [],
        causes={"user": _("The user's"), "lab": _("The lab's"), "fault": _("A fault's")},
        staffs=view.is_staff,
        offer=waitlist_views.offered(database(), view.id, viewer=actor) if view.hold == "offer" else None,
    )


def _alternatives(view: ReservationView) -> list[tuple[Interval, dict[str, str]]]:
    """Other times for what was displaced, each with the fields that a form sends for it."""
    if view.displaced_since is None or "move" not in view.allowed:
        return []
    zone, wanted = ZoneInfo(view.zone), [Wanted(piece.slug, piece.places) for piece in view.equipment]
    found = free_time.offers(database(), wanted, now(), view.end - view.start, now=now())
    return [
        (
            use,
            {**fields.wall_fields("start", use.start, zone), **fields.wall_fields("end", use.end, zone)},
        )
        for use in found
    ]


def _step_of(kept: keeping.Typed | None) -> str:
    """Which of the page's forms is shown again, by the last part of its address."""
    return kept.path.rpartition("/")[2] if kept else ""


def _plots(view: ReservationView, actor: Viewer) -> list[tuple[queue.Surroundings, strips.Strip]]:
    window, around = queue.around(database(), view, viewer=actor)
    own = [strips.block_of(view, this=True)]
    if view.pending_change is not None:
        own.append(strips.block_of_change(view, view.pending_change))
    locale, at = locale_code(), now()
    return [
        (
            piece,
            strips.around(piece, window, view.zone, own=own, apart_from=view.id, locale=locale, now=at),
        )
        for piece in around
    ]


def _fields_of(view: ReservationView, zone: ZoneInfo) -> MultiDict[str, str]:
    """The reservation as the change form's fields."""
    found = MultiDict(
        {
            "title": view.title,
            "notes": view.notes,
            "project": view.project or "",
            "participants": ", ".join(p.email for p in view.participants),
            **fields.wall_fields("start", view.start, zone),
            **fields.wall_fields("end", view.end, zone),
        }
    )
    found.setlist("equipment", [piece.slug for piece in view.equipment])
    found.setlist("places", [str(piece.places) for piece in view.equipment])
    found.setlist("whole", [str(n) for n, piece in enumerate(view.equipment) if piece.whole])
    return found


def _merged(current: MultiDict[str, str], kept: keeping.Typed | None) -> MultiDict[str, str]:
    """What was typed, over what is stored now. What was left as it was then is not a wish of today."""
    values = current.copy()
    if kept is None or _step_of(kept) not in ("change", "propose"):
        return values
    for name in kept.form:
        typed, was = kept.form.getlist(name), kept.form.getlist(f"was_{name}")
        if name not in current or typed != was:
            values.setlist(name, typed)
    return values


@blueprint.post("/reservations/<public_id>/<any({}):step>".format(", ".join(f'"{s}"' for s in STEPS)))
def act(public_id: str, step: str) -> Response:
    run, said = STEPS[step]
    read = Fields(request.form)
    command = Decide(
        reservation=public_id,
        revision=revision_of(read),
        reason=read.text("reason"),
        cause=read.chosen("cause"),
        until=_until(read, public_id) if step == "extend" else None,
        to=read.chosen("to"),
        text=read.text("text"),
        override=tuple(request.form.getlist("override")),
    )
    made = run(database(), command, actor=viewer(), now=now())
    return done(made, str(said))


@blueprint.post("/reservations/<public_id>/change")
def change(public_id: str) -> Response:
    """Move, resize, re-equip, retitle; what was not touched is not a change."""
    before = theirs(public_id, "edit", "requested", "approved", "in_use")
    read = Fields(request.form)
    wish = _wish(read, before)
    made = changes.change(database(), public_id, wish, revision=revision_of(read), actor=viewer(), now=now())
    waits = made.pending_change is not None and wish.is_material
    return done(made, _("Asked for; a manager has to agree first.") if waits else _("Changed."))


@blueprint.post("/reservations/<public_id>/propose")
def propose(public_id: str) -> Response:
    before = theirs(public_id, "propose", "requested", "approved")
    read = Fields(request.form)
    wish = _wish(read, before)
    made = changes.propose(database(), public_id, wish, revision=revision_of(read), actor=viewer(), now=now())
    return done(made, _("Proposed. It is held until the holder answers."))


@blueprint.post("/reservations/<public_id>/draws")
def draws(public_id: str) -> Response:
    """What a manager states that it draws; an empty field is what is reckoned."""
    theirs(public_id, "draws", "requested", "approved", "in_use")
    read = Fields(request.form)
    wish = ChangeReservation(draws=asking.drawn(read), reason=read.text("reason"))
    made = changes.change(database(), public_id, wish, revision=revision_of(read), actor=viewer(), now=now())
    return done(made, _("Changed."))


@blueprint.post("/reservations/<public_id>/withdraw")
def withdraw(public_id: str) -> Response:
    read = Fields(request.form)
    made = changes.withdraw(database(), public_id, revision=revision_of(read), actor=viewer(), now=now())
    return done(made, _("Withdrawn."))


def theirs(public_id: str, step: str, *statuses: str) -> ReservationView:
    """Before a form is read: whether it is theirs to send. What the status forbids, the service says."""
    view = reservation_views.find(database(), public_id, viewer=viewer())
    if view.status in statuses and step not in view.allowed:
        raise Forbidden(step)
    return view


def done(made: ReservationView, said: str) -> Response:
    flash(said, "success")
    for text in sentences(made.problems, made.zone, {p.slug: p.name for p in made.equipment}):
        flash(text, "warning")
    after = request.form.get("next", "")
    target = own_path(after) if after else url_for("reservations.show", public_id=made.id)
    return redirect(target, 303)


def revision_of(read: Fields) -> int | None:
    text = read.line("revision")
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _until(read: Fields, public_id: str) -> datetime | None:
    """So many minutes more, or until a wall time."""
    view = theirs(public_id, "extend", "in_use")
    minutes = read.line("minutes")
    if minutes.isdecimal() and 0 < int(minutes[:6]) <= 60 * 24 * 90:
        begun = view.end if view.end > now() else grows_next(now())  # what is over goes on from here
        return begun + timedelta(minutes=int(minutes[:6]))
    until = read.instant("until", ZoneInfo(view.zone), required=False)
    if read.problems:
        raise Refused(read.problems)
    return until


def _wish(read: Fields, before: ReservationView) -> ChangeReservation:
    zone = ZoneInfo(before.zone)
    start, end = read.instant("start", zone, required=False), read.instant("end", zone, required=False)
    if read.problems:
        raise Refused(read.problems)
    title, notes = read.chosen("title"), read.text("notes") if "notes" in read.form else None
    if "title" in read.form and title is None:
        raise Refused([Problem("missing", "title")])
    wanted = _wanted(read)
    same = {(p.slug, 1 if p.whole else p.places, p.whole) for p in before.equipment}
    listed = read.listed("participants")
    people = {p.email for p in before.participants}
    return ChangeReservation(
        start=start if start != before.start else None,
        end=end if end != before.end else None,
        equipment=wanted if wanted and {(w.slug, w.places, w.whole) for w in wanted} != same else None,
        title=title if title != before.title else None,
        notes=notes if notes != before.notes else None,
        project=fields.lookup(read.line("project"))
        if read.form.get("project", before.project) != before.project
        else None,
        participants=listed if "participants" in read.form and set(listed) != people else None,
        override=tuple(read.form.getlist("override")),
        reason=read.text("reason"),
    )


def _wanted(read: Fields) -> tuple[Wanted, ...]:
    slugs, places = read.form.getlist("equipment"), read.form.getlist("places")
    whole = read.form.getlist("whole")
    found = []
    for i, slug in enumerate(slugs):
        count = places[i] if i < len(places) and str(i) not in whole else "1"
        if slug and not (count.isascii() and count.isdecimal() and 0 < int(count[:9]) < 100_000):
            raise Refused([Problem("bad_number", "equipment", params={"value": count[:40]})])
        if slug:
            found.append(Wanted(fields.lookup(slug), int(count), str(i) in whole))
    return tuple(found)
