"""The queue of what waits for a manager's yes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from flask import g, render_template

from labbook.domain.errors import Forbidden, Problem
from labbook.formats import moments
from labbook.services import queue
from labbook.services.queue import Surroundings
from labbook.services.reservation_views import ReservationView
from labbook.web import fields, strips
from labbook.web.context import WAITING
from labbook.web.formatting import locale_code
from labbook.web.page import database, now, page_blueprint, viewer
from labbook.web.strips import Strip

blueprint = page_blueprint("approvals")


@dataclass(frozen=True)
class Card:
    """One request as it is drawn. ``values`` and ``fold`` fill the form that proposes another time."""

    waiting: queue.Waiting
    plots: Sequence[tuple[Surroundings, Strip]]
    values: Mapping[str, str]
    fold: Mapping[str, bool]
    names: Mapping[str, Mapping[str, str]]

    @property
    def reservation(self) -> ReservationView:
        return self.waiting.reservation

    @property
    def problems(self) -> Sequence[Problem]:
        return self.waiting.problems


@blueprint.get("/approvals")
def show() -> str:
    if not viewer().decides:
        raise Forbidden("approve")
    waiting = queue.read(database(), viewer=viewer(), now=now())
    undecided = [each for each in waiting if not each.waits_for_holder]
    g.setdefault(WAITING, len(undecided))
    return render_template(
        "approvals/show.html",
        cards=[_card(each) for each in waiting],
        open=undecided,
        now=now(),
        seen=moments.exact(now()),
    )


def _card(each: queue.Waiting) -> Card:
    view, zone = each.reservation, ZoneInfo(each.reservation.zone)
    values = fields.wall_fields("start", view.start, zone) | fields.wall_fields("end", view.end, zone)
    return Card(
        waiting=each,
        plots=[(piece, _plot(each, piece)) for piece in each.around],
        values=values,
        fold={name: fields.is_fold_day(values[f"{name}_date"], zone) for name in ("start", "end")},
        names={piece.slug: piece.name for piece in each.around},
    )


def _plot(each: queue.Waiting, piece: Surroundings) -> Strip:
    view = each.reservation
    own = [strips.block_of(view, this=view.status == "requested")]
    if view.pending_change is not None:
        own.append(strips.block_of_change(view, view.pending_change))
    return strips.around(
        piece, each.window, view.zone, own=own, apart_from=view.id, locale=locale_code(), now=now()
    )
