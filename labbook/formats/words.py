"""The domain's single words in the reader's language: statuses, steps, roles, hazards, units."""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

TRANSLATIONS = Path(__file__).resolve().parent.parent / "translations"


@lru_cache(maxsize=8)
def translations(locale: str) -> gettext.NullTranslations:
    return gettext.translation("messages", TRANSLATIONS, [locale], fallback=True)


def N_(text: str) -> str:  # noqa: N802 - the usual mark for extraction
    """Marks a text for the translators, who find it in a table."""
    return text


def localised(name: Mapping[str, str], locale: str) -> str:
    """A catalogue name in the reader's language, else in English, else in whatever there is."""
    return name.get(locale) or name.get("en") or next(iter(name.values()), "")


WORDS: Mapping[str, str] = {
    # statuses
    "requested": N_("requested"),
    "approved": N_("approved"),
    "in_use": N_("in use"),
    "completed": N_("completed"),
    "declined": N_("declined"),
    "cancelled": N_("cancelled"),
    "expired": N_("expired"),
    "no_show": N_("no-show"),
    "aborted": N_("aborted"),
    "overrun": N_("overrun"),
    "busy": N_("busy"),
    "block": N_("the lab's own"),
    "free": N_("free"),
    "at_risk": N_("at risk"),
    # steps of a history
    "accept": N_("change accepted"),
    "approve": N_("approved"),
    "decline": N_("declined"),
    "cancel": N_("cancelled"),
    "expire": N_("expired"),
    "start": N_("started"),
    "check_in": N_("checked in"),
    "check_out": N_("checked out"),
    "miss": N_("nobody came"),
    "finish": N_("finished"),
    "abort": N_("aborted"),
    "request": N_("requested"),
    "edit": N_("edited"),
    "extend": N_("extended"),
    "draws": N_("draws stated"),
    "move": N_("moved"),
    "change": N_("change asked for"),
    "proposal": N_("other time proposed"),
    "transfer": N_("transferred"),
    "change_withdrawn": N_("change withdrawn"),
    "change_lapsed": N_("change overtaken"),
    "change_declined": N_("change declined"),
    "take": N_("offer taken"),
    "prolong": N_("option prolonged"),
    "convert": N_("made a reservation"),
    "permit": N_("permit signed"),
    "flagged": N_("flagged"),
    "displaced": N_("displaced"),
    "visit_planned": N_("planned"),
    "visit_moved": N_("visit moved"),
    "visit_dropped": N_("visit dropped"),
    "visit_done": N_("done"),
    "laid_anew": N_("read-outs laid anew"),
    "pause": N_("paused"),
    "resume": N_("went on"),
    "expect": N_("expected end changed"),
    # inside a long test
    "readout": N_("read-out"),
    "visit": N_("visit"),
    "paused": N_("paused"),
    "done": N_("done"),
    "dropped": N_("dropped"),
    "freed": N_("free at last"),
    "decision_reminder": N_("managers reminded"),
    "deputy": N_("deputies asked"),
    # rules
    "long_test": N_("the clock of the test"),
    "automatic": N_("approved automatically"),
    "staff_block": N_("the lab's own block"),
    "entered_afterwards": N_("entered afterwards"),
    "scheduler": N_("the clock"),
    "waitlist": N_("the waitlist"),
    # waiting and holding
    "waiting": N_("waiting"),
    "offered": N_("offered"),
    "taken": N_("taken"),
    "lapsed": N_("lapsed"),
    "withdrawn": N_("withdrawn"),
    "ended": N_("over"),
    "offer": N_("offer"),
    "option": N_("option"),
    "outlasted": N_("kept waiting until its end"),
    # activities
    "economic": N_("economic"),
    "collaboration": N_("collaboration"),
    "research": N_("research"),
    "teaching": N_("teaching"),
    "maintenance": N_("maintenance"),
    # roles, causes, kinds
    "engineer": N_("engineer"),
    "technician": N_("technician"),
    "manager": N_("manager"),
    "admin": N_("administrator"),
    "user": N_("ours"),
    "lab": N_("the lab's"),
    "fault": N_("a fault"),
    "company": N_("company"),
    "university": N_("university"),
    "institute": N_("institute"),
    "public": N_("public body"),
    "unstaffed": N_("unstaffed"),
    "shutdown": N_("shutdown"),
    "as_its_parts": N_("as its parts"),
    "attended": N_("attended"),
    "unattended": N_("unattended"),
    "in_service": N_("in service"),
    "out_of_service": N_("out of service"),
    "retired": N_("retired"),
    # hazards
    "chemicals": N_("chemicals"),
    "cold": N_("cold surfaces"),
    "coolant": N_("coolant under pressure"),
    "electromagnetic_field": N_("strong electromagnetic field"),
    "gas": N_("hazardous gas"),
    "heat": N_("hot surfaces"),
    "high_voltage": N_("high voltage"),
    "ionising_radiation": N_("ionising radiation"),
    "laser": N_("laser radiation"),
    "lifting": N_("suspended loads"),
    "liquid_nitrogen": N_("liquid nitrogen"),
    "noise": N_("noise"),
    "pressure": N_("pressure"),
    "rotating": N_("rotating machinery"),
    "stored_energy": N_("stored energy"),
    "vibration": N_("vibration"),
    # what somebody at the equipment notices
    "alarm": N_("an alarm"),
    "leak": N_("a leak"),
    "smell": N_("a smell of burning"),
    "other": N_("something else"),
    "unusable": N_("unusable"),
    "impaired": N_("impaired"),
    "note": N_("a note"),
    # what rigs are told, and whether they heard
    "window.opened": N_("window opened"),
    "window.closed": N_("window closed"),
    "test": N_("test"),
    "delivery_waiting": N_("waiting"),
    "delivery_delivered": N_("delivered"),
    "delivery_failed": N_("failed"),
    "delivery_superseded": N_("left out"),
    # units of time
    "d": N_("d"),
    "h": N_("h"),
    "min": N_("min"),
}


def word(code: str, locale: str = "en") -> str:
    """One of the domain's words; a code that has none is shown as it is, underscores as spaces."""
    text = WORDS.get(code)
    return translations(locale).gettext(text) if text else humanised(code)


_IN_CAPITALS = """
ac bms dc dut eis emc emi en esd eut halt hil htrb hv iec iso lisn lv mppt phil pv rf rlc sam thb
"""
ABBREVIATIONS = frozenset(_IN_CAPITALS.split())
"""Of short names and codes, what is written in capitals."""


def humanised(code: str) -> str:
    """A short name as a person writes it: ``hv-dc`` is ``HV DC``, ``emi-receiver`` an ``EMI receiver``."""
    parts = code.replace("_", "-").split("-")
    return " ".join(part.upper() if part in ABBREVIATIONS else part for part in parts)
