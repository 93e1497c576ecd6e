"""What managers and admins keep, and that nobody else does."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.cast import Cast
from tests.web.people import Clock, Desk


@pytest.fixture(autouse=True)
def clock(app: Flask) -> Clock:
    return Clock(app)


def test_a_manager_invites_an_engineer_and_may_invite_again(app: Flask, app_cast: Cast) -> None:
    mia = Desk(app, app_cast.mia)
    made = mia.post("/manage/users", email="eva@university.example", name="Eva", organisation="university")
    assert made.status == 303
    page = mia.get(made.location)
    assert "invited, not taken up" in page.text
    assert mia.post(made.location + "/invite").status == 303
    assert "eva@university.example" in mia.get("/manage/users", q="eva").text


def test_every_problem_of_an_invitation_is_said_at_once_and_what_was_typed_stays(
    app: Flask, app_cast: Cast
) -> None:
    page = Desk(app, app_cast.ada).post(
        "/manage/users", email="not an address", name="", organisation="nowhere", role="king"
    )
    assert page.status == 422
    assert page.value("email") == "not an address"
    assert page.html.count("field-problem") >= 4


def test_a_manager_grants_and_revokes_a_qualification(app: Flask, app_cast: Cast) -> None:
    mia = Desk(app, app_cast.mia)
    path = f"/manage/users/{app_cast.anna.id}"
    assert mia.post(path + "/qualifications", kind="hv", until="2027-01-31").status == 303
    assert "until Sun 31 Jan 2027" in mia.get(path).text
    assert mia.post(path + "/qualifications/hv/revoke").status == 303
    assert "None yet" in mia.get(path).text


def test_a_deactivated_person_is_signed_out_at_once(app: Flask, app_cast: Cast) -> None:
    anna, ada = Desk(app, app_cast.anna), Desk(app, app_cast.ada)
    assert anna.get("/account").status == 200
    assert ada.post(f"/manage/users/{app_cast.anna.id}/deactivate").status == 303
    assert anna.get("/account").status == 302


def test_an_organisation_is_limited_to_categories(app: Flask, app_cast: Cast) -> None:
    ada = Desk(app, app_cast.ada)
    made = ada.post("/manage/organisations", slug="gamma", name="Gamma", kind="institute", limited="all")
    assert made.status == 303
    changed = ada.post(
        "/manage/organisations/gamma",
        name="Gamma",
        kind="institute",
        limited="some",
        categories="oscilloscope",
        until="2027-12-31",
    )
    assert changed.status == 303
    page = ada.get("/manage/organisations/gamma")
    assert page.value("until") == "2027-12-31"
    assert 'value="oscilloscope" checked' in page.html


def test_the_form_for_an_organisation_is_there_for_whoever_may_send_it(app: Flask, app_cast: Cast) -> None:
    mia = Desk(app, app_cast.mia)
    assert "New organisation" in mia.get("/manage/organisations").text
    made = mia.post("/manage/organisations", slug="delta", name="Delta", kind="company", limited="all")
    assert made.status == 303


def test_a_shutdown_is_entered_on_the_labs_clock_and_removed(app: Flask, app_cast: Cast) -> None:
    mia = Desk(app, app_cast.mia)
    when = {"start_date": "2026-03-28", "start_time": "22:00", "end_date": "2026-03-29", "end_time": "06:00"}
    made = mia.post("/manage/closures", facility="cie", kind="shutdown", reason="New feeder", **when)
    assert made.status == 303
    page = mia.get("/manage/closures")
    assert "(7 h)" in page.text  # the clocks go forward that night
    gap = when | {"end_time": "02:30"}
    refused = mia.post("/manage/closures", facility="cie", kind="shutdown", reason="x", **gap)
    assert refused.status == 422
    assert refused.value("start_date") == "2026-03-28"


def test_a_project_has_members_of_several_organisations(app: Flask, app_cast: Cast) -> None:
    mia = Desk(app, app_cast.mia)
    made = mia.post("/projects", slug="grid", name="Grid", organisation="university", activity="research")
    assert made.status == 303
    for email in (app_cast.anna.email, app_cast.carla.email):
        assert mia.post("/projects/grid/members", email=email).status == 303
    assert "Grid" in Desk(app, app_cast.carla).get("/projects").text
    page = Desk(app, app_cast.carla).get("/projects/grid")
    assert "Anna Alpha" in page.text
    assert "/members" not in page.html
    assert Desk(app, app_cast.bo).get("/projects/grid").status == 404


@pytest.mark.parametrize(
    "path", ["/manage", "/manage/users", "/manage/organisations", "/manage/closures", "/manage/users/1"]
)
def test_registers_are_closed_to_engineers_and_technicians(app: Flask, app_cast: Cast, path: str) -> None:
    assert Desk(app, app_cast.anna).get(path).status == 403
    assert Desk(app, app_cast.tom).get(path).status == 403


def test_nobody_but_a_keeper_changes_a_register(app: Flask, app_cast: Cast) -> None:
    anna = Desk(app, app_cast.anna)
    posts = {
        "/manage/users": {"email": "x@alpha.example", "name": "X", "organisation": "alpha"},
        f"/manage/users/{app_cast.anna.id}": {"name": "A", "organisation": "alpha", "role": "admin"},
        f"/manage/users/{app_cast.bo.id}/deactivate": {},
        "/manage/organisations": {"slug": "x", "name": "X", "kind": "company"},
        "/projects": {"slug": "x", "name": "X", "organisation": "alpha", "activity": "research"},
        "/projects/joint/members": {"email": "carla@beta.example"},
    }
    assert {path: anna.post(path, **form).status for path, form in posts.items()} == dict.fromkeys(posts, 403)


def test_a_manager_makes_nobody_an_admin(app: Flask, app_cast: Cast) -> None:
    mia = Desk(app, app_cast.mia)
    page = mia.post(f"/manage/users/{app_cast.anna.id}", name="Anna", organisation="alpha", role="admin")
    assert page.status in (403, 422)


@pytest.mark.parametrize("name", ["anna", "tom", "mia", "ada"])
def test_every_page_answers_everybody_without_failing(app: Flask, app_cast: Cast, name: str) -> None:
    desk = Desk(app, getattr(app_cast, name))
    paths = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.arguments and rule.endpoint != "static"
    ]
    assert len(paths) > 15
    assert {
        path: status for path in paths if (status := desk.get(path).status) not in (200, 302, 401, 403, 422)
    } == {}
