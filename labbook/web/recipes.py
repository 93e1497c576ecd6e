"""Recipes written in the browser: by managers for everybody, by anybody else for their organisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flask import flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from labbook.domain.errors import Forbidden, Problem, Refused
from labbook.domain.hazards import HAZARDS
from labbook.services import closures, equipment, qualifications, recipe_views, recipes
from labbook.services.directory import require_manager
from labbook.services.equipment import EquipmentView, FacilityView, Sought
from labbook.services.recipe_views import EnvironmentView
from labbook.services.recipes import KeepRecipe, Look
from labbook.web import keeping, recipe_form
from labbook.web.fields import lookup
from labbook.web.formatting import capitalised
from labbook.web.page import database, now, page_blueprint, viewer
from labbook.web.recipe_form import Written
from labbook.web.wording import sentences

blueprint = page_blueprint("recipes")

CHECKED_ONLY = ("add", "remove", "check")
"""Steps that only show the form again, with a row more or less, or with what is wrong so far."""


@blueprint.get("/manage/environments")
def managed() -> str:
    actor = viewer()
    require_manager(actor)
    return render_template("recipes/managed.html", items=recipe_views.list_managed(database(), viewer=actor))


@blueprint.get("/environments/new")
def new() -> str:
    """``?facility=&need=``, or ``?like=`` for what somebody may see and wants otherwise."""
    form = recipe_form.of_query(request.args.getlist("need"))
    lab = _lab(lookup(request.args.get("facility", "")) or _home_of(form))
    if like := lookup(request.args.get("like", "")):
        original = recipe_views.find(database(), like, viewer=viewer())
        lab, form = _lab(original.facility), recipe_form.of_view(original)
        form["name_en"] = _("%(name)s, changed", name=form.get("name_en", ""))
    kept = keeping.typed(request.path)
    if chosen := kept.form.get("facility"):
        lab = _lab(lookup(chosen))
    return _page(None, lab, kept.form or form, kept.problems)


@blueprint.post("/environments/new")
def create() -> Response:
    lab = _lab(slug := lookup(request.form.get("facility", "")))
    if lab.view.slug != slug:
        raise Refused([Problem("unknown_facility", "facility", params={"facility": slug[:80]})])
    written = recipe_form.read(request.form, manages=lab.manages)
    if _only_checks():
        return keeping.show_again(200)
    with written.placing():
        made = recipes.create(
            database(), _command(lab, written), actor=viewer(), now=now(), wrong=written.problems
        )
    flash(_("Saved."), "success")
    return redirect(url_for("equipment.environment", slug=made.slug), 303)


@blueprint.get("/environments/<slug>/edit")
def edit(slug: str) -> str:
    view = recipe_views.find(database(), slug, viewer=viewer())
    if "edit" not in view.allowed:
        raise Forbidden("edit")
    kept = keeping.typed(request.path)
    return _page(view, _lab_of(view), kept.form or recipe_form.of_view(view), kept.problems)


@blueprint.post("/environments/<slug>/edit")
def change(slug: str) -> Response:
    view = recipe_views.find(database(), slug, viewer=viewer())
    if "edit" not in view.allowed:
        raise Forbidden("edit")
    lab = _lab_of(view)
    written = recipe_form.read(request.form, manages=lab.manages)
    if _only_checks():
        return keeping.show_again(200)
    with written.placing():
        kept = recipes.change(
            database(), slug, _command(lab, written), actor=viewer(), now=now(), wrong=written.problems
        )
    if kept.changed:
        flash(_("Saved as version %(number)s; what is booked keeps its own.", number=kept.version), "success")
    else:
        flash(_("Nothing was different: there is no new version."), "info")
    return redirect(url_for("equipment.environment", slug=slug), 303)


@blueprint.post("/environments/<slug>/<any(retire, restore, publish, 'take-over'):step>")
def act(slug: str, step: str) -> Response:
    actor = viewer()
    match step:
        case "retire":
            recipes.retire(database(), slug, actor=actor, now=now())
            flash(_("Retired: what is booked stays, nothing new is."), "success")
        case "restore":
            recipes.restore(database(), slug, actor=actor)
            flash(_("It can be booked again."), "success")
        case "publish":
            recipes.publish(database(), slug, actor=actor)
            flash(_("Everybody sees it from now on."), "success")
        case _:
            recipes.take_over(database(), slug, actor=actor)
            flash(_("The managers keep it from now on."), "success")
    return redirect(url_for("equipment.environment", slug=slug), 303)


# --- the form ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Lab:
    """The facility that a recipe is of, and whether the reader manages it."""

    view: FacilityView
    manages: bool
    others: Sequence[FacilityView]


def _lab(slug: str) -> _Lab:
    """The one named, else one that the reader manages, else the first."""
    found = equipment.list_facilities(database(), now=now())
    managed = {each.slug for each in closures.facilities(database(), viewer=viewer()) if each.managed}
    named = [each for each in found if each.slug == slug]
    chosen = next(iter([*named, *(each for each in found if each.slug in managed), *found]), None)
    if chosen is None:
        raise Refused([Problem("unknown_facility", "facility", params={"facility": slug})])
    others = [each for each in found if each.slug != chosen.slug]
    return _Lab(chosen, chosen.slug in managed, others)


def _home_of(form: MultiDict[str, str]) -> str:
    """The facility that has what the first need asks for; empty where none has."""
    category = form.get("need-0-what", "").partition(":")[2]
    found = equipment.search_equipment(database(), Sought(category=category)) if category else []
    return found[0].facility if found else ""


def _lab_of(view: EnvironmentView) -> _Lab:
    """Whoever's own recipe it is states what they may, even where they manage meanwhile."""
    lab = _lab(view.facility)
    return replace(lab, manages=lab.manages and view.owner is None)


