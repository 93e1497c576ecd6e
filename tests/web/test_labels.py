"""Labels with their codes: what is printed is what a phone finds."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
import segno
from flask import Flask

from labbook.formats import qr
from tests.cast import Cast
from tests.web.people import Desk


def test_a_label_says_what_and_where_and_its_code_is_a_picture_of_its_own(app: Flask, app_cast: Cast) -> None:
    page = Desk(app, app_cast.anna).get("/equipment/chamber/label")
    assert page.status == 200
    assert all(said in page.text for said in ("Chamber", "chamber", "climate", "+45 00 00 00 00"))
    assert f"{app.config['SETTINGS'].base_url}/kiosk/chamber" in page.text
    assert 'src="/equipment/chamber/qr.svg"' in page.html
    assert "<path" not in page.html.partition("<main")[2]
    assert 'href="/equipment/chamber/label"' in Desk(app, app_cast.anna).get("/equipment/chamber").html


def test_the_code_leads_to_the_kiosk_page_of_the_address_that_people_use(app: Flask, app_cast: Cast) -> None:
    answer = Desk(app, app_cast.anna).client.get("/equipment/chamber/qr.svg")
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
    assert answer.data == qr.svg(f"{app.config['SETTINGS'].base_url}/kiosk/chamber")


def test_a_code_is_square_with_a_quiet_zone_dark_on_white() -> None:
    drawn = ElementTree.fromstring(qr.svg("https://lab.example/kiosk/chamber-1"))
    side = segno.make("https://lab.example/kiosk/chamber-1", error="q", micro=False).symbol_size(border=4)[0]
    assert drawn.get("viewBox") == f"0 0 {side} {side}"
    assert re.findall(rb'(?:fill|stroke)="(#[0-9a-f]+)"', qr.svg("x")) == [b"#fff", b"#000"]


@pytest.mark.parametrize(("who", "status"), [("anna", 403), ("tom", 200), ("mia", 200), ("ada", 200)])
def test_all_labels_of_a_laboratory_are_its_staffs(app: Flask, app_cast: Cast, who: str, status: int) -> None:
    page = Desk(app, getattr(app_cast, who)).get("/manage/labels")
    assert page.status == status
    assert page.html.count("/qr.svg") == (7 if status == 200 else 0)


def test_there_is_no_label_of_what_there_is_not(app: Flask, app_cast: Cast) -> None:
    anna = Desk(app, app_cast.anna)
    assert anna.get("/equipment/nothing/label").status == 404
    assert anna.get("/equipment/nothing/qr.svg").status == 404
    assert Desk(app, app_cast.mia).get("/manage/labels", facility="nowhere").status == 404
