"""Processes that all try at the same instant, round by round."""

from __future__ import annotations

import contextlib
import http.client
import json
import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError
from typing import Any

from sqlalchemy.exc import DBAPIError

from labbook.services.transaction import constraint_of

Attempt = Callable[[int], str]
"""Tries once in the round of that number, and says what came of it."""

Begin = Callable[[Any], AbstractContextManager[Attempt]]
"""Makes one client ready for its task, in its own process; must be importable from there."""

Answer = tuple[str, float]
"""What came of it, and the seconds it took."""


def _run(answers: Connection, barrier: Barrier, begin: Begin, task: Any, rounds: int) -> None:
    """One process: in each round wait for the others, try once, note what came of it and how long it took."""
    try:
        answers.send(_attempts(barrier, begin, task, rounds))
    except BrokenBarrierError:
        answers.send("another client failed")
    except BaseException:  # noqa: BLE001 - told to whoever started the race
        barrier.abort()
        answers.send(traceback.format_exc())


def _attempts(barrier: Barrier, begin: Begin, task: Any, rounds: int) -> list[Answer]:
    found = []
    with begin(task) as attempt:
        for number in range(rounds):
            barrier.wait(timeout=60)
            began = time.perf_counter()
            found.append((attempt(number), time.perf_counter() - began))
    return found


def race(begin: Begin, tasks: list[Any], rounds: int) -> list[list[Answer]]:
    """The answers round by round. No client outlives the race, whatever becomes of it."""
    # As fresh as spawned, but from a process that has read the code already: sixteen times that is long.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.concurrency.test_races", "tests.concurrency.test_waitlist_races"])
    barrier = context.Barrier(len(tasks))
    clients, pipes = [], []
    try:
        for task in tasks:
            ours, theirs = context.Pipe(duplex=False)
            client = context.Process(target=_run, args=(theirs, barrier, begin, task, rounds), daemon=True)
            client.start()
            theirs.close()
            clients.append(client)
            pipes.append(ours)
        found = [pipe.recv() if pipe.poll(timeout=200) else "no answer" for pipe in pipes]
    finally:
        for client in clients:
            client.join(timeout=5)
            client.kill()
    assert all(isinstance(each, list) for each in found), "\n".join(e for e in found if isinstance(e, str))
    return [list(each) for each in zip(*found, strict=True)]


@contextlib.contextmanager
def over_http(task: tuple[str, str, list[dict[str, Any]]]) -> Iterator[Attempt]:
    """``task``: the server's address, a token, and the body to post in each round.

    The status tells what came of it; 409 only counts as refused when it says by what.
    """
    address, token, bodies = task
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("GET", "/api/v1/me", headers=headers)
    connection.getresponse().read()

    def attempt(number: int) -> str:
        connection.request("POST", "/api/v1/reservations", json.dumps(bodies[number]), headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status == 201:
            return "booked"
        explained = answer.status == 409 and json.loads(said)["conflicts"]
        return "refused" if explained else f"{answer.status} {said[:500]!r}"

    yield attempt
    connection.close()


def refused_by(error: DBAPIError, guard: str) -> str:
    """``refused`` where that guard did it; anything else in full, for the test to fail by."""
    return "refused" if guard in constraint_of(error) else str(error)
