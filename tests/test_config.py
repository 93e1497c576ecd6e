from __future__ import annotations

import re
from pathlib import Path

import pytest

from labbook.config import SettingsError, load, names

ROOT = Path(__file__).resolve().parent.parent


def test_every_setting_is_documented_and_nothing_else_is() -> None:
    table = (ROOT / "docs" / "settings.md").read_text()
    assert sorted(re.findall(r"^\| `(LABBOOK_\w+)`", table, re.MULTILINE)) == names()


def test_the_development_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first = load(tmp_path, {})
    assert load(tmp_path, {}).secret_key == first.secret_key
    assert len(first.secret_key) >= 32
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0


def test_the_environment_outranks_the_file(tmp_path: Path) -> None:
    (tmp_path / "labbook.toml").write_text('base_url = "http://file"\nmail_url = "smtp://file"\n')
    settings = load(tmp_path, {"LABBOOK_BASE_URL": "http://environment/"})
    assert (settings.base_url, settings.mail_url) == ("http://environment", "smtp://file")


def test_production_refuses_a_missing_or_weak_key_and_leaves_the_scheduler_off(tmp_path: Path) -> None:
    for key in ({}, {"LABBOOK_SECRET_KEY": "short"}):
        with pytest.raises(SettingsError, match="at least 32"):
            load(tmp_path, {"LABBOOK_ENV": "production"} | key)
    settings = load(tmp_path, {"LABBOOK_ENV": "production", "LABBOOK_SECRET_KEY": "k" * 32})
    assert settings.scheduler == "off"


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    wrong = {
        "LABBOOK_SCHEDULER": "maybe",
        "LABBOOK_MAIL_URL": "http://x",
        "LABBOOK_DATABASE_URL": "mysql://x",
    }
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, wrong)
    assert str(refused.value).count("\n") == 2


def test_an_unknown_key_in_the_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "labbook.toml").write_text('scheduller = "off"\n')
    with pytest.raises(SettingsError, match="scheduller"):
        load(tmp_path, {})


def test_postgresql_addresses_get_their_driver(tmp_path: Path) -> None:
    for url in ("postgres://h/d", "postgresql://h/d"):
        assert load(tmp_path, {"LABBOOK_DATABASE_URL": url}).database_url == "postgresql+psycopg://h/d"
