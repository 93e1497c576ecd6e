"""``flask feed`` as whoever operates the service uses it."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask
from flask.testing import FlaskClient

from tests.cast import Cast


def flask(app: Flask, *arguments: str) -> tuple[int, list[str]]:
    result = app.test_cli_runner().invoke(args=["feed", *arguments])
    return result.exit_code, result.output.splitlines()


def test_create_prints_an_address_that_works_alone_on_the_last_line(
    app: Flask, client: FlaskClient, app_cast: Cast
) -> None:
    code, lines = flask(app, "create", app_cast.anna.email, "--scope", "mine")
    assert code == 0
    assert lines[-1].startswith("http://127.0.0.1:5000/feeds/")
    assert client.get(urlsplit(lines[-1]).path).status_code == 200


def test_create_for_nobody_or_for_a_scope_that_is_not_theirs_says_so(app: Flask, app_cast: Cast) -> None:
    assert flask(app, "create", "nobody@alpha.example", "--scope", "mine")[0] == 1
    code, lines = flask(app, "create", app_cast.anna.email, "--scope", "approvals")
    assert code == 1
    assert "approvals" in lines[-1]


def test_revoke_ends_one_address(app: Flask, client: FlaskClient, app_cast: Cast) -> None:
    first, second = (
        flask(app, "create", app_cast.anna.email, "--scope", scope)[1][-1]
        for scope in ("mine", "organisation")
    )
    assert flask(app, "revoke", first)[0] == 0
    assert client.get(urlsplit(first).path).status_code == 404
    assert client.get(urlsplit(second).path).status_code == 200
    assert flask(app, "revoke", first)[0] == 1


def test_revoke_ends_every_address_of_somebody(app: Flask, client: FlaskClient, app_cast: Cast) -> None:
    made = [flask(app, "create", app_cast.anna.email, "--scope", "mine")[1][-1] for _ in range(2)]
    kept = flask(app, "create", app_cast.bo.email, "--scope", "mine")[1][-1]
    assert flask(app, "revoke", app_cast.anna.email) == (0, ["Revoked: 2"])
    assert [client.get(urlsplit(url).path).status_code for url in made] == [404, 404]
    assert client.get(urlsplit(kept).path).status_code == 200


def test_list_shows_scopes_and_no_secrets(app: Flask, app_cast: Cast) -> None:
    url = flask(app, "create", app_cast.anna.email, "--scope", "equipment:scope", "--name", "Phone")[1][-1]
    code, (line,) = flask(app, "list", app_cast.anna.email)
    assert code == 0
    assert line.split("\t")[1:] == ["equipment:scope", "never used", "Phone"]
    assert url not in line
