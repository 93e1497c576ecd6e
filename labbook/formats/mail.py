"""A message as a mail: subject, text and HTML in the reader's language, from ``templates/mail``.

A template says two things, ``subject`` and ``lead``; ``base.txt`` and ``base.html`` lay them out. What a
letter holds was chosen by the service for its one reader; nothing is looked up here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from labbook.formats.icalendar import Invitation, render_invitation
from labbook.formats.moments import moment, running, span, zone_name
from labbook.formats.words import localised, translations, word

TEMPLATES = Path(__file__).resolve().parent.parent.parent / "templates" / "mail"

KINDS = frozenset(path.stem for path in TEMPLATES.glob("*.txt")) - {"base", "digest"}
ABOUT_ACCOUNTS = frozenset({"invitation", "password_reset"})


@dataclass(frozen=True)
class Proposed:
    """What an undecided change would make of the reservation."""

    start: datetime
    end: datetime
    equipment: Sequence[str]


@dataclass(frozen=True)
class Subject:
    """The reservation that a letter is about, names already in the reader's language."""

    id: str
    title: str
    status: str
    start: datetime
    end: datetime
    zone: str
    facility: str
    equipment: Sequence[str]
    holder: str
    organisation: str
    project: str | None = None
    cause: str | None = None
    proposed: Proposed | None = None
    held_until: datetime | None = None


@dataclass(frozen=True)
class Letter:
    """One mail to one reader. ``about`` is None for what concerns their account.

    ``actor`` did what is told; ``words`` is what they wrote, ``reason`` why. ``more`` is what else the
    message was posted with. ``choice_url``: where its reader chooses whether they get such letters.
    ``calendar`` is what their calendar program takes from it.
    """

    kind: str
    message_id: str
    locale: str
    name: str
    address: str
    url: str
    written_at: datetime
    about: Subject | None = None
    actor: str = ""
    reason: str = ""
    words: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    choice_url: str = ""
    calendar: Invitation | None = None


@dataclass(frozen=True)
class Rendered:
    subject: str
    text: str
    html: str


def render(letter: Letter) -> Rendered:
    """Raises ``ValueError`` for a kind that has no template, and for one that asks for what there isn't."""
    plain, marked = _environments(letter.locale)
    values = _values(letter)
    try:
        template = plain.get_template(f"{_known(letter.kind)}.txt")
        subject = " ".join(_block(template, "subject", values).split())
        lead = [part.strip() for part in _block(template, "lead", values).split("\n\n") if part.strip()]
        more = {"subject": subject, "lead": lead, "action": _action(letter)}
        html = marked.get_template("base.html").render({**values, **more})
        return Rendered(subject, template.render(values), html)
    except TemplateError as error:
        raise ValueError(f"the mail for {letter.kind!r}: {error}") from error


def compose(letter: Letter, *, sender: str) -> EmailMessage:
    """The mail to hand over. Raises ``ValueError`` when an address cannot be written."""
    message = _envelope(letter, letter.message_id, letter.written_at, sender)
    if letter.about is not None:  # so that mail programs keep one reservation's letters together
        message["References"] = f"<reservation-{letter.about.id}@{_host(sender)}>"
    _fill(message, render(letter))
    if letter.calendar is not None:
        # RFC 6047: the last alternative, which a mail program that knows calendars takes. As octets, since
        # as a text its line ends would be made to fit.
        message.add_alternative(
            render_invitation(letter.calendar),
            maintype="text",
            subtype="calendar",
            params={"charset": "UTF-8", "method": letter.calendar.method},
        )
    return message


def compose_digest(letters: Sequence[Letter], *, sender: str) -> EmailMessage:
    """One mail with a line of each letter, all to the same reader; there is at least one.

    Its Message-ID follows from theirs: the same letters are the same mail, however often it is tried.
    """
    first = letters[0]
    plain, marked = _environments(first.locale)
    lines = [(_line(letter), letter.url) for letter in letters]
    ngettext = translations(first.locale).ngettext
    subject = ngettext("Your day at the lab: %d message", "Your day at the lab: %d messages", len(lines))
    values = {
        "locale": first.locale,
        "reader": first.name,
        "subject": subject % len(lines),
        "lines": lines,
        "choice_url": first.choice_url,
    }
    joined = "".join(sorted(letter.message_id for letter in letters))
    message_id = sha256(joined.encode()).hexdigest()[:32]
    message = _envelope(first, message_id, max(letter.written_at for letter in letters), sender)
    text = plain.get_template("digest.txt").render(values)
    html = marked.get_template("digest.html").render(values)
    _fill(message, Rendered(subject % len(lines), text, html))
    return message


