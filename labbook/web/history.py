"""A reservation's history in words: who, when, what changed, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext as _

from labbook.formats import moments
from labbook.services.reservation_views import HistoryView, ReservationView
from labbook.web.formatting import duration, in_words, locale_code, running


@dataclass(frozen=True)
class Line:
    """``who`` is a person, or what did it by itself; ``details`` what it was and is now."""

    at: datetime
    who: str
    what: str
    details: Sequence[str]
    reason: str


def lines(view: ReservationView, entries: Sequence[HistoryView] | None = None) -> list[Line]:
    """Oldest first; all of it, unless only some entries are asked for."""
    return [_line(view, entry) for entry in (view.history if entries is None else entries)]


def since(view: ReservationView, seen: str) -> list[Line]:
    """What happened after somebody was shown the page at the instant ``seen``, as their form says."""
    try:
        read = datetime.fromisoformat(seen)
    except ValueError:
        return []
    if read.tzinfo is None:
        return []
    return lines(view, [entry for entry in view.history if entry.at > read])


def _line(view: ReservationView, entry: HistoryView) -> Line:
    return Line(
        at=entry.at,
        who=entry.actor or _rule(entry.rule),
        what=in_words(entry.action),
        details=list(_details(view, entry)),
        reason=entry.reason,
    )


def _rule(code: str | None) -> str:
    if code == "automatic":
        return str(_("by itself"))
    return in_words(code or "scheduler")


def _details(view: ReservationView, entry: HistoryView) -> Iterator[str]:
    zone, locale = ZoneInfo(view.zone), locale_code()
    words = {"start": _("start"), "end": _("end"), "expected_end": _("expected end")}
    for name, what in words.items():
        if name in entry.new and entry.action != "request" and entry.old.get(name) != entry.new[name]:
            old, new = (_moment(side.get(name), zone, locale) for side in (entry.old, entry.new))
            yield _("%(what)s %(old)s → %(new)s", what=what, old=old, new=new) if old else f"{what} {new}"
    if "equipment" in entry.old and entry.old["equipment"] != entry.new.get("equipment"):
        yield _("other equipment")
    if entry.action != "request" and ("draws" in entry.old or "draws" in entry.new):
        yield _("draws %(old)s → %(new)s", old=_drawn(entry.old), new=_drawn(entry.new))
    if entry.action == "edit":
        yield ", ".join(_edited(entry))
    if entry.action in ("transfer", "convert"):
        yield from _transfer(view, entry)
    if entry.old.get("permit") and entry.new.get("permit") is None:
        yield _("the permit has to be signed again")
    if entry.action.startswith("visit_"):
        yield _visit(entry, zone, locale)
    if entry.action == "laid_anew":
        yield from _laid_anew(entry, zone, locale)
    if entry.action == "resume":
        yield _("it stood still for %(time)s", time=duration(timedelta(seconds=entry.new.get("stood", 0))))
    if entry.action in ("pause", "resume") and "at" in entry.new:
        yield _("at %(time)s", time=_moment(entry.new["at"], zone, locale))
    if hold := entry.new.get("hold"):
        yield _("held as an offer") if hold == "offer" else _("held as an option")
    if until := entry.new.get("decide_by"):
        yield _("until %(time)s", time=_moment(until, zone, locale))
    if cause := entry.new.get("cause"):
        yield _("cause: %(cause)s", cause=in_words(cause))
    if overridden := entry.new.get("overridden"):
        yield _("set aside: %(rules)s", rules=", ".join(in_words(code) for code in overridden))


def _drawn(side: Mapping[str, Any]) -> str:
    """``"feeder-a 4 kVA"``; nothing stated is what is reckoned."""
    stated = side.get("draws") or {}
    return ", ".join(f"{slug} {amount}" for slug, amount in stated.items()) or _("as reckoned")


def _visit(entry: HistoryView, zone: ZoneInfo, locale: str) -> str:
    """``"read-out after 168 h, Tue 31 Mar, 11:00"``, and when it was before it was moved."""
    after = entry.new.get("after")
    what = _("visit") if after is None else _("read-out after %(hours)s", hours=running(after))
    new, old = (_moment(side.get("at"), zone, locale) for side in (entry.new, entry.old))
    return f"{what}, {old} → {new}" if old else f"{what}, {new}"


def _laid_anew(entry: HistoryView, zone: ZoneInfo, locale: str) -> Iterator[str]:
    old, new = entry.old.get("visits", {}), entry.new.get("visits", {})
    for visit in sorted(new, key=lambda visit: str(new[visit])):
        yield f"{_moment(old.get(visit), zone, locale)} → {_moment(new[visit], zone, locale)}"


def _edited(entry: HistoryView) -> list[str]:
    words = {
        "title": _("title"),
        "notes": _("notes"),
        "project": _("project"),
        "participants": _("participants"),
    }
    return [
        _from_to(what, entry.old.get(name), entry.new[name])
        for name, what in words.items()
        if name in entry.new
    ]


def _from_to(what: str, old: Any, new: Any) -> str:
    """What it was and is, in as many words as a line of the history has room for; erased text is left out."""
    old, new = (
        "" if isinstance(v, bool) else ", ".join(v) if isinstance(v, list) else v or "" for v in (old, new)
    )
    if not (old or new):
        return what
    return str(_("%(what)s %(old)s → %(new)s", what=what, old=_short(old), new=_short(new)))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return (line[:79] + "…" if len(line) > 80 else line) or "–"


def _transfer(view: ReservationView, entry: HistoryView) -> Iterator[str]:
    """The names of those still on the reservation; who has left it since is not looked up."""
    names = {p.email: p.name for p in (view.requested_by, *view.participants, view.holder)}
    if name := names.get(entry.new.get("holder", "")):
        yield _("to %(name)s", name=name)


def _moment(value: Any, zone: ZoneInfo, locale: str) -> str:
    return moments.moment(datetime.fromisoformat(value), zone, locale) if value else ""
