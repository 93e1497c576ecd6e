"""``make bench``: what Labbook costs against the bare work, over 100 000 reservations, on both databases.

Both servers are waitress with four threads on this machine, both are asked by one client over one kept
connection, alternately, so that whatever else the machine does falls on both. Printed are medians in
milliseconds and their ratio; how sweeps and lateness are measured is said in ``sweeps``. Nothing here passes
or fails by a time, only the final lines say whether the aims were met.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from icalendar import Calendar
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from labbook.models.engine import prepare_engine
from tests.bench.data import EACH, FEED_SECRET, PIECES, STAFF_TOKEN, TOKEN, Lab, fill
from tests.bench.slots import bench_slots
from tests.bench.sweeps import Report, bench_live, bench_sweep
from tests.concurrency.racing import over_http, race
from tests.databases import ENGINES, Databases
from tests.live import ROOT, free_port, serving

ROUNDS = 200
PARTS = ["requests", "sweep", "slots"]
AIMS = {
    "create": 5.0,
    "week of 1": 2.0,
    "week of 50": 2.0,
    "304": 2.0,
    "feed": 1 / 20,
    "race": 1.0,
    "slots": 3.0,
}


class Client:
    """One kept connection."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        data = None if body is None else json.dumps(body)
        kind = {"Content-Type": "application/json"} if data else {}
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, data, self.headers | kind | names)
        answer = self.connection.getresponse()
        named_in_small = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, answer.read(), named_in_small


