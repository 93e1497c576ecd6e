"""What is drawn of a utility against what there is: a plot, and the same in figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from flask import g, render_template, request, url_for
from flask_babel import gettext as _

from labbook.domain.interval import Interval
from labbook.domain.utility import written
from labbook.domain.wall_time import local_date, midnight
from labbook.services import utilities
from labbook.services.utilities import Load
from labbook.web import strips
from labbook.web.fields import lookup
from labbook.web.formatting import locale_code
from labbook.web.page import database, now, page_blueprint, viewer
from labbook.web.periods import Length, Period, read_day, title_of
from labbook.web.strips import Strip

blueprint = page_blueprint("utilities")

LENGTHS = (Length.DAY, Length.WEEK, Length.FOUR_WEEKS)
WIDTH, HEIGHT = 1000, 100
_HEADROOM = 1.12
"""How far above the capacity the plot goes, so that its line stands clear of the edge."""


@dataclass(frozen=True)
class Plot:
    """``drawn``, ``seen``: outlines in a box of ``WIDTH`` by ``HEIGHT``; ``capacity``: a height in it."""

    frame: Strip
    drawn: str
    seen: str
    capacity: float
    of: str
    words: str


@dataclass(frozen=True)
class Stretch:
    """From when until when the same is drawn, or the most within a day; ``free`` is what is left then."""

    start: datetime
    end: datetime
    drawn: str
    free: str
    is_full: bool
    on: date


@blueprint.get("/utilities")
def index() -> str:
    facility = lookup(request.args.get("facility", "")) or None
    shown = []
    for load in _of_this_week(facility):
        zone = load.utility.zone
        g.example = g.get("example") or load.utility.example
        top = max(level.drawn for level in load.levels)
        shown.append(
            (load.utility, _plot(load, zone), _amount(load, top), _amount(load, load.utility.capacity))
        )
    return render_template("utilities/index.html", shown=shown)


def _of_this_week(facility: str | None) -> list[Load]:
    """On the clock of the first lab: labs in several zones have a page for each utility."""
    known = utilities.of_facility(database(), facility)
    if not known:
        return []
    zone = ZoneInfo(known[0].zone)
    week = Period(Length.WEEK, local_date(now(), zone)).within(zone)
    return utilities.read_all(database(), facility, week, viewer=viewer())


@blueprint.get("/utilities/<slug>")
def show(slug: str) -> str:
    utility = utilities.find(database(), slug)
    g.example = utility.example
    zone = ZoneInfo(utility.zone)
    asked = request.args.get("view", "")
    length = next((each for each in LENGTHS if each == asked), Length.WEEK)
    period = Period(length, read_day(request.args.get("date", "")) or local_date(now(), zone))
    load = utilities.read(database(), slug, period.within(zone), viewer=viewer())
    return render_template(
        "utilities/show.html",
        utility=utility,
        capacity=_amount(load, utility.capacity),
        load=load,
        plot_of=_plot(load, utility.zone),
        stretches=_steps(load) if length is Length.DAY else _days(load, period, zone),
        drawings=[
            (each, _amount(load, each.amount), _look(each.status, each.kind)) for each in load.drawings
        ],
        period=period,
        title=title_of(period, zone),
        lengths=((Length.DAY, _("Day")), (Length.WEEK, _("Week")), (Length.FOUR_WEEKS, _("4 weeks"))),
        to=lambda view=length, day=period.day: url_for("utilities.show", slug=slug, view=view, date=day),
        today=local_date(now(), zone),
    )


def _look(status: str, kind: str) -> str:
    return strips.look_of(status, kind=kind)


def _amount(load: Load, thousandths: int) -> str:
    return written(thousandths, load.utility.unit)


def _stretches(load: Load) -> list[tuple[Interval, int]]:
    """Each level with the time that it lasts."""
    ends = [level.at for level in load.levels[1:]] + [load.within.end]
    return [(Interval(level.at, end), level.drawn) for level, end in zip(load.levels, ends, strict=True)]


def _steps(load: Load) -> list[Stretch]:
    return [_stretch(load, span.start, span.end, drawn) for span, drawn in _stretches(load)]


def _days(load: Load, period: Period, zone: ZoneInfo) -> list[Stretch]:
    """For each day the most that is drawn at once."""
    found = []
    whole = _stretches(load)
    for day in period.days():
        within = Interval(midnight(day, zone), midnight(day + timedelta(days=1), zone))
        most = max(drawn for span, drawn in whole if span.overlaps(within))
        found.append(_stretch(load, within.start, within.end, most))
    return found


def _stretch(load: Load, start: datetime, end: datetime, drawn: int) -> Stretch:
    free = load.utility.capacity - drawn
    on = local_date(start, ZoneInfo(load.utility.zone))
    return Stretch(start, end, _amount(load, drawn), _amount(load, free), is_full=free <= 0, on=on)


def _plot(load: Load, zone: str) -> Plot:
    within = load.within
    frame = strips.lay_out((), within.start, within.end, zone, locale=locale_code(), now=now())
    top = max(load.utility.capacity, max(level.drawn for level in load.levels), 1) * _HEADROOM
    most = max(level.drawn for level in load.levels)
    words = _("%(drawn)s of %(capacity)s at most", drawn=_amount(load, most),
              capacity=_amount(load, load.utility.capacity))  # fmt: skip
    return Plot(
        frame=frame,
        drawn=_outline([(level.at, level.drawn) for level in load.levels], within, top),
        seen=_outline([(level.at, level.seen) for level in load.levels], within, top),
        capacity=round(HEIGHT * (1 - load.utility.capacity / top), 2),
        of=_amount(load, load.utility.capacity),
        words=words,
    )


def _outline(levels: Sequence[tuple[datetime, int]], within: Interval, top: float) -> str:
    """A path of right angles, closed along the bottom."""
    length = within.duration

    def x(at: datetime) -> str:
        return f"{WIDTH * ((at - within.start) / length):.2f}"

    def y(amount: int) -> str:
        return f"{HEIGHT * (1 - amount / top):.2f}"

    path = [f"M0 {HEIGHT}", f"V{y(levels[0][1])}"]
    path += [f"H{x(at)}V{y(amount)}" for _before, (at, amount) in pairwise(levels)]
    return "".join([*path, f"H{WIDTH}V{HEIGHT}Z"])
