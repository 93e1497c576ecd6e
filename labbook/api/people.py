"""Who the token is, and what they may charge."""

from __future__ import annotations

from flask import Blueprint, Response, request

from labbook.api.answers import json_answer
from labbook.api.asking import database, viewer
from labbook.api.reading import Query
from labbook.services import organisations, projects


def register(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/me", view_func=me)
    blueprint.add_url_rule("/projects", view_func=list_projects)


def me() -> Response:
    who = viewer()
    own = organisations.belonging(database(), viewer=who)
    return json_answer(
        {
            "email": who.email,
            "name": who.name,
            "role": who.role,
            "organisation": own.organisation,
            "facilities": own.facilities,
            "projects": own.projects,
            "locale": who.locale,
            "scope": who.scope,
        }
    )


def list_projects() -> Response:
    Query(request.args, ()).settle()
    return json_answer(
        {
            "items": [
                {
                    "slug": each.slug,
                    "name": each.name,
                    "organisation": each.organisation,
                    "activity": each.activity,
                    "account_reference": each.account_reference,
                }
                for each in projects.chargeable(database(), viewer=viewer())
            ]
        }
    )
