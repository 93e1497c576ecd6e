"""``flask kiosk`` as whoever operates the service uses it."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask

from labbook.extensions import db
from labbook.models import KioskDevice
from tests.cast import Cast


def flask(app: Flask, *arguments: str) -> tuple[int, list[str]]:
    result = app.test_cli_runner().invoke(args=["kiosk", *arguments])
    return result.exit_code, result.output.splitlines()


def test_create_prints_a_pairing_address_alone_on_the_last_line(app: Flask, app_cast: Cast) -> None:
    code, lines = flask(app, "create", "chamber", "--name", "hall")
    assert code == 0
    assert lines[-1].startswith("http://127.0.0.1:5000/kiosk-key/")
    tablet = app.test_client()
    assert tablet.get(urlsplit(lines[-1]).path).location == "/kiosk/chamber"
    assert tablet.get("/kiosk/chamber").status_code == 200
    row = db.session.query(KioskDevice).one()
    assert (row.organisation_id, row.created_by_id) == (app_cast.mia.organisation_id, app_cast.mia.id)


def test_there_is_none_at_what_there_is_not_and_none_without_a_name(app: Flask, app_cast: Cast) -> None:
    code, lines = flask(app, "create", "nothing", "--name", "hall")
    assert (code, lines) == (1, ["Error: equipment: There is no equipment “nothing”."])
    assert flask(app, "create", "chamber", "--name", " ")[0] == 1
    assert flask(app, "create", "chamber")[0] == 2


def test_revoke_takes_a_number_a_piece_or_an_address_that_nobody_used(app: Flask, app_cast: Cast) -> None:
    made = [flask(app, "create", "chamber", "--name", name)[1] for name in ("a", "b", "c", "d")]
    assert flask(app, "revoke", made[0][-1]) == (0, ["Revoked: 1"])
    assert flask(app, "revoke", made[1][0].split()[1]) == (0, ["Revoked: 1"])
    assert flask(app, "revoke", "chamber") == (0, ["Revoked: 2"])
    assert [flask(app, "revoke", which)[0] for which in ("chamber", "1", "999", "nothing")] == [1] * 4
    assert app.test_client().get(urlsplit(made[0][-1]).path).status_code == 404


def test_list_shows_where_and_whether_it_was_seen_and_no_secrets(app: Flask, app_cast: Cast) -> None:
    address = flask(app, "create", "chamber", "--name", "hall")[1][-1]
    code, (line,) = flask(app, "list")
    assert (code, line.split("\t")[1:]) == (0, ["chamber", "not paired yet", "hall"])
    assert address.rpartition("/")[2] not in line
