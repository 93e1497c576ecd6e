"""Every address times everybody: who may, who may not, and who is told nothing."""

from __future__ import annotations

import pytest
from flask import Flask

from labbook.domain.access import Role, Viewer
from labbook.extensions import db
from labbook.models import Facility, StaffMembership, User
from tests.api.asking import Script
from tests.cast import NOW, Cast

READS = (
    "/facilities",
    "/facilities/<slug>",
    "/equipment",
    "/equipment/<slug>",
    "/equipment/<slug>/access",
    "/environments",
    "/environments/<slug>",
    "/projects",
    "/reservations",
    "/calendar",
    "/slots",
    "/utilities/<slug>",
    "/waitlist",
    "/me",
)
"""Whoever has signed in may read these; each answers only with what they may see."""

MAY = 412
"""A revision that never was: looked at after who may, and before anything is done."""

WAITLIST = ("/waitlist", "/waitlist/<public_id>/withdraw", "/waitlist/<public_id>/take",
            "/waitlist/<public_id>/let-go")  # fmt: skip
"""Whoever has signed in may wait; an entry is its owner's, as ``test_waitlist`` shows for every role."""

ROLES = ("nobody", "stranger", "elsewhere", "colleague", "member", "holder", "technician", "manager", "admin")
_ALL = (401, 404, 404)
STEPS = {
    "PATCH ": (*_ALL, 403, 403, MAY, 403, MAY, MAY),
    "POST /approve": (*_ALL, 403, 403, MAY, 403, MAY, MAY),
    "POST /decline": (*_ALL, 403, 403, MAY, 403, MAY, MAY),
    "POST /cancel": (*_ALL, 403, 403, MAY, 403, MAY, MAY),
    "POST /check-in": (*_ALL, 403, 403, MAY, MAY, MAY, MAY),
    "POST /check-out": (*_ALL, 403, 403, MAY, MAY, MAY, MAY),
    "POST /abort": (*_ALL, 403, 403, 403, 403, MAY, MAY),
    "POST /extend": (*_ALL, 403, 403, MAY, MAY, MAY, MAY),
    "POST /transfer": (*_ALL, 403, 403, MAY, 403, MAY, MAY),
    "POST /message": (*_ALL, 403, 403, MAY, MAY, MAY, MAY),
    "POST /propose": (*_ALL, 403, 403, 403, 403, MAY, MAY),
    "POST /withdraw": (*_ALL, 403, 403, MAY, 403, MAY, MAY),
    "POST /visits": (*_ALL, 403, 403, MAY, MAY, MAY, MAY),
    "POST /visits/<visit>/done": (*_ALL, 403, 403, MAY, MAY, MAY, MAY),
    "POST /visits/<visit>/drop": (*_ALL, 403, 403, MAY, MAY, MAY, MAY),
    "POST /visits/<visit>/move": (*_ALL, 403, 403, MAY, MAY, MAY, MAY),
    "POST /pause": (*_ALL, 403, 403, MAY, MAY, MAY, MAY),
    "POST /resume": (*_ALL, 403, 403, MAY, MAY, MAY, MAY),
    "POST /expect": (*_ALL, 403, 403, MAY, MAY, MAY, MAY),
    "POST /permit": (*_ALL, 403, 403, 403, 403, MAY, MAY),
}


@pytest.fixture
def people(app: Flask, app_cast: Cast) -> dict[str, Script]:
    """Each in their role towards a reservation of anna's that is charged to the joint project."""
    found: dict[str, Viewer | None] = {
        "nobody": None,
        "stranger": app_cast.carla,
        "elsewhere": manager_elsewhere(app_cast),
        "colleague": app_cast.bo,
        "member": app_cast.dorte,
        "holder": app_cast.anna,
        "technician": app_cast.tom,
        "manager": app_cast.mia,
        "admin": app_cast.ada,
    }
    return {role: Script(app, viewer) for role, viewer in found.items()}


def manager_elsewhere(cast: Cast) -> Viewer:
    session = db.session
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    other = Facility(slug="gpe", name={"en": "Test lab"}, time_zone="Europe/Copenhagen", staffed={})
    user = User(
        email="olaf@beta.example",
        name="Olaf",
        organisation_id=cast.carla.organisation_id,
        role="manager",
        created_at=NOW,
    )
    session.add_all([other, user])
    session.flush()
    session.add(StaffMembership(user_id=user.id, facility_id=other.id))
    session.commit()
    return Viewer(user.id, user.name, user.email, user.organisation_id, Role.MANAGER, frozenset({other.id}))


def test_every_address_is_in_one_of_the_tables(app: Flask) -> None:
    known = {("GET", path) for path in READS} | {("POST", "/reservations")}
    known |= {("POST", path) for path in WAITLIST}
    one = "/reservations/<public_id>"
    known |= {("GET", one)} | {(m, one + rest) for m, _, rest in (step.partition(" ") for step in STEPS)}
    rules = {
        (method, rule.rule.removeprefix("/api/v1"))
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("api.")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert rules == known


def test_each_step_is_its_peoples_and_to_strangers_there_is_nothing(people: dict[str, Script]) -> None:
    made = people["holder"].book("chamber", project="joint")
    one = f"/reservations/{made.json['id']}"
    found = {}
    for step in STEPS:
        method, _, rest = step.partition(" ")
        answers = [people[role].ask(method, one + rest, {}, If_Match='"99"') for role in ROLES]
        found[step] = tuple(answer.status_code for answer in answers)
    assert found == STEPS
    assert people["holder"].get(one).json == made.json | {"problems": []}


def test_who_sees_a_reservation_sees_it_everywhere_and_who_does_not_nowhere(
    people: dict[str, Script],
) -> None:
    made = people["holder"].book("chamber", project="joint", title="A secret inverter").json
    week = {"from": "2026-03-23T00:00:00Z", "to": "2026-03-30T00:00:00Z"}
    for role in ROLES[1:]:
        full = role not in ("stranger", "elsewhere")
        script = people[role]
        one = script.get(f"/reservations/{made['id']}")
        assert one.status_code == (200 if full else 404), role
        items = script.get("/reservations").json["items"]
        assert [item["id"] for item in items] == ([made["id"]] if full else []), role
        (entry,) = script.get("/calendar", **week).json["items"]
        assert entry["visibility"] == ("full" if full else "busy"), role
        everything = f"{one.data!r} {entry} {script.get('/projects').data!r}"
        assert ("secret" in everything, "joint" in everything) == (full, full), role
        assert full or "anna" not in everything


def test_a_conflict_names_time_and_equipment_and_nothing_of_whom(people: dict[str, Script]) -> None:
    made = people["holder"].book("scope", project="joint", title="A secret inverter").json
    refused = people["stranger"].book("scope")
    assert refused.status_code == 409
    assert refused.json["conflicts"] == [{"equipment": "scope", "start": made["start"], "end": made["end"]}]
    assert not any(word in refused.text for word in ("secret", "joint", "anna", "alpha", made["id"]))


def test_only_staff_make_blocks_and_nobody_approves_their_own_request(people: dict[str, Script]) -> None:
    assert people["holder"].book("scope", kind="block").status_code == 403
    assert people["elsewhere"].book("scope", kind="block").status_code == 403
    assert people["technician"].book("scope", kind="block").status_code == 201
    one = people["holder"].book("chamber").json["id"]
    assert people["holder"].ask("POST", f"/reservations/{one}/approve").status_code == 403
