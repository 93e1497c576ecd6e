"""Whether a rig may be energised under a reservation, now: what ``/access`` and the webhooks say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from labbook.domain.reservation import Status


@dataclass(frozen=True)
class Hold:
    """What a reservation occupies of one piece of equipment over ``[start, end)``, set-up and tear-down
    included. ``displaced``: what overran before it still stands there. ``permit_missing``: it needs a
    signature that it does not have.
    """

    status: str
    check_in: str
    start: datetime
    end: datetime
    displaced: bool
    permit_missing: bool


def may_energise(hold: Hold, now: datetime) -> bool:
    """Its slot window is open, somebody uses it, nothing else stands there, and the permit is signed.

    Without check-in the window opens and closes by the clock, whether or not the scheduler has come by. With
    it, what was checked in goes on past its end: nothing that runs is cut off.
    """
    if hold.displaced or hold.permit_missing or now < hold.start:
        return False
    if hold.check_in == "none":
        return hold.status in (Status.APPROVED, Status.IN_USE) and now < hold.end
    return hold.status == Status.IN_USE


def energised_until(hold: Hold, now: datetime) -> datetime | None:
    """The end of what is occupied; None where it runs over that, and nobody says how long."""
    return hold.end if now < hold.end else None
