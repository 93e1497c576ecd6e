"""What stood in the way of an earlier start, for a person: what was not to be had, and until when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from labbook.domain.slot_modes import Field, Mode, Option, Step, unfit
from labbook.domain.slot_terms import Because, Piece

SHOWN = 20
_LOOKED_AT = 12


class Notes:
    """What held the search up, and where: of what was the same, the last time."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, frozenset[int], tuple[str, ...]], tuple[int, Step]] = {}

    def add(self, step: Step, at: int) -> None:
        self._last[(id(step.mode), step.asks, step.utilities)] = (at, step)

    def latest(self) -> list[tuple[int, Step]]:
        """A few, so that to explain never takes longer than to search."""
        return sorted(self._last.values(), key=lambda note: note[0])[-_LOOKED_AT:]


def explain(field: Field, modes: Sequence[Mode], notes: Notes, first: int | None) -> list[Because]:
    """What was in the way for longest comes first; never longer than until the first start."""
    end = field.wish.until if first is None else first
    binding: dict[tuple[str, str], Because] = {}
    for because in _all(field, modes, notes, end):
        key = (because.reason, because.subject)
        if key not in binding or binding[key].until < because.until:
            binding[key] = because
    return sorted(binding.values(), key=lambda each: (-each.until, each.reason, each.subject))[:SHOWN]


def _all(field: Field, modes: Sequence[Mode], notes: Notes, end: int) -> Iterator[Because]:
    if field.last < field.wish.since:
        yield Because("window", "", end)
        return
    hindered = {ask for _, step in notes.latest() for ask in step.asks}
    hindered |= {ask for ask, candidates in enumerate(field.candidates) if not candidates}
    if modes and all(mode.on_grid(field.wish.since) > field.last for mode in modes):
        hindered = set(range(len(field.candidates)))
        yield Because("off_grid", "", end)
    for ask in sorted(hindered):
        yield from _never(field, ask, end)
    for at, step in notes.latest():
        for ask in sorted(step.asks):
            for option in step.mode.options[ask]:
                yield from _not_yet(field, option, at, end)
        yield from _too_few(step, end)
        for utility in step.utilities:
            yield _over_budget(step.mode, utility, at, min(step.at, end))


def _never(field: Field, ask: int, end: int) -> Iterator[Because]:
    """What would serve an ask, were it not for its places, its grid or how long it may be had."""
    wanted, known = field.wish.asks[ask], field.pieces
    if not any(slug in known for slug in wanted.serves):
        yield Because("unmet", str(ask), end)
    for piece in (known[slug] for slug in wanted.serves if slug in known):
        reason = unfit(piece, wanted.takes(piece), field.wish.duration)
        if reason is not None:
            yield Because(reason, piece.slug, end, _limits(reason, piece, wanted.takes(piece)))
        elif not field.on_grid_of(piece):
            yield Because("off_grid", piece.slug, end, {"grid": piece.grid})


def _limits(reason: str, piece: Piece, wanted: int) -> dict[str, int]:
    match reason:
        case "too_short":
            return {"shortest": piece.shortest}
        case "too_long":
            return {"longest": piece.longest}
        case _:
            return {"wanted": wanted, "places": len(piece.places)}


def _not_yet(field: Field, option: Option, at: int, end: int) -> Iterator[Because]:
    """Why a piece could not be had at a start, and from which start on it could."""
    stretch = option.starts.next(at)
    if stretch is None or stretch[0] > at:
        until = end if stretch is None else min(stretch[0], end)
        # What ended last: a piece that has to be set up now, and is taken until Thursday, is taken.
        last = at if stretch is None else stretch[0] - 1
        yield Because(_reason(field, option, last), option.candidate.piece.slug, until)


def _reason(field: Field, option: Option, at: int) -> str:
    piece, over = option.candidate.piece, at + field.wish.duration
    if piece.earliest is not None and at < piece.earliest:
        return "lead_time"
    if piece.latest is not None and at > piece.latest:
        return "horizon"
    if piece.ends_by is not None and over > piece.ends_by:
        return "ends_by"
    start, end = at - option.starts.before, at + option.starts.after
    return next((c.reason for c in piece.closed if c.span[0] < end and start < c.span[1]), "taken")


def _too_few(step: Step, end: int) -> Iterator[Because]:
    """Asks that have fewer pieces between them than they are, whenever it is."""
    slugs = {option.candidate.piece.slug for ask in step.asks for option in step.mode.options[ask]}
    if len(slugs) < len(step.asks):
        for slug in sorted(slugs):
            yield Because("too_few", slug, end, {"needs": len(step.asks), "pieces": len(slugs)})


def _over_budget(mode: Mode, utility: str, at: int, until: int) -> Because:
    """What others draw at the most, and what this would at the least."""
    headroom, (wanted, before, after) = mode.field.headrooms[utility], mode.needed(utility)
    peak, when = headroom.highest(at - before, at + after)
    params = {"peak": peak, "wanted": wanted, "capacity": headroom.capacity, "at": when}
    return Because("over_budget", utility, until, params)