def _line(letter: Letter) -> str:
    """``"Approved: A test · Tue 24 Mar, 10:00–12:00 (2 h)"``."""
    plain, _marked = _environments(letter.locale)
    try:
        template = plain.get_template(f"{_known(letter.kind)}.txt")
        said = " ".join(_block(template, "subject", _values(letter)).split())
    except (TemplateError, ValueError):  # the rest of a day's mail does not wait for one line of it
        said = translations(letter.locale).gettext("A message")
    if letter.about is None:
        return said
    start, end = _visit_span(letter.more) or (letter.about.start, letter.about.end)
    return f"{said} · {span(start, end, ZoneInfo(letter.about.zone), letter.locale)}"


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"no mail is written for {kind!r}")
    return kind


def _host(sender: str) -> str:
    return sender.rpartition("@")[2] or "localhost"


def _envelope(letter: Letter, message_id: str, written_at: datetime, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = Address("Labbook", addr_spec=sender)
    message["To"] = Address(letter.name, addr_spec=letter.address)
    message["Date"] = format_datetime(written_at)
    message["Message-ID"] = f"<{message_id}@{_host(sender)}>"
    message["Auto-Submitted"] = "auto-generated"
    message["Content-Language"] = letter.locale
    return message


def _fill(message: EmailMessage, rendered: Rendered) -> None:
    message["Subject"] = rendered.subject
    message.set_content(rendered.text)
    message.add_alternative(rendered.html, subtype="html")


@lru_cache(maxsize=8)
def _environments(locale: str) -> tuple[Environment, Environment]:
    """For text and for HTML; only the latter escapes."""
    made = []
    for escape in (False, True):
        environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            extensions=["jinja2.ext.i18n"],
            autoescape=escape,  # noqa: S701 - the text part is no HTML
            undefined=StrictUndefined,
            keep_trailing_newline=True,
        )
        environment.filters.update(
            localised=partial(_localised, locale),
            word=partial(_word, locale),
            moment=partial(_moment, locale),
        )
        environment.install_gettext_translations(translations(locale), newstyle=True)  # type: ignore[attr-defined]
        made.append(environment)
    return made[0], made[1]


def _localised(locale: str, names: Mapping[str, str]) -> str:
    return localised(names, locale)


def _word(locale: str, code: str) -> str:
    return word(code, locale)


def _moment(locale: str, at: str, zone: str) -> str:
    """Of an instant as a message keeps it."""
    return moment(datetime.fromisoformat(at), ZoneInfo(zone), locale)


def _block(template: Any, name: str, values: Mapping[str, Any]) -> str:
    return "".join(template.blocks[name](template.new_context(dict(values))))


def _values(letter: Letter) -> dict[str, Any]:
    about = letter.about
    return {
        "locale": letter.locale,
        "reader": letter.name,
        "url": letter.url,
        "actor": letter.actor,
        "reason": letter.reason,
        "words": letter.words,
        "more": letter.more,
        "choice_url": letter.choice_url,
        "title": about.title if about else "",
        "holder": about.holder if about else "",
        "organisation": about.organisation if about else "",
        "cause": about.cause if about else None,
        "visit": _visit(letter),
        "facts": _facts(about, letter.locale, letter.more) if about else [],
    }


def _visit(letter: Letter) -> str:
    """``"Read-out after 168 h"`` where the letter tells of one."""
    _ = translations(letter.locale).gettext
    if "visit_from" not in letter.more:
        return ""
    after = letter.more.get("after")
    if after is None:
        return _("Visit")
    return _("Read-out after %s") % running(timedelta(seconds=after), letter.locale)


def _visit_span(more: Mapping[str, Any]) -> tuple[datetime, datetime] | None:
    """From when to when somebody comes to a long test, where a letter tells of that."""
    if "visit_from" not in more:
        return None
    return datetime.fromisoformat(more["visit_from"]), datetime.fromisoformat(more["visit_until"])


def _facts(about: Subject, locale: str, more: Mapping[str, Any]) -> list[tuple[str, str]]:
    _ = translations(locale).gettext
    zone = ZoneInfo(about.zone)

    def when(start: datetime, end: datetime) -> str:
        return f"{span(start, end, zone, locale)}, {zone_name(zone, start)}"

    rows = [
        (_("Reservation"), about.title),
        (_("Status"), word(about.status, locale)),
        (_("Time"), when(about.start, about.end)),
        (_("Equipment"), ", ".join(about.equipment)),
        (_("Facility"), about.facility),
        (_("Holder"), f"{about.holder}, {about.organisation}"),
    ]
    if visit := _visit_span(more):
        rows.insert(0, (_("Visit"), when(*visit)))
    if about.held_until:
        rows.append((_("Held until"), moment(about.held_until, zone, locale)))
    if about.project:
        rows.append((_("Project"), about.project))
    if about.proposed:
        rows.append((_("Proposed time"), when(about.proposed.start, about.proposed.end)))
        rows.append((_("Proposed equipment"), ", ".join(about.proposed.equipment)))
    return rows


def _action(letter: Letter) -> str:
    _ = translations(letter.locale).gettext
    if letter.kind in ABOUT_ACCOUNTS:
        return _("Choose a password")
    return _("Open the reservation") if letter.about else _("Open in Labbook")
