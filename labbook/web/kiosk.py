"""``/kiosk/{equipment}``: what stands at the equipment, on a tablet there or on the phone of whoever scans.

A tablet is known by a cookie that only these pages get. It stays a tablet whoever signed in on it: nobody
acts there in the name of a person who forgot to sign out.
"""

from __future__ import annotations

from flask import Response as FlaskResponse
from flask import (
    after_this_request,
    current_app,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask import session as browser_session
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import logout_user
from werkzeug.wrappers import Response

from labbook.config import Settings
from labbook.domain.errors import NotFound, Problem, Refused
from labbook.domain.reservation import Action
from labbook.extensions import limiter
from labbook.services import decisions, faults, kiosk, kiosks, relays
from labbook.services.commands import Decide
from labbook.services.faults import ReportFault
from labbook.services.kiosk import StepByCode, Who
from labbook.services.kiosks import Device
from labbook.services.relays import PassOn
from labbook.services.viewers import token_hash
from labbook.web import keeping
from labbook.web.fields import Fields
from labbook.web.page import database, now, page_blueprint, public, signed_in
from labbook.web.wording import sentences

blueprint = page_blueprint("kiosk")

COOKIE = "kiosk"
PATH = "/kiosk"
KEPT_FOR = 400 * 86400
"""Seconds; no browser keeps a cookie for longer. Each visit begins them anew."""

REFRESH_SECONDS = 20

STEPS = {
    "check-in": (Action.CHECK_IN, decisions.check_in, _l("Checked in. Hand it back here when you are done.")),
    "check-out": (Action.CHECK_OUT, decisions.check_out, _l("Handed back. The rest of the time is free.")),
}


@blueprint.get("/kiosk-key/<secret>")
@public
@limiter.limit("30 per minute", deduct_when=lambda response: response.status_code == 404)
def pair(secret: str) -> Response | tuple[str, int]:
    """Make this browser the tablet that the address is for; whoever had signed in here no longer has."""
    try:
        slug = kiosks.pairing(database(), secret)
    except NotFound:
        return render_template("kiosk/pair_over.html"), 404
    browser_session.clear()  # first: signing out leaves a word there that the remembering cookie goes as well
    logout_user()
    response = redirect(url_for("kiosk.show", slug=slug))
    _give(response, secret)
    return response


def _give(response: Response, secret: str) -> Response:
    settings: Settings = current_app.config["SETTINGS"]
    response.set_cookie(
        COOKIE,
        secret,
        max_age=KEPT_FOR,
        path=PATH,
        httponly=True,
        secure=settings.base_url.startswith("https://"),
        samesite="Lax",
    )
    return response


def device_at(slug: str) -> Device | None:
    """The tablet that asks, if it is the one of this equipment; looked up once for an answer."""
    if "kiosk_device" not in g:
        g.kiosk_device = None
        if secret := request.cookies.get(COOKIE, ""):
            found = g.kiosk_device = kiosks.recognise(database(), secret, now=now())
            if found is not None and found.seen_again:
                kept = found.fresh or secret
                after_this_request(lambda response: _give(response, kept))
    device: Device | None = g.kiosk_device
    return device if device is not None and device.equipment == slug else None


def who_at(slug: str) -> Who | None:
    return device_at(slug) or signed_in()


@blueprint.get("/kiosk/<slug>")
@public
def show(slug: str) -> Response | FlaskResponse:
    who = who_at(slug)
    if who is None:
        return keeping.to_sign_in()
    view = kiosk.read(database(), slug, who=who, now=now())
    g.example = view.example
    kept = keeping.shown_again()
    page = render_template(
        "kiosk/show.html",
        view=view,
        device=who if isinstance(who, Device) else None,
        now=now(),
        kept=kept,
        step=kept.path.rpartition("/")[2] if kept else "",
        sent=relays.sent_from(database(), who, now=now()) if isinstance(who, Device) else [],
        opened=request.args.get("open", ""),
        severities=faults.SEVERITIES,
        matters=relays.MATTERS,
        refresh=REFRESH_SECONDS,
    )
    response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    return response


def _tablet() -> str:
    return "kiosk " + token_hash(request.cookies.get(COOKIE, ""))[:16]


def _guessed(response: Response) -> bool:
    return bool(g.get("code_refused"))


@blueprint.post("/kiosk/<slug>/<any({}):step>".format(", ".join(f'"{s}"' for s in STEPS)))
@public
@limiter.limit("30 per minute; 150 per hour", deduct_when=_guessed)
@limiter.limit("10 per minute; 60 per hour", key_func=_tablet, deduct_when=_guessed)
def act(slug: str, step: str) -> Response:
    """With a code on a tablet; with one tap by whoever is signed in."""
    action, run, said = STEPS[step]
    read = Fields(request.form)
    if device_at(slug) is not None:
        _by_code(slug, action, read)
    elif (actor := signed_in()) is not None:
        made = run(database(), Decide(reservation=read.line("reservation")), actor=actor, now=now())
        for text in sentences(made.problems, made.zone, {p.slug: p.name for p in made.equipment}):
            flash(text, "warning")
    else:
        return keeping.to_sign_in()
    flash(str(said), "success")
    return redirect(url_for("kiosk.show", slug=slug), 303)


def _by_code(slug: str, action: Action, read: Fields) -> None:
    command = StepByCode(slug, action, read.line("kiosk_code"), _place(read))
    if not command.code:
        raise Refused([Problem("missing", "code")])
    try:
        kiosk.take_by_code(database(), command, now=now())
    except Refused as refused:
        g.code_refused = any(problem.code == "kiosk_code_unknown" for problem in refused.problems)
        raise


def _place(read: Fields) -> int | None:
    """The number of a place; none chosen, and none that could be one, is none."""
    text = read.line("place")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else None


@blueprint.post("/kiosk/<slug>/fault")
@public
@limiter.limit("60 per hour")
def report(slug: str) -> Response:
    who = who_at(slug)
    if who is None:
        return keeping.to_sign_in()
    read = Fields(request.form)
    command = ReportFault(slug, read.line("severity"), read.text("text"))
    faults.report(database(), command, by=who, now=now())
    flash(_("Reported. The laboratory’s staff are told."), "success")
    staff = not isinstance(who, Device) and kiosk.read(database(), slug, who=who, now=now()).is_staff
    if staff and command.severity == "unusable":  # who may take it out of service is asked whether to
        return redirect(url_for("equipment.show", slug=slug) + "#faults", 303)
    return redirect(url_for("kiosk.show", slug=slug), 303)


@blueprint.post("/kiosk/<slug>/relay")
@public
@limiter.limit("60 per hour")
def pass_on(slug: str) -> Response:
    """The answer is the same whatever stands there, if anything does."""
    who = who_at(slug)
    if who is None:
        return keeping.to_sign_in()
    read = Fields(request.form)
    command = PassOn(slug, read.line("matter"), read.text("words"), _place(read))
    made = relays.pass_on(database(), command, by=who, now=now())
    flash(_("Passed on."), "success")
    if isinstance(who, Device):
        return redirect(url_for("kiosk.show", slug=slug), 303)
    return redirect(url_for("relays.show", public_id=made), 303)
