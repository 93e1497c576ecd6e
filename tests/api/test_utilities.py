"""What is drawn of a utility, for scripts: steps, its capacity, and of others one sum in round figures."""

from __future__ import annotations

from typing import Any

from flask import Flask

from labbook.services import calendar
from tests.api.asking import Script, codes
from tests.cast import Cast

DAY: dict[str, Any] = {"from": "2026-03-24T00:00:00Z", "to": "2026-03-25T00:00:00Z"}
URL = "/utilities/feeder-a"


def test_steps_and_capacity_in_the_utilitys_unit(app: Flask, app_cast: Cast) -> None:
    made = Script(app, app_cast.anna).book("source", title="Secret inverter").json
    found = Script(app, app_cast.mia).get(URL, **DAY).json
    assert (found["capacity"], found["unit"], found["exact"]) == (10.0, "kVA", True)
    assert found["steps"] == [
        {"at": "2026-03-24T00:00:00Z", "drawn": 0.0, "seen": 0.0},
        {"at": "2026-03-24T09:00:00Z", "drawn": 6.0, "seen": 6.0},
        {"at": "2026-03-24T11:00:00Z", "drawn": 0.0, "seen": 0.0},
    ]
    assert [each["id"] for each in found["reservations"]] == [made["id"]]


def test_a_competitor_is_told_the_sum_and_nothing_of_whose_it_is(app: Flask, app_cast: Cast) -> None:
    anna = Script(app, app_cast.anna)
    made = anna.book("source", title="Secret inverter", project="joint").json
    Script(app, app_cast.mia).ask(
        "PATCH", f"/reservations/{made['id']}", {"draws": {"feeder-a": "4.37 kVA"}, "reason": "Secret"},
        If_Match="*",
    )  # fmt: skip
    answer = Script(app, app_cast.carla).get(URL, **DAY)
    assert [step["drawn"] for step in answer.json["steps"]] == [0.0, 4.5, 0.0]
    assert answer.json["exact"] is False
    assert answer.json["reservations"] == []
    assert not [
        word for word in ("Secret", "anna", "alpha", "joint", made["id"], "4.37") if word in answer.text
    ]
    refused = Script(app, app_cast.carla).book("source-2").json["problems"][0]["message"]
    assert "10.5" in refused
    assert "10.37" not in refused


def test_it_is_not_sent_again_while_nothing_changed(app: Flask, app_cast: Cast) -> None:
    anna, carla = Script(app, app_cast.anna), Script(app, app_cast.carla)
    first = carla.ask("GET", f"{URL}?from={DAY['from']}&to={DAY['to']}")
    again = {"If_None_Match": first.headers["ETag"]}
    assert carla.ask("GET", f"{URL}?from={DAY['from']}&to={DAY['to']}", **again).status_code == 304
    assert anna.get(URL, **DAY).headers["ETag"] != first.headers["ETag"]
    anna.book("source")
    assert carla.ask("GET", f"{URL}?from={DAY['from']}&to={DAY['to']}", **again).status_code == 200


def test_what_is_wrong_with_the_question(app: Flask, app_cast: Cast) -> None:
    anna = Script(app, app_cast.anna)
    assert anna.get("/utilities/feeder-b", **DAY).status_code == 404
    assert anna.get("/utilities/feeder-b", colour="red").status_code == 404
    assert codes(anna.get(URL)) == {"missing"}
    assert codes(anna.get(URL, **(DAY | {"to": "2028-03-25T00:00:00Z"}))) == {"period_too_long"}
    assert calendar.DAYS_LIMIT == 400
