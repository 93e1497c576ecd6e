from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from labbook.domain.access import EDITORS, Role, Viewer, may, parties
from labbook.domain.reservation import Party
from labbook.domain.visibility import Subject, sees_in_full, shown_to_passers_by

SUBJECT = Subject(facility_id=1, organisation_id=10, project_id=100, holder_id=5, requested_by_id=6)


def viewer(**more: object) -> Viewer:
    values = {"id": 9, "name": "N", "email": "n@x", "organisation_id": 11, "role": Role.ENGINEER} | more
    return Viewer(**values)  # type: ignore[arg-type]


def test_a_competitor_sees_a_busy_block_only() -> None:
    assert not sees_in_full(viewer(), SUBJECT)


def test_colleagues_project_members_staff_and_admins_see_it_in_full() -> None:
    assert sees_in_full(viewer(organisation_id=10), SUBJECT)
    assert sees_in_full(viewer(project_ids=frozenset({100})), SUBJECT)
    assert sees_in_full(viewer(role=Role.TECHNICIAN, facility_ids=frozenset({1})), SUBJECT)
    assert sees_in_full(viewer(role=Role.ADMIN), SUBJECT)


def test_staff_of_another_facility_and_demoted_staff_do_not() -> None:
    assert not sees_in_full(viewer(role=Role.MANAGER, facility_ids=frozenset({2})), SUBJECT)
    assert not sees_in_full(viewer(role=Role.ENGINEER, facility_ids=frozenset({1})), SUBJECT)


def test_a_holder_who_changed_company_has_no_part_in_it_any_more() -> None:
    assert parties(viewer(id=5), SUBJECT) == frozenset()
    assert parties(viewer(id=5, organisation_id=10), SUBJECT) == {Party.HOLDER}


def test_a_colleague_sees_and_does_not_edit() -> None:
    assert not may(viewer(organisation_id=10), SUBJECT, EDITORS)


@given(
    st.integers(0, 2),
    st.sampled_from(list(Role)),
    st.frozensets(st.integers(0, 2)),
    st.frozensets(st.integers(0, 2)),
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.none() | st.integers(0, 2)),
)
def test_seeing_never_depends_on_anything_but_organisation_project_and_staff(
    organisation: int,
    role: Role,
    projects: frozenset[int],
    facilities: frozenset[int],
    subject: tuple[int, int, int | None],
) -> None:
    facility_id, organisation_id, project_id = subject
    asker = viewer(organisation_id=organisation, role=role, project_ids=projects, facility_ids=facilities)
    expected = (
        role is Role.ADMIN
        or organisation == organisation_id
        or project_id in projects
        or (role in (Role.MANAGER, Role.TECHNICIAN) and facility_id in facilities)
    )
    assert sees_in_full(asker, Subject(facility_id, organisation_id, project_id)) == expected


@given(st.integers(1, 3), st.integers(1, 3), st.none() | st.integers(1, 3))
def test_a_passer_by_reads_only_what_is_the_labs_own_and_charged_to_nobody_else(
    lab: int, holders: int, charged_to: int | None
) -> None:
    shown = shown_to_passers_by(lab, holders, charged_to)
    assert shown == ({lab} == {holders} | ({charged_to} - {None}))
    assert not shown_to_passers_by(lab, holders, charged_to, "option")
