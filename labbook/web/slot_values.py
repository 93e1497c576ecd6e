"""A time with its equipment as the value of one button or choice of a form, and back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from labbook.domain.errors import Problem, Refused
from labbook.domain.interval import Interval
from labbook.services.commands import Wanted
from labbook.web.fields import lookup

_PIECES_LIMIT = 100


def written(use: Interval, pieces: Iterable[Wanted]) -> str:
    """``start|end|slug:places|…``."""
    named = [f"{wanted.slug}:{wanted.places}" for wanted in pieces]
    return "|".join([use.start.isoformat(), use.end.isoformat(), *named])


def read(value: str, field: str) -> tuple[Interval, tuple[Wanted, ...]]:
    """The same back. Raises ``Refused`` for what no form of ours has."""
    try:
        start, end, *pieces = value.split("|", _PIECES_LIMIT)
        use = Interval(datetime.fromisoformat(start), datetime.fromisoformat(end))
        named = [piece.rpartition(":") for piece in pieces]
        return use, tuple(Wanted(lookup(slug), max(1, int(places[:6]))) for slug, _colon, places in named)
    except (ValueError, OverflowError) as error:
        raise Refused([Problem("missing", field)]) from error
