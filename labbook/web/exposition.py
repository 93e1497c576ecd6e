"""Figures as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import accumulate

from labbook.services.heartbeats import BUCKETS
from labbook.services.measures import Measures, Process

Labels = Mapping[str, str]
Samples = Iterable[tuple[Labels, float]]

_SCHEDULER = "scheduler"


def gauge(name: str, value: float) -> str:
    return _family(name, "gauge", "", [({}, value)])


def counter(name: str, samples: Samples, words: str = "") -> str:
    return _family(name, "counter", words, samples)


def measures(found: Measures, now: datetime) -> list[str]:
    """``now`` for the age of each scheduler's last sign of life."""
    each = found.schedulers
    return [
        _family("labbook_due", "gauge", "Steps whose time has come", [({}, found.due)]),
        _family("labbook_due_failed", "gauge", "Steps put aside with an error", [({}, found.put_aside)]),
        _family("labbook_mail_unsent", "gauge", "Messages that should have left", [({}, found.mail_unsent)]),
        _family("labbook_mail_failed", "gauge", "Messages that were given up", [({}, found.mail_failed)]),
        _family("labbook_webhooks_due", "gauge", "Events rigs wait for", [({}, found.webhooks_due)]),
        _family("labbook_webhooks_failed", "gauge", "Events given up", [({}, found.webhooks_failed)]),
        _family("labbook_waitlist_waiting", "gauge", "Entries that wait", [({}, found.waitlist_waiting)]),
        _family(
            "labbook_scheduler_heard_seconds",
            "gauge",
            "Since a scheduler's last sign of life",
            _per(each, lambda p: round((now - p.seen_at).total_seconds(), 3)),
        ),
        counter("labbook_steps_swept_total", _per(each, lambda p: p.swept), "Steps taken"),
        counter("labbook_steps_failed_total", _per(each, lambda p: p.failed), "Steps that failed"),
        counter("labbook_mail_sent_total", _per(each, lambda p: p.sent), "Messages sent"),
        _lateness(each),
    ]


def _lateness(schedulers: Sequence[Process]) -> str:
    name = "labbook_step_lateness_seconds"
    lines = [f"# HELP {name} How much later than due a step was taken\n", f"# TYPE {name} histogram\n"]
    edges = [*(f"{edge:g}" for edge in BUCKETS), "+Inf"]
    for process in schedulers:
        own = {_SCHEDULER: process.name}
        counts = list(accumulate(process.lateness))
        lines += [_line(f"{name}_bucket", own | {"le": e}, n) for e, n in zip(edges, counts, strict=True)]
        lines.append(_line(f"{name}_sum", own, process.lateness_ms / 1000))
        lines.append(_line(f"{name}_count", own, counts[-1]))
    return "".join(lines)


def _per(schedulers: Sequence[Process], value: Callable[[Process], float]) -> Samples:
    return [({_SCHEDULER: process.name}, value(process)) for process in schedulers]


def _family(name: str, kind: str, words: str, samples: Samples) -> str:
    said = f"# HELP {name} {words}\n" if words else ""
    return said + f"# TYPE {name} {kind}\n" + "".join(_line(name, *sample) for sample in samples)


def _line(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {value}\n" if inside else f"{name} {value}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
