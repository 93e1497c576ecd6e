"""What the timetable runs: thin, each over a session of its own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from labbook.config import Settings
from labbook.services import heartbeats, invitations, outbox, rig_calls, sweep
from labbook.services.due import FAILED
from labbook.services.heartbeats import Tally
from labbook.services.outbox import Office
from labbook.services.post import carrier

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """What a task gets: ``name`` is this process among several, ``tally`` counts what it does."""

    session: Session
    settings: Settings
    name: str
    started_at: datetime
    now: datetime
    tally: Tally = field(default_factory=Tally)


def sweep_due(work: Work) -> datetime | None:
    """Take what is due, and only then give a sign of life; answers when the next step will be."""

    def watch(dues: Sequence[datetime]) -> None:
        committed = datetime.now(UTC)
        for at in dues:
            work.tally.add(committed - at)

    done = sweep.sweep(work.session, now=work.now, watch=watch)
    work.tally.count(failed=done[FAILED])
    if done:
        log.info("swept %s", ", ".join(f"{step} {count}" for step, count in sorted(done.items())))
    heartbeats.beat(work.session, work.name, started_at=work.started_at, now=work.now, tally=work.tally)
    return sweep.next_due(work.session)


def send_mail(work: Work) -> None:
    """Send what waits in the outbox."""
    settings = work.settings
    office = Office(settings.base_url, settings.mail_from)
    with carrier(settings.mail_url, settings.instance / "mail") as way:
        done = outbox.send_due(work.session, way, office, now=work.now)
    work.tally.count(sent=done["sent"])
    if done:
        log.info("mail %s", ", ".join(f"{outcome} {count}" for outcome, count in sorted(done.items())))


def tell_rigs(work: Work) -> None:
    """Tell the rigs that their slot windows have opened or closed."""
    done = rig_calls.deliver_due(work.session, now=work.now)
    if done:
        log.info("rigs %s", ", ".join(f"{outcome} {count}" for outcome, count in sorted(done.items())))


def invite(work: Work) -> None:
    """Put into the outbox what is due to calendars that want it by mail."""
    invitations.enqueue_due(work.session, now=work.now)


def compare_calendars(work: Work) -> None:
    """Find what changed in calendars by mail without its reservation: a room, a project's members."""
    invitations.enqueue_due(work.session, now=work.now, thorough=True)
