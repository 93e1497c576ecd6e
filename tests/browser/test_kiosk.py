"""The page at the equipment in a real browser: a tablet on the wall, and a phone that scanned the label."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from labbook.extensions import db
from labbook.services import decisions, kiosk_codes, kiosks, reservations
from labbook.services.commands import Decide, RequestReservation, Wanted
from tests.browser.conftest import Opening
from tests.browser.test_accessibility import RULES
from tests.browser.test_booking import clicks
from tests.cast import Cast
from tests.live import Server

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def tablet(live_server: Server, app_cast: Cast, chromium_browser: Browser) -> Iterator[Page]:
    """Paired, at the size of one."""
    made = kiosks.create(db.session(), "chamber", "hall", actor=app_cast.mia, now=datetime.now(UTC))
    context = chromium_browser.new_context(
        base_url=live_server.url, viewport={"width": 1024, "height": 768}, reduced_motion="reduce"
    )
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.goto(f"/kiosk-key/{made.secret}")
    yield page
    context.close()


@pytest.fixture
def code(app_cast: Cast) -> str:
    """Anna's, whose slot in the chamber is being set up."""
    now = datetime.now(UTC)
    command = RequestReservation(
        equipment=(Wanted("chamber"),),
        start=now + timedelta(minutes=5),
        end=now + timedelta(hours=2),
        title="A secret inverter",
        holder=app_cast.anna.email,
    )
    made = reservations.request(db.session(), command, actor=app_cast.mia, now=now)
    decisions.approve(db.session(), Decide(reservation=made.id), actor=app_cast.max, now=now)
    return kiosk_codes.make(db.session(), actor=app_cast.anna)


def test_a_tablet_checks_in_and_out_and_names_nobody(tablet: Page, code: str) -> None:
    tablet.reload()
    expect(tablet.get_by_role("heading", level=1)).to_have_text("Chamber")
    expect(tablet.locator(".kiosk-head")).to_contain_text("Taken until")
    tablet.get_by_label("Your kiosk code").fill(code.lower())
    tablet.get_by_role("button", name="Check in").click()
    expect(tablet.locator(".flash.success")).to_contain_text("Checked in.")
    expect(tablet.get_by_label("Your kiosk code")).to_have_value("")
    expect(tablet.locator("body")).not_to_contain_text("Anna")
    assert Axe().run(tablet, options=RULES).violations_count == 0
    tablet.get_by_label("Your kiosk code").fill(code)
    tablet.get_by_role("button", name="Hand back").click()
    expect(tablet.locator(".flash.success")).to_contain_text("Handed back.")
    expect(tablet.locator(".kiosk-head")).to_have_text("Free")
    assert tablet.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_is_read_from_two_metres_is_large_and_what_is_tapped_is_too(tablet: Page) -> None:
    sizes = tablet.evaluate(
        "[...document.querySelectorAll('.kiosk-head')].map((e) => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 44
    for button in tablet.get_by_role("button").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 48


def test_a_network_that_drops_is_said_and_what_was_typed_waits(tablet: Page, code: str) -> None:
    expect(tablet.locator("#kiosk-offline")).to_be_hidden()
    tablet.context.set_offline(True)
    expect(tablet.locator("#kiosk-offline")).to_be_visible()
    tablet.get_by_label("Your kiosk code").fill(code)
    tablet.get_by_role("button", name="Check in").click()
    expect(tablet.locator("#kiosk-offline")).to_contain_text("No connection.")
    expect(tablet.get_by_label("Your kiosk code")).to_have_value(code)
    tablet.context.set_offline(False)
    expect(tablet.locator("#kiosk-offline")).to_be_hidden()
    tablet.get_by_role("button", name="Check in").click()
    expect(tablet.locator(".flash.success")).to_contain_text("Checked in.")


def test_it_renews_itself_while_somebody_types(tablet: Page, app_cast: Cast) -> None:
    expect(tablet.locator(".kiosk-head")).to_have_text("Free")
    tablet.get_by_label("Your kiosk code").fill("AB")
    now = datetime.now(UTC)
    command = RequestReservation(
        equipment=(Wanted("chamber"),), start=now, end=now + timedelta(hours=1), title="Service", kind="block"
    )
    reservations.request(db.session(), command, actor=app_cast.mia, now=now)
    tablet.evaluate("dispatchEvent(new Event('online'))")
    expect(tablet.locator(".kiosk-card")).to_contain_text("Mia · Service")
    expect(tablet.get_by_label("Your kiosk code")).to_have_value("AB")


@pytest.mark.parametrize("script", [True, False])
def test_a_phone_checks_in_with_one_tap_and_hands_back_with_another(
    opening: Opening, app_cast: Cast, code: str, script: bool
) -> None:
    page = opening(app_cast.anna, width=390, script=script)
    page.goto("/kiosk/chamber")
    page.get_by_role("button", name="Check in").click()
    expect(page.locator(".kiosk-head")).to_contain_text("In use until")
    if script:
        assert clicks(page) == 1
        assert Axe().run(page, options=RULES).violations_count == 0
    page.get_by_role("button", name="Hand back").click()
    expect(page.locator(".kiosk-head")).to_have_text("Free")
