"""Reservations over HTTP, to the letter of the interface."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from labbook.extensions import db
from labbook.models import Reservation
from tests.api.asking import START, Script, codes, wish
from tests.cast import Cast


@pytest.fixture
def anna(app: Flask, app_cast: Cast) -> Script:
    return Script(app, app_cast.anna)


@pytest.fixture
def carla(app: Flask, app_cast: Cast) -> Script:
    return Script(app, app_cast.carla)


@pytest.fixture
def mia(app: Flask, app_cast: Cast) -> Script:
    return Script(app, app_cast.mia)


def count() -> int:
    db.session.rollback()
    return db.session.query(Reservation).count()


def test_a_reservation_is_made_with_its_address_and_revision(anna: Script) -> None:
    made = anna.book(notes="Two lines\nof notes", project="joint", participants=["bo@alpha.example"])
    assert made.status_code == 201
    body = made.json
    assert made.headers["Location"] == f"/api/v1/reservations/{body['id']}"
    assert made.headers["ETag"] == '"1"'
    assert body["status"] == "approved"
    assert body["visibility"] == "full"
    assert body["start"] == "2026-03-24T09:00:00Z"
    assert body["occupied"] == {"start": "2026-03-24T09:00:00Z", "end": "2026-03-24T11:00:00Z"}
    assert body["equipment"] == [{"slug": "scope", "places": 1}]
    assert (body["holder"], body["project"], body["activity"]) == (
        "anna@alpha.example",
        "joint",
        "collaboration",
    )
    assert body["participants"] == ["bo@alpha.example"]
    assert [entry["action"] for entry in body["history"]] == ["request", "approve"]
    assert anna.get(f"/reservations/{body['id']}").json == body


def test_set_up_and_tear_down_are_laid_around_the_time_of_use(anna: Script) -> None:
    body = anna.book("chamber").json
    assert body["status"] == "requested"
    assert body["occupied"] == {"start": "2026-03-24T08:30:00Z", "end": "2026-03-24T11:30:00Z"}


def test_what_is_taken_is_409_with_when_and_nothing_of_by_whom(anna: Script, carla: Script) -> None:
    anna.book(title="Secret inverter")
    refused = carla.book()
    assert refused.status_code == 409
    assert refused.content_type == "application/problem+json"
    assert refused.json["conflicts"] == [
        {"equipment": "scope", "start": "2026-03-24T09:00:00Z", "end": "2026-03-24T11:00:00Z"}
    ]
    assert not {"Secret", "alpha", "Anna"} & set(refused.get_data(as_text=True).split('"'))


def test_problems_and_conflicts_together_are_422_with_both(anna: Script, carla: Script) -> None:
    anna.book()
    refused = carla.book(start=START + timedelta(minutes=7))
    assert refused.status_code == 422
    assert codes(refused) == {"off_grid"}
    assert refused.json["conflicts"]


def test_a_dry_run_answers_what_would_be_and_keeps_nothing(anna: Script) -> None:
    assert anna.book(dry_run=True).status_code == 200
    assert count() == 0


def test_the_same_key_makes_one_reservation_and_another_body_is_refused(anna: Script) -> None:
    first = anna.ask("POST", "/reservations", wish(), Idempotency_Key="once")
    again = anna.ask("POST", "/reservations", wish(), Idempotency_Key="once")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json["id"] == again.json["id"]
    other = anna.ask("POST", "/reservations", wish(hours=1), Idempotency_Key="once")
    assert codes(other) == {"idempotency_key_reused"}
    assert count() == 1


def test_a_change_needs_the_revision_that_was_read(anna: Script) -> None:
    made = anna.book()
    path = f"/reservations/{made.json['id']}"
    assert anna.ask("PATCH", path, {"title": "New"}).status_code == 428
    changed = anna.ask("PATCH", path, {"title": "New"}, If_Match=made.headers["ETag"])
    assert (changed.status_code, changed.json["title"], changed.headers["ETag"]) == (200, "New", '"2"')
    stale = anna.ask("PATCH", path, {"title": "Newer"}, If_Match='"1"')
    assert (stale.status_code, stale.headers["ETag"]) == (412, '"2"')
    assert anna.ask("PATCH", path, {"title": "Any"}, If_Match="*").status_code == 200
    assert anna.ask("PATCH", path, {"title": "Weak"}, If_Match='W/"3"').status_code == 412


def test_a_move_takes_the_new_time_and_frees_the_old(anna: Script, carla: Script) -> None:
    made = anna.book()
    later = START + timedelta(hours=3)
    body = {"start": later.isoformat(), "end": (later + timedelta(hours=1)).isoformat()}
    moved = anna.ask("PATCH", f"/reservations/{made.json['id']}", body, If_Match='"1"')
    assert (moved.status_code, moved.json["start"]) == (200, "2026-03-24T12:00:00Z")
    assert carla.book().status_code == 201
    assert carla.book(start=later, hours=1).status_code == 409


def test_a_request_is_approved_or_declined_with_a_reason(anna: Script, mia: Script) -> None:
    path = f"/reservations/{anna.book('chamber').json['id']}"
    assert mia.ask("POST", f"{path}/decline", {}).status_code == 422
    approved = mia.ask("POST", f"{path}/approve", {"reason": "Fine"})
    assert (approved.status_code, approved.json["status"]) == (200, "approved")
    again = mia.ask("POST", f"{path}/approve")
    assert again.status_code == 409
    assert anna.ask("POST", f"{path}/cancel", {"cause": "user"}).json["status"] == "cancelled"


def test_a_proposal_is_accepted_by_the_holder(anna: Script, mia: Script) -> None:
    path = f"/reservations/{anna.book('chamber').json['id']}"
    later = START + timedelta(hours=5)
    body = {"start": later.isoformat(), "end": (later + timedelta(hours=2)).isoformat()}
    assert anna.ask("POST", f"{path}/propose", body).status_code == 403
    proposed = mia.ask("POST", f"{path}/propose", body)
    assert proposed.json["pending_change"]["start"] == "2026-03-24T14:00:00Z"
    accepted = anna.ask("POST", f"{path}/approve")
    assert (accepted.json["status"], accepted.json["start"]) == ("approved", "2026-03-24T14:00:00Z")
    assert accepted.json["pending_change"] is None


def test_checking_in_handing_back_and_writing_messages(anna: Script, mia: Script, clock: Any) -> None:
    path = f"/reservations/{anna.book('chamber').json['id']}"
    mia.ask("POST", f"{path}/approve")
    assert anna.ask("POST", f"{path}/message", {"text": "Where is the key?"}).json["messages"][0]["text"]
    assert codes(anna.ask("POST", f"{path}/check-in")) == {"too_early"}
    clock.move_to(START)
    assert anna.ask("POST", f"{path}/check-in").json["status"] == "in_use"
    longer = START + timedelta(hours=3)
    assert (
        anna.ask("POST", f"{path}/extend", {"until": longer.isoformat()}).json["end"]
        == "2026-03-24T12:00:00Z"
    )
    clock.move_to(START + timedelta(hours=1))
    done = anna.ask("POST", f"{path}/check-out").json
    assert (done["status"], done["occupied"]["end"]) == ("completed", "2026-03-24T10:00:00Z")


def test_a_reservation_goes_to_a_colleague_and_not_to_a_stranger(anna: Script) -> None:
    path = f"/reservations/{anna.book().json['id']}"
    assert codes(anna.ask("POST", f"{path}/transfer", {"to": "carla@beta.example"})) == {"unknown_user"}
    assert (
        anna.ask("POST", f"{path}/transfer", {"to": "bo@alpha.example"}).json["holder"] == "bo@alpha.example"
    )


def test_lists_are_paged_by_start_and_hold_only_what_one_sees(anna: Script, carla: Script) -> None:
    for number in range(5):
        anna.book(start=START + timedelta(hours=number), hours=1)
    carla.book("scope-2")
    first = anna.get("/reservations", limit=2).json
    second = anna.get("/reservations", limit=2, cursor=first["next"]).json
    third = anna.get("/reservations", limit=2, cursor=second["next"]).json
    starts = [item["start"][11:13] for page in (first, second, third) for item in page["items"]]
    assert starts == ["09", "10", "11", "12", "13"]
    assert third["next"] is None
    assert len(carla.get("/reservations").json["items"]) == 1
    assert len(anna.get("/reservations", equipment="scope-2").json["items"]) == 0
    some = {"from": "2026-03-24T09:00:00Z", "to": "2026-03-24T10:00:00Z"}
    assert len(anna.get("/reservations", **some).json["items"]) == 1
    assert len(anna.get("/reservations", status="cancelled", mine="true").json["items"]) == 0


# --- bad input ----------------------------------------------------------------------------------------


def test_every_problem_comes_at_once_each_with_its_field(anna: Script) -> None:
    body = {
        "equipment": [{"slug": "scope", "places": 0}, {"places": 1}, "scope"],
        "start": "2026-03-24T10:00:00",
        "end": "tomorrow",
        "title": 7,
        "activity": "fun",
        "colour": "red",
    }
    refused = anna.ask("POST", "/reservations", body)
    assert refused.status_code == 422
    found = {(p["field"], p["code"]) for p in refused.json["problems"]}
    assert found == {
        ("equipment.0.places", "out_of_bounds"),
        ("equipment.1.slug", "missing"),
        ("equipment.2", "wrong_type"),
        ("start", "naive_time"),
        ("end", "not_an_instant"),
        ("title", "wrong_type"),
        ("activity", "not_one_of"),
        ("colour", "unknown_field"),
    }
    assert all(p["message"] and p["weight"] == "blocking" for p in refused.json["problems"])


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"title": "x" * 100_000}, "text_too_long"),
        ({"title": "a\x00b"}, "control_characters"),
        ({"title": "a\nb"}, "control_characters"),
        ({"title": "   "}, "missing"),
        ({"notes": "x" * 10_001}, "text_too_long"),
        ({"notes": "bell \x07"}, "control_characters"),
        ({"equipment": [{"slug": "nothing"}]}, "unknown_equipment"),
        ({"equipment": [{"slug": "scope"}] * 51}, "too_many"),
        ({"equipment": []}, "missing"),
        ({"equipment": [{"slug": "scope", "places": True}]}, "wrong_type"),
        ({"equipment": [{"slug": "scope", "places": 1.0}]}, "wrong_type"),
        ({"equipment": [{"slug": "cycler", "places": 5}]}, "too_many_places"),
        ({"end": "2026-03-24T09:00:00+01:00"}, "end_before_start"),
        ({"start": datetime(1026, 3, 24, tzinfo=UTC)}, "out_of_range"),
        ({"project": "never-was"}, "unknown_project"),
        ({"holder": "carla@beta.example"}, "unknown_user"),
        ({"participants": "bo@alpha.example"}, "wrong_type"),
        ({"recurrence": {"rrule": "FREQ=DAILY;COUNT=3"}}, "not_available"),
        ({"environment": "never-was", "equipment": []}, "unknown_environment"),
    ],
)
def test_bad_input_is_422_and_makes_nothing(anna: Script, more: dict[str, Any], code: str) -> None:
    refused = anna.book(**more)
    assert refused.status_code == 422
    assert code in codes(refused)
    assert count() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"nul",
        b"[" * 50_000,
        b'{"a":' * 50_000,
        b"\xff\xfe",
        b'{"title": "\\ud800"}',
        b'{"title": NaN}',
    ],
)
def test_a_body_that_is_no_json_object_is_400(anna: Script, body: bytes) -> None:
    answer = anna.client.post("/api/v1/reservations", data=body, headers=anna.headers)
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"


def test_a_body_of_more_than_a_mebibyte_is_413(anna: Script) -> None:
    answer = anna.client.post("/api/v1/reservations", data=b"x" * (1024 * 1024 + 1), headers=anna.headers)
    assert (answer.status_code, answer.content_type) == (413, "application/problem+json")


def test_a_slot_across_the_spring_change_is_as_long_as_the_clock_says(anna: Script) -> None:
    body = wish() | {"start": "2026-03-28T22:00:00+01:00", "end": "2026-03-29T06:00:00+02:00"}
    made = anna.ask("POST", "/reservations", body).json
    assert (made["start"], made["end"]) == ("2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z")


# --- the order of checks ------------------------------------------------------------------------------


def test_401_comes_before_404_before_403_before_412_before_422_before_409(
    app: Flask, app_cast: Cast, anna: Script, carla: Script
) -> None:
    one = anna.book("chamber").json["id"]
    bad = {"title": 7, "start": "x"}
    nobody, bo = Script(app, None), Script(app, app_cast.bo)
    assert nobody.ask("PATCH", f"/reservations/{one}", bad).status_code == 401
    assert carla.ask("PATCH", f"/reservations/{one}", bad).status_code == 404
    assert anna.ask("PATCH", "/reservations/0000", bad).status_code == 404
    assert bo.ask("PATCH", f"/reservations/{one}", bad).status_code == 403
    assert anna.ask("PATCH", f"/reservations/{one}", bad).status_code == 428
    assert anna.ask("PATCH", f"/reservations/{one}", bad, If_Match='"9"').status_code == 412
    assert anna.ask("PATCH", f"/reservations/{one}", bad, If_Match='"1"').status_code == 422
    assert carla.ask("POST", f"/reservations/{one}/cancel", {"cause": 7}).status_code == 404
    assert bo.ask("POST", f"/reservations/{one}/approve", {"reason": 7}).status_code == 403
    assert anna.ask("POST", f"/reservations/{one}/check-out").status_code == 409


def test_to_strangers_a_reservation_is_as_if_it_never_was(anna: Script, carla: Script) -> None:
    one = anna.book().json["id"]
    for path in (f"/reservations/{one}", "/reservations/ffffffffffffffff"):
        answer = carla.get(path)
        assert answer.status_code == 404
        assert answer.json == carla.get("/reservations/none-such").json


def test_an_explicit_null_empties_what_may_be_empty(anna: Script) -> None:
    made = anna.book(
        project="joint",
        notes="Gloves",
        participants=["bo@alpha.example"],
        expected_end=(START + timedelta(hours=1)).isoformat(),
    ).json
    path = f"/reservations/{made['id']}"
    never = dict.fromkeys(("start", "end", "equipment", "title"))
    refused = anna.ask("PATCH", path, never, If_Match="*")
    assert refused.status_code == 422
    assert {(p["code"], p["field"]) for p in refused.json["problems"]} == {("missing", n) for n in never}
    emptied = dict.fromkeys(("project", "notes", "participants", "expected_end"))
    answer = anna.ask("PATCH", path, emptied, If_Match="*").json
    assert {name: answer[name] for name in emptied} == emptied | {"notes": "", "participants": []}
    kept = anna.ask("PATCH", path, {"reason": None, "override": None}, If_Match="*").json
    assert kept["title"] == made["title"]


def test_a_manager_states_what_it_draws_and_the_answer_says_it_to_those_who_see_it(
    app: Flask, app_cast: Cast
) -> None:
    anna, mia, carla = (Script(app, who) for who in (app_cast.anna, app_cast.mia, app_cast.carla))
    one = anna.book("source").json
    assert one["draws"] == {"feeder-a": "6 kVA"}
    path = f"/reservations/{one['id']}"
    body = {"draws": {"feeder-a": "4000 VA"}, "reason": "Measured"}
    assert anna.ask("PATCH", path, body, If_Match="*").status_code == 403
    assert carla.ask("PATCH", path, body, If_Match="*").status_code == 404
    stated = mia.ask("PATCH", path, body, If_Match=f'"{one["revision"]}"')
    assert stated.json["draws"] == {"feeder-a": "4 kVA"}
    wrong = {"draws": {"feeder-a": 4, "feeder-b": "1 kVA"}}
    assert codes(mia.ask("PATCH", path, wrong, If_Match="*")) == {"wrong_type"}
    wrong = {"draws": {"feeder-a": "11 kVA", "feeder-b": "1 kVA"}}
    assert codes(mia.ask("PATCH", path, wrong, If_Match="*")) == {"unknown_utility", "reason_missing"}
    back = mia.ask("PATCH", path, {"draws": {"feeder-a": None}, "reason": "Again"}, If_Match="*")
    assert back.json["draws"] == {"feeder-a": "6 kVA"}
    proposed = mia.ask("POST", f"{path}/propose", {"draws": {}})
    assert codes(proposed) == {"unknown_field"}


def test_draws_are_stated_with_an_approval_or_for_somebody_else(app: Flask, app_cast: Cast) -> None:
    anna, mia = Script(app, app_cast.anna), Script(app, app_cast.mia)
    one = anna.book("chamber").json
    step = {"draws": {"feeder-a": "2 kVA"}, "reason": "Its load"}
    approved = mia.ask("POST", f"/reservations/{one['id']}/approve", step)
    assert (approved.status_code, approved.json["draws"]) == (200, {"feeder-a": "2 kVA"})
    for_anna = mia.book("source", holder="anna@alpha.example", **step)
    assert (for_anna.status_code, for_anna.json["draws"]) == (201, {"feeder-a": "2 kVA"})
    assert mia.book("source-2", **step).status_code == 403


def test_a_piece_is_taken_whole_by_saying_so_instead_of_places(app: Flask, app_cast: Cast) -> None:
    anna = Script(app, app_cast.anna)
    whole = [{"slug": "cycler", "whole": True}]
    made = anna.book(equipment=whole)
    assert made.json["equipment"] == [{"slug": "cycler", "places": 4, "whole": True}]
    path = f"/reservations/{made.json['id']}"
    less = anna.ask("PATCH", path, {"equipment": [{"slug": "cycler", "places": 3}]}, If_Match="*")
    assert less.json["equipment"] == [{"slug": "cycler", "places": 3}]
    again = anna.ask("PATCH", path, {"equipment": whole}, If_Match="*")
    assert again.json["equipment"] == made.json["equipment"]
    both = [{"slug": "cycler", "places": 2, "whole": True}]
    assert codes(anna.book(equipment=both)) == {"places_or_whole"}
    assert anna.book("scope").json["equipment"] == [{"slug": "scope", "places": 1}]
