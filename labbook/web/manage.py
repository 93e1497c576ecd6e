"""What managers and admins keep: people, organisations, qualifications, closures."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from labbook.domain.access import Role
from labbook.domain.errors import Problem, Refused
from labbook.services import closures, organisations, qualifications, users
from labbook.services.closures import AddClosure
from labbook.services.directory import is_keeper, require_manager
from labbook.services.organisations import KINDS, KeepOrganisation
from labbook.services.users import ChangeUser, CreateUser
from labbook.web import keeping
from labbook.web.fields import Fields
from labbook.web.formatting import capitalised
from labbook.web.page import database, now, page_blueprint, viewer

blueprint = page_blueprint("manage")


@blueprint.get("/manage")
def index() -> str:
    actor = viewer()
    require_manager(actor)
    keeps = is_keeper(actor)
    return render_template(
        "manage/index.html",
        people=users.list_all(database(), viewer=actor) if keeps else None,
        organisations=organisations.list_all(database(), viewer=actor) if keeps else None,
        closures=closures.list_managed(database(), viewer=actor, now=now()),
    )


@blueprint.get("/manage/users")
def people() -> str:
    actor = viewer()
    text = request.args.get("q", "")[:100]
    return render_template(
        "manage/users.html",
        people=users.list_all(database(), viewer=actor, text=text),
        text=text,
        kept=keeping.typed("/manage/users"),
        **_roles(),
    )


@blueprint.post("/manage/users")
def create_user() -> Response:
    read = Fields(request.form)
    command = CreateUser(
        email=read.line("email"),
        name=read.line("name"),
        organisation=read.line("organisation"),
        role=read.line("role") or Role.ENGINEER,
        facilities=tuple(read.form.getlist("facilities")),
    )
    made = users.create(database(), command, actor=viewer(), now=now())
    flash(_("%(name)s is invited by mail.", name=made.name), "success")
    return redirect(url_for("manage.person", user_id=made.id), 303)


@blueprint.get("/manage/users/<id:user_id>")
def person(user_id: int) -> str:
    found = users.find(database(), user_id, viewer=viewer())
    kinds = qualifications.kinds(database())
    return render_template(
        "manage/user.html",
        user=found,
        stored=_form(
            name=found.name, organisation=found.organisation, role=found.role, facilities=found.facilities
        ),
        kinds=kinds,
        kinds_named=[(kind, capitalised(kind)) for kind in kinds],
        kept=keeping.shown_again(),
        **_roles(),
    )


@blueprint.post("/manage/users/<id:user_id>")
def change_user(user_id: int) -> Response:
    read = Fields(request.form)
    command = ChangeUser(
        name=read.line("name"),
        organisation=read.line("organisation"),
        role=read.line("role"),
        facilities=tuple(read.form.getlist("facilities")),
    )
    users.change(database(), user_id, command, actor=viewer(), now=now())
    flash(_("Saved."), "success")
    return redirect(url_for("manage.person", user_id=user_id), 303)


@blueprint.post("/manage/users/<id:user_id>/<any(deactivate, activate):step>")
def activate(user_id: int, step: str) -> Response:
    command = ChangeUser(active=step == "activate")
    users.change(database(), user_id, command, actor=viewer(), now=now())
    flash(_("Active again.") if command.active else _("Deactivated; signed out everywhere."), "success")
    return redirect(url_for("manage.person", user_id=user_id), 303)


@blueprint.post("/manage/users/<id:user_id>/invite")
def invite(user_id: int) -> Response:
    users.invite_again(database(), user_id, actor=viewer(), now=now())
    flash(_("A new link is on its way; the earlier ones no longer work."), "success")
    return redirect(url_for("manage.person", user_id=user_id), 303)


@blueprint.post("/manage/users/<id:user_id>/qualifications")
def grant(user_id: int) -> Response:
    read = Fields(request.form)
    until = read.day("until")
    if read.problems:
        raise Refused(read.problems)
    qualifications.grant(database(), user_id, read.line("kind"), until, actor=viewer(), now=now())
    flash(_("Granted."), "success")
    return redirect(url_for("manage.person", user_id=user_id), 303)


@blueprint.post("/manage/users/<id:user_id>/qualifications/<kind>/revoke")
def revoke(user_id: int, kind: str) -> Response:
    qualifications.revoke(database(), user_id, kind, actor=viewer())
    flash(_("Revoked."), "success")
    return redirect(url_for("manage.person", user_id=user_id), 303)


@blueprint.get("/manage/organisations")
def companies() -> str:
    return render_template(
        "manage/organisations.html",
        organisations=organisations.list_all(database(), viewer=viewer()),
        categories=organisations.categories(database()),
        kinds=KINDS,
        kept=keeping.typed("/manage/organisations"),
    )


@blueprint.post("/manage/organisations")
def create_organisation() -> Response:
    command = _organisation(Fields(request.form), request.form.get("slug", "").strip())
    made = organisations.create(database(), command, actor=viewer(), now=now())
    flash(_("%(name)s is there; invite its people.", name=made.name), "success")
    return redirect(url_for("manage.companies"), 303)


@blueprint.get("/manage/organisations/<slug>")
def company(slug: str) -> str:
    found = organisations.find(database(), slug, viewer=viewer())
    return render_template(
        "manage/organisation.html",
        organisation=found,
        stored=_form(
            name=found.name,
            kind=found.kind,
            limited="all" if found.categories is None else "some",
            categories=found.categories or (),
            until=found.until.isoformat() if found.until else "",
        ),
        categories=organisations.categories(database()),
        kinds=KINDS,
        kept=keeping.shown_again(),
    )


@blueprint.post("/manage/organisations/<slug>")
def change_organisation(slug: str) -> Response:
    organisations.change(database(), _organisation(Fields(request.form), slug), actor=viewer())
    flash(_("Saved."), "success")
    return redirect(url_for("manage.companies"), 303)


def _organisation(read: Fields, slug: str) -> KeepOrganisation:
    until = read.day("until")
    if read.problems:
        raise Refused(read.problems)
    some = read.chosen("limited") == "some"
    return KeepOrganisation(
        slug=slug,
        name=read.line("name"),
        kind=read.line("kind"),
        categories=tuple(read.form.getlist("categories")) if some else None,
        until=until,
    )


@blueprint.get("/manage/closures")
def closed() -> str:
    actor = viewer()
    require_manager(actor)
    return render_template(
        "manage/closures.html",
        closures=closures.list_managed(database(), viewer=actor, now=now()),
        facilities=[f for f in closures.facilities(database(), viewer=actor) if f.managed],
        kinds=closures.KINDS,
        kept=keeping.typed("/manage/closures"),
    )


@blueprint.post("/manage/closures")
def close() -> Response:
    read = Fields(request.form)
    slug = read.line("facility")
    zones = {f.slug: f.zone for f in closures.facilities(database(), viewer=viewer())}
    if slug not in zones:
        raise Refused([Problem("unknown_facility", "facility", params={"facility": slug})])
    start, end = (read.instant(name, ZoneInfo(zones[slug])) for name in ("start", "end"))
    if read.problems or start is None or end is None:
        raise Refused(read.problems)
    command = AddClosure(slug, read.line("kind"), start, end, read.line("reason"))
    closures.add(database(), command, actor=viewer(), now=now())
    flash(_("Entered."), "success")
    return redirect(url_for("manage.closed"), 303)


@blueprint.post("/manage/closures/<id:closure_id>/remove")
def reopen(closure_id: int) -> Response:
    closures.remove(database(), closure_id, actor=viewer())
    flash(_("Removed."), "success")
    return redirect(url_for("manage.closed"), 303)


def _form(**stored: str | Sequence[str]) -> MultiDict[str, str]:
    """What is stored, as the form would have it."""
    found: MultiDict[str, str] = MultiDict()
    for name, value in stored.items():
        found.setlist(name, [value] if isinstance(value, str) else list(value))
    return found


def _roles() -> dict[str, object]:
    actor = viewer()
    own = organisations.belonging(database(), viewer=actor).organisation
    every = organisations.list_all(database(), viewer=actor)
    return {
        "organisations": [each for each in every if actor.is_admin or each.slug == own],
        "facilities": closures.facilities(database(), viewer=actor),
        "roles": list(Role) if actor.is_admin else [Role.ENGINEER],
    }
