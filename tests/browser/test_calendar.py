"""The timeline in a real browser: drawn to book, dragged to move, always on the lab's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from labbook.extensions import db
from labbook.models import Equipment, Reservation
from labbook.services import reservations
from labbook.services.commands import RequestReservation, Wanted
from tests.browser.conftest import Opening
from tests.browser.test_booking import take_tomorrow, tomorrow
from tests.cast import ZONE, Cast

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def day(page: Page) -> None:
    page.goto(f"/calendar?view=day&date={tomorrow()}")
    expect(page.locator(".ec-row-head", has_text="Scope 2")).to_be_visible()
    expect(page.locator("#timeline")).to_have_attribute("aria-busy", "false")


def across(page: Page, row: str, first: str, last: str) -> tuple[float, float, float]:
    """Where a row is, and where two hours begin: ``y, x, x``."""
    head = page.locator(".ec-row-head", has_text=row).first.bounding_box()
    assert head
    hours = {}
    for slot in page.locator(".ec-slot").all():
        box = slot.bounding_box()
        assert box
        hours[slot.inner_text().strip()] = box["x"]
    return head["y"] + head["height"] / 2, hours[first], hours[last]


def drag(page: Page, y: float, start: float, end: float) -> None:
    page.mouse.move(start, y)
    page.mouse.down()
    page.mouse.move((start + end) / 2, y, steps=4)
    page.mouse.move(end, y, steps=4)
    page.mouse.up()


def hours_of(title: str) -> tuple[str, str]:
    db.session.rollback()
    row = db.session.query(Reservation).filter_by(title=title).one()
    return f"{row.starts_at.astimezone(ZONE):%H:%M}", f"{row.ends_at.astimezone(ZONE):%H:%M}"


@pytest.mark.parametrize("zone", ["Europe/Copenhagen", "Asia/Tokyo"])
def test_what_is_drawn_is_booked_and_what_is_dragged_is_moved_on_the_labs_clock(
    app: Flask, app_cast: Cast, opening: Opening, zone: str
) -> None:
    page = opening(app_cast.anna, zone=zone)
    day(page)
    y, ten, twelve = across(page, "Scope 2", "10:00", "12:00")
    drag(page, y, ten + 2, twelve - 2)
    expect(page.locator("#sheet")).to_contain_text("10:00–12:00 (2 h)")
    page.get_by_label("Title").fill("Drawn")
    page.get_by_role("button", name="Book", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text("Booked.")
    assert hours_of("Drawn") == ("10:00", "12:00")
    block = page.locator(".ec-event", has_text="Drawn")
    expect(block).to_be_visible()
    box = block.bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2
    drag(page, y, middle, middle + (twelve - ten))
    expect(page.locator("#sheet")).to_contain_text("12:00–14:00 (2 h)")
    page.get_by_role("button", name="Move it here").click()
    expect(page.locator("#toasts")).to_contain_text("Moved.")
    assert hours_of("Drawn") == ("12:00", "14:00")


def test_a_refused_move_says_why_and_leaves_it_where_it_was(
    app: Flask, app_cast: Cast, opening: Opening
) -> None:
    take_tomorrow(app_cast.carla, "scope-2", 14, 2)
    take_tomorrow(app_cast.anna, "scope-2", 10, 2)
    page = opening(app_cast.anna)
    day(page)
    y, ten, fourteen = across(page, "Scope 2", "10:00", "14:00")
    expect(page.locator(".lb-busy .lb-title")).to_have_text("Busy")
    drag(page, y, ten + 30, fourteen + 30)
    page.get_by_role("button", name="Move it here").click()
    expect(page.locator("#sheet .problems")).to_contain_text("14:00–16:00")
    page.get_by_role("button", name="Leave it where it was").click()
    own = page.locator(".lb-approved").bounding_box()
    assert own
    assert abs(own["x"] - ten) < 3


def test_on_a_phone_a_day_is_shown_and_nothing_stands_over_the_edge(
    app: Flask, app_cast: Cast, opening: Opening
) -> None:
    take_tomorrow(app_cast.anna, "scope", 10, 2)
    page = opening(app_cast.anna, width=390)
    page.goto(f"/calendar?date={tomorrow()}")
    expect(page.get_by_role("link", name="Day", exact=True)).to_have_attribute("aria-current", "true")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_on_a_phone_no_name_is_cut_and_what_is_in_use_is_handed_back_without_scrolling(
    app: Flask, app_cast: Cast, opening: Opening
) -> None:
    session = db.session()
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    for number in (1, 2):
        long = session.query(Equipment).filter_by(slug=f"source{'-2' if number == 2 else ''}").one()
        long.name = {"en": f"Bidirectional DC source {number}"}
    session.commit()
    now = datetime.now(UTC)
    wish = RequestReservation((Wanted("scope"),), now, now + timedelta(hours=1), "Now", use_now=True)
    made = reservations.request(session, wish, actor=app_cast.anna, now=now)
    session.rollback()
    page = opening(app_cast.anna, width=390)
    page.goto("/calendar")
    expect(page.locator(".ec-row-head", has_text="Bidirectional DC source 2")).to_be_visible()
    cut = "h => h.scrollWidth > h.clientWidth + 1 || h.scrollHeight > h.clientHeight + 1"
    script = f"heads => heads.filter({cut}).map(h => h.innerText)"
    assert page.locator(".ec-row-head").evaluate_all(script) == []
    page.goto(f"/reservations/{made.id}")
    expect(page.get_by_role("button", name="Hand back")).to_be_in_viewport()


def test_without_script_the_calendar_is_the_list(app: Flask, app_cast: Cast, opening: Opening) -> None:
    take_tomorrow(app_cast.anna, "scope", 10, 2)
    page = opening(app_cast.anna, script=False)
    page.goto(f"/calendar?view=day&date={tomorrow()}")
    expect(page.get_by_role("link", name="Somebody else's")).to_be_visible()
