"""The few words that a calendar adds to what people wrote, in the subscriber's language."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

from labbook.formats.words import N_, translations


@dataclass(frozen=True)
class FeedWords:
    """``{}`` stands for a title, a name or a reference."""

    busy: str = N_("Busy: {}")
    setup: str = N_("Set-up: {}")
    teardown: str = N_("Tear-down: {}")
    reference: str = N_("Reservation {}")
    equipment: str = N_("Equipment: {}")
    project: str = N_("Project: {}")
    holder: str = N_("Holder: {}")
    mine: str = N_("My reservations")
    approvals: str = N_("Waiting for approval")
    readout: str = N_("Read-out after {}: {}")
    visit: str = N_("Visit: {}")


@lru_cache(maxsize=8)
def words(locale: str) -> FeedWords:
    translate = translations(locale).gettext
    return FeedWords(*(translate(str(field.default)) for field in fields(FeedWords)))
