"""Who waits for what to become free."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from labbook.models import WaitlistEntry, WaitlistWant


def freed(session: Session, equipment_ids: Collection[int], now: datetime) -> None:
    """Time of this equipment was given back: whoever waits for any of it is looked at with the next sweep.

    Part of the transaction that frees it.
    """
    wanting = select(WaitlistWant.entry_id).where(WaitlistWant.equipment_id.in_(sorted(equipment_ids)))
    session.execute(
        update(WaitlistEntry)
        .where(
            WaitlistEntry.state == "waiting",
            WaitlistEntry.id.in_(wanting),
            or_(WaitlistEntry.due_at.is_(None), WaitlistEntry.due_at > now),
        )
        .values(due_at=now)
        .execution_options(synchronize_session=False)
    )
