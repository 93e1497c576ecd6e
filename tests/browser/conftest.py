"""Pages of the real server in a real browser, opened by somebody who is signed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page

from labbook.domain.access import Viewer
from tests.live import Server
from tests.signing import session_cookie

COUNT_CLICKS = """
addEventListener("click", (event) => {
  if (!event.isTrusted || !event.detail) return;
  sessionStorage.setItem("clicks", Number(sessionStorage.getItem("clicks") ?? 0) + 1);
}, true);
"""

Opening = Callable[..., Page]


@pytest.fixture
def opening(app: Flask, live_server: Server, chromium_browser: Browser) -> Iterator[Opening]:
    """A page of somebody signed in; a complaint of the browser fails the test."""
    contexts, complaints = [], []

    def open_as(
        who: Viewer, *, width: int = 1400, script: bool = True, zone: str = "Europe/Copenhagen"
    ) -> Page:
        context = chromium_browser.new_context(
            base_url=live_server.url,
            viewport={"width": width, "height": 844},
            timezone_id=zone,
            locale="en-GB",
            java_script_enabled=script,
        )
        context.set_default_timeout(10_000)
        value = session_cookie(app, who)
        context.add_cookies([{"name": "labbook", "value": value, "url": live_server.url}])
        context.add_init_script(COUNT_CLICKS)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        contexts.append(context)
        return page

    yield open_as
    for context in contexts:
        context.close()
    assert [c for c in complaints if "status of 4" not in c] == []