def _only_checks() -> bool:
    return request.form.get("step", "").partition("-")[0] in CHECKED_ONLY


def _command(lab: _Lab, written: Written) -> KeepRecipe:
    number = request.form.get("edited_from", "")
    return KeepRecipe(
        facility=lab.view.slug,
        values=written.values,
        slug=request.form.get("slug", "").strip(),
        note=request.form.get("note", ""),
        edited_from=int(number) if number.isascii() and number.isdecimal() and len(number) < 9 else None,
    )


def _page(
    view: EnvironmentView | None, lab: _Lab, form: MultiDict[str, str], problems: Sequence[Problem]
) -> str:
    g.example = lab.view.example
    written = recipe_form.read(form, manages=lab.manages)
    look = recipes.look(database(), lab.view.slug, written.values, actor=viewer())
    if form.get("step") == "check":
        problems = [*problems, *written.problems, *written.placed(look.problems)]
    pieces = equipment.search_equipment(database(), Sought(facility=lab.view.slug))
    faster = any(problem.code == "changed_meanwhile" for problem in problems)
    return render_template(
        "recipes/form.html",
        view=view,
        lab=lab,
        values=form,
        edited_from=view.version if view is not None and faster else form.get("edited_from", ""),
        problems=problems,
        beside=_Beside(problems),
        checked=form.get("step") == "check",
        rows=recipe_form.rows(form),
        pieces=pieces,
        categories=sorted({piece.category for piece in pieces}),
        names={piece.slug: piece.name for piece in pieces},
        capabilities=equipment.known_capabilities(database()),
        kinds_named=[(code, capitalised(code)) for code in qualifications.kinds(database())],
        hazards_named=[(code, capitalised(code)) for code in HAZARDS],
        meets=_meets(look, written, pieces),
        unmet=look.unmet == -1,
    )


class _Beside:
    """What is wrong with a field or with anything in it: ``needs.2`` has what is wrong with its places."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = problems

    def __call__(self, *fields: str) -> list[str]:
        return sentences(
            [
                problem
                for problem in self.problems
                if any(f"{problem.field}.".startswith(f"{name}.") for name in fields)
            ],
            "UTC",
        )


def _meets(
    look: Look, written: Written, pieces: Sequence[EquipmentView]
) -> Mapping[int, Sequence[EquipmentView]]:
    """Row -> what would meet its need today."""
    known = {piece.slug: piece for piece in pieces}
    return {
        row: [known[slug] for slug in slugs if slug in known]
        for row, slugs in zip(written.rows, look.meets, strict=False)
    }
