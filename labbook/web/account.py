"""One's own account: profile, password, tokens and subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from flask import Response as FlaskResponse
from flask import current_app, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from labbook.config import Settings
from labbook.domain.access import Viewer
from labbook.domain.errors import Problem, Refused
from labbook.domain.notification import Mode, Topic
from labbook.extensions import limiter
from labbook.services import accounts, choices, feeds, kiosk_codes, notifications, qualifications, tokens
from labbook.services.choices import BookingChoices
from labbook.services.feeds import CreateFeed
from labbook.web import keeping
from labbook.web.fields import Fields
from labbook.web.formatting import name_of
from labbook.web.page import database, now, page_blueprint, viewer
from labbook.web.sign_in import begin

blueprint = page_blueprint("account")

TOPICS = {
    Topic.DECISIONS: (_l("Decisions"), _l("your requests approved, declined, expired")),
    Topic.CHANGES: (_l("Changes"), _l("what others do to your reservations")),
    Topic.REMINDERS: (_l("Reminders"), _l("before your slot begins and before it ends")),
    Topic.MESSAGES: (_l("Messages"), _l("what people write about a reservation")),
    Topic.WAITLIST: (_l("Waitlist"), _l("what became of your wish")),
    Topic.VISITS: (_l("Visits"), _l("read-outs and visits during a long test")),
    Topic.REQUESTS: (_l("Requests"), _l("what waits for your decision")),
    Topic.MISSED: (_l("No-shows and overruns"), _l("in the laboratory, not your own")),
    Topic.FAULTS: (_l("Faults"), _l("what people report at the equipment")),
}
"""What a topic is called, and what belongs to it."""

MODES = {Mode.AT_ONCE: _l("At once"), Mode.DAILY: _l("Daily"), Mode.NEVER: _l("Never")}


@blueprint.get("/account")
def show() -> FlaskResponse:
    return _page()


def _page(secret: str = "", address: str = "", kiosk_code: str = "") -> FlaskResponse:
    """``secret``, ``address`` and ``kiosk_code`` are shown this once."""
    actor = viewer()
    offered = choices.for_booking(database(), viewer=actor)
    page = render_template(
        "account/show.html",
        tokens=tokens.list_own(database(), viewer=actor),
        feeds=feeds.list_own(database(), viewer=actor),
        held=qualifications.held_by(database(), viewer=actor),
        feed_scopes=_feed_scopes(offered, actor),
        feed_words=_feed_words(offered),
        mail=notifications.read(database(), viewer=actor),
        topics=TOPICS,
        modes=MODES,
        zone=offered.zone_of((), None),
        secret=secret,
        address=address,
        kiosk_code=kiosk_code,
        has_kiosk_code=kiosk_codes.has_one(database(), viewer=actor),
        kept=keeping.shown_again(),
    )
    response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    return response


def _feed_scopes(offered: BookingChoices, actor: Viewer) -> list[tuple[str, object]]:
    """What one may subscribe to, as a select's options and groups."""
    scopes: list[tuple[str, object]] = [
        ("mine", _("What is mine")),
        ("organisation", _("What is my organisation's")),
    ]
    if actor.decides:
        scopes.append(("approvals", _("Requests that wait for me")))
    facilities = {each.facility: each.facility_name for each in offered.equipment}
    groups = (
        (_("A facility"), [(f"facility:{slug}", name_of(name)) for slug, name in facilities.items()]),
        (_("A project"), [(f"project:{each.slug}", each.name) for each in offered.projects]),
        (_("A piece of equipment"), [(f"equipment:{e.slug}", name_of(e.name)) for e in offered.equipment]),
        (_("A test environment"), [(f"environment:{e.slug}", name_of(e.name)) for e in offered.environments]),
    )
    return scopes + [(label, options) for label, options in groups if options]


