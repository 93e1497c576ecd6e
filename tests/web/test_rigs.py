from __future__ import annotations

import re

import pytest
from flask import Flask

from labbook.extensions import db
from labbook.services import rig_calls
from tests.cast import NOW, Cast
from tests.rig import Rig
from tests.web.house import House


@pytest.fixture
def house(app: Flask, app_cast: Cast) -> House:
    return House(app, app_cast)


def test_a_manager_puts_up_a_rig_tries_it_and_sees_what_it_was_told(house: House) -> None:
    with Rig().open() as rig:
        made = house.mia.post("/manage/rigs", equipment="scope", url=rig.url, active="1")
        assert made.status == 200
        (secret,) = set(re.findall(r"whsec_[A-Za-z0-9+/=]+", made.html))
        assert secret not in house.mia.get("/manage/rigs/scope").html
        assert house.mia.post("/manage/rigs/scope/test").location == "/manage/rigs/scope"
        rig_calls.deliver_due(db.session(), now=NOW)
        assert rig.is_signed(secret)
        shown = house.mia.get("/manage/rigs/scope").text
        assert "test – delivered 1" in shown
        rig.answers = [500]
        house.mia.post("/manage/rigs/scope/test")
        rig_calls.deliver_due(db.session(), now=NOW)
        page = house.mia.get("/manage/rigs/scope")
        assert "failed answered 500" in page.text
        (again,) = re.findall(r'action="(/manage/rigs/scope/deliveries/\d+/retry)"', page.html)
        assert house.max.post(again).status == 303
    renewed = house.mia.post("/manage/rigs/scope/secret")
    assert secret not in renewed.html
    assert "whsec_" in renewed.html


def test_an_address_with_a_password_is_refused_beside_its_field_with_what_was_typed(house: House) -> None:
    page = house.mia.post(
        "/manage/rigs", equipment="scope", url="http://me:x@rig.example/", on_close="signal"
    )
    assert (page.status, page.value("url")) == (422, "http://me:x@rig.example/")
    assert "Leave user name and password out" in page.text
    house.mia.post("/manage/rigs", equipment="scope", url="http://rig.example/")
    page = house.mia.post("/manage/rigs/scope", url="nonsense", active="1")
    assert (page.status, page.value("url")) == (422, "nonsense")
    assert house.mia.post("/manage/rigs/scope", url="https://rig.example/", active="1").status == 303
    assert "told of its windows" in house.mia.get("/manage/rigs/scope").text


def test_nobody_else_is_told_that_there_is_a_rig(house: House) -> None:
    house.mia.post("/manage/rigs", equipment="scope", url="http://rig.example/")
    for desk in (house.anna, house.carla, house.tom):
        assert desk.get("/manage/rigs").status == 403
        assert desk.get("/manage/rigs/scope").status == 404
        assert desk.post("/manage/rigs/scope/test").status == 404
    assert house.ada.get("/manage/rigs/scope").status == 200
