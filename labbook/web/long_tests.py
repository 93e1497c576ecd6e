"""Inside a long test: planning, moving, doing and dropping its read-outs and visits, and its pauses."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from flask import request
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from labbook.domain.errors import Refused
from labbook.services import long_tests
from labbook.services.commands import OnTest, OnVisit, PlanVisit
from labbook.services.reservation_views import ReservationView
from labbook.web.fields import Fields
from labbook.web.page import database, now, page_blueprint, viewer
from labbook.web.reservations import done as answered
from labbook.web.reservations import revision_of, theirs

blueprint = page_blueprint("long_tests")

Run = Callable[..., ReservationView]

VISIT_STEPS: dict[str, tuple[Run, object]] = {
    "done": (long_tests.done, _l("Done.")),
    "drop": (long_tests.drop, _l("Dropped.")),
    "move": (long_tests.move, _l("Moved.")),
}
TEST_STEPS: dict[str, tuple[Run, object]] = {
    "pause": (long_tests.pause, _l("Paused. No hours accrue until it goes on.")),
    "resume": (long_tests.resume, _l("It goes on. What is to be read out was laid anew.")),
    "expect": (long_tests.expect, _l("The expected end is noted.")),
}


@blueprint.post("/reservations/<public_id>/visits")
def plan(public_id: str) -> Response:
    zone, read = _zone(public_id), Fields(request.form)
    is_readout = read.line("kind") == "readout"
    at = None if is_readout else read.instant("at", zone)
    after, length = read.length("after") if is_readout else None, read.length("length")
    if read.problems:
        raise Refused(read.problems)
    command = PlanVisit(
        public_id, after=after, at=at, length=length, note=read.text("note"), revision=revision_of(read)
    )
    return answered(
        long_tests.plan(database(), command, actor=viewer(), now=now()), str(_l("It is planned."))
    )


def on_visit(public_id: str, visit: str, step: str) -> Response:
    run, said = VISIT_STEPS[step]
    zone, read = _zone(public_id), Fields(request.form)
    at = read.instant("at", zone) if step == "move" else None
    length = read.length("length") if step == "move" else None
    if read.problems:
        raise Refused(read.problems)
    command = OnVisit(
        public_id, visit, at=at, length=length, note=read.text("note"), revision=revision_of(read)
    )
    return answered(run(database(), command, actor=viewer(), now=now()), str(said))


def on_test(public_id: str, step: str) -> Response:
    run, said = TEST_STEPS[step]
    zone, read = _zone(public_id), Fields(request.form)
    at = read.instant("at", zone, required=False)
    if read.problems:
        raise Refused(read.problems)
    command = OnTest(public_id, at=at, reason=read.text("reason"), revision=revision_of(read))
    return answered(run(database(), command, actor=viewer(), now=now()), str(said))


def _zone(public_id: str) -> ZoneInfo:
    """The wall clock of the lab; who may do none of this is told so before a form is read."""
    return ZoneInfo(theirs(public_id, "visit", "requested", "approved", "in_use").zone)


def _view_of_visit(step: str) -> Callable[..., Response]:
    def take(public_id: str, visit: str) -> Response:
        return on_visit(public_id, visit, step)

    return take


def _view_of_test(step: str) -> Callable[..., Response]:
    def take(public_id: str) -> Response:
        return on_test(public_id, step)

    return take


for _step in VISIT_STEPS:
    _path = f"/reservations/<public_id>/visits/<visit>/{_step}"
    blueprint.add_url_rule(_path, _step, _view_of_visit(_step), methods=["POST"])
for _step in TEST_STEPS:
    blueprint.add_url_rule(
        f"/reservations/<public_id>/{_step}", _step, _view_of_test(_step), methods=["POST"]
    )