def _feed_words(offered: BookingChoices) -> Callable[[str], str]:
    """What a scope is called."""
    facilities = {each.facility: each.facility_name for each in offered.equipment}
    names = {f"facility:{slug}": name_of(name) for slug, name in facilities.items()}
    names |= {f"project:{each.slug}": each.name for each in offered.projects}
    names |= {f"equipment:{each.slug}": name_of(each.name) for each in offered.equipment}
    names |= {f"environment:{each.slug}": name_of(each.name) for each in offered.environments}
    names |= {
        "mine": _("What is mine"),
        "organisation": _("What is my organisation's"),
        "approvals": _("Requests that wait for me"),
    }
    return lambda scope: names.get(scope, scope.partition(":")[2] or scope)


@blueprint.post("/account/profile")
def profile() -> Response:
    read = Fields(request.form)
    accounts.update_profile(database(), read.line("name"), read.line("locale"), actor=viewer())
    flash(_("Saved."), "success")
    return redirect(url_for("account.show"), 303)


@blueprint.post("/account/mail")
def mail() -> Response:
    read = Fields(request.form)
    modes = {str(topic): read.line(topic) for topic in Topic if topic in request.form}
    notifications.choose(database(), modes, calendar_by=read.chosen("calendar_by"), actor=viewer())
    flash(_("Saved."), "success")
    return redirect(url_for("account.show") + "#mail", 303)


@blueprint.post("/account/password")
@limiter.limit("10 per minute", deduct_when=lambda response: response.status_code == 422)
def password() -> Response:
    new = request.form.get("password", "")
    if new != request.form.get("again", ""):
        raise Refused([Problem("passwords_differ", "again")])
    identity = accounts.change_password(database(), request.form.get("present", ""), new, actor=viewer())
    begin(identity, remember=False)
    flash(_("Your password is changed. All your other sessions have ended."), "success")
    return redirect(url_for("account.show"), 303)


@blueprint.post("/account/tokens")
def create_token() -> FlaskResponse:
    read = Fields(request.form)
    day = read.day("expires")
    if read.problems:
        raise Refused(read.problems)
    expires = datetime.combine(day, time.max, ZoneInfo("Europe/Copenhagen")).astimezone(UTC) if day else None
    made = tokens.create(
        database(),
        read.line("token_name"),
        actor=viewer(),
        now=now(),
        scope=read.chosen("scope"),
        expires_at=expires,
    )
    return _page(secret=made.secret)


@blueprint.post("/account/tokens/<id:token_id>/revoke")
def revoke_token(token_id: int) -> Response:
    tokens.revoke(database(), token_id, actor=viewer(), now=now())
    flash(_("Revoked. Whatever used it is refused from now on."), "success")
    return redirect(url_for("account.show") + "#tokens", 303)


@blueprint.post("/account/feeds")
def create_feed() -> FlaskResponse:
    read = Fields(request.form)
    name = read.line("feed_name")
    if not name.strip():  # two without a name could not be told apart when one of them is to be revoked
        name = _("Feed %(number)s", number=len(feeds.list_own(database(), viewer=viewer())) + 1)
    command = CreateFeed(read.line("feed_scope"), name, read.ticked("reference_only"))
    made = feeds.create(database(), command, actor=viewer(), now=now())
    settings: Settings = current_app.config["SETTINGS"]
    return _page(address=f"{settings.base_url}/feeds/{made.secret}.ics")


@blueprint.post("/account/feeds/<id:feed_id>/revoke")
def revoke_feed(feed_id: int) -> Response:
    feeds.revoke(database(), feed_id, actor=viewer(), now=now())
    flash(_("Revoked. Calendars that subscribed to it get nothing more."), "success")
    return redirect(url_for("account.show") + "#feeds", 303)


@blueprint.post("/account/kiosk-code")
def make_kiosk_code() -> FlaskResponse:
    return _page(kiosk_code=kiosk_codes.make(database(), actor=viewer()))


@blueprint.post("/account/kiosk-code/remove")
def remove_kiosk_code() -> Response:
    kiosk_codes.remove(database(), actor=viewer())
    flash(_("Removed. No kiosk knows you any more."), "success")
    return redirect(url_for("account.show") + "#kiosk-code", 303)
