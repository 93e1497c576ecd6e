"""A long test of the cast: ``soak``, read out after 24 h and 168 h, in the chamber over the end of winter."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.models import Environment, EnvironmentVersion, Visit
from labbook.services import decisions, reservations
from labbook.services.commands import Decide
from labbook.services.reservation_views import ReservationView
from labbook.services.visit_views import LongTestView
from tests.cast import NOW, ZONE, Cast, at
from tests.services.test_reservations import wish

START, END = "2026-03-24 10:00", "2026-04-01 16:00"
HOUR = timedelta(hours=1)


def make_recipe(
    session: Session, cast: Cast, readouts: tuple[int, ...] = (24, 168), *, permit: bool = False
) -> None:
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    row = Environment(slug="soak", facility_id=cast.facility_id)
    session.add(row)
    session.flush()
    session.add(
        EnvironmentVersion(
            environment_id=row.id,
            number=1,
            name={"en": "Soak"},
            ambient={},
            draws={},
            permit=permit,
            readouts=[n * 3600 for n in readouts],
            needs=[{"equipment": "chamber", "count": 1, "places": 1}],
        )
    )
    session.commit()


def requested(session: Session, cast: Cast, **more: Any) -> ReservationView:
    command = wish(start=START, end=END, environment="soak", **more)
    return reservations.request(session, command, actor=cast.anna, now=NOW)


def approved(session: Session, cast: Cast, **more: Any) -> ReservationView:
    make_recipe(session, cast)
    view = requested(session, cast, **more)
    return decisions.approve(session, Decide(view.id), actor=cast.mia, now=NOW)


def running(session: Session, cast: Cast, at_: str = START, **more: Any) -> ReservationView:
    view = approved(session, cast, **more)
    return decisions.check_in(session, Decide(view.id), actor=cast.anna, now=at(at_))


def clock_of(view: ReservationView) -> LongTestView:
    assert view.long_test is not None
    return view.long_test


def starts(view: ReservationView) -> list[str]:
    """When the visits are, on the lab's clock."""
    return [f"{v.start.astimezone(ZONE):%Y-%m-%d %H:%M}" for v in clock_of(view).visits]


def due(session: Session) -> list[Any]:
    session.rollback()
    return list(session.scalars(select(Visit.due_at).order_by(Visit.planned_at)))


def ids(session: Session) -> list[str]:
    """The visits by their time."""
    session.rollback()
    return list(session.scalars(select(Visit.public_id).order_by(Visit.planned_at)))
