"""What somebody wants to be told of and how, and whether mail reaches them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Problem, Refused
from labbook.domain.notification import DEFAULTS, Mode, Topic, topics_for
from labbook.models import NotificationPreference, SentInvitation, User
from labbook.services import transaction

CALENDARS = ("feed", "invitation")


@dataclass(frozen=True)
class MailChoices:
    """``modes`` of the topics that somebody of this role gets messages of.

    ``refused_at`` and ``refusal``: when and in what words their mail server refused a message for good; None
    and empty once one went through.
    """

    modes: Mapping[Topic, Mode]
    calendar_by: str
    refused_at: datetime | None
    refusal: str


def read(session: Session, *, viewer: Viewer) -> MailChoices:
    """One's own choices; what one never chose is as the lab's default has it."""
    rows = session.execute(
        select(NotificationPreference.topic, NotificationPreference.mode).where(
            NotificationPreference.user_id == viewer.id
        )
    )
    chosen = {topic: Mode(mode) for topic, mode in rows}
    by, refused_at, refusal = session.execute(
        select(User.calendar_by, User.mail_refused_at, User.mail_refusal).where(User.id == viewer.id)
    ).one()
    modes = {topic: chosen.get(topic, DEFAULTS[topic]) for topic in topics_for(viewer.role)}
    return MailChoices(modes, by, refused_at, refusal or "")


def refusal_of(session: Session, *, viewer: Viewer) -> str | None:
    """In what words one's mail server refused the last message; None where none was refused."""
    query = select(User.mail_refusal).where(User.id == viewer.id, User.mail_refused_at.is_not(None))
    return session.scalar(query)


def choose(
    session: Session, modes: Mapping[str, str], *, actor: Viewer, calendar_by: str | None = None
) -> None:
    """A mode for each topic named; what is not named stays as it is. Raises ``Refused``.

    ``calendar_by``: ``feed`` or ``invitation``, one of the two, since both would show everything twice. Who
    begins with invitations gets one of all that lies ahead, whatever they were sent before.
    """
    topics, known = {str(topic) for topic in Topic}, {str(mode) for mode in Mode}
    wrong = [Problem("unknown_kind", topic, params={"kind": topic}) for topic in modes if topic not in topics]
    wrong += [
        Problem("unknown_kind", topic, params={"kind": mode})
        for topic, mode in modes.items()
        if topic in topics and mode not in known
    ]
    if calendar_by is not None and calendar_by not in CALENDARS:
        wrong.append(Problem("unknown_kind", "calendar_by", params={"kind": calendar_by}))
    if wrong:
        raise Refused(wrong)

    def work() -> None:
        # Locked, because the same form sent twice at once would add the same rows.
        user = session.get_one(User, actor.id, with_for_update={"key_share": True}, populate_existing=True)
        for topic, mode in sorted(modes.items()):
            session.merge(NotificationPreference(user_id=actor.id, topic=topic, mode=mode))
        if calendar_by is not None and calendar_by != user.calendar_by:
            user.calendar_by = calendar_by
            _begin_again(session, actor.id)

    transaction.write(session, work)


def _begin_again(session: Session, user_id: int) -> None:
    """Nothing that a calendar was sent counts as known to it."""
    session.execute(
        update(SentInvitation)
        .where(SentInvitation.user_id == user_id)
        .values(fingerprint="", revision=0)
        .execution_options(synchronize_session=False)
    )
