"""Describe the test, get the slot: needs or a recipe, the slots that work, and one step to book one."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from flask import redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from labbook.domain.errors import Problem, Refused
from labbook.domain.interval import Interval
from labbook.domain.matching import Need
from labbook.formats import reasons
from labbook.formats.needs import named, read_ambient, read_need
from labbook.services import choices, queue, reservations, slot_search
from labbook.services.choices import BookingChoices
from labbook.services.commands import RequestReservation, Wanted
from labbook.services.slot_search import FindSlots, FoundSlot, FoundSlots
from labbook.web import asking, booking, fields, keeping, slot_values, strips
from labbook.web.fields import Fields
from labbook.web.formatting import locale_code, name_of
from labbook.web.page import database, now, page_blueprint, viewer
from labbook.web.strips import Block, Strip

blueprint = page_blueprint("finding")

SHOWN = 6
BUTTONS = frozenset({"find", "add", "remove"})
_OVERTAKEN = frozenset({"over_budget", "other_ambient", "taken_meanwhile"})
_PLOTS = 8
_ROWS_LIMIT = 50
"""More than may be asked for, so that too many are refused and not passed over."""


@dataclass(frozen=True)
class Row:
    """One need as it is typed."""

    category: str = ""
    capabilities: str = ""
    places: str = "1"


@dataclass(frozen=True)
class Offer:
    """One slot: ``value`` is what its button sends; ``pieces`` are names, in the order of the needs.

    ``closest``: others leave more of what their pieces offer unused.
    """

    slot: FoundSlot
    value: str
    pieces: Sequence[str]
    closest: bool


@dataclass(frozen=True)
class Answer:
    found: FoundSlots
    offers: Sequence[Offer]
    because: Sequence[str]
    plots: Sequence[tuple[Mapping[str, str], Strip]]


@blueprint.get("/book/find")
def show() -> str:
    kept = keeping.typed("/book/find")
    offered = choices.for_booking(database(), viewer=viewer())
    values = _spelled_out(kept.form if kept.form else _from_address(offered), offered)
    # A slot was found to be free and is not any more: that is said in one sentence.
    overtaken = bool(kept.conflicts) or any(p.code in _OVERTAKEN for p in kept.problems)
    problems = [p for p in kept.problems if p.code not in _OVERTAKEN]
    answer = None
    if _is_asked(values):
        try:
            answer = _answer(_question(Fields(values), offered), offered)
        except Refused as refusal:
            problems += [p for p in refusal.problems if p not in problems]
    zone = _zone(values, offered)
    return render_template(
        "booking/find.html",
        choices=offered,
        categories=_categories(offered),
        environments=[(each.slug, name_of(each.name)) for each in offered.environments],
        facilities=_facilities(offered),
        offers={row.category: list(_units(offered, row.category)) for row in _rows(values)},
        projects=[(each.slug, f"{each.name} ({each.organisation_name})") for each in offered.projects],
        values=values,
        rows=_rows(values),
        kept=replace(kept, problems=problems),
        answer=answer,
        overtaken=overtaken and answer is not None,
        zone=zone.key,
        names=booking.names(offered),
        fold={n: fields.is_fold_day(values.get(f"{n}_date", ""), zone) for n in ("earliest", "latest")},
        needs=[_as_text(row) for row in _rows(values) if row.category],
        title=values.get("title") or _suggested_title(values, offered),
        once=values.get("once") or secrets.token_hex(8),
    )


@blueprint.post("/book/find")
def act() -> Response:
    """Look, or take the slot whose button was pressed. Somebody faster: the next ones, with all that was
    typed.
    """
    if BUTTONS & set(request.form) or "slot" not in request.form:
        return keeping.show_again(200)
    offered = choices.for_booking(database(), viewer=viewer())
    read = Fields(_spelled_out(request.form, offered))
    asked = asking.once(request.form, _request(read, offered))
    made = reservations.request(database(), asked, actor=viewer(), now=now())
    booking.tell(made)
    return redirect(url_for("reservations.show", public_id=made.id), 303)


def _is_asked(values: MultiDict[str, str]) -> bool:
    """Whether there is something to look for yet."""
    if "add" in values or "remove" in values:
        return False
    return bool(values.get("duration", "").strip()) and (
        bool(values.get("environment") or values.getlist("equipment"))
        or any(row.category for row in _rows(values))
    )


def _question(read: Fields, offered: BookingChoices) -> FindSlots:
    """Raises ``Refused`` with everything that cannot be read."""
    zone = _zone(read.form, offered)
    length = read.length("duration")
    since = read.instant("earliest", zone, required=False, whole_day="start")
    until = read.instant("latest", zone, required=False, whole_day="end")
    environment = read.chosen("environment")
    needs = () if environment else _needs(read)
    ambient = {} if environment else read_ambient(read.line("ambient"), "ambient", read.problems)
    equipment = () if environment or needs else _equipment(read)
    if length is None and not any(p.field == "duration" for p in read.problems):
        read.problems.append(Problem("missing", "duration"))
    if read.problems:
        raise Refused(read.problems)
    assert length is not None
    return FindSlots(
        duration=length,
        since=since or now(),
        until=until,
        environment=environment,
        needs=needs,
        ambient=ambient,
        equipment=equipment,
        facility=read.chosen("facility") if needs else None,
        limit=SHOWN,
        spread=True,
    )


def _needs(read: Fields) -> tuple[Need, ...]:
    found: list[Need] = []
    for number, row in enumerate(_rows(read.form)):
        if not row.category and not row.capabilities.strip():
            continue
        text = f"{row.category}; {row.capabilities}; places: {row.places or 1}"
        found += read_need(text, f"need-{number}", read.problems)
    return tuple(found)


def _equipment(read: Fields) -> tuple[Wanted, ...]:
    return tuple(Wanted(fields.lookup(slug)) for slug in read.form.getlist("equipment") if slug)


def _request(read: Fields, offered: BookingChoices) -> RequestReservation:
    asked = _question(read, offered)
    use, pieces = slot_values.read(read.line("slot"), "slot")
    return RequestReservation(
        equipment=pieces,
        environment=asked.environment,
        needs=asked.needs,
        ambient=asked.ambient,
        start=use.start,
        end=use.end,
        title=read.line("title"),
        notes=read.text("notes"),
        project=read.chosen("project"),
    )


def _answer(asked: FindSlots, offered: BookingChoices) -> Answer:
    found = slot_search.find(database(), asked, viewer=viewer(), now=now())
    least = min((slot.surplus for slot in found.slots), default=0.0)
    differ = any(slot.surplus > least + 1e-9 for slot in found.slots)
    return Answer(
        found=found,
        offers=[
            Offer(
                slot,
                slot_values.written(slot.use, slot.pieces),
                [_called(wanted, found) for wanted in slot.by_need],
                differ and slot.surplus <= least + 1e-9,
            )
            for slot in found.slots
        ],
        because=[
            reasons.sentence(each, found.names, locale_code(), ZoneInfo(found.zone))
            for each in found.because[:SHOWN]
        ],
        plots=_plots(found),
    )


def _called(wanted: Wanted, found: FoundSlots) -> str:
    name = name_of(found.names.get(wanted.slug)) or wanted.slug
    return name if wanted.places == 1 else f"{name} × {wanted.places}"


def _plots(found: FoundSlots) -> list[tuple[Mapping[str, str], Strip]]:
    """Each piece's strip over all the slots, with those in which it would be used drawn in it."""
    if not found.slots:
        return []
    slugs = list(dict.fromkeys(wanted.slug for slot in found.slots for wanted in slot.by_need))[:_PLOTS]
    hull = Interval(
        min(slot.occupied.start for slot in found.slots), max(slot.occupied.end for slot in found.slots)
    )
    names = {slug: found.names[slug] for slug in slugs}
    window, pieces = queue.beside(database(), names, hull, viewer=viewer())
    return [
        (
            piece.name,
            strips.around(
                piece, window, found.zone, own=_blocks(found, piece.slug), locale=locale_code(), now=now()
            ),
        )
        for piece in pieces
    ]


