"""The frame of every page, its look, and the browser's packages."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from flask import Flask, render_template
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer

from labbook.web.formatting import clocks_differ

ROOT = Path(__file__).resolve().parents[2]
COPENHAGEN = ZoneInfo("Europe/Copenhagen")


def test_the_lock_file_holds_no_addresses() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert not re.search(r"https?://", json.dumps(lock))
    assert all("integrity" in each for path, each in lock["packages"].items() if path)


def test_no_template_has_inline_script_style_or_handlers() -> None:
    inline = re.compile(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\bsrc=)(?![^>]*json)", re.IGNORECASE)
    pages = [p for p in (ROOT / "templates").rglob("*.html") if "mail" not in p.parts]
    assert pages
    assert [p.name for p in pages if inline.search(p.read_text())] == []


def test_an_error_page_renders_in_the_frame(app: Flask) -> None:
    with app.test_request_context("/nowhere"):
        page = render_template("error.html", title="Nothing here", text="There is no such page.")
    assert "<h1>Nothing here</h1>" in page
    assert 'href="#main"' in page


def test_a_chosen_theme_is_remembered(client: FlaskClient, app: Flask) -> None:
    form = {"theme": "dark", "next": "/calendar?week=48", "csrf_token": form_token(app, client)}
    answer = client.post("/look", data=form)
    assert answer.status_code == 303
    assert answer.location == "/calendar?week=48"
    assert client.get_cookie("theme") is not None


def form_token(app: Flask, client: FlaskClient) -> str:
    with client.session_transaction() as session:
        session["csrf_token"] = "a test's"
    return str(URLSafeTimedSerializer(app.secret_key or "", salt="wtf-csrf-token").dumps("a test's"))


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "/\\evil.example", "x"])
def test_choosing_a_theme_leads_nowhere_else(client: FlaskClient, app: Flask, target: str) -> None:
    form = {"theme": "dark", "next": target, "csrf_token": form_token(app, client)}
    assert client.post("/look", data=form).location == "/"


def test_the_facilitys_zone_is_named_only_where_clocks_differ() -> None:
    at = datetime(2026, 3, 24, 8, tzinfo=UTC)
    assert clocks_differ(ZoneInfo("Asia/Tokyo"), COPENHAGEN, at)
    assert not clocks_differ(ZoneInfo("Europe/Berlin"), COPENHAGEN, at)
