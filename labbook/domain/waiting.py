"""How long an offer stands, and when somebody who waits is looked at again."""

from __future__ import annotations

from datetime import datetime, timedelta

OFFER_FOR = timedelta(hours=4)
"""An offer is to be answered within this time, or within half of what is left until its start."""

SHORTEST_OFFER = timedelta(minutes=15)
"""What begins sooner is offered to nobody: there would be no time to answer, nor for the next in line."""

LOOK_AGAIN = timedelta(hours=1)
"""Whoever waits is looked at this often even where nobody said that anything was given back."""

GIVE_WAY = timedelta(seconds=1)
"""How long somebody further back stands aside for whoever is before them."""

WINDOW_LIMIT = timedelta(days=60)
"""The longest time within which somebody may wait for something."""

ENTRIES_LIMIT = 20
"""How many entries of one person may wait at a time."""

MODES = ("offer", "book")


def offered_until(now: datetime, start: datetime) -> datetime:
    """When an offer of something that begins at ``start`` lapses: never after that."""
    left = start - now
    return now + min(OFFER_FOR, max(left / 2, min(SHORTEST_OFFER, left)))


def last_start(latest: datetime, length: timedelta) -> datetime:
    """From then on it no longer fits."""
    return latest - length