@dataclass
class Table:
    """Measured pairs, printed as they come."""

    engine: str
    missed: list[str] = field(default_factory=list)

    def compare(
        self,
        name: str,
        ours: Callable[[int], object],
        bare: Callable[[int], object],
        aim: float,
        rounds: int = ROUNDS,
    ) -> None:
        """Run both alternately; the first tenth warms up."""
        times: tuple[list[float], list[float]] = ([], [])
        for n in range(-rounds // 10, rounds):
            for work, into in ((ours, times[0]), (bare, times[1])):
                began = time.perf_counter()
                work(n)
                if n >= 0:
                    into.append((time.perf_counter() - began) * 1000)
        mine, theirs = (statistics.median(each) for each in times)
        self.report(name, mine, theirs, aim)

    def report(self, name: str, mine: float, theirs: float, aim: float) -> None:
        ratio = mine / theirs
        met = ratio <= aim
        if not met:
            self.missed.append(f"{self.engine} {name}")
        print(
            f"{self.engine:<11} {name:<34} {mine:9.2f} ms  bare {theirs:9.2f} ms  "
            f"ratio {ratio:7.3f}  aim {aim:6.3f}  {'met' if met else 'MISSED'}",
            flush=True,
        )


@contextlib.contextmanager
def bare_server(url: str) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.bare", url, str(port)], cwd=ROOT)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                Client(f"http://127.0.0.1:{port}").ask("GET", "/healthz")
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def expect(status: int, answer: tuple[int, bytes, dict[str, str]]) -> tuple[int, bytes, dict[str, str]]:
    if answer[0] != status:
        raise RuntimeError(f"expected {status}, got {answer[0]}: {answer[1][:500]!r}")
    return answer


def bench_create(table: Table, ours: Client, bare: Client, lab: Lab) -> None:
    """One reservation over HTTP, every rule checked, against a bare answer plus a bare guarded insert."""

    def create(n: int) -> None:
        start = lab.free_from + timedelta(hours=n + 100)
        body = {
            "equipment": [{"slug": "item-01", "places": 1}],
            "start": start.isoformat(),
            "end": (start + timedelta(hours=1)).isoformat(),
            "title": f"Bench {n}",
        }
        expect(201, ours.ask("POST", "/api/v1/reservations", body))

    def insert(n: int) -> None:
        expect(200, bare.ask("GET", "/bare"))
        start = int((lab.free_from + timedelta(hours=n + 100)).timestamp())
        body = {
            "reservation": EACH * PIECES,
            "place": 2,
            "start": start,
            "end": start + 3600,
            "opaque": f"b{n}",
        }
        expect(201, bare.ask("POST", "/insert", body))

    table.compare("create", create, insert, AIMS["create"])


def bench_week(table: Table, ours: Client, bare: Client, lab: Lab) -> None:
    """The calendar of a week, as JSON, against the same query and ``json.dumps`` of its rows.

    A 304 cannot be had without knowing who asks and whether anything changed: so the bare one asks the
    database that, in one query.
    """
    monday = lab.monday + timedelta(days=14)
    span = (monday, monday + timedelta(days=7))
    for pieces in (1, PIECES):
        which = "equipment=item-01" if pieces == 1 else "facility=bench"
        stamp = "{:%Y-%m-%dT%H:%M:%SZ}"
        path = f"/api/v1/calendar?{which}&from={stamp.format(span[0])}&to={stamp.format(span[1])}"
        theirs = f"/week?n={pieces}&from={int(span[0].timestamp())}&to={int(span[1].timestamp())}"
        _, body, headers = expect(200, ours.ask("GET", path))
        rows = len(json.loads(body)["items"])
        assert rows == len(json.loads(expect(200, bare.ask("GET", theirs))[1])), "both read the same week"
        table.compare(
            f"week of {pieces} ({rows} entries)",
            lambda _, p=path: expect(200, ours.ask("GET", p)),
            lambda _, p=theirs: expect(200, bare.ask("GET", p)),
            AIMS[f"week of {pieces}"],
        )
        tag = headers["etag"]
        table.compare(
            f"week of {pieces}: 304",
            lambda _, p=path, t=tag: expect(304, ours.ask("GET", p, If_None_Match=t)),
            lambda _: expect(304, bare.ask("GET", "/unchanged")),
            AIMS["304"],
        )


def bench_search(table: Table, ours: Client, bare: Client, lab: Lab) -> None:
    """Four of fifty pieces at once, over HTTP: found within the stretch that is read first, and never within
    300 days; against the bare reading of what is booked on them meanwhile.
    """
    monday, stamp = lab.monday + timedelta(days=14), "{:%Y-%m-%dT%H:%M:%SZ}"
    for name, hours, days, read in (("soon", 4, 300, 45), ("never in 300 days", 30, 300, 300)):
        until = monday + timedelta(days=days)
        path = (
            "/api/v1/slots?need=oscilloscope%3B+count%3A+4&limit=5"
            f"&duration=PT{hours}H&from={stamp.format(monday)}&to={stamp.format(until)}"
        )
        end = monday + timedelta(days=read)
        theirs = f"/week?n={PIECES}&from={int(monday.timestamp())}&to={int(end.timestamp())}"
        items = len(json.loads(expect(200, ours.ask("GET", path))[1])["items"])
        table.compare(
            f"slots of 4 in 50, {name} ({items})",
            lambda _, p=path: expect(200, ours.ask("GET", p)),
            lambda _, p=theirs: expect(200, bare.ask("GET", p)),
            AIMS["slots"],
            rounds=20,
        )


def bench_feed(table: Table, ours: Client, bare: Client) -> None:
    """A feed in which nothing changed, against ``icalendar``'s own ``to_ical`` over the same entries."""
    path = f"/feeds/{FEED_SECRET}.ics"
    began = time.perf_counter()
    _, body, headers = expect(200, ours.ask("GET", path))
    first = (time.perf_counter() - began) * 1000
    calendar = Calendar.from_ical(body)
    entries = len(calendar.walk("VEVENT"))
    print(f"{table.engine:<11} a feed of {entries} entries, read for the first time: {first:.0f} ms")
    table.compare(
        f"feed of {entries}, unchanged",
        lambda _: expect(200, ours.ask("GET", path)),
        lambda _: calendar.to_ical(),
        AIMS["feed"],
        rounds=20,
    )
    tag = headers["etag"]
    table.compare(
        "feed: 304",
        lambda _: expect(304, ours.ask("GET", path, If_None_Match=tag)),
        lambda _: expect(304, bare.ask("GET", "/unchanged")),
        AIMS["304"],
    )


def bench_race(table: Table, url: str, lab: Lab) -> None:
    """Sixteen processes want the same hour at the same instant, thirty times."""
    rounds, clients = 30, 16
    bodies = []
    for n in range(rounds + 1):
        start = lab.free_from + timedelta(hours=n + 2000)
        bodies.append(
            {
                "equipment": [{"slug": "item-02", "places": 1}],
                "start": start.isoformat(),
                "end": (start + timedelta(hours=1)).isoformat(),
                "title": "Race",
            }
        )
    answers = race(over_http, [(url, TOKEN, bodies)] * clients, len(bodies))[1:]  # the first one warms up
    booked = {sum(what == "booked" for what, _ in each) for each in answers}
    strange = sum(what not in ("booked", "refused") for each in answers for what, _ in each)
    took = sorted(seconds * 1000 for each in answers for _, seconds in each)
    met = booked == {1} and not strange and took[-1] < AIMS["race"] * 1000
    if not met:
        table.missed.append(f"{table.engine} race")
    print(
        f"{table.engine:<11} race of {clients} over HTTP, {rounds} rounds: booked in each {sorted(booked)}, "
        f"other answers {strange}; median {statistics.median(took):.0f} ms, slowest {took[-1]:.0f} ms  "
        f"aim {AIMS['race'] * 1000:.0f}  {'met' if met else 'MISSED'}",
        flush=True,
    )


def run(engine: str, databases: Databases, folder: Path) -> Table:
    table = Table(engine)
    with databases.fresh(engine) as url:
        prepared = prepare_engine(create_engine(url))
        with Session(prepared) as session:
            lab = fill(session, datetime.now(UTC))
        prepared.dispose()
        print(f"{engine:<11} {lab.reservations} reservations on {PIECES} pieces")
        with serving(url, folder / engine) as server, bare_server(url) as bare_url:
            ours, bare = Client(server.url, TOKEN), Client(bare_url, TOKEN)
            staff = Client(server.url, STAFF_TOKEN)
            expect(200, staff.ask("GET", "/api/v1/me"))
            bench_week(table, ours, bare, lab)
            bench_search(table, ours, bare, lab)
            bench_feed(table, Client(server.url), bare)
            bench_create(table, ours, bare, lab)
            bench_race(table, server.url, lab)
    return table


def run_sweeps(engine: str, databases: Databases, folder: Path) -> Report:
    report = Report(engine)
    with databases.fresh(engine) as url:
        prepared = prepare_engine(create_engine(url))
        with Session(prepared) as session:
            now = datetime.now(UTC)
            lab = fill(session, now)
            print(f"{engine:<11} {lab.reservations} reservations on {PIECES} pieces")
            if engine == "postgresql":
                bench_live(report, session, url, folder / "schedulers")
            bench_sweep(report, session, datetime.now(UTC) + timedelta(seconds=1))
        prepared.dispose()
    return report


def main() -> None:
    """``python -m tests.bench [requests|sweep|slots] [sqlite|postgresql]``: without a word, all of it."""
    asked = set(sys.argv[1:])
    engines = [engine for engine in ENGINES if engine in asked] or ENGINES
    parts = [part for part in PARTS if part in asked] or PARTS
    folder = Path(tempfile.mkdtemp(prefix="labbook-bench-"))
    databases = Databases(folder, durable=True)
    tables: list[Table | Report] = []
    try:
        if "requests" in parts:
            tables += [run(engine, databases, folder) for engine in engines]
        if "sweep" in parts:
            tables += [run_sweeps(engine, databases, folder) for engine in engines]
        if "slots" in parts:
            tables.append(bench_slots())
    finally:
        databases.close()
    missed = [each for table in tables for each in table.missed]
    print("every aim met" if not missed else "missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
