"""Projects and their members."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from labbook.services import organisations, projects, users
from labbook.services.directory import is_keeper
from labbook.services.projects import KeepProject
from labbook.web import keeping
from labbook.web.fields import Fields
from labbook.web.page import database, now, page_blueprint, viewer

blueprint = page_blueprint("projects")


@blueprint.get("/projects")
def index() -> str:
    actor = viewer()
    keeper = is_keeper(actor)
    return render_template(
        "projects/index.html",
        projects=projects.list_visible(database(), viewer=actor),
        keeper=keeper,
        organisations=organisations.list_all(database(), viewer=actor) if keeper else (),
        activities=projects.ACTIVITIES,
        kept=keeping.typed("/projects"),
    )


@blueprint.post("/projects")
def create() -> Response:
    made = projects.create(database(), _command(Fields(request.form)), actor=viewer(), now=now())
    if made.open:
        flash(_("The project is there; add its members."), "success")
        return redirect(url_for("projects.show", slug=made.slug), 303)
    flash(_("The project is there, for its organisation to see."), "success")
    return redirect(url_for("projects.index"), 303)


@blueprint.get("/projects/<slug>")
def show(slug: str) -> str:
    actor = viewer()
    keeper = is_keeper(actor)
    found = projects.find(database(), slug, viewer=actor)
    stored = {"name": found.name, "activity": found.activity, "account_reference": found.account_reference}
    return render_template(
        "projects/show.html",
        project=found,
        stored=stored | ({"active": "1"} if found.active else {}),
        keeper=keeper,
        people=users.nameable(database(), viewer=actor) if found.lets_in else (),
        activities=projects.ACTIVITIES,
        kept=keeping.shown_again(),
    )


@blueprint.post("/projects/<slug>")
def change(slug: str) -> Response:
    projects.change(database(), _command(Fields(request.form), slug), actor=viewer())
    flash(_("Saved."), "success")
    return redirect(url_for("projects.show", slug=slug), 303)


@blueprint.post("/projects/<slug>/members")
def add_member(slug: str) -> Response:
    projects.add_member(database(), slug, request.form.get("email", ""), actor=viewer())
    flash(_("Added. They now see everything that is charged to this project."), "success")
    return redirect(url_for("projects.show", slug=slug), 303)


@blueprint.post("/projects/<slug>/members/<id:user_id>/remove")
def remove_member(slug: str, user_id: int) -> Response:
    projects.remove_member(database(), slug, user_id, actor=viewer())
    flash(_("Removed."), "success")
    return redirect(url_for("projects.show", slug=slug), 303)


def _command(read: Fields, slug: str | None = None) -> KeepProject:
    return KeepProject(
        slug=slug or read.line("slug"),
        name=read.line("name"),
        organisation=read.line("organisation"),
        activity=read.line("activity"),
        account_reference=read.line("account_reference"),
        active=slug is None or read.ticked("active"),
    )
