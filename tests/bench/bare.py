"""The bare work: Flask, the driver, and nothing else; what Labbook is measured against.

Run as ``python -m tests.bench.bare DATABASE_URL PORT``.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
import threading
from typing import Any

import psycopg
import waitress
from flask import Flask, Response, request

WEEK = """
SELECT a.opaque_id, a.starts_at, a.ends_at, r.public_id, r.status, r.title, r.organisation_id, p.equipment_id
FROM places p JOIN allocations a ON a.place_id = p.id JOIN reservations r ON r.id = a.reservation_id
WHERE p.equipment_id <= {mark} AND a.blocking = {true} AND a.starts_at < {mark} AND a.ends_at > {mark}
  AND a.starts_at >= coalesce((SELECT max(b.starts_at) FROM allocations b
      WHERE b.place_id = p.id AND b.blocking = {true} AND b.starts_at <= {mark}), {mark})
"""
INSERT = """
INSERT INTO allocations
    (reservation_id, place_id, starts_at, ends_at, blocking, opaque_id, sequence, changed_at)
VALUES ({mark}, {mark}, {mark}, {mark}, {true}, {mark}, 0, {mark})
"""


UNCHANGED = """
SELECT t.id, u.id, u.role, (SELECT sum(number) FROM change_counters)
FROM api_tokens t JOIN users u ON u.id = t.user_id
WHERE t.token_hash = {mark} AND t.revoked_at IS NULL AND u.active = {true}
"""


class Bare:
    """One connection per thread, as a plain program would hold them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sqlite = url.startswith("sqlite")
        self.local = threading.local()

    def connection(self) -> Any:
        if not hasattr(self.local, "connection"):
            if self.sqlite:
                found = sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None)
                found.execute("PRAGMA journal_mode = WAL")
                found.execute("PRAGMA synchronous = FULL")
                found.execute("PRAGMA foreign_keys = ON")
            else:
                found = psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True)
            self.local.connection = found
        return self.local.connection

    def sql(self, statement: str) -> str:
        mark, true = ("?", "1") if self.sqlite else ("%s", "true")
        return statement.format(mark=mark, true=true)

    def instant(self, seconds: int) -> Any:
        from datetime import UTC, datetime

        return seconds * 1_000_000 if self.sqlite else datetime.fromtimestamp(seconds, UTC)


def make(url: str) -> Flask:
    app = Flask("bare")
    bare = Bare(url)

    @app.get("/bare")
    def plain() -> Response:
        return Response(json.dumps({"ok": True}), mimetype="application/json")

    @app.get("/healthz")
    def healthz() -> str:
        return "ok"

    @app.get("/unchanged")
    def unchanged() -> Response:
        key = hashlib.sha256(request.headers["Authorization"][7:].encode()).hexdigest()
        (row,) = bare.connection().execute(bare.sql(UNCHANGED), (key,)).fetchall()
        return Response(status=304, headers={"ETag": f'"{row[-1]}"'})

    @app.get("/week")
    def week() -> Response:
        start, end = bare.instant(int(request.args["from"])), bare.instant(int(request.args["to"]))
        rows = bare.connection().execute(bare.sql(WEEK), (int(request.args["n"]), end, start, start, start))
        return Response(json.dumps([list(map(str, row)) for row in rows]), mimetype="application/json")

    @app.post("/insert")
    def insert() -> Response:
        sent = request.get_json()
        start, end = bare.instant(sent["start"]), bare.instant(sent["end"])
        connection = bare.connection()
        connection.execute("BEGIN IMMEDIATE" if bare.sqlite else "BEGIN")
        row = (sent["reservation"], sent["place"], start, end, sent["opaque"], start)
        connection.execute(bare.sql(INSERT), row)
        connection.execute("COMMIT")
        return Response(json.dumps({"ok": True}), mimetype="application/json", status=201)

    return app


if __name__ == "__main__":
    waitress.serve(make(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), threads=4, _quiet=True)
