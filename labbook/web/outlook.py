"""What would become of a request: looked at while the form is filled in, and beside a refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

from labbook.domain.errors import Conflict, LabbookError, Problem, Refused
from labbook.domain.interval import Interval
from labbook.services import free_time, queue, reservations, slot_search
from labbook.services.choices import BookingChoices
from labbook.services.commands import Wanted
from labbook.services.reservation_views import ReservationView
from labbook.services.slot_search import FindSlots
from labbook.web import asking, strips
from labbook.web.fields import Fields
from labbook.web.formatting import locale_code
from labbook.web.page import database, now, viewer
from labbook.web.strips import Block, Strip

_HELPED = frozenset({"unstaffed", "shutdown", "lead_time", "in_the_past", "taken_meanwhile"})
"""Refusals that another time would mend."""

_PIECES_DRAWN = 6
_OFFERS = 3


@dataclass(frozen=True)
class Outlook:
    """``made``: what a dry run gave; ``offers``: times that would work; ``plots``: each piece's strip;
    ``waits``: how to wait for just this."""

    zone: str
    use: Interval | None = None
    made: ReservationView | None = None
    problems: Sequence[Problem] = ()
    conflicts: Sequence[Conflict] = ()
    offers: Sequence[Interval] = ()
    plots: Sequence[tuple[Mapping[str, str], Strip]] = ()
    waits: Mapping[str, str] = field(default_factory=dict)


def of_refusal(
    read: Fields, offered: BookingChoices, problems: Sequence[Problem], conflicts: Sequence[Conflict]
) -> Outlook:
    """What would work instead of what was just refused."""
    zone = asking.zone_of(read.form, offered)
    looked = Fields(read.form)
    use, pieces = asking.period(looked, zone), asking.wanted(looked)
    if use is None:
        return Outlook(zone.key)
    environment = read.chosen("environment")
    helped = bool(conflicts) or bool(_HELPED & {p.code for p in problems})
    return Outlook(
        zone=zone.key,
        use=use,
        problems=problems,
        conflicts=conflicts,
        offers=_offers(pieces, environment, use) if helped else (),
        plots=_plots([w.slug for w in pieces], offered, use, zone),
        waits=_waits(read, pieces, environment, use) if conflicts else {},
    )


def _waits(read: Fields, pieces: Sequence[Wanted], environment: str | None, use: Interval) -> dict[str, str]:
    """The address of the waitlist's form for the same wish, of which it can be one piece."""
    if len(pieces) != 1 or environment is not None:
        return {}
    found = {
        "equipment": pieces[0].slug,
        "places": str(pieces[0].places),
        "earliest": use.start.isoformat(),
        "latest": use.end.isoformat(),
    }
    return found | {name: read.line(name) for name in ("title", "project") if read.line(name)}


def rehearsed(read: Fields, offered: BookingChoices) -> Outlook:
    """A dry run of the form as it stands. What is still to be written is no problem yet."""
    zone = asking.zone_of(read.form, offered)
    try:
        asked = asking.command(read, offered)
    except Refused as refusal:
        return replace(of_refusal(read, offered, (), ()), problems=_typed(refusal.problems))
    asked = replace(asked, dry_run=True, idempotency_key=None, hold=None, title=asked.title or "…")
    try:
        made = reservations.request(database(), asked, actor=viewer(), now=now())
    except Refused as refusal:
        return of_refusal(read, offered, _typed(refusal.problems), refusal.conflicts)
    except LabbookError:
        return Outlook(zone.key)
    use, occupied = Interval(made.start, made.end), Interval(made.occupied_start, made.occupied_end)
    slugs = [piece.slug for piece in made.equipment]
    plots = _plots(slugs, offered, use, zone, occupied)
    return Outlook(zone.key, use, made, problems=made.problems, plots=plots)


def _typed(problems: Sequence[Problem]) -> list[Problem]:
    return [p for p in problems if p.code != "missing"]


def _offers(pieces: Sequence[Wanted], environment: str | None, use: Interval) -> list[Interval]:
    if environment is None or pieces:
        return free_time.offers(database(), pieces, use.start, use.duration, now=now())
    asked = FindSlots(use.duration, use.start, environment=environment, limit=_OFFERS, spread=True)
    try:
        found = slot_search.find(database(), asked, viewer=viewer(), now=now())
    except Refused:
        return []
    return [slot.use for slot in found.slots]


def _plots(
    slugs: Sequence[str],
    offered: BookingChoices,
    use: Interval,
    zone: ZoneInfo,
    occupied: Interval | None = None,
) -> list[tuple[Mapping[str, str], Strip]]:
    known = {each.slug: each.name for each in offered.equipment}
    names = {slug: known[slug] for slug in slugs if slug in known}
    occupied = occupied or use
    if not names or len(names) > _PIECES_DRAWN:
        return []
    window, pieces = queue.beside(database(), names, occupied, viewer=viewer())
    own = Block("requested", "", occupied.start, occupied.end, (use.start, use.end), this=True)
    return [
        (
            piece.name,
            strips.around(piece, window, zone.key, own=[own], locale=locale_code(), now=now()),
        )
        for piece in pieces
    ]
