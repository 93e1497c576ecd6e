"""What stood in the way of an earlier slot, as sentences. ``{until}`` is left out where nothing ended it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from labbook.formats import moments
from labbook.formats.wording import sentence_of
from labbook.formats.words import N_, localised


class Hindrance(Protocol):
    """``services.slot_search.InTheWay``, which this layer does not know."""

    @property
    def reason(self) -> str: ...
    @property
    def equipment(self) -> str | None: ...
    @property
    def utility(self) -> str | None: ...
    @property
    def need(self) -> int | None: ...
    @property
    def until(self) -> Any: ...
    @property
    def params(self) -> Mapping[str, Any]: ...


UNTIL: Mapping[str, str] = {
    "taken": N_("{name} is taken until {until}."),
    "unstaffed": N_("{name} is used only while the laboratory is staffed, which it is again at {until}."),
    "shutdown": N_("The facility is shut down until {until}."),
    "other_ambient": N_("{name} runs another ambient profile until {until}."),
    "lead_time": N_("{name} must be booked ahead: the earliest start is {until}."),
    "over_budget": N_(
        "{name} is at {peak} of {capacity} {unit} already, and this needs {wanted} {unit} more: until "
        "{until}."
    ),
    "set_up": N_("{name} has to be set up first; it could be ready at {until}."),
    "out": N_("{name} is not to be had until {until}."),
    "off_grid": N_("{name} is booked in fixed steps, of which the next begins at {until}."),
}
THROUGHOUT: Mapping[str, str] = {
    "taken": N_("{name} is taken for all of that time."),
    "unstaffed": N_("{name} is used only while the laboratory is staffed, and it never is for so long."),
    "shutdown": N_("The facility is shut down for all of that time."),
    "other_ambient": N_("{name} runs another ambient profile for all of that time."),
    "lead_time": N_("{name} must be booked further ahead than that."),
    "over_budget": N_(
        "{name} is at {peak} of {capacity} {unit} already, and this needs {wanted} {unit} more: "
        "for all of that time."
    ),
    "set_up": N_("{name} has to be set up first, and there is no time for that."),
    "out": N_("{name} is not to be had for all of that time."),
    "off_grid": N_("{name} is booked in fixed steps, and none of them fits."),
    "horizon": N_("{name} cannot be booked so far ahead."),
    "too_short": N_("{name} is booked for longer than that only."),
    "too_long": N_("{name} is not booked for so long at once."),
    "ends_by": N_("Your organisation may not book {name} for so late a time."),
    "organisation_category": N_("Your organisation may not book {name}."),
    "qualification_missing": N_("{name} asks for a qualification that you do not have then."),
    "unmet": N_("Nothing in service meets need {number} ({category})."),
    "too_few": N_("{name} is needed more often than there are pieces of its kind."),
    "too_many_places": N_("{name} has fewer places than are asked for."),
    "window": N_("So much time does not fit between the earliest start and the end asked for."),
    "grids": N_("What is asked for is booked in fixed steps, and no start is on all of them."),
}


def sentence(
    found: Hindrance, names: Mapping[str, Mapping[str, str]], locale: str = "en", zone: tzinfo | None = None
) -> str:
    """One sentence; instants on the wall clock of ``zone``."""
    slug = found.equipment or found.utility
    named = localised(names[slug], locale) if slug is not None and slug in names else slug or ""
    until = found.until
    if isinstance(until, datetime) and isinstance(zone, ZoneInfo):
        until = moments.moment(until, zone, locale)
    params = dict(found.params) | {"name": named, "until": until, "number": (found.need or 0) + 1}
    reason = "grids" if found.reason == "off_grid" and slug is None else found.reason
    texts = UNTIL if found.until is not None and reason in UNTIL else THROUGHOUT
    return sentence_of(texts[reason], params, locale, zone)
