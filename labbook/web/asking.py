"""What the booking form asks for, read from its fields."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from labbook.domain.errors import Problem, Refused
from labbook.domain.interval import Interval
from labbook.services.choices import BookingChoices
from labbook.services.commands import RequestReservation, Wanted
from labbook.services.reservations import when_problems, written_problems
from labbook.web.fields import Fields, lookup

_PLACES_LIMIT = 100_000


def rows(form: MultiDict[str, str]) -> list[tuple[str, str, bool]]:
    """Slug, places and whether it is wanted whole, of each line of the form; with an empty one where another
    was asked for.
    """
    slugs, places, whole = (form.getlist(name) for name in ("equipment", "places", "whole"))
    found = [
        (lookup(slug), places[i] if i < len(places) else "1", str(i) in whole) for i, slug in enumerate(slugs)
    ]
    if (gone := form.get("remove", "")).isdecimal() and int(gone[:4]) < len(found):
        del found[int(gone[:4])]
    if "add" in form or not found:
        found.append(("", "1", False))
    return found


def zone_of(form: MultiDict[str, str], offered: BookingChoices) -> ZoneInfo:
    """The wall clock that the form's times are on."""
    slugs = [slug for slug, *_ in rows(form) if slug]
    return ZoneInfo(offered.zone_of(slugs, form.get("environment")))


def wanted(read: Fields) -> tuple[Wanted, ...]:
    return tuple(
        Wanted(slug, 1 if whole else _places(places, read), whole)
        for slug, places, whole in rows(read.form)
        if slug
    )


def period(read: Fields, zone: ZoneInfo) -> Interval | None:
    """Start and end, or start and duration; what is wrong with them is left in ``read.problems``."""
    start = read.instant("start", zone)
    end, length = read.instant("end", zone, required=False), read.length("duration")
    if any(p.field in ("start", "end", "duration") for p in read.problems) or start is None:
        return None
    if end is None and length is None:
        read.problems.append(Problem("missing", "end"))
        return None
    if end is not None and length is not None and end - start != length:
        read.problems.append(Problem("end_and_length", "end"))
        return None
    return _period(read, start, end, length or timedelta(0))


def _period(read: Fields, start: datetime, end: datetime | None, length: timedelta) -> Interval | None:
    try:
        end = end or start + length
    except OverflowError:
        read.problems.append(Problem("out_of_range", "start"))
        return None
    wrong = when_problems(start, end)
    read.problems += wrong
    return None if wrong else Interval(start, end)


def command(read: Fields, offered: BookingChoices) -> RequestReservation:
    """Raises ``Refused`` with everything that cannot be read, and what is wrong with the words."""
    zone = zone_of(read.form, offered)
    use, pieces, environment = period(read, zone), wanted(read), read.chosen("environment")
    expected = read.instant("expected_end", zone, required=False)
    customer, option_until = read.line("customer"), read.instant("option_until", zone, required=False)
    if use is None or read.problems:
        missing = [] if pieces or environment else [Problem("missing", "equipment")]
        words = written_problems(read.line("title"), read.text("notes"), read.text("reason"))
        raise Refused([*missing, *read.problems, *words])
    return once(
        read.form,
        RequestReservation(
            equipment=pieces,
            environment=environment,
            start=use.start,
            end=use.end,
            expected_end=expected,
            title=read.line("title"),
            notes=read.text("notes"),
            project=read.chosen("project"),
            activity=read.chosen("activity"),
            holder=read.chosen("holder"),
            participants=read.listed("participants"),
            traceable=read.ticked("traceable"),
            kind="block" if read.chosen("kind") == "block" else "booking",
            draws={slug: text for slug, text in drawn(read).items() if text},
            override=tuple(read.form.getlist("override")),
            reason=read.text("reason"),
            hold="option" if customer or option_until else None,
            customer=customer,
            decide_by=option_until,
        ),
    )


DRAWN = "draws."


def drawn(read: Fields) -> dict[str, str | None]:
    """Utility -> what was typed for it; None where nothing was."""
    named = sorted(name for name in read.form if name.startswith(DRAWN))
    return {lookup(name.removeprefix(DRAWN)): read.chosen(name) for name in named}


def _places(text: str, read: Fields) -> int:
    text = text.strip() or "1"
    if text.isascii() and text.isdecimal() and 0 < int(text[:9]) < _PLACES_LIMIT:
        return int(text[:9])
    read.problems.append(Problem("bad_number", "equipment", params={"value": text[:40]}))
    return 1


def once(form: MultiDict[str, str], asked: RequestReservation) -> RequestReservation:
    """A form carries a token: sent twice as it is it books once, changed it books anew."""
    token = form.get("once", "")
    if not token or len(token) > 64:
        return asked
    content = sorted((k, v) for k, v in form.items(multi=True) if k != "csrf_token")
    fingerprint = hashlib.sha256(repr(content).encode("utf-8", "surrogatepass")).hexdigest()
    return replace(asked, idempotency_key=f"form:{fingerprint}", fingerprint=fingerprint)
