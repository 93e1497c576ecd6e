"""What an automatic examiner finds wrong with pages, light and dark, at a desk and on a phone: nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page

from labbook.domain.access import Viewer
from labbook.extensions import db
from labbook.services import due, options, waiting, waitlist_queue
from labbook.services.commands import RequestReservation, Wanted
from labbook.services.waiting import JoinWaitlist
from tests.cast import Cast
from tests.live import Server
from tests.signing import session_cookie

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
PUBLIC = ("/sign-in", "/forgotten", "/reset/gone", "/accessibility", "/privacy")
SIGNED_IN = (
    "/",
    "/calendar?as=list",
    "/equipment",
    "/equipment/chamber",
    "/environments",
    "/environments/new",
    "/manage/environments",
    "/book?equipment=chamber",
    "/reservations",
    "/approvals",
    "/projects",
    "/projects/joint",
    "/account",
    "/manage",
    "/manage/users",
    "/manage/users/{bo}",
    "/manage/organisations",
    "/manage/organisations/alpha",
    "/manage/closures",
    "/waitlist",
    "/manage/waitlist",
    "/manage/options",
    "/manage/kiosks",
    "/manage/faults",
    "/manage/labels",
    "/today",
    "/kiosk/chamber?open=relay",
    "/equipment/chamber/label",
    "/nowhere",
)


ON_A_PHONE = (
    "/",
    "/today",
    "/kiosk/chamber?open=fault",
    "/calendar?as=list",
    "/equipment/chamber",
    "/book?equipment=chamber",
    "/account",
    "/manage/users",
)


@pytest.fixture
def page(live_server: Server, chromium_browser: Browser) -> Iterator[Page]:
    context = chromium_browser.new_context(base_url=live_server.url, reduced_motion="reduce")
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


def sign_in(app: Flask, page: Page, who: Viewer, server: Server) -> None:
    page.context.add_cookies([{"name": "labbook", "value": session_cookie(app, who), "url": server.url}])


def found_wrong(page: Page, path: str) -> list[str]:
    """One line a fault, with what to look at; a page wider than the screen is one too."""
    page.goto(path)
    faults = Axe().run(page, options=RULES).response["violations"]
    wrong = [f"{path}: {fault['id']}: {node['html'][:200]}" for fault in faults for node in fault["nodes"]]
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        wrong.append(f"{path}: wider than the screen")
    return wrong


def test_nothing_is_found_wrong_at_a_desk(
    app: Flask, app_cast: Cast, live_server: Server, page: Page
) -> None:
    page.set_viewport_size({"width": 1400, "height": 900})
    wrong = [fault for path in PUBLIC for fault in found_wrong(page, path)]
    sign_in(app, page, app_cast.mia, live_server)
    wrong += [fault for path in SIGNED_IN for fault in found_wrong(page, path.format(bo=app_cast.bo.id))]
    assert not wrong, "\n".join(wrong)


def test_nothing_is_found_wrong_on_a_phone_in_the_dark(
    app: Flask, app_cast: Cast, live_server: Server, page: Page
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    sign_in(app, page, app_cast.mia, live_server)
    wrong = [fault for path in ON_A_PHONE for fault in found_wrong(page, path)]
    assert not wrong, "\n".join(wrong)


def test_nothing_is_found_wrong_with_what_is_offered_and_held(
    app: Flask, app_cast: Cast, live_server: Server, page: Page
) -> None:
    now = datetime.now(UTC)
    start = now.replace(hour=10, minute=0, second=0, microsecond=0) + timedelta(days=3)
    end = start + timedelta(hours=4)
    wish = JoinWaitlist(("scope", "scope-2"), start, end, timedelta(hours=2), "I wait")
    for latest in (end, end - timedelta(hours=1)):
        waiting.join(db.session(), replace(wish, latest=latest), actor=app_cast.mia, now=now)
    due.run(db.session(), waitlist_queue.QUEUE, now=now, limit=1)
    held = RequestReservation((Wanted("cycler"),), start, end, "Held", customer="Nordic", decide_by=start)
    one = options.create(db.session(), held, actor=app_cast.mia, now=now).id
    sign_in(app, page, app_cast.mia, live_server)
    paths = (
        "/",
        "/waitlist",
        "/manage/waitlist",
        "/manage/options",
        f"/reservations/{one}",
        "/book?option=1",
    )
    for width in (1400, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="light" if width > 390 else "dark")
        wrong = [fault for path in paths for fault in found_wrong(page, path)]
        assert not wrong, "\n".join(wrong)


def test_a_refused_form_says_so_beside_the_field_and_to_a_screen_reader(
    app: Flask, app_cast: Cast, live_server: Server, page: Page
) -> None:
    sign_in(app, page, app_cast.mia, live_server)
    page.goto("/manage/users")
    page.get_by_label("E-mail address").fill("nobody at all")
    page.get_by_role("button", name="Invite").click()
    field = page.get_by_label("E-mail address")
    assert field.input_value() == "nobody at all"
    assert field.get_attribute("aria-invalid") == "true"
    said = field.get_attribute("aria-describedby") or ""
    assert page.locator(f"#{said.split()[-1]}").is_visible()
    assert Axe().run(page, options=RULES).violations_count == 0
