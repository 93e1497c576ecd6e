"""What the slot search costs over a large laboratory at 70 % occupancy, and how that grows.

Pure search, without any database: pieces in 20 categories, each booked some 19 times a week for 70 % of the
time; four needs, each with every piece of one category as an alternative; one feeder that all of these draw
from. The bare work beside it is one pass over the same bookings that looks at every gap between two of them
(and over the feeder's draws), which is less than any search by sorting or walking has to do. Figures are
medians of milliseconds by the wall and of the processor, the ratio of the latter, and the greatest memory
that Python held beyond the bookings themselves.
"""

from __future__ import annotations

import statistics
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

from labbook.domain.slots import Ask, Budget, Found, Piece, Span, Wish, search, ticks
from tests.bench.sweeps import Report, Timed

HOUR = 3_600_000_000
QUARTER = HOUR // 4
DAY = 24 * HOUR
ZONE = ZoneInfo("Europe/Copenhagen")
SINCE = ticks(datetime(2026, 1, 5, tzinfo=UTC))
CATEGORIES, NEEDS, YEAR = 20, 4, 365
AIM = 100.0
ROUNDS = 7
AMPLE, TIGHT, BINDING, HOPELESS = 10**6, 1400, 1030, 400
"""Capacities of the feeder, of which a thousand pieces draw 1120 in the mean."""


class Times:
    """Medians of milliseconds: by the wall and of the processor."""

    def __init__(self, work: Callable[[], object]) -> None:
        taken = [Timed(work) for _ in range(ROUNDS)]
        self.wall = statistics.median(each.wall for each in taken)
        self.busy = statistics.median(each.busy for each in taken)


@dataclass(frozen=True)
class Lab:
    """``drawn``: what bookings of the needed categories draw from the feeder, in order of their starts."""

    pieces: dict[str, Piece]
    drawn: list[tuple[int, int, int]]
    days: int

    @property
    def bookings(self) -> int:
        return sum(len(piece.places[0]) for piece in self.pieces.values())

    def wish(self, hours: int, *, recipe: bool = False) -> Wish:
        asks = [
            Ask(1, {slug: number % 7 / 2 for number, slug in enumerate(slugs)})
            for slugs in self.categories[:NEEDS]
        ]
        until = SINCE + self.days * DAY
        return Wish(asks=asks, duration=hours * HOUR, since=SINCE, until=until, zone=ZONE, recipe=recipe)

    @property
    def categories(self) -> list[list[str]]:
        slugs = list(self.pieces)
        return [slugs[number::CATEGORIES] for number in range(CATEGORIES)]


def calendar(random: Random, days: int) -> list[Span]:
    """Bookings of 6.2 hours in the mean and gaps of 2.65, on quarters of an hour: 19 a week, 70 %."""
    at, end, found = SINCE - random.randint(0, 40) * QUARTER, SINCE + (days + 3) * DAY, []
    while at < end:
        start = at + int(random.expovariate(1 / 10.6)) * QUARTER
        at = start + (1 + int(random.expovariate(1 / 24.3))) * QUARTER
        found.append((start, at))
    return found


def laboratory(count: int, days: int, seed: int = 4) -> Lab:
    """Every fifth draws 20 of the feeder, the others 5; gaps in the needed categories stay below a day."""
    random = Random(seed)
    others = [calendar(random, days) for _ in range(40)]
    pieces, drawn = {}, []
    for number in range(count):
        needed = number % CATEGORIES < NEEDS
        booked = calendar(random, days) if needed else others[number % len(others)]
        amount = 20 if number // CATEGORIES % 5 == 0 else 5
        slug = f"piece-{number:05}"
        pieces[slug] = Piece(
            slug=slug,
            places=[booked],
            setup=number % CATEGORIES % 3 * QUARTER,
            teardown=QUARTER,
            draws={"feeder": amount},
        )
        if needed:
            drawn += [(start, end, amount) for start, end in booked]
    drawn.sort()
    return Lab(pieces, drawn, days)


