from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

from click.testing import Result
from flask import Flask

from labbook.extensions import db
from labbook.services import accounts, reservations, viewers
from tests.cast import NOW, Cast
from tests.services.test_reservations import book, wish


def run(app: Flask, *arguments: str, text: str | None = None) -> Result:
    return app.test_cli_runner().invoke(args=list(arguments), input=text)


def make_alpha(app: Flask) -> None:
    assert run(app, "organisation", "create", "alpha", "--name", "Alpha", "--kind", "company").exit_code == 0


def test_sweep_prints_a_line_for_each_kind_and_nothing_when_nothing_is_due(
    app: Flask, app_cast: Cast
) -> None:
    book(db.session(), app_cast.anna, "scope")
    book(db.session(), app_cast.anna, "scope-2")
    book(db.session(), app_cast.anna, "chamber")
    assert run(app, "sweep", "--now", "2026-03-23T08:00:01Z").output == ""
    assert run(app, "sweep", "--now", "2026-03-24T10:00:00+01:00").output == "expired 1\nin_use 2\n"
    assert run(app, "sweep", "--now", "2026-03-24T10:00:00+01:00").output == ""
    assert run(app, "sweep").output == "completed 2\n"


def test_sweep_refuses_a_time_beyond_the_calendar(app: Flask) -> None:
    result = run(app, "sweep", "--now", "9999-12-31T23:59:59Z")
    assert result.exit_code == 2
    assert "out of range; name one before 2200" in result.output


def test_sweep_refuses_a_naive_time(app: Flask) -> None:
    result = run(app, "sweep", "--now", "2026-03-24T10:00:00")
    assert result.exit_code == 2
    assert "names no zone" in result.stderr


def test_verify_says_on_which_line_what_is_broken(app: Flask, app_cast: Cast) -> None:
    assert run(app, "verify").exit_code == 0
    assert run(app, "verify").stdout == ""
    if db.engine.dialect.name == "sqlite":
        db.session.execute(db.text("DROP TRIGGER history_frozen"))
    else:
        db.session.execute(db.text("DROP TRIGGER history_frozen ON history"))
    db.session.commit()
    result = run(app, "verify")
    assert result.exit_code == 1
    assert result.stdout == "guard_missing: the database has lost its guard history_frozen\n"


def test_an_account_with_a_password_signs_in(app: Flask) -> None:
    make_alpha(app)
    result = run(
        app, "user", "create", "New@alpha.example", "--name", "New", "--organisation", "alpha",
        "--role", "admin", "--password-stdin", text="a long enough secret\n",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert accounts.authenticate(db.session(), "new@alpha.example", "a long enough secret")
    assert "secret" not in result.output


def test_without_a_password_a_working_invitation_stands_on_the_last_line(app: Flask) -> None:
    make_alpha(app)
    result = run(app, "user", "create", "new@alpha.example", "--name", "New", "--organisation", "alpha")
    token = re.fullmatch(r"http://.+/invitation/(.+)", result.stdout.splitlines()[-1])
    assert token
    found = accounts.redeem(db.session(), "invitation", token[1], "a long enough secret", now=_now())
    assert found.user_id


def _now() -> datetime:
    return datetime.now(UTC)


def test_every_mistake_is_told_at_once_on_stderr(app: Flask) -> None:
    result = run(app, "user", "create", "nobody", "--name", " ", "--organisation", "none", "--role", "king")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 4
    assert all(line.startswith("Error: ") for line in result.stderr.splitlines())


def test_staff_belong_to_facilities(app: Flask, app_cast: Cast) -> None:
    result = run(
        app, "user", "create", "t@x.example", "--name", "T", "--organisation", "university",
        "--role", "technician", "--facility", "cie",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = viewers.by_email(db.session(), "t@x.example", NOW)
    assert found is not None
    assert found.facility_ids == {app_cast.facility_id}


def test_a_project_has_members_of_several_organisations(app: Flask, app_cast: Cast) -> None:
    result = run(
        app, "project", "create", "both", "--name", "Both", "--organisation", "alpha",
        "--activity", "collaboration", "--member", app_cast.anna.email, "--member", app_cast.carla.email,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    asked = reservations.request(db.session(), wish("scope", project="both"), actor=app_cast.anna, now=NOW)
    assert asked.project == "both"
    again = run(
        app, "project", "create", "both", "--name", "B", "--organisation", "alpha", "--activity", "fun"
    )
    assert again.exit_code == 1
    assert len(again.stderr.splitlines()) == 2


def test_a_token_is_printed_once_alone_on_the_last_line_and_can_be_revoked(
    app: Flask, app_cast: Cast
) -> None:
    made = run(app, "token", "create", app_cast.anna.email, "--name", "script", "--expires", "P30D")
    secret = made.stdout.splitlines()[-1]
    found = viewers.by_token(db.session(), secret, _now())
    assert found is not None
    assert found.viewer.id == app_cast.anna.id
    assert run(app, "token", "revoke", secret).exit_code == 0
    db.session.rollback()
    assert viewers.by_token(db.session(), secret, _now()) is None
    assert run(app, "token", "revoke", secret).exit_code == 1


def test_all_tokens_of_somebody_are_revoked_by_their_address(app: Flask, app_cast: Cast) -> None:
    for name in ("one", "two", "two"):
        run(app, "token", "create", app_cast.anna.email, "--name", name, "--scope", "read")
    email = app_cast.anna.email
    assert run(app, "token", "revoke", email, "--name", "two").stdout == "Revoked: 2\n"
    assert run(app, "token", "revoke", email).stdout == "Revoked: 1\n"
    assert run(app, "token", "revoke", email).exit_code == 1


def test_a_token_for_nobody_is_refused_in_words(app: Flask) -> None:
    result = run(app, "token", "create", "who@x.example", "--name", "n")
    assert (result.exit_code, result.stderr) == (1, "Error: there is no active user who@x.example\n")


def test_the_demo_with_its_public_passwords_is_refused_in_production(app: Flask) -> None:
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], env="production")
    result = run(app, "demo")
    assert result.exit_code == 1
    assert "not for production" in result.stderr
