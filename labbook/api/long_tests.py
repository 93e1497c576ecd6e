"""Inside a long test: read-outs and visits, pauses of its clock, the end that is expected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flask import Blueprint, Response, url_for

from labbook.api.answers import reservation_answer
from labbook.api.asking import database, now, viewer
from labbook.api.reading import Reader
from labbook.api.reservations import settled
from labbook.services import long_tests
from labbook.services.commands import OnTest, OnVisit, PlanVisit
from labbook.services.reservation_views import ReservationView

VISIT_STEPS: dict[str, Callable[..., ReservationView]] = {
    "done": long_tests.done,
    "drop": long_tests.drop,
    "move": long_tests.move,
}
TEST_STEPS: dict[str, Callable[..., ReservationView]] = {
    "pause": long_tests.pause,
    "resume": long_tests.resume,
    "expect": long_tests.expect,
}


def register(blueprint: Blueprint) -> None:
    one = "/reservations/<public_id>"
    blueprint.add_url_rule(f"{one}/visits", "plan_visit", plan, methods=["POST"])
    for step in VISIT_STEPS:
        blueprint.add_url_rule(
            f"{one}/visits/<visit>/{step}", f"{step}_visit", _on_visit(step), methods=["POST"]
        )
    for step in TEST_STEPS:
        blueprint.add_url_rule(f"{one}/{step}", step, _on_test(step), methods=["POST"])


def plan(public_id: str) -> Response:
    def read(body: Reader) -> PlanVisit:
        return PlanVisit(
            public_id,
            after=body.duration("after"),
            at=body.instant("at"),
            length=body.duration("length"),
            note=body.text("note") or "",
        )

    made = _taken(public_id, "visit", read, long_tests.plan)
    made.status_code = 201
    made.headers["Location"] = url_for("api.reservation", public_id=public_id)
    return made


def _on_visit(step: str) -> Callable[..., Response]:
    def take(public_id: str, visit: str) -> Response:
        def read(body: Reader) -> OnVisit:
            if step != "move":
                return OnVisit(public_id, visit, note=body.text("note") or "")
            at, length = body.instant("at", required=True), body.duration("length")
            return OnVisit(public_id, visit, at=at, length=length, note=body.text("note") or "")

        return _taken(public_id, "visit", read, VISIT_STEPS[step])

    return take


def _on_test(step: str) -> Callable[..., Response]:
    def take(public_id: str) -> Response:
        def read(body: Reader) -> OnTest:
            return OnTest(public_id, at=body.instant("at"), reason=body.text("reason") or "")

        return _taken(public_id, step, read, TEST_STEPS[step])

    return take


def _taken(
    public_id: str,
    action: str,
    read: Callable[[Reader], PlanVisit | OnVisit | OnTest],
    run: Callable[..., ReservationView],
) -> Response:
    command, revision = settled(public_id, action, read)
    command = replace(command, revision=revision)
    return reservation_answer(run(database(), command, actor=viewer(), now=now()))
