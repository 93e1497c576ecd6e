from __future__ import annotations

from datetime import date

import pytest
from flask import Flask

from labbook.extensions import db
from labbook.services import deputies
from labbook.services.deputies import NameDeputy
from tests.cast import NOW, Cast, at
from tests.web.house import House, booked, step

DAYS = {"facility": "cie", "first": "2026-03-23", "last": "2026-03-25"}


@pytest.fixture
def house(app: Flask, app_cast: Cast) -> House:
    return House(app, app_cast)


def test_a_manager_names_a_deputy_who_then_sees_the_queue_and_decides(house: House) -> None:
    path = booked(house.anna)
    assert house.tom.get("/manage/deputies").status == 403
    assert house.mia.post("/manage/deputies", deputy="tom@university.example", **DAYS).status == 303
    assert "Tom" in house.mia.get("/manage/deputies").text
    home = house.tom.get("/")
    assert 'href="/approvals"' in home.html
    assert "Damp heat" in house.tom.get("/approvals").text
    assert "approved" in step(house.tom, path, "approve").text
    log = house.anna.get(path).text
    assert "approved · Tom" in log
    house.clock.move_to(at("2026-03-26 00:00"))
    assert house.tom.get("/manage/deputies").status == 403


def test_a_deputy_keeps_the_closures_and_neither_people_nor_organisations(house: House) -> None:
    command = NameDeputy("cie", house.cast.dorte.email, date(2026, 3, 23), date(2026, 3, 25))
    deputies.name(db.session(), command, actor=house.cast.mia, now=NOW)
    page = house.dorte.get("/manage")
    assert page.status == 200
    assert "/manage/users" not in page.html
    assert house.dorte.get("/manage/closures").status == 200
    assert house.dorte.get("/manage/users").status == 403
    assert house.dorte.get("/manage/organisations").status == 403
    assert "Name a deputy" not in house.dorte.get("/manage/deputies").text


def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(house: House) -> None:
    page = house.mia.post("/manage/deputies", deputy="carla@beta.example", **DAYS)
    assert (page.status, page.value("deputy")) == (422, "carla@beta.example")
    assert "is nobody whom you may name" in page.text
    assert house.mia.post("/manage/deputies", deputy="tom@university.example").status == 422


def test_an_admin_names_one_for_a_manager_and_ends_it(house: House) -> None:
    form = DAYS | {"manager": "mia@university.example", "deputy": "tom@university.example"}
    assert house.ada.post("/manage/deputies", **form).status == 303
    (row,) = deputies.list_managed(db.session(), viewer=house.cast.ada, now=NOW)
    assert house.max.post(f"/manage/deputies/{row.id}/end").status == 403
    assert house.carla.post(f"/manage/deputies/{row.id}/end").status == 404
    assert house.ada.post(f"/manage/deputies/{row.id}/end").status == 303
    assert "Nobody stands in" in house.mia.get("/manage/deputies").text
