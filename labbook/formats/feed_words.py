"""The few words that a calendar adds to what people wrote, in the subscriber's language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class FeedWords:
    """``{}`` stands for a title, a name or a reference."""

    busy: str
    setup: str
    teardown: str
    reference: str
    equipment: str
    project: str
    holder: str
    mine: str
    approvals: str


_WORDS = {
    "en": FeedWords(
        busy="Busy: {}",
        setup="Set-up: {}",
        teardown="Tear-down: {}",
        reference="Reservation {}",
        equipment="Equipment",
        project="Project",
        holder="Holder",
        mine="My reservations",
        approvals="Waiting for approval",
    ),
    "da": FeedWords(
        busy="Optaget: {}",
        setup="Opstilling: {}",
        teardown="Nedtagning: {}",
        reference="Reservation {}",
        equipment="Udstyr",
        project="Projekt",
        holder="Ansvarlig",
        mine="Mine reservationer",
        approvals="Afventer godkendelse",
    ),
    "de": FeedWords(
        busy="Belegt: {}",
        setup="Aufbau: {}",
        teardown="Abbau: {}",
        reference="Reservierung {}",
        equipment="Geräte",
        project="Projekt",
        holder="Verantwortlich",
        mine="Meine Reservierungen",
        approvals="Wartet auf Genehmigung",
    ),
}


def words(locale: str) -> FeedWords:
    return _WORDS.get(locale, _WORDS["en"])


def localised(name: Mapping[str, str], locale: str) -> str:
    """A catalogue name in the reader's language, else in English, else in whatever there is."""
    return name.get(locale) or name.get("en") or next(iter(name.values()), "")
