from __future__ import annotations

import io
import logging

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from labbook.extensions import db
from labbook.logs import lines_to, masked


def test_a_migrated_database_is_ready_and_says_so(client: FlaskClient) -> None:
    assert client.get("/healthz").text == "ok\n"
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["ready"]) == (200, True)  # type: ignore[index]


def test_a_missing_guard_makes_the_service_unready(client: FlaskClient) -> None:
    on = "" if db.engine.dialect.name == "sqlite" else " ON reservations"
    db.session.execute(text(f"DROP TRIGGER reservations_spread{on}"))
    db.session.commit()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["wrong"] == ["guards are missing in the database"]  # type: ignore[index]


def test_metrics_are_prometheus_text(client: FlaskClient) -> None:
    assert "labbook_database_up 1" in client.get("/metrics").text


def test_secrets_in_paths_are_masked() -> None:
    assert masked("/feeds/abcdef.ics") == "/feeds/***.ics"


def test_an_error_is_one_line_of_the_log_and_holds_no_secret(app: Flask) -> None:
    written = io.StringIO()
    log = logging.Logger("labbook.test")
    log.addHandler(lines_to(written))
    secret = "SECRET"
    try:
        raise ValueError(f"of\n/invitation/{secret}")
    except ValueError:
        log.exception("failed at /feeds/%s.ics", secret)
    try:
        db.session.execute(text("INSERT INTO users (email) VALUES (:path)"), {"path": f"{secret}"})
    except IntegrityError:
        log.exception("refused")
    lines = written.getvalue().splitlines()
    assert [("Traceback" in line, "Error" in line) for line in lines] == [(True, True)] * 2
    assert secret not in written.getvalue()


def test_pages_carry_a_content_security_policy(client: FlaskClient) -> None:
    policy = client.get("/healthz").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
