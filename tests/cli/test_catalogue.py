"""``flask catalogue load`` as whoever keeps the catalogue uses it."""

from __future__ import annotations

from pathlib import Path

from click.testing import Result
from flask import Flask
from sqlalchemy import func, select

from labbook.extensions import db
from labbook.models import Equipment
from tests.formats.test_catalogue import FULL, line_of


def load(app: Flask, file: Path, *more: str) -> Result:
    return app.test_cli_runner().invoke(args=["catalogue", "load", str(file), *more])


def written(folder: Path, text: str) -> Path:
    file = folder / "catalogue.toml"
    file.write_text(text, "utf-8")
    return file


def test_load_prints_what_it_changes_and_a_second_time_nothing(app: Flask, tmp_path: Path) -> None:
    first = load(app, written(tmp_path, FULL))
    assert first.exit_code == 0
    assert "created equipment chamber-1" in first.stdout.splitlines()
    assert first.stdout.splitlines()[-1] == "5 created, 0 updated."
    second = load(app, written(tmp_path, FULL))
    assert second.stdout.splitlines() == ["0 created, 0 updated."]


def test_load_prints_each_field_from_old_to_new(app: Flask, tmp_path: Path) -> None:
    load(app, written(tmp_path, FULL))
    text = FULL.replace('setup = "PT30M"', 'setup = "PT1H"').replace("-70..180 degC", "-70..190 degC")
    text = text.replace('"PT500H", "PT168H"', '"PT168H", "PT500H", "PT1000H"')
    changed = load(app, written(tmp_path, text)).stdout.splitlines()
    assert changed == [
        "updated equipment chamber-1: setup: PT30M -> PT1H; capabilities: {temperature = -70..180 degC, "
        "volume = 1000 L} -> {temperature = -70..190 degC, volume = 1000 L}",
        "updated environment damp-heat-bias: readouts: [PT168H, PT500H] -> [PT168H, PT500H, PT1000H]",
        "0 created, 2 updated.",
    ]


def test_load_prints_every_mistake_with_its_line_and_changes_nothing(app: Flask, tmp_path: Path) -> None:
    text = FULL.replace("places = 6", "places = 0").replace('room = "climate"', 'room = "climat"')
    file = written(tmp_path, text)
    result = load(app, file)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f'{file}:{line_of(text, "room =")}: equipment "chamber-1": room: '
        "The facility has no room “climat”; did you mean “climate”?",
        f'{file}:{line_of(text, "places = 0")}: equipment "chamber-1": places: '
        "This must be between 1 and 1,000.",
        "Nothing was changed: 2 errors.",
    ]
    assert db.session.scalar(select(func.count()).select_from(Equipment)) == 0


def test_dry_run_prints_the_same_and_changes_nothing(app: Flask, tmp_path: Path) -> None:
    file = written(tmp_path, FULL)
    dry = load(app, file, "--dry-run").stdout.splitlines()
    assert db.session.scalar(select(func.count()).select_from(Equipment)) == 0
    assert dry[:-1] == load(app, file).stdout.splitlines()[:-1]
    assert dry[-1] == "Would have: 5 created, 0 updated."


def test_warnings_do_not_hinder(app: Flask, tmp_path: Path) -> None:
    text = FULL.replace("20..85 degC", "20..850 degC")
    result = load(app, written(tmp_path, text))
    assert result.exit_code == 0
    assert f":{line_of(text, '850')}: warning: " in result.stderr


def test_a_file_that_is_no_text_or_not_there_is_told(app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "catalogue.toml"
    file.write_bytes(b"# one\n\xff\n")
    result = load(app, file)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == f"{file}:2: The file is not UTF-8 text."
    assert load(app, tmp_path / "missing.toml").exit_code == 2
