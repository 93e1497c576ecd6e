"""Views as JSON: instants in UTC with Z, slugs for catalogue entries, opaque strings for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from flask import Response

from labbook.api.asking import now
from labbook.api.problems import said
from labbook.domain.durations import written_hours
from labbook.services.reservation_views import ChangeView, HistoryView, PieceView, ReservationView
from labbook.services.visit_views import LongTestView, VisitView


def json_answer(body: Any, status: int = 200) -> Response:
    answer = Response(orjson.dumps(body, option=orjson.OPT_UTC_Z), status, content_type="application/json")
    # Revalidated each time, and never kept where another could get at it.
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


def reservation_answer(view: ReservationView, status: int = 200) -> Response:
    """With its revision as a strong ``ETag``, as ``If-Match`` wants it back."""
    answer = json_answer(reservation(view), status)
    answer.set_etag(str(view.revision))
    return answer


def reservation(view: ReservationView) -> dict[str, Any]:
    return {
        "id": view.id,
        "kind": view.kind,
        "status": view.status,
        "visibility": "full",
        "facility": view.facility,
        "start": view.start,
        "end": view.end,
        "occupied": {"start": view.occupied_start, "end": view.occupied_end},
        "expected_end": view.expected_end,
        "equipment": [_piece(piece) for piece in view.equipment],
        "environment": view.environment,
        "draws": {each.utility: each.amount for each in view.draws},
        "title": view.title,
        "notes": view.notes,
        "project": view.project,
        "activity": view.activity,
        "organisation": view.organisation,
        "holder": view.holder.email,
        "requested_by": view.requested_by.email,
        "participants": [person.email for person in view.participants],
        "series": None,
        "pending_change": None if view.pending_change is None else _change(view.pending_change),
        "check_in": view.check_in,
        "checked_in_at": view.checked_in_at,
        "checked_out_at": view.checked_out_at,
        "overrun_since": view.overrun_since,
        "displaced_since": view.displaced_since,
        "cancel_cause": view.cancel_cause,
        "decide_by": view.decide_by,
        "hold": view.hold,
        "customer": view.customer or None,
        "overridden": view.overridden,
        "permit": {"required": view.permit_required, "signed_at": view.permit_signed_at},
        "allowed": sorted(view.allowed),
        "long_test": None if view.long_test is None else _long_test(view.long_test, now()),
        "revision": view.revision,
        "history": [_entry(entry, view) for entry in view.history],
        "messages": [{"at": m.at, "author": m.author, "text": m.text} for m in view.messages],
        "problems": said(view.problems),
    }


def _piece(piece: PieceView) -> Mapping[str, Any]:
    whole = {"whole": True} if piece.whole else {}
    return {"slug": piece.slug, "places": piece.places, **whole}


def _long_test(test: LongTestView, at: datetime) -> Mapping[str, Any]:
    return {
        "running_since": test.run.since if test.begun else None,
        "accrued": _hours(test.accrued(at)),
        "planned": _hours(test.planned(at)),
        "paused_since": test.paused_since,
        "expected_end": test.expected_end,
        "next_readout": None if test.next_readout is None else test.next_readout.id,
        "visits": [_visit(visit, at) for visit in test.visits],
    }


def _visit(visit: VisitView, at: datetime) -> Mapping[str, Any]:
    return {
        "id": visit.id,
        "kind": visit.kind,
        "after": None if visit.after is None else _hours(visit.after),
        "start": None if visit.waits else visit.start,
        "end": None if visit.waits else visit.end,
        "laid": visit.laid,
        "staffed": visit.staffed,
        "overdue": visit.is_overdue(at),
        "note": visit.note,
        "done_at": visit.done_at,
        "done_by": visit.done_by,
        "done_note": visit.done_note,
        "dropped_at": visit.dropped_at,
        "revision": visit.revision,
    }


def _hours(length: timedelta) -> str:
    return written_hours(int(length.total_seconds()))


def _change(change: ChangeView) -> Mapping[str, Any]:
    return {
        "kind": change.kind,
        "proposed_by": change.proposed_by,
        "start": change.start,
        "end": change.end,
        "equipment": [_piece(piece) for piece in change.equipment],
        "created_at": change.created_at,
    }


def _entry(entry: HistoryView, view: ReservationView) -> Mapping[str, Any]:
    return {
        "at": entry.at,
        "actor": entry.actor,
        "rule": entry.rule,
        "action": entry.action,
        "old": entry.old,
        "new": entry.new,
        "reason": entry.reason,
    }
