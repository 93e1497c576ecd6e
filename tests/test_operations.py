from __future__ import annotations

from flask.testing import FlaskClient
from sqlalchemy import text

from labbook.extensions import db
from labbook.logs import masked


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


def test_pages_carry_a_content_security_policy(client: FlaskClient) -> None:
    policy = client.get("/healthz").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
