"""static/js/labtime.js in a real browser, whose own zone is far from the laboratory's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.live import ROOT

CPH = "Europe/Copenhagen"


@pytest.fixture(scope="module", params=["Asia/Tokyo", "America/Los_Angeles", "Europe/Copenhagen"])
def page(request: pytest.FixtureRequest, chromium_browser: Browser) -> Iterator[Page]:
    context = chromium_browser.new_context(timezone_id=request.param)
    page = context.new_page()
    module = (ROOT / "static" / "js" / "labtime.js").read_text()
    page.route("http://labtime.test/", lambda route: route.fulfill(body="", content_type="text/html"))
    page.route(
        "http://labtime.test/labtime.js",
        lambda route: route.fulfill(body=module, content_type="text/javascript"),
    )
    page.goto("http://labtime.test/")
    page.evaluate("async () => { window.labtime = await import('/labtime.js'); }")
    yield page
    context.close()


def instant(page: Page, wall: str, zone: str = CPH) -> str:
    found: str = page.evaluate(
        "([wall, zone]) => labtime.toInstant(wall, zone).toISOString().replace('.000Z', 'Z')", [wall, zone]
    )
    return found


def wall(page: Page, instant: str, zone: str = CPH) -> str:
    found: str = page.evaluate("([at, zone]) => labtime.toWall(new Date(at), zone)", [instant, zone])
    return found


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2026-01-15T08:00:00", "2026-01-15T07:00:00Z"),
        ("2026-07-15T08:00:00", "2026-07-15T06:00:00Z"),
        ("2026-03-29T00:00:00", "2026-03-28T23:00:00Z"),
        ("2026-03-29T01:59:00", "2026-03-29T00:59:00Z"),
        ("2026-03-29T03:00:00", "2026-03-29T01:00:00Z"),
        ("2026-10-25T00:30:00", "2026-10-24T22:30:00Z"),
        ("2026-10-25T01:59:00", "2026-10-24T23:59:00Z"),
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00Z"),
    ],
)
def test_wall_time_and_instant_turn_into_each_other(page: Page, local: str, utc: str) -> None:
    assert instant(page, local) == utc
    assert wall(page, utc) == local


def test_a_time_in_the_spring_gap_is_the_instant_the_clock_jumps_over_it(page: Page) -> None:
    assert instant(page, "2026-03-29T02:30:00") == "2026-03-29T01:30:00Z"
    assert wall(page, "2026-03-29T01:30:00Z") == "2026-03-29T03:30:00"


def test_of_a_time_that_happens_twice_the_first_is_taken(page: Page) -> None:
    assert instant(page, "2026-10-25T02:30:00") == "2026-10-25T00:30:00Z"
    assert wall(page, "2026-10-25T00:30:00Z") == wall(page, "2026-10-25T01:30:00Z") == "2026-10-25T02:30:00"


def test_other_zones_work_too(page: Page) -> None:
    assert instant(page, "2026-06-01T08:00:00", "Asia/Kolkata") == "2026-06-01T02:30:00Z"
    assert instant(page, "2026-06-01T08:00:00", "America/New_York") == "2026-06-01T12:00:00Z"
    assert instant(page, "2026-06-01T08:00:00", "UTC") == "2026-06-01T08:00:00Z"


def test_the_api_gets_the_labs_offset(page: Page) -> None:
    said: list[str] = page.evaluate(
        """() => ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"].map(
            (at) => labtime.toOffsetText(new Date(at), "Europe/Copenhagen"))"""
    )
    assert said == ["2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"]
    assert page.evaluate(
        "() => labtime.toOffsetText(new Date('2026-06-01T00:00:00Z'), 'America/St_Johns')"
    ) == ("2026-05-31T21:30:00-02:30")


def test_the_widgets_dates_are_read_by_their_local_parts(page: Page) -> None:
    said: Any = page.evaluate("() => labtime.partsOf(new Date(2026, 2, 31, 8, 5))")
    assert said == "2026-03-31T08:05:00"


def test_times_are_said_as_the_server_says_them(page: Page) -> None:
    said: list[str] = page.evaluate(
        """() => {
            const at = (text) => new Date(text);
            const zone = "Europe/Copenhagen";
            return [
                labtime.span(at("2026-11-24T07:00:00Z"), at("2026-11-24T15:00:00Z"), zone, "en"),
                labtime.span(at("2026-03-28T23:00:00Z"), at("2026-03-29T22:00:00Z"), zone, "en"),
                labtime.duration(148 * 3600 * 1000),
                String(labtime.week("2026-11-24")),
                String(labtime.week("2027-01-01")),
            ];
        }"""
    )
    assert said == [
        "Tue 24 Nov, 08:00–16:00 (8 h)",
        "Sun 29 Mar, 00:00 – Mon 30 Mar, 00:00 (23 h)",
        "6 d 4 h",
        "48",
        "53",
    ]
