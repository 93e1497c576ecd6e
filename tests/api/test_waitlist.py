"""Waiting by script: the same rules, the same order, and the same silence towards everybody else."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from labbook.extensions import db
from labbook.services import due, options
from labbook.services.waitlist_queue import QUEUE
from tests.api.asking import Script, codes
from tests.cast import NOW, Cast, at
from tests.services.test_reservations import wish


@pytest.fixture
def anna(app: Flask, app_cast: Cast) -> Script:
    return Script(app, app_cast.anna)


def join(script: Script, *slugs: str, **more: Any) -> Any:
    body = {
        "equipment": list(slugs or ("chamber",)),
        "earliest": at("2026-03-24 08:00").isoformat(),
        "latest": at("2026-03-24 16:00").isoformat(),
        "duration": "PT2H",
        "title": "I wait",
    }
    return script.ask("POST", "/waitlist", body | more)


def test_what_is_joined_is_offered_taken_and_listed(anna: Script, app: Flask, app_cast: Cast) -> None:
    made = join(anna, "scope", "scope-2", project="joint")
    assert made.status_code == 201
    entry = made.json
    assert (entry["state"], entry["mode"], entry["duration"]) == ("waiting", "offer", "PT2H")
    assert (entry["equipment"], entry["offer"]) == (["scope", "scope-2"], None)
    assert entry["activity"] == "collaboration"
    due.run(db.session(), QUEUE, now=NOW)
    [entry] = anna.get("/waitlist").json["items"]
    assert (entry["state"], entry["allowed"]) == ("offered", ["let_go", "take", "withdraw"])
    one = entry["offer"]["reservation"]
    held = anna.get(f"/reservations/{one}").json
    assert (held["hold"], held["status"], held["decide_by"]) == (
        "offer",
        "requested",
        entry["offer"]["until"],
    )
    taken = anna.ask("POST", f"/waitlist/{entry['id']}/take")
    assert (taken.status_code, taken.json["state"]) == (200, "taken")
    assert anna.get(f"/reservations/{one}").json["status"] == "approved"
    assert anna.ask("POST", f"/waitlist/{entry['id']}/let-go").status_code == 409


def test_everything_that_is_wrong_is_said_at_once(anna: Script) -> None:
    wrong = join(anna, "scope", earliest="2026-03-24T08:00", mode="shout", duration="P1M", places=0, more=1)
    assert wrong.status_code == 422
    assert codes(wrong) == {"naive_time", "not_one_of", "duration_calendar", "out_of_bounds", "unknown_field"}
    assert codes(join(anna, "nowhere", title="")) == {"unknown_equipment", "missing"}
    assert codes(anna.ask("POST", "/waitlist", {})) == {"missing"}
    assert anna.ask("POST", "/waitlist", ["no"]).status_code == 400


def test_an_entry_is_nobody_elses(anna: Script, app: Flask, app_cast: Cast) -> None:
    entry = join(anna).json["id"]
    roles = {"carla": 404, "bo": 404, "tom": 404, "mia": 403, "ada": 403}
    for step in ("take", "let-go", "withdraw"):
        path = f"/waitlist/{entry}/{step}"
        assert Script(app, None).ask("POST", path).status_code == 401
        for name, status in roles.items():
            script = Script(app, getattr(app_cast, name))
            assert script.ask("POST", path).status_code == status
            assert script.ask("POST", path, {"more": 1}).status_code == status
            assert script.get("/waitlist").json["items"] == []
    assert anna.ask("POST", f"/waitlist/{entry}/withdraw", {"more": 1}).status_code == 422
    assert anna.ask("POST", f"/waitlist/{entry}/take").status_code == 409
    assert anna.ask("POST", f"/waitlist/{entry}/withdraw").json["state"] == "withdrawn"
    assert anna.ask("POST", "/waitlist/unknown/take").status_code == 404


def test_steps_that_are_not_for_what_is_held_say_what_it_is(anna: Script, app: Flask, app_cast: Cast) -> None:
    join(anna)
    due.run(db.session(), QUEUE, now=NOW)
    one = anna.get("/waitlist").json["items"][0]["offer"]["reservation"]
    mia = Script(app, app_cast.mia)
    for script, method, rest, body in (
        (mia, "POST", "/approve", {}),
        (mia, "POST", "/decline", {"reason": "No"}),
        (mia, "POST", "/propose", {"start": "2026-03-25T08:00:00Z", "end": "2026-03-25T10:00:00Z"}),
        (anna, "PATCH", "", {"title": "Mine"}),
        (anna, "POST", "/transfer", {"to": "bo@alpha.example"}),
    ):
        answer = script.ask(method, f"/reservations/{one}{rest}", body, If_Match="*")
        assert (answer.status_code, codes(answer)) == (422, {"held_as_offer"})
    assert anna.ask("POST", f"/reservations/{one}/cancel").json["status"] == "cancelled"
    assert anna.get("/waitlist").json["items"][0]["state"] == "withdrawn"


def test_whom_an_option_is_for_is_told_to_the_staff_only(app: Flask, app_cast: Cast) -> None:
    asked = wish("chamber", customer="Nordic Drives", decide_by=at("2026-03-23 18:00"))
    one = options.create(db.session(), asked, actor=app_cast.mia, now=NOW).id
    for name in ("mia", "tom", "ada"):
        seen = Script(app, getattr(app_cast, name)).get(f"/reservations/{one}").json
        assert seen["customer"] == "Nordic Drives"
    dorte, carla = Script(app, app_cast.dorte), Script(app, app_cast.carla)
    assert dorte.get(f"/reservations/{one}").json["customer"] is None
    week = {"from": "2026-03-23T00:00:00Z", "to": "2026-03-30T00:00:00Z"}
    for script in (dorte, carla):
        for path, query in ((f"/reservations/{one}", {}), ("/reservations", {}), ("/calendar", week)):
            assert "Nordic" not in script.get(path, **query).text
    assert carla.get(f"/reservations/{one}").status_code == 404