def with_a_gap(lab: Lab, day: float, hours: int) -> Lab:
    """The same where one piece of each needed category is free for so long, so many days on."""
    gap = (SINCE + int(day * DAY), SINCE + int(day * DAY) + hours * HOUR)
    freed = {slugs[7] for slugs in lab.categories[:NEEDS]}
    pieces = {}
    for slug, piece in lab.pieces.items():
        booked = piece.places[0]
        if slug in freed:
            booked = [each for each in booked if each[1] <= gap[0] or each[0] >= gap[1]]
        pieces[slug] = Piece(
            slug=slug, places=[booked], setup=piece.setup, teardown=piece.teardown, draws=piece.draws
        )
    return Lab(pieces, lab.drawn, lab.days)


def bare(lab: Lab) -> int:
    """Look once at every gap of the pieces that the needs can have, and once at every draw."""
    longest = 0
    for slugs in lab.categories[:NEEDS]:
        for slug in slugs:
            for (_, end), (start, _) in pairwise(lab.pieces[slug].places[0]):
                if start - end > longest:
                    longest = start - end
    return longest + sum(amount for _, _, amount in lab.drawn)


def peak(work: Callable[[], object]) -> float:
    """In MiB, apart from what there was before."""
    tracemalloc.start()
    work()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 2**20


def measure(
    report: Report, name: str, lab: Lab, wish: Wish, capacity: int, *, aim: float | None = None
) -> float:
    """Its processor time against that of the bare work."""
    budgets = {"feeder": Budget(capacity, lab.drawn)}

    def work() -> Found:
        return search(wish, lab.pieces, budgets, limit=5)

    found, took, walked = work(), Times(work), Times(lambda: bare(lab))
    first = f"day {(found.slots[0].start - SINCE) / DAY:6.2f}" if found.slots else "never     "
    report.line(
        name,
        f"{took.wall:7.1f} ms (processor {took.busy:6.1f})  bare {walked.wall:7.1f} ms "
        f"(processor {walked.busy:6.1f})  ratio {took.busy / walked.busy:6.3f}  {peak(work):5.1f} MiB  "
        f"first {first}  reasons {len(found.because)}",
        met=aim is None or took.wall < aim,
    )
    return took.busy / walked.busy


def bench_slots() -> Report:
    report = Report("search")
    year = laboratory(1000, YEAR)
    _year(report, year)
    _growth(report, "pieces", {count: laboratory(count, YEAR) for count in (100, 1000, 10_000)})
    _growth(report, "days", {days: laboratory(1000, days) for days in (30, YEAR, 3 * YEAR)})
    return report


def _year(report: Report, year: Lab) -> None:
    print(f"{'search':<11} {year.bookings} bookings on 1000 pieces, {len(year.drawn)} draws on the feeder")
    late = with_a_gap(year, 330, 48)
    for name, lab, hours, capacity in (
        ("4 h, soon", year, 4, AMPLE),
        ("4 h, late: the feeder binds", year, 4, BINDING),
        ("4 h, never: the feeder", year, 4, HOPELESS),
        ("36 h, in month 11", late, 36, AMPLE),
        ("36 h, in month 11, tight feeder", late, 36, TIGHT),
        ("36 h, never: the gaps", year, 36, AMPLE),
    ):
        measure(report, name, lab, lab.wish(hours), capacity, aim=AIM)
        measure(report, f"{name}, recipe", lab, lab.wish(hours, recipe=True), capacity, aim=AIM)


def _growth(report: Report, of: str, labs: Mapping[int, Lab]) -> None:
    """Against one look at the same bookings, which itself is slower where they fill the memory."""
    for name, hours, capacity in (("36 h, never: the gaps", 36, AMPLE), ("4 h, never: the feeder", 4, 0)):
        ratios = {
            size: measure(report, f"{name}, {size} {of}", lab, lab.wish(hours), capacity)
            for size, lab in labs.items()
        }
        told = ", ".join(f"{size} {of}: {ratio:.3f}" for size, ratio in ratios.items())
        least, last = min(ratios.values()), list(ratios.values())[-1]
        report.line(f"growth of {name}", f"ratio for {told}", met=last <= 1.5 * least)
