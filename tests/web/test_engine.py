from __future__ import annotations

import re

import pytest
from flask import Flask

from labbook.domain.reservation import Step
from labbook.extensions import db
from labbook.services import rigs
from labbook.web.engine import STEPS
from tests.cast import NOW, Cast
from tests.services.test_engine import put_aside
from tests.web.house import House, booked


@pytest.fixture
def house(app: Flask, app_cast: Cast) -> House:
    return House(app, app_cast)


def test_every_step_of_the_clock_is_said_in_words() -> None:
    assert set(STEPS) == set(Step)


def test_a_manager_sees_what_is_due_and_tries_what_failed(house: House) -> None:
    booked(house.anna)
    path = booked(house.anna, "scope", title="Double pulse")
    put_aside(db.session(), path.rpartition("/")[2])
    page = house.mia.get("/manage/engine")
    assert "Damp heat" in page.text
    assert "ValueError: broken" in page.text
    assert "no scheduler was heard of" in page.text
    (again,) = re.findall(r'action="(/manage/engine/reservation/\d+/retry)"', page.html)
    assert house.carla.post(again).status == 403
    assert house.mia.post(again).location == "/manage/engine"


def test_nobody_else_sees_it_and_no_secret_is_on_it(house: House) -> None:
    secret = rigs.put_up(
        db.session(), rigs.KeepRig("scope", "http://rig.example/"), actor=house.cast.mia, now=NOW
    )
    for desk in (house.anna, house.carla, house.tom):
        assert desk.get("/manage/engine").status == 403
    page = house.ada.get("/manage/engine", after="nonsense_x")
    assert page.status == 200
    assert secret not in page.html