def _blocks(found: FoundSlots, slug: str) -> list[Block]:
    return [
        Block(
            "requested",
            str(number),
            slot.occupied.start,
            slot.occupied.end,
            (slot.use.start, slot.use.end),
            this=True,
        )
        for number, slot in enumerate(found.slots, 1)
        if any(wanted.slug == slug for wanted in slot.by_need)
    ]


def _rows(values: MultiDict[str, str]) -> list[Row]:
    columns = [values.getlist(f"need_{name}") for name in ("category", "capabilities", "places")]
    found = [Row(*(text.replace("\0", "\ufffd") for text in row)) for row in zip(*columns, strict=False)]
    del found[_ROWS_LIMIT:]
    if (gone := values.get("remove", "")).isdecimal() and int(gone[:4]) < len(found):
        del found[int(gone[:4])]
    if "add" in values or not found:
        found.append(Row())
    return found


def _spelled_out(values: MultiDict[str, str], offered: BookingChoices) -> MultiDict[str, str]:
    """With the names of the capabilities that a category leaves no doubt of."""
    spelled = MultiDict(values)
    pairs = zip(values.getlist("need_category"), values.getlist("need_capabilities"), strict=False)
    spelled.setlist("need_capabilities", [named(text, _units(offered, category)) for category, text in pairs])
    return spelled


