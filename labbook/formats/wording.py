"""Problems as sentences in the reader's language.

``SENTENCES`` has one for every code that the domain and the services use (a test proves it). A new code
gets its sentence here; ``{name}`` stands for the problem's parameter of that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal
from babel.units import format_unit

from labbook.formats.catalogue_wording import CATALOGUE_SENTENCES
from labbook.formats.words import N_, localised, translations, word

__all__ = ["SENTENCES", "TYPES", "localised", "sentence", "translated"]


SENTENCES: Mapping[str, str] = {
    **CATALOGUE_SENTENCES,
    # equipment
    "out_of_service": N_("{equipment} is out of service."),
    "retired": N_("{equipment} is no longer in use."),
    "places_or_whole": N_("Say so many places, or the whole piece; not both."),
    "too_many_places": N_("{equipment} has {places} places; {wanted} were asked for."),
    "unknown_equipment": N_("There is no equipment “{equipment}”."),
    "one_question": N_("Ask for a test environment, for named equipment or for needs: one of the three."),
    "no_such_category": N_("No facility has equipment of these categories."),
    "several_facilities": N_("All equipment of a reservation must be in the same facility."),
    "too_many_pieces": N_("A reservation takes at most {limit} pieces of equipment."),
    "too_intricate": N_(
        "What is left of the utilities is too little to try everything: ask for less at once."
    ),
    "calibration_ends": N_("The calibration of {equipment} holds until {due} only."),
    "calibration_lapsed": N_("The calibration of {equipment} ran out on {due}."),
    "use_now_needs_approval": N_("{equipment} cannot be used at once: a manager approves it first."),
    # environments
    "unknown_environment": N_("There is no test environment “{environment}”."),
    "changed_meanwhile": N_(
        "Somebody saved version {number} since you opened this. What you typed is kept: look at what they "
        "changed, and save again to put yours on top of it."
    ),
    "managers_only": N_("Only a manager may state this: it would replace what the equipment itself says."),
    "malformed_line": N_("“{text}” is no line such as “dc voltage: 800 V”: a name, a colon, a quantity."),
    "environment_retired": N_("{environment} is retired and cannot be booked any more."),
    "environment_of_others": N_("{environment} is the recipe of another organisation than the holder's."),
    "environment_mismatch": N_("This equipment does not fit what {environment} needs."),
    "needs_and_environment": N_("State needs or name a test environment, not both."),
    "needs_mismatch": N_("This equipment does not fit the needs that were stated."),
    "needs_unmet": N_("Nothing that meets these needs is to be had then; look for the earliest slot."),
    "environment_unmet": N_("No equipment in service meets what {environment} needs."),
    "other_ambient": N_("{equipment} runs another ambient profile at that time."),
    "unstated_ambient": N_(
        "{equipment} is shared at that time by tests of which one states its ambient profile and another "
        "does not: state the same one, or take it whole."
    ),
    # time
    "in_the_past": N_("The start lies in the past."),
    "lead_time": N_("{equipment} must be booked {lead} ahead; the earliest start is {earliest}."),
    "beyond_horizon": N_("{equipment} can be booked {horizon} ahead at most."),
    "too_short": N_("{equipment} is booked for {shortest} at least."),
    "too_long": N_("{equipment} is booked for {longest} at most."),
    "off_grid": N_("{equipment} is booked in steps of {grid}."),
    "unstaffed": N_("{equipment} is used, set up and taken down only while the laboratory is staffed."),
    "shutdown": N_("The facility is shut down from {start} to {end}."),
    "out_of_range": N_("That date is out of range."),
    "end_before_start": N_("The end must be after the start."),
    "expected_end_outside": N_("The expected end must lie within the reservation."),
    "naive_time": N_("Say which zone this time is in: add Z or an offset such as +01:00."),
    "not_an_instant": N_("Write date and time as in 2026-03-24T10:00:00+01:00."),
    "period_too_long": N_("At most {days} days can be asked for at once."),
    "taken_meanwhile": N_("Somebody else was faster. Please look again and try once more."),
    "not_permitted": N_("The rules of who may do what do not allow it."),
    "block_is_staffs": N_("A block has nobody but the lab's own staff as its holder."),
    "not_for_oneself": N_(
        "What another manager would have to approve, nobody enters afterwards for themselves."
    ),
    "already_begun": N_("The reservation has begun; this can no longer be changed."),
    "not_longer": N_("An extension must end after {end}."),
    "too_early": N_("Checking in is possible from {earliest}."),
    "no_permit_needed": N_("It needs no permit."),
    "permit_signed": N_("The permit was signed on {signed}."),
    "permit_too_early": N_("The permit is signed at the set-up, from {earliest} on."),
    "too_late": N_("The reservation ended at {end}."),
    # waiting, offers and options
    "window_too_short": N_(
        "Between the earliest start and the end there must be as much time as you ask for."
    ),
    "window_over": N_("By then nothing of this length could begin any more."),
    "never_fits": N_("Within this time the rules for {equipment} never allow that, even if it were free."),
    "too_many_entries": N_("You wait for {limit} things already; withdraw one first."),
    "waits_already": N_("You wait for exactly this already."),
    "held_as_offer": N_(
        "This is offered to {holder} from the waitlist until {until}: they take it or let it go."
    ),
    "held_as_option": N_(
        "This is an option until {until}: make it a reservation for somebody, or let it lapse."
    ),
    "option_until": N_("An option ends after now, and at the latest when its time begins."),
    # read-outs and visits inside a long test
    "after_or_at": N_("Say either after how many hours of running, or when; not both."),
    "not_running_yet": N_("The test does not run before {start}."),
    "pause_outside": N_("Say a time from {start} to {end}."),
    "readout_early": N_("So many hours will have accrued at {earliest}, not before."),
    "readout_no_room": N_(
        "The read-out after {hours} h finds no staffed time before the end ({end}): it needs a later end."
    ),
    "readout_there": N_("A read-out after so many hours is planned already."),
    "visit_length": N_("A visit takes a minute at least and {most} at most."),
    "visit_no_room": N_("The visit of {at} finds no staffed time before the end ({end})."),
    "visit_outside": N_("A visit lies within the time of use, {start} to {end}."),
    "visit_unstaffed": N_("The laboratory is not staffed then: nobody of it will come."),
    "visits_at_once": N_("Other visits are planned at the same time: {count}."),
    "displaced": N_(
        "The one before has not given the place back yet. You will be told as soon as it is free; "
        "until then no clock runs against you."
    ),
    # people, projects, organisations
    "organisation_until": N_("Your organisation may book until {until}."),
    "organisation_category": N_("Your organisation may not book {equipment} (category {category})."),
    "qualification_missing": N_("The qualification “{qualification}” is needed."),
    "qualification_ends": N_("The qualification “{qualification}” runs out on {until}."),
    "unknown_user": N_("There is nobody with the address {user} whom you may name."),
    "unknown_participant": N_("{user} is not somebody who could see this reservation."),
    "unknown_project": N_("There is no project “{project}” that you may use."),
    "project_closed": N_("The project “{project}” is closed."),
    "unknown_activity": N_("There is no activity kind “{activity}”."),
    "unknown_organisation": N_("There is no organisation “{organisation}”."),
    "unknown_facility": N_("There is no facility “{facility}”."),
    # utilities
    "over_budget": N_("{utility} would carry {peak} {unit} at {at}; it has {capacity} {unit}."),
    # words
    "missing": N_("This is needed."),
    "text_too_long": N_("At most {limit} characters; there are {length}."),
    "control_characters": N_("Control characters and broken characters are not allowed here."),
    # steps
    "reason_missing": N_("Please give a reason."),
    "unknown_cause": N_("There is no cause “{cause}”."),
    "cause_is_staffs": N_("Only the laboratory's staff may name that cause."),
    "idempotency_key_reused": N_("This Idempotency-Key was used for something else."),
    "idempotency_key_malformed": N_("An Idempotency-Key has 1 to 255 printable characters."),
    # at the equipment
    "kiosk_code_unknown": N_(
        "Nothing here can be done with this code now. Look at the code, the equipment and your time; the "
        "laboratory's staff can do it for you."
    ),
    "fault_too_many": N_("That is enough reports for an hour; call the laboratory instead."),
    "relay_answered": N_("Somebody has answered already."),
    "relay_too_many": N_("That is enough for an hour; call the duty phone instead."),
    "kiosk_which_place": N_("Several are possible: choose the place."),
    # accounts
    "event_cancelled": N_("This event is cancelled."),
    "event_floating": N_("Its time names no zone, so it could be any."),
    "event_recurring": N_("It recurs: put each occurrence into the file, or book it again as a series."),
    "event_without_time": N_("It has no start, or no end."),
    "no_keeper": N_("The facility has no manager yet, in whose name it could be taken."),
    "email_taken": N_("There is an account with this address already."),
    "link_expired": N_("This link has expired or was used already. Ask for a new one."),
    "not_an_email": N_("This is not an e-mail address."),
    "not_your_organisation": N_("Only an admin lets people into another organisation."),
    "password_common": N_("This password is too easy to guess."),
    "password_long": N_("A password has at most {most} characters."),
    "password_short": N_("Choose a password of at least {least} characters."),
    "password_wrong": N_("This is not your present password."),
    "passwords_differ": N_("The two are not the same."),
    "slug_malformed": N_("Use small letters, digits and hyphens, starting with a letter or digit."),
    "slug_taken": N_("This short name is taken."),
    "unknown_category": N_("There is no category “{category}”."),
    "unknown_kind": N_("There is no kind “{kind}”."),
    "unknown_qualification": N_("There is no qualification “{qualification}”."),
    "unknown_role": N_("There is no role “{role}” that you may give."),
    "yourself": N_("You cannot do that to your own account."),
    # forms
    "bad_date": N_("“{value}” is not a date; write it like 2026-11-24."),
    "bad_number": N_("“{value}” is not a whole number from 1."),
    "bad_time": N_("“{value}” is not a time; write it like 08:00."),
    "time_in_gap": N_("{time} does not exist on this day: the clocks go from {before} to {after}."),
    "time_twice": N_(
        "{time} happens twice on this day, as the clocks go back: choose the first or the second."
    ),
    "bad_length": N_("“{value}” is not a length of time; write it like 2 h, 90 min or 6 d."),
    "end_and_length": N_("The end and the duration do not agree; leave one of them empty."),
    # deputies
    "already_over": N_("The last day is over already."),
    "not_a_manager_there": N_("{user} is not a manager of this facility."),
    "unknown_deputy": N_(
        "“{user}” is nobody whom you may name: a deputy is of your own organisation, unless an admin names"
        " another of the laboratory's staff."
    ),
    # rigs
    "not_given_up": N_("This has not been given up."),
    "rig_exists": N_("There is a rig for this equipment already."),
    "told_something_later": N_("The rig has heard of something later; this would mislead it."),
    "not_a_rigs_address": N_("Write it as http://host/path or https://host/path, without “#” and spaces."),
    "address_with_credentials": N_(
        "Leave user name and password out: the signature proves that it is Labbook who calls."
    ),
    # feeds
    "unknown_feed_scope": N_("There is no feed “{scope}”."),
    "feed_scope_not_yours": N_("The feed “{scope}” is for managers."),
    # what a request's body or query looks like
    "unknown_field": N_("There is no such field here."),
    "not_available": N_("This is not available yet."),
    "wrong_type": N_("This must be {expected}."),
    "not_one_of": N_("This must be one of: {choices}."),
    "out_of_bounds": N_("This must be between {low} and {high}."),
    "too_many": N_("At most {limit} of these."),
    "repeated": N_("This was given more than once."),
    "malformed_cursor": N_("Not a cursor that this service gave out."),
    "malformed_capability": N_("Write a capability as name:quantity, as in dc_voltage:800V."),
}

TYPES: Mapping[str, str] = {
    "text": N_("a text"),
    "whole_number": N_("a whole number"),
    "truth": N_("true or false"),
    "list": N_("a list"),
    "object": N_("an object"),
    "name": N_("a text, or one for each language"),
    "date": N_("a date such as 2026-03-02, without quotes"),
}


def sentence(code: str, params: Mapping[str, Any], locale: str = "en", zone: tzinfo = UTC) -> str:
    """The problem ``code`` as a sentence. Instants are written on the wall clock of ``zone``."""
    return sentence_of(SENTENCES[code], params, locale, zone)


def sentence_of(
    message: str, params: Mapping[str, Any], locale: str = "en", zone: tzinfo | None = UTC
) -> str:
    """The same of a message that is no problem's."""
    message, zone = translated(message, locale), zone or UTC
    return message.format_map({name: _written(name, value, locale, zone) for name, value in params.items()})


def translated(message: str, locale: str) -> str:
    return translations(locale).gettext(message)


def _written(name: str, value: Any, locale: str, zone: tzinfo) -> str:
    if name == "expected" and value in TYPES:
        return translated(TYPES[value], locale)
    if name in ("qualification", "category") and isinstance(value, str):
        return word(value, locale)
    if isinstance(value, datetime):
        written = format_datetime(value.astimezone(zone), "yyyy-MM-dd HH:mm", locale=locale)
        return written + (" UTC" if zone is UTC else "")
    if isinstance(value, date):
        return format_date(value, "yyyy-MM-dd", locale=locale)
    if isinstance(value, timedelta):
        return _duration(value, locale)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return format_decimal(value, locale=locale)
    if isinstance(value, Mapping):
        return localised(value, locale)
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(str(each) for each in value)
    return str(value)


def _duration(length: timedelta, locale: str) -> str:
    """``90 days``, ``2 hours 30 minutes``."""
    seconds = int(length.total_seconds())
    parts = []
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(format_unit(count, f"duration-{unit}", locale=locale))
    return " ".join(parts) or format_unit(0, "duration-minute", locale=locale)
