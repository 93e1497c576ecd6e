"""The editor of recipes in a real browser: rows come and go at once, and all of it works without script."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opening
from tests.cast import Cast

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def rows(page: Page) -> int:
    return page.locator("[data-needs] > fieldset").count()


@pytest.mark.parametrize("script", [True, False])
def test_a_recipe_of_two_needs_is_written_checked_and_saved(
    opening: Opening, app_cast: Cast, script: bool
) -> None:
    page = opening(app_cast.mia, script=script)
    page.goto("/environments/new")
    page.get_by_label("Name", exact=True).fill("Soak")
    page.get_by_label("Short name").fill("soak")
    page.get_by_label("Need 1: which piece or category").select_option("category:oscilloscope")
    page.get_by_role("button", name="Add a need").click()
    expect(page.get_by_label("Need 2: which piece or category")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Soak")
    page.get_by_label("Need 2: which piece or category").select_option("equipment:cycler")
    page.get_by_role("button", name="Add a need").click()
    page.get_by_role("button", name="Remove need 3").click()
    expect(page.locator("[data-needs] > fieldset")).to_have_count(2)
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.get_by_text("This can be saved.")).to_be_visible()
    expect(page.get_by_text("Today: Scope, Scope 2")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Soak")
    expect(page.get_by_role("link", name="Cycler")).to_be_visible()


def test_what_a_named_piece_is_not_asked_for_stands_back_and_a_line_follows_the_last(
    opening: Opening, app_cast: Cast
) -> None:
    page = opening(app_cast.mia)
    page.goto("/environments/new")
    can = page.get_by_label("Need 1: what it must be able to do")
    can.first.fill("bandwidth: 500 MHz")
    expect(can).to_have_count(2)
    can.first.fill("")
    page.get_by_label("Need 1: which piece or category").select_option("equipment:cycler")
    expect(can.first).to_be_hidden()
    page.get_by_label("Need 1: which piece or category").select_option("category:oscilloscope")
    expect(can.first).to_be_visible()