def _units(offered: BookingChoices, category: str) -> dict[str, str]:
    """What a category's pieces offer, and in which base unit."""
    pieces = [each for each in offered.equipment if each.category == category]
    found = {name: str(own["unit"]) for each in pieces for name, own in each.capabilities.items()}
    return dict(sorted(found.items()))


def _suggested_title(values: MultiDict[str, str], offered: BookingChoices) -> str:
    """The recipe's name: most often that says it."""
    chosen = values.get("environment")
    return next((name_of(each.name) for each in offered.environments if each.slug == chosen), "")


def _facilities(offered: BookingChoices) -> list[tuple[str, str]]:
    """Where needs can be met; empty where there is no choice."""
    found = {each.facility: name_of(each.facility_name) for each in offered.equipment}
    return list(found.items()) if len(found) > 1 else []


def _categories(offered: BookingChoices) -> list[str]:
    return sorted({each.category for each in offered.equipment})


def _as_text(row: Row) -> str:
    """As the address of the recipe's form takes it."""
    many = f"places: {row.places}" if row.places not in ("", "1") else ""
    return "; ".join(part for part in (row.category, row.capabilities.strip(" ;"), many) if part)


def _zone(values: MultiDict[str, str], offered: BookingChoices) -> ZoneInfo:
    slugs = [slug for slug in values.getlist("equipment") if slug]
    if not slugs:
        wanted = {row.category for row in _rows(values)}
        slugs = [each.slug for each in offered.equipment if each.category in wanted][:1]
    return ZoneInfo(offered.zone_of(slugs, values.get("environment")))


def _from_address(offered: BookingChoices) -> MultiDict[str, str]:
    """``?environment=&need=&equipment=&duration=&earliest=&latest=``, as links write it."""
    args = request.args
    slugs = [fields.lookup(s) for part in args.getlist("equipment") for s in part.split(",") if s]
    found: MultiDict[str, str] = MultiDict()
    found.setlist("equipment", slugs)
    for name in ("environment", "duration", "title", "project", "ambient", "facility"):
        if args.get(name):
            found[name] = fields.lookup(args[name])
    for text in args.getlist("need"):
        category, _semicolon, rest = text.partition(";")
        found.add("need_category", fields.lookup(category.strip()))
        found.add("need_capabilities", fields.lookup(rest.strip()))
        found.add("need_places", "1")
    zone = _zone(found, offered)
    for name, value in fields.prefilled(args, zone, ("earliest", "latest")).items():
        found[name] = value
    return found
