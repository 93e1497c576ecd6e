"""Who may share a piece at one time: those whose ambient profile is the same there.

A profile is a set of stored ranges, as ``domain.capability`` keeps them. On a piece only what it offers of a
profile counts: a battery cycler that a hot and a cold test share has no temperature. One that states no
capabilities might make any of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labbook.domain.capability import same

Profile = Mapping[str, Any]


def made_by(capabilities: Profile, profile: Profile) -> Profile:
    """The part of a profile that a piece makes."""
    if not capabilities:
        return profile
    return {name: asked for name, asked in profile.items() if name in capabilities}


def clash(capabilities: Profile, one: Profile, other: Profile) -> str | None:
    """The code of what stands in the way of sharing the piece: another profile, or one that is not stated."""
    mine, theirs = made_by(capabilities, one), made_by(capabilities, other)
    if same(mine, theirs):
        return None
    if mine and theirs:
        return "other_ambient"
    return "unstated_ambient" if capabilities else None
