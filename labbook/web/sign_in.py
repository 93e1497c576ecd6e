"""Signing in and out; passwords set by a link from a mail."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import flash, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from flask_login import login_user, logout_user
from werkzeug.wrappers import Response

from labbook.domain.errors import NotFound, Problem, Refused
from labbook.extensions import limiter
from labbook.services import accounts, viewers
from labbook.services.accounts import Identity
from labbook.signed_in import SignedIn
from labbook.web import keeping
from labbook.web.page import database, now, page_blueprint, public, signed_in

blueprint = page_blueprint("sign_in")

_PURPOSE = "<any(invitation, reset):purpose>"


def _address() -> str:
    return "account " + request.form.get("email", "").strip().lower()


def _failed(response: Response) -> bool:
    return response.status_code == 422


@blueprint.get("/sign-in")
@public
def show(kept: str = "", next_page: str = "") -> str | Response:
    """``kept``: the sealed form of somebody whose session ended."""
    target = next_page or own_path(request.args.get("next", ""))
    if signed_in() is not None and not kept:
        return redirect(target)
    return render_template("sign_in/show.html", next=target, kept=kept, email="", failed=False)


@blueprint.post("/sign-in")
@public
@limiter.limit("20 per minute; 200 per hour", deduct_when=_failed)
@limiter.limit("10 per minute; 50 per hour", key_func=_address, deduct_when=_failed)
def enter() -> Response | str | tuple[str, int]:
    target = own_path(request.form.get("next", ""))
    kept = request.form.get("kept", "")
    email = request.form.get("email", "")
    found = accounts.authenticate(database(), email, request.form.get("password", ""))
    if found is None:
        page = render_template("sign_in/show.html", next=target, kept=kept, email=email, failed=True)
        return page, 422
    begin(found, remember="remember" in request.form)
    return (keeping.come_back(kept) if kept else None) or redirect(target)


@blueprint.post("/sign-out")
def sign_out() -> Response:
    session.clear()  # first: signing out leaves a word there that the remembering cookie goes as well
    logout_user()
    flash(_("You are signed out."))
    return redirect(url_for("sign_in.show"))


@blueprint.get("/forgotten")
@public
def forgotten() -> str:
    return render_template("sign_in/forgotten.html", sent=False, kept=keeping.typed("/forgotten"))


@blueprint.post("/forgotten")
@public
@limiter.limit("5 per minute; 30 per hour")
@limiter.limit("3 per 10 minutes", key_func=_address)
def send() -> str:
    """The answer is the same whether or not there is such an account."""
    accounts.ask_reset(database(), request.form.get("email", "")[:254], now=now())
    return render_template("sign_in/forgotten.html", sent=True)


@blueprint.get(f"/{_PURPOSE}/<token>")
@public
@limiter.limit("30 per minute", deduct_when=lambda response: response.status_code == 404)
def link(purpose: str, token: str) -> str | tuple[str, int]:
    try:
        found = accounts.find_link(database(), purpose, token, now=now())
    except NotFound:
        return render_template("sign_in/link_over.html", purpose=purpose), 404
    kept = keeping.shown_again()
    return render_template("sign_in/password.html", link=found, purpose=purpose, token=token, kept=kept)


@blueprint.post(f"/{_PURPOSE}/<token>")
@public
@limiter.limit("30 per minute", deduct_when=lambda response: response.status_code in (404, 422))
def redeem(purpose: str, token: str) -> Response:
    password = request.form.get("password", "")
    if password != request.form.get("again", ""):
        raise Refused([Problem("passwords_differ", "again")])
    begin(accounts.redeem(database(), purpose, token, password, now=now()), remember=False)
    flash(_("Your password is set. Welcome."))
    return redirect(url_for("home.show"))


def begin(identity: Identity, *, remember: bool) -> None:
    """A fresh session, so that nothing of the one before (nor its form tokens) goes on."""
    viewer = viewers.by_user_id(database(), identity.user_id, identity.epoch, now())
    if viewer is None:
        raise NotFound("user")
    session.clear()
    login_user(SignedIn(viewer, identity.epoch), remember=remember)


def own_path(target: str) -> str:
    """A path of our own to go on to, and ``/`` for anything that could lead elsewhere."""
    parts = urlsplit(target)
    own = (
        target.startswith("/") and not target.startswith(("//", "/\\")) and not (parts.scheme or parts.netloc)
    )
    printable = target.isprintable() and "\\" not in target
    return target if own and printable and parts.path != "/sign-in" else "/"
