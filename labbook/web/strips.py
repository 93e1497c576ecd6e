"""A thing's own strip of the timeline, laid out for an SVG: percentages across, pixels down.

Pages carry no inline style, so positions are attributes of an SVG that ``macros/strip.html`` draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flask_babel import gettext as _

from labbook.domain.interval import Interval
from labbook.domain.wall_time import local_date, midnight
from labbook.formats import moments
from labbook.formats.words import word
from labbook.services.calendar import BusyEntry, FullEntry
from labbook.services.queue import Surroundings
from labbook.services.reservation_views import ChangeView, ReservationView

HEAD = 20
LANE = 28
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Block:
    """What is drawn. ``status`` is a reservation's, or ``busy``, ``block``, ``overrun``.

    ``start`` to ``end`` is what is occupied, ``use`` the part of it without set-up and tear-down.
    ``this``: the one that the page is about.
    """

    status: str
    label: str
    start: datetime
    end: datetime
    use: tuple[datetime, datetime] | None = None
    href: str | None = None
    this: bool = False


@dataclass(frozen=True)
class Tick:
    """``width`` is the room that the label has before the next."""

    x: str
    label: str
    width: str = "100%"


@dataclass(frozen=True)
class Placed:
    """A block in its lane: ``x``, ``width`` of what is occupied; ``use_x``, ``use_width`` within that."""

    block: Block
    x: str
    width: str
    y: int
    use_x: str
    use_width: str
    words: str


@dataclass(frozen=True)
class Strip:
    height: int
    ticks: Sequence[Tick]
    weekends: Sequence[tuple[str, str]]
    placed: Sequence[Placed]
    now: str | None
    words: str


def block_of(view: ReservationView, *, this: bool = False) -> Block:
    """A reservation that is seen in full."""
    return Block(
        status=look_of(view.status, kind=view.kind, standing=_standing(view)),
        label=view.title,
        start=view.occupied_start,
        end=view.occupied_end,
        use=(view.start, view.end),
        href=f"/reservations/{view.id}",
        this=this,
    )


def block_of_entry(entry: FullEntry | BusyEntry, locale: str = "en") -> Block:
    """What a calendar shows: a reservation in full, or somebody else's time."""
    if isinstance(entry, BusyEntry):
        return Block("busy", word("busy", locale), entry.start, entry.end)
    return Block(
        status=look_of(entry.status, kind=entry.kind, standing=entry.standing),
        label=entry.title,
        start=entry.occupied_start,
        end=entry.occupied_end,
        use=(entry.start, entry.end),
        href=f"/reservations/{entry.id}",
    )


def around(
    piece: Surroundings,
    window: Interval,
    zone: str,
    *,
    own: Iterable[Block] = (),
    apart_from: str | None = None,
    locale: str = "en",
    now: datetime | None = None,
) -> Strip:
    """One piece's strip: what is on it, without ``apart_from``, and ``own`` blocks among them."""
    others = [block_of_entry(e, locale) for e in piece.entries if e.id != apart_from]
    return lay_out([*others, *own], window.start, window.end, zone, locale=locale, now=now)


def block_of_change(view: ReservationView, change: ChangeView) -> Block:
    """The time that is asked for or proposed instead, with the same set-up and tear-down."""
    before, after = view.start - view.occupied_start, view.occupied_end - view.end
    use = (change.start, change.end)
    label = _("proposed") if change.kind == "proposal" else _("asked for")
    return Block("requested", label, change.start - before, change.end + after, use, this=True)


def look_of(status: str, *, kind: str = "booking", standing: str | None = None) -> str:
    """Which of the look's states it is drawn as; ``standing`` where it does not go as planned."""
    return standing or ("block" if kind == "block" else status)


def _standing(view: ReservationView) -> str | None:
    if view.overrun_since is not None and view.status == "in_use":
        return "overrun"
    return "displaced" if view.displaced_since is not None and view.status == "approved" else None


