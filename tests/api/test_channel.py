"""What every address of the API has in common: who asks, errors, the description."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from labbook.domain.access import Viewer
from labbook.domain.capability import parse_offer
from labbook.extensions import db
from labbook.models import Equipment
from labbook.services import tokens, transaction
from tests.api.asking import START, Script, codes, wish
from tests.cast import NOW, Cast
from tests.services.test_changes import SOAK, recipe
from tests.signing import client_of, form_token

READS = (
    "/facilities",
    "/facilities/cie",
    "/equipment",
    "/equipment/chamber",
    "/environments",
    "/projects",
    "/reservations",
    "/calendar?from=2026-03-23T00:00:00Z&to=2026-03-30T00:00:00Z",
    "/me",
)


@pytest.mark.parametrize("path", READS)
def test_everybody_with_a_token_reads_and_nobody_without(app: Flask, app_cast: Cast, path: str) -> None:
    nobody = Script(app, None).ask("GET", path)
    assert nobody.status_code == 401
    assert nobody.headers["WWW-Authenticate"].startswith("Bearer")
    assert nobody.content_type == "application/problem+json"
    for who in (app_cast.anna, app_cast.carla, app_cast.tom, app_cast.mia, app_cast.ada):
        assert Script(app, who).ask("GET", path).status_code == 200


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Basic YTpi", "lb_x", ""])
def test_a_header_that_is_no_token_is_401_even_beside_a_session(
    app: Flask, app_cast: Cast, header: str
) -> None:
    client = client_of(app, app_cast.anna)
    assert client.get("/api/v1/me", headers={"Authorization": header}).status_code == 401


def test_a_revoked_token_is_over(app: Flask, app_cast: Cast) -> None:
    made = tokens.create(db.session(), "Script", actor=app_cast.anna, now=NOW)
    headers = {"Authorization": f"Bearer {made.secret}"}
    assert app.test_client().get("/api/v1/me", headers=headers).status_code == 200
    tokens.revoke(db.session(), made.token.id, actor=app_cast.anna, now=NOW)
    assert app.test_client().get("/api/v1/me", headers=headers).status_code == 401


def test_a_token_that_reads_only_writes_nothing(app: Flask, app_cast: Cast) -> None:
    script = Script(app, app_cast.anna, scope="read")
    assert script.get("/me").json["scope"] == "read"
    assert script.book().status_code == 403


def test_a_token_that_only_reads_is_not_told_of_what_it_may_not_see(app: Flask, app_cast: Cast) -> None:
    made = Script(app, app_cast.anna).book("chamber").json["id"]
    stranger, colleague = (Script(app, who, scope="read") for who in (app_cast.carla, app_cast.bo))
    for one, status in (("0" * 12, 404), (made, 404)):
        assert stranger.ask("POST", f"/reservations/{one}/cancel", {}).status_code == status
    assert colleague.ask("POST", f"/reservations/{made}/cancel", {}).status_code == 403
    assert colleague.ask("PATCH", f"/reservations/{'0' * 12}", {}).status_code == 404


@pytest.mark.parametrize("path", ["/reservations", "/calendar", "/equipment", "/environments"])
@pytest.mark.parametrize("name", ["facility", "equipment", "environment"])
def test_what_is_filtered_by_and_does_not_exist_is_named(
    app: Flask, app_cast: Cast, path: str, name: str
) -> None:
    window = {} if path in ("/equipment", "/environments") else {"from": START, "to": START + timedelta(1)}
    query = {key: at.isoformat() for key, at in window.items()} | {name: "nope"}
    beside = {"equipment": "scope"} if path == "/calendar" and name == "facility" else {}
    answer = Script(app, app_cast.anna).get(path, **query, **beside)
    assert answer.status_code == 422
    (problem,) = answer.json["problems"]
    assert problem["field"] == name
    assert problem["code"] in (f"unknown_{name}", "unknown_field")


def test_a_browsers_session_reads_and_writes_only_with_its_token(app: Flask, app_cast: Cast) -> None:
    client = client_of(app, app_cast.anna)
    assert client.get("/api/v1/me").json["email"] == app_cast.anna.email
    assert client.post("/api/v1/reservations", json=wish()).status_code == 400
    headers = {"X-CSRFToken": form_token(app)}
    assert client.post("/api/v1/reservations", json=wish(), headers=headers).status_code == 201


def test_unknown_addresses_and_methods_are_problems_too(app: Flask, app_cast: Cast) -> None:
    script = Script(app, app_cast.anna)
    missing = script.get("/nothing")
    assert (missing.status_code, missing.content_type) == (404, "application/problem+json")
    wrong = script.ask("DELETE", "/reservations")
    assert (wrong.status_code, wrong.content_type) == (405, "application/problem+json")
    assert set(wrong.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_a_problem_is_a_code_for_a_script_and_a_sentence_for_a_person(app: Flask, app_cast: Cast) -> None:
    refused = Script(app, app_cast.anna).book(title="")
    assert codes(refused) == {"missing"}
    assert [problem["message"] for problem in refused.json["problems"]] == ["This is needed."]


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-03-23T00:00:00&to=2026-03-30T00:00:00Z",
        "from=2026-03-23T00:00:00Z",
        "from=2026-03-30T00:00:00Z&to=2026-03-23T00:00:00Z",
        "from=2026-01-01T00:00:00Z&to=2027-12-30T00:00:00Z",
        "from=2026-03-23T00:00:00Z&to=2026-03-30T00:00:00Z&facility=nowhere",
        "from=2026-03-23T00:00:00Z&to=2026-03-30T00:00:00Z&equipment=nothing",
        "from=2026-03-23T00:00:00Z&to=2026-03-30T00:00:00Z&colour=red",
        "from=2026-03-23T00:00:00Z&to=2026-03-30T00:00:00Z&facility=%00",
        "from=9999-12-31T23:59:59-23:59&to=2026-03-30T00:00:00Z",
    ],
)
def test_a_window_that_makes_no_sense_is_422(app: Flask, app_cast: Cast, query: str) -> None:
    assert Script(app, app_cast.anna).ask("GET", f"/calendar?{query}").status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "/reservations?limit=0",
        "/reservations?limit=501",
        "/reservations?limit=x",
        "/reservations?cursor=zzzz",
        "/reservations?cursor=%F0%9F%92%A5",
        "/reservations?status=lost",
        "/reservations?mine=perhaps",
        "/reservations?mine=true&mine=false",
        "/equipment?capability=dc_voltage",
        "/equipment?capability=dc_voltage:lots",
        "/equipment?facility=nowhere",
    ],
)
def test_a_query_that_makes_no_sense_is_422(app: Flask, app_cast: Cast, path: str) -> None:
    answer = Script(app, app_cast.anna).ask("GET", path)
    assert answer.status_code == 422
    assert codes(answer)


def test_the_description_and_its_readable_form_are_public_and_complete(app: Flask) -> None:
    client = app.test_client()
    described = client.get("/api/v1/openapi.json").json
    assert described["openapi"].startswith("3.1")
    rules = {
        rule.rule.removeprefix("/api/v1").replace("<public_id>", "<id>").translate({60: "{", 62: "}"})
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") and rule.endpoint.startswith("api.")
    }
    assert set(described["paths"]) == rules
    page = client.get("/api/docs")
    assert page.status_code == 200
    text = page.get_data(as_text=True)
    assert all(f"/api/v1{path}" in text for path in described["paths"])


def strangers_calendar(app: Flask, viewer: Viewer) -> list[dict[str, object]]:
    items: list[dict[str, object]] = (
        Script(app, viewer)
        .get("/calendar", **{"from": "2026-03-23T00:00:00Z", "to": "2026-03-30T00:00:00Z"})
        .json["items"]
    )
    return items


def test_another_organisation_gets_busy_blocks_and_nothing_that_links_them(
    app: Flask, app_cast: Cast
) -> None:
    anna = Script(app, app_cast.anna)
    body = wish("chamber", title="Secret") | {
        "equipment": [{"slug": "chamber"}, {"slug": "cycler", "places": 2}]
    }
    made = anna.ask("POST", "/reservations", body).json
    own = strangers_calendar(app, app_cast.bo)
    assert [item["id"] for item in own] == [made["id"]]
    others = strangers_calendar(app, app_cast.carla)
    assert len(others) == 3
    assert len({item["id"] for item in others}) == 3
    assert all(set(item) == {"id", "visibility", "start", "end", "equipment", "hazards"} for item in others)
    assert {str(item["start"]) for item in others} == {"2026-03-24T08:30:00Z", "2026-03-24T09:00:00Z"}
    assert made["id"] not in str(others)


def test_an_unchanged_calendar_is_304_and_a_change_is_seen_at_once(app: Flask, app_cast: Cast) -> None:
    anna, carla = Script(app, app_cast.anna), Script(app, app_cast.carla)
    path = "/calendar?facility=cie&from=2026-03-23T00:00:00Z&to=2026-03-30T00:00:00Z"
    first = anna.ask("GET", path)
    tag = first.headers["ETag"]
    assert anna.ask("GET", path, If_None_Match=tag).status_code == 304
    assert carla.ask("GET", path, If_None_Match=tag).status_code == 200
    carla.book()
    after = anna.ask("GET", path, If_None_Match=tag)
    assert after.status_code == 200
    assert len(after.json["items"]) == 1


def test_what_a_stranger_may_not_see_does_not_change_the_tag_of_their_calendar(
    app: Flask, app_cast: Cast
) -> None:
    anna, carla = Script(app, app_cast.anna), Script(app, app_cast.carla)
    made = anna.book(title="Before")
    path = "/calendar?facility=cie&from=2026-03-23T00:00:00Z&to=2026-03-30T00:00:00Z"
    own, others = (who.ask("GET", path).headers["ETag"] for who in (anna, carla))
    anna.ask("PATCH", f"/reservations/{made.json['id']}", {"title": "After"}, If_Match=made.headers["ETag"])
    assert anna.ask("GET", path, If_None_Match=own).status_code == 200
    assert carla.ask("GET", path, If_None_Match=others).status_code == 304


def test_the_catalogue_says_units_places_and_policy(app: Flask, app_cast: Cast) -> None:
    script = Script(app, app_cast.anna)
    chamber = script.get("/equipment/chamber").json
    assert (chamber["setup"], chamber["check_in"], chamber["approval"]) == ("PT30M", "required", "manager")
    assert chamber["slot"]["grid"] == "PT15M"
    assert chamber["hazards"] == ["heat"]
    source = script.get("/equipment/source").json
    assert source["draws"] == {"feeder-a": "6 kVA"}
    facility = script.get("/facilities/cie").json
    assert facility["time_zone"] == "Europe/Copenhagen"
    assert facility["staffed"]["mon"] == ["08:00-16:00"]
    assert facility["utilities"] == [{"slug": "feeder-a", "name": {"en": "Feeder A"}, "capacity": "10 kVA"}]
    assert script.get("/equipment/nothing").status_code == 404
    slugs = [item["slug"] for item in script.get("/equipment", q="climate").json["items"]]
    assert slugs == ["chamber"]


def test_a_recipe_says_who_stands_by_what_is_asked_and_what_is_feared(app: Flask, app_cast: Cast) -> None:
    recipe(db.session, app_cast, "soak", hazards=["heat"], **SOAK)
    script = Script(app, app_cast.carla)
    answer = script.get("/environments/soak").json
    assert answer == script.get("/environments").json["items"][0]
    assert (answer["run"], answer["setup"], answer["teardown"]) == ("PT1000H", "PT2H", "PT1H")
    assert (answer["staffing"], answer["on_call"]) == ("unattended", "Tom, 4711")
    assert (answer["safe_state"], answer["description"]) == ("Bias off", {"en": "Bias is logged."})
    assert (answer["qualifications"], answer["hazards"]) == (["hv"], ["heat"])
    assert answer["needs"][0]["whole"] is True


def test_equipment_is_searched_by_several_capabilities_and_says_how_it_fits(
    app: Flask, app_cast: Cast
) -> None:
    def able(slug: str, volts: str) -> None:
        row = db.session.scalars(select(Equipment).where(Equipment.slug == slug)).one()
        row.capabilities = {"dc_voltage": parse_offer(volts).stored()}

    transaction.write(db.session, lambda: (able("source", "1500 V"), able("source-2", "600 V")))
    script = Script(app, app_cast.carla)
    answer = script.get("/equipment", capability="dc_voltage:0.8 kV").json
    assert [item["slug"] for item in answer["items"]] == ["source"]
    assert answer["items"][0]["fit"] == [
        {
            "capability": "dc_voltage",
            "asked": "0.8 kV",
            "offered": "1500 V",
            "more": {"below": "", "above": "0.7 kV"},
            "less": {"below": "", "above": ""},
        }
    ]
    assert [(item["slug"], item["fit"][0]["less"]["above"]) for item in answer["near"]] == [
        ("source-2", "0.2 kV")
    ]
    assert "near" not in script.get("/equipment").json
    assert script.get("/equipment", units="0").status_code == 422
    assert script.get("/environments", capability="temperature:warm").status_code == 422
    assert script.get("/environments", capability="temperature:85 degC").json == {"items": []}
