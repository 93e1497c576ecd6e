"""What may be wrong with a catalogue file, in sentences."""

from __future__ import annotations

from collections.abc import Mapping

from labbook.formats.words import N_

CATALOGUE_SENTENCES: Mapping[str, str] = {
    # the file
    "not_toml": N_("This is not TOML: {reason}."),
    "not_utf_8": N_("The file is not UTF-8 text."),
    "nested_too_deep": N_("The file is nested too deeply."),
    "not_tables": N_("Write each entry under a heading of its own: [[{kind}]]."),
    "key_missing": N_("The key “{key}” is needed."),
    "unknown_key": N_("There is no key “{key}” here."),
    "unknown_key_meant": N_("There is no key “{key}” here; did you mean “{meant}”?"),
    "not_a_slug": N_("“{text}” is no slug: lower-case letters, digits, - and _, 64 characters at most."),
    "not_a_capability": N_("“{text}” is no name of a capability: lower-case letters, digits and _."),
    "not_a_link": N_("A document is an address that begins with https:// or http://."),
    "slug_repeated": N_("The slug “{slug}” is already used on line {first}."),
    # references
    "unknown_facility_meant": N_("There is no facility “{facility}”; did you mean “{meant}”?"),
    "unknown_room": N_("The facility has no room “{room}”."),
    "unknown_room_meant": N_("The facility has no room “{room}”; did you mean “{meant}”?"),
    "unknown_utility": N_("There is no utility “{utility}”."),
    "unknown_utility_meant": N_("There is no utility “{utility}”; did you mean “{meant}”?"),
    "unknown_equipment_meant": N_("There is no equipment “{equipment}”; did you mean “{meant}”?"),
    "unknown_time_zone": N_("There is no time zone “{time_zone}”."),
    "unknown_time_zone_meant": N_("There is no time zone “{time_zone}”; did you mean “{meant}”?"),
    "unknown_country": N_(
        "“{country}” is no country whose holidays are known; write DK, DE, …, in capitals."
    ),
    "other_facility": N_("“{slug}” belongs to the facility “{facility}”."),
    "facility_fixed": N_("This entry belongs to the facility “{facility}” and cannot move to another."),
    # quantities
    "not_a_quantity": N_("“{text}” is no quantity; write it as 800 V, -70..180 degC or ±60 A."),
    "quantity_too_long": N_("A quantity has at most {limit} characters."),
    "quantity_negative": N_("“{text}” must not be negative."),
    "quantity_too_great": N_("“{text}” is too great."),
    "unknown_unit": N_("The unit of “{text}” is not known."),
    "logarithmic_unit": N_("“{text}” is in decibels, which cannot be compared; write the value itself."),
    "unit_mismatch": N_("“{text}” cannot be compared with {expected}."),
    "range_mixed": N_("The two ends of “{text}” are of different kinds."),
    "range_reversed": N_("“{text}” ends below its beginning."),
    "range_needed": N_("“{text}” must be a range such as 20..85 degC: “up to” has no beginning here."),
    # durations and hours
    "not_a_duration": N_("“{text}” is no ISO 8601 duration such as PT30M or P90D."),
    "duration_calendar": N_("“{text}” has no fixed length; write days or hours."),
    "duration_negative": N_("“{text}” must not be negative."),
    "duration_nothing": N_("“{text}” must be longer than nothing."),
    "duration_too_long": N_("“{text}” is too long."),
    "not_a_calendar_duration": N_("“{text}” is no interval of years, months, weeks or days such as P12M."),
    "shortest_over_longest": N_("The shortest slot ({shortest}) is longer than the longest ({longest})."),
    "lead_over_horizon": N_(
        "The lead ({lead}) is longer than the horizon ({horizon}); nothing could be booked."
    ),
    "not_hours": N_("“{text}” is no range of hours such as 08:00-16:00."),
    "hours_reversed": N_("“{text}” ends before it begins; hours over midnight are written in two days."),
    "hours_overlap": N_("“{text}” overlaps other hours of the day."),
    # needs
    "no_needs": N_("A test environment needs at least one piece of equipment."),
    "equipment_or_category": N_("A need names either equipment or a category."),
    "only_with_category": N_("“{key}” goes with a category, not with named equipment."),
    "whole_or_places": N_("A need takes so many places, or the whole piece; not both."),
    "unattended_needs": N_(
        "What runs unattended says whom to call (on_call) and what it falls into (safe_state)."
    ),
    "need_unmet": N_("No equipment of this catalogue meets this need of {environment}."),
    "needs_unmet": N_("The equipment of this catalogue cannot meet all needs of {environment} at once."),
    # what is stored already
    "places_in_use": N_("{equipment} cannot go below {places} places: that many are reserved."),
    "capacity_in_use": N_("{utility} cannot go below {drawn} {unit}: that much is reserved."),
}
