"""What somebody of another organisation can find out by asking: when things are taken, and nothing more."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from flask import Flask

from labbook.api.reservations import STEPS
from tests.api.asking import Script, wish
from tests.api.test_access import manager_elsewhere
from tests.cast import Cast

# What the database filters is held on both engines in test_access; here it is the answers' words.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

MONTH = "from=2026-03-23T00:00:00Z&to=2026-04-20T00:00:00Z"
SECRETS = ("Secret", "alpha", "anna", "Anna", "joint", "requested", "collaboration")
CALLS = [("GET", ""), ("PATCH", ""), *(("POST", f"/{step}") for step in STEPS)]
BODIES: tuple[dict[str, Any], ...] = ({}, {"title": 7, "until": "x", "colour": "red"})
REVISIONS: tuple[dict[str, str], ...] = ({}, {"If_Match": '"1"'}, {"If_Match": '"9"'})


@pytest.fixture
def there(app: Flask, app_cast: Cast) -> str:
    """The id of anna's request, with something in each field."""
    made = Script(app, app_cast.anna).book(
        "chamber", project="joint", title="Secret inverter", notes="Secret notes"
    )
    assert made.status_code == 201
    return str(made.json["id"])


@pytest.fixture(params=["competitor", "manager elsewhere"])
def stranger(request: pytest.FixtureRequest, app: Flask, app_cast: Cast) -> Script:
    return Script(app, app_cast.carla if request.param == "competitor" else manager_elsewhere(app_cast))


def test_what_is_there_answers_as_what_never_was(stranger: Script, there: str) -> None:
    for (method, step), body, match in itertools.product(CALLS, BODIES, REVISIONS):
        answers = [
            stranger.ask(method, f"/reservations/{id_}{step}", body, **match)
            for id_ in (there, "ffffffffffffffff")
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert answers[0].data == answers[1].data
        assert [name for name, _ in answers[0].headers] == [name for name, _ in answers[1].headers]


def test_no_filter_counts_what_is_not_theirs_to_see(stranger: Script, there: str) -> None:
    for narrower in ("", "status=requested", "equipment=chamber", "facility=cie", "limit=1", MONTH):
        assert stranger.ask("GET", f"/reservations?{narrower}").json == {"items": [], "next": None}


def test_nothing_public_names_a_reservation_or_its_people(stranger: Script, there: str) -> None:
    for path in ("/equipment", "/equipment/chamber", "/facilities", "/environments", f"/calendar?{MONTH}"):
        text = stranger.ask("GET", path).text
        assert not [secret for secret in (*SECRETS, there) if secret in text]


def test_a_collision_tells_when_and_nothing_of_whom_with_whatever_else_is_wrong(
    stranger: Script, there: str
) -> None:
    for more in ({}, {"dry_run": True}, {"title": ""}, {"override": ["off_grid"], "reason": "Please"}):
        refused = stranger.ask("POST", "/reservations", wish("chamber", **more))
        assert refused.status_code in (409, 422)
        assert not [secret for secret in (*SECRETS, there) if secret in refused.text]


@pytest.mark.parametrize(
    ("field", "real", "never"),
    [
        ("project", "joint", "never-was"),
        ("holder", "anna@alpha.example", "nobody@alpha.example"),
        ("participants", ["anna@alpha.example"], ["nobody@alpha.example"]),
    ],
)
def test_others_people_and_projects_are_as_unknown_as_those_that_never_were(
    stranger: Script, field: str, real: Any, never: Any
) -> None:
    answers = [stranger.book(**{field: value}) for value in (real, never)]
    assert [answer.status_code for answer in answers] == [422, 422]
    said = answers[0].text.replace("joint", "never-was").replace("anna@", "nobody@")
    assert said == answers[1].text
