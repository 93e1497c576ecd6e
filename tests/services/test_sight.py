"""What lists show is decided in SQL, and what one shows by the domain: the two never disagree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Role, Viewer
from labbook.domain.visibility import scope_of
from labbook.models import Facility, Organisation, Project, Reservation
from labbook.services.known_projects import known
from labbook.services.reservation_views import in_scope
from tests.cast import NOW, Cast
from tests.examples import examples

IDS = (1, 2, 3)
viewers = st.builds(
    Viewer,
    id=st.just(1),
    name=st.just("N"),
    email=st.just("n@x.example"),
    organisation_id=st.sampled_from(IDS),
    role=st.sampled_from(list(Role)),
    facility_ids=st.frozensets(st.sampled_from(IDS)),
    project_ids=st.frozensets(st.sampled_from(IDS)),
)
charged = st.lists(
    st.tuples(st.sampled_from(IDS), st.sampled_from(IDS), st.none() | st.sampled_from(IDS)), max_size=6
)
"""The facility, organisation and project of reservations."""
asked = settings(
    max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@asked
@given(viewer=viewers, rows=charged)
def test_a_list_holds_exactly_the_reservations_that_are_seen_in_full(
    session: Session, cast: Cast, viewer: Viewer, rows: list[tuple[int, int, int | None]]
) -> None:
    with world(session, cast, rows):
        scope = scope_of(viewer)
        found = session.execute(
            select(Reservation.facility_id, Reservation.organisation_id, Reservation.project_id)
            .where(in_scope(scope))
            .order_by(Reservation.id)
        )
        assert [tuple(row) for row in found] == [row for row in rows if scope.has(*row)]


@asked
@given(viewer=viewers, rows=charged)
def test_a_list_holds_exactly_the_projects_that_are_known_of(
    session: Session, cast: Cast, viewer: Viewer, rows: list[tuple[int, int, int | None]]
) -> None:
    with world(session, cast, rows):
        scope = scope_of(viewer)
        projects = session.execute(select(Project.id, Project.organisation_id)).all()
        charged_at = {
            id_: {facility for facility, _, project in rows if project == id_} for id_, _ in projects
        }
        expected = {id_ for id_, owner in projects if scope.knows(id_, owner, charged_at[id_])}
        assert set(session.scalars(select(Project.id).where(known(scope)))) == expected


@contextmanager
def world(session: Session, cast: Cast, rows: list[tuple[int, int, int | None]]) -> Iterator[None]:
    """Three facilities, organisations and projects, and these reservations; gone afterwards."""
    session.rollback()
    session.connection(execution_options={"labbook_write": True})
    try:
        assert set(session.scalars(select(Organisation.id))) == set(IDS)
        zone = "Europe/Copenhagen"
        for id_ in set(IDS) - set(session.scalars(select(Facility.id))):
            session.add(Facility(id=id_, slug=f"f{id_}", name={"en": "F"}, time_zone=zone, staffed={}))
        for id_ in set(IDS) - set(session.scalars(select(Project.id))):
            session.add(
                Project(
                    id=id_,
                    slug=f"p{id_}",
                    name="P",
                    organisation_id=id_,
                    activity="research",
                    created_at=NOW,
                )
            )
        session.flush()
        for number, (facility, organisation, project) in enumerate(rows):
            session.add(
                Reservation(
                    public_id=f"{number:012}", facility_id=facility, status="approved", title="T", notes="",
                    starts_at=NOW, ends_at=NOW + timedelta(hours=1), occupied_from=NOW,
                    occupied_until=NOW + timedelta(hours=1), project_id=project, activity="research",
                    organisation_id=organisation, holder_id=cast.anna.id, requested_by_id=cast.anna.id,
                    overridden=[], created_at=NOW, changed_at=NOW,
                )
            )  # fmt: skip
            session.flush()
        yield
    finally:
        session.rollback()
