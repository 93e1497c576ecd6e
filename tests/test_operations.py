from __future__ import annotations

import io
import logging
from datetime import UTC, datetime, timedelta

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from labbook.extensions import db
from labbook.logs import lines_to, masked
from labbook.models import Reservation
from labbook.services import heartbeats, transaction
from labbook.services.heartbeats import Tally
from tests.cast import Cast
from tests.services.test_reservations import book


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


def samples(text_of: str) -> dict[str, float]:
    """Name and labels of each, as a collector reads them."""
    lines = [line for line in text_of.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_metrics_tell_of_each_scheduler_how_late_its_steps_were(client: FlaskClient) -> None:
    tally = Tally()
    for milliseconds in (4, 20, 20_000_000):
        tally.add(timedelta(milliseconds=milliseconds))
    tally.count(failed=1, sent=2)
    now = datetime.now(UTC)
    heartbeats.beat(db.session(), 'a "host":1', started_at=now, now=now, tally=tally)
    found = samples(client.get("/metrics").text)
    one = r'scheduler="a \"host\":1"'
    lateness = "labbook_step_lateness_seconds"
    assert found[f"labbook_steps_swept_total{{{one}}}"] == 3
    assert found[f"labbook_steps_failed_total{{{one}}}"] == 1
    assert found[f"labbook_mail_sent_total{{{one}}}"] == 2
    buckets = [f'{lateness}_bucket{{{one},le="{edge}"}}' for edge in ("0.01", "0.05", "3600", "+Inf")]
    assert [found[bucket] for bucket in buckets] == [1, 2, 2, 3]
    assert (found[f"{lateness}_count{{{one}}}"], found[f"{lateness}_sum{{{one}}}"]) == (3, 20_000.024)
    assert 0 <= found[f"labbook_scheduler_heard_seconds{{{one}}}"] < 60
    assert found["labbook_scheduler_silent"] == 0


def test_metrics_count_what_is_due_what_was_put_aside_and_what_failed(app: Flask, app_cast: Cast) -> None:
    put_aside = book(db.session(), app_cast.anna, "scope").id
    book(db.session(), app_cast.anna, "chamber")
    broken = update(Reservation).where(Reservation.public_id == put_aside).values(due_error="broken")
    transaction.write(db.session(), lambda: db.session.execute(broken))
    client = app.test_client()
    found = samples(client.get("/metrics").text)
    names = ("due", "due_failed", "mail_unsent", "mail_failed", "webhooks_due", "webhooks_failed")
    assert [found[f"labbook_{name}"] for name in names] == [2, 1, 2, 0, 0, 0]
    assert found["labbook_waitlist_waiting"] == 0


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
