"""Booking in a real browser: two clicks for the small, live words while typing, all of it without script."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from labbook.domain.access import Viewer
from labbook.extensions import db
from labbook.services import reservations
from labbook.services.commands import RequestReservation, Wanted
from tests.browser.conftest import Opening
from tests.cast import ZONE, Cast

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def clicks(page: Page) -> int:
    return int(page.evaluate("sessionStorage.getItem('clicks') ?? 0"))


def tomorrow() -> str:
    return f"{datetime.now(ZONE) + timedelta(days=1):%Y-%m-%d}"


def take_tomorrow(who: Viewer, slug: str, hour: int, hours: int) -> None:
    start = datetime.now(ZONE).replace(hour=hour, minute=0, second=0, microsecond=0) + timedelta(days=1)
    command = RequestReservation(
        equipment=(Wanted(slug),),
        start=start.astimezone(UTC),
        end=start.astimezone(UTC) + timedelta(hours=hours),
        title="Somebody else's",
    )
    reservations.request(db.session(), command, actor=who, now=datetime.now(UTC))


@pytest.mark.parametrize("width", [1400, 390])
def test_an_hour_on_the_oscilloscope_takes_two_clicks_from_home(
    opening: Opening, app_cast: Cast, width: int
) -> None:
    page = opening(app_cast.anna, width=width)
    page.goto("/")
    page.get_by_role("link", name="Book Scope", exact=True).click()
    page.get_by_role("button", name="Book", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Measurement")
    expect(page.locator(".page-head .status")).to_have_text("approved")
    assert clicks(page) == 2


def test_using_it_now_takes_one_click_and_handing_it_back_another(opening: Opening, app_cast: Cast) -> None:
    page = opening(app_cast.anna, width=390)
    page.goto("/")
    page.get_by_role("button", name="Use Scope now for 1 h").click()
    expect(page.locator(".page-head .status")).to_have_text("in use")
    assert clicks(page) == 1
    page.get_by_role("button", name="Hand back").click()
    expect(page.locator(".page-head .status")).to_have_text("completed")


def test_what_would_become_of_it_is_said_while_typing(opening: Opening, app_cast: Cast) -> None:
    take_tomorrow(app_cast.carla, "scope", 10, 2)
    page = opening(app_cast.anna)
    page.goto("/book")
    page.get_by_label("Equipment 1", exact=True).select_option("scope")
    page.get_by_label("Start, date").fill(tomorrow())
    page.get_by_label("Start, time").fill("11")
    page.get_by_label("or duration").fill("90 min")
    expect(page.get_by_label("End, time", exact=True)).to_have_value("12:30")
    outlook = page.locator("#outlook")
    expect(outlook).to_contain_text("Scope is taken")
    expect(outlook).not_to_contain_text("Carla")
    outlook.get_by_role("button", name="12:00–13:30").click()
    expect(page.get_by_label("Start, time")).to_have_value("12:00")
    expect(page.locator("#outlook")).to_contain_text("It is yours as soon as you book it.")
    page.get_by_label("Start, time").fill("13")
    expect(page.get_by_label("End, time", exact=True)).to_have_value("14:30")


@pytest.mark.parametrize("width", [1400, 390])
def test_a_request_is_approved_from_the_queue(opening: Opening, app_cast: Cast, width: int) -> None:
    anna, mia = opening(app_cast.anna, width=width), opening(app_cast.mia, width=width)
    anna.goto(f"/book?equipment=chamber&start={tomorrow()}T10:00&end={tomorrow()}T12:00&title=Damp heat")
    expect(anna.locator("#outlook")).to_contain_text("A manager has to agree")
    anna.get_by_role("button", name="Request", exact=True).click()
    expect(anna.locator(".page-head .status")).to_have_text("requested")
    mia.goto("/approvals")
    mia.get_by_text("Ask", exact=True).click()
    mia.get_by_label("Question to Anna").fill("How hot?")
    mia.get_by_role("button", name="Send").click()
    mia.get_by_role("button", name="Approve").click()
    expect(mia.get_by_text("Nothing waits for you.")).to_be_visible()
    anna.reload()
    expect(anna.locator(".page-head .status")).to_have_text("approved")
    expect(anna.locator("#thread")).to_contain_text("How hot?")


def test_everything_works_without_script(opening: Opening, app_cast: Cast) -> None:
    page = opening(app_cast.anna, script=False)
    page.goto("/book?equipment=scope")
    page.get_by_label("Title").fill("")
    page.get_by_role("button", name="Book", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("This is needed.")
    page.get_by_label("Title").fill("Without script")
    page.get_by_role("button", name="Book", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Without script")
    page.get_by_text("Cancel it").click()
    page.get_by_role("button", name="Cancel the reservation").click()
    expect(page.locator(".page-head .status")).to_have_text("cancelled")


@pytest.mark.parametrize("width", [1400, 390])
def test_no_page_is_wider_than_the_screen(opening: Opening, app_cast: Cast, width: int) -> None:
    take_tomorrow(app_cast.anna, "chamber", 8, 24 * 20)
    page = opening(app_cast.mia, width=width)
    for path in ("/", "/book?equipment=chamber", "/reservations?of=all", "/approvals"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
    page.get_by_role("link", name="Somebody else's", exact=True).click()
    page.get_by_text("Change", exact=True).click()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