def lay_out(
    blocks: Iterable[Block],
    start: datetime,
    end: datetime,
    zone: str,
    *,
    locale: str = "en",
    now: datetime | None = None,
) -> Strip:
    """Blocks that touch ``[start, end)``, those that overlap beneath each other."""
    scale = _Scale(start, end)
    seen = sorted((b for b in blocks if b.start < end and start < b.end), key=lambda b: (b.start, b.end))
    where = ZoneInfo(zone)
    placed: list[Placed] = []
    lanes: list[datetime] = []
    for block in seen:
        lane = next((n for n, free in enumerate(lanes) if free <= block.start), len(lanes))
        lanes[lane:] = [block.end, *lanes[lane + 1 :]]
        placed.append(_place(block, scale, lane, where, locale))
    return Strip(
        height=HEAD + 4 + LANE * max(1, len(lanes)),
        ticks=_with_room(_ticks(scale, where, locale)),
        weekends=_weekends(scale, where),
        placed=placed,
        now=scale.at(now) if now is not None and start <= now < end else None,
        words=moments.span(start, end, where, locale),
    )


class _Scale:
    def __init__(self, start: datetime, end: datetime) -> None:
        self.start, self.end = start, end

    def at(self, instant: datetime) -> str:
        return _percent((instant - self.start) / (self.end - self.start))

    def clip(self, start: datetime, end: datetime) -> tuple[datetime, datetime]:
        return max(start, self.start), min(end, self.end)

    def width(self, start: datetime, end: datetime) -> str:
        return _percent((end - start) / (self.end - self.start))


def _percent(share: float) -> str:
    return f"{100 * share:.3f}%"


def _place(block: Block, scale: _Scale, lane: int, zone: ZoneInfo, locale: str) -> Placed:
    start, end = scale.clip(block.start, block.end)
    use_start, use_end = scale.clip(*(block.use or (block.start, block.end)))
    whole = (end - start) / timedelta(seconds=1)
    said = moments.span(*(block.use or (block.start, block.end)), zone, locale)
    return Placed(
        block=block,
        x=scale.at(start),
        width=scale.width(start, end),
        y=HEAD + 2 + lane * LANE,
        use_x=_percent((use_start - start).total_seconds() / whole),
        use_width=_percent(max(0.0, (use_end - use_start).total_seconds() / whole)),
        words=", ".join(part for part in (block.label, word(block.status, locale), said) if part),
    )


def _ticks(scale: _Scale, zone: ZoneInfo, locale: str) -> list[Tick]:
    length = scale.end - scale.start
    if length <= timedelta(days=2):
        return [Tick(scale.at(at), moments.clock(at, zone)) for at in _hours(scale, zone, 4)]
    days = list(_days(scale, zone))
    if length <= timedelta(days=11):
        return [Tick(scale.at(midnight(d, zone)), moments.day(d, zone, locale)) for d in days]
    if length <= timedelta(days=100):
        return [
            Tick(scale.at(midnight(d, zone)), moments.day(d, zone, locale)) for d in days if d.weekday() == 0
        ]
    return [Tick(scale.at(midnight(d, zone)), moments.day(d, zone, locale)) for d in days if d.day == 1]


def _with_room(ticks: list[Tick]) -> list[Tick]:
    """A label is cut off rather than written over the next."""
    following = [float(tick.x[:-1]) for tick in ticks[1:]] + [100.0]
    return [
        replace(tick, width=f"{end - float(tick.x[:-1]):.3f}%")
        for tick, end in zip(ticks, following, strict=True)
    ]


def _days(scale: _Scale, zone: ZoneInfo) -> Iterable[date]:
    day = local_date(scale.start, zone)
    while midnight(day, zone) < scale.end:
        if midnight(day, zone) >= scale.start:
            yield day
        day += _DAY


def _hours(scale: _Scale, zone: ZoneInfo, every: int) -> Iterable[datetime]:
    """Wall-clock hours; the one that the clocks skip in spring is left out."""
    day = local_date(scale.start, zone)
    while midnight(day, zone) < scale.end:
        for hour in range(0, 24, every):
            at = datetime.combine(day, time(hour), tzinfo=zone).astimezone(UTC)
            if scale.start <= at < scale.end and at.astimezone(zone).hour == hour:
                yield at
        day += _DAY


def _weekends(scale: _Scale, zone: ZoneInfo) -> list[tuple[str, str]]:
    """Each Saturday and Sunday as ``(x, width)``, cut to the strip."""
    found = []
    day = local_date(scale.start, zone)
    while midnight(day, zone) < scale.end:
        if day.weekday() >= 5:
            start, end = scale.clip(midnight(day, zone), midnight(day + _DAY, zone))
            found.append((scale.at(start), scale.width(start, end)))
        day += _DAY
    return found
