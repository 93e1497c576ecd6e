from __future__ import annotations

import logging
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, NotFound, Refused
from labbook.models import OneTimeLink, OutboxMessage, User
from labbook.services import (
    accounts,
    organisations,
    projects,
    qualifications,
    reservation_views,
    reservations,
    tokens,
    users,
    viewers,
)
from labbook.services.commands import RequestReservation, Wanted
from labbook.services.organisations import KeepOrganisation
from labbook.services.projects import KeepProject
from labbook.services.users import ChangeUser, CreateUser
from tests.cast import NOW, Cast, at

PASSWORD = "correct horse battery"


def invited(session: Session, cast: Cast, email: str = "Eva@Alpha.example") -> tuple[int, str]:
    made = users.create(session, CreateUser(email, "Eva", "alpha"), actor=cast.ada, now=NOW)
    payload = session.scalars(select(OutboxMessage.payload).where(OutboxMessage.kind == "invitation")).all()
    return made.id, payload[-1]["path"].rpartition("/")[2]


def codes(refused: pytest.ExceptionInfo[Refused]) -> set[str]:
    return {p.code for p in refused.value.problems}


def test_an_invitation_sets_the_first_password_once(session: Session, cast: Cast) -> None:
    user_id, token = invited(session, cast)
    assert accounts.find_link(session, "invitation", token, now=NOW).email == "eva@alpha.example"
    identity = accounts.redeem(session, "invitation", token, PASSWORD, now=NOW)
    assert identity.user_id == user_id
    assert accounts.authenticate(session, " EVA@alpha.example ", PASSWORD) == identity
    with pytest.raises(NotFound):
        accounts.redeem(session, "invitation", token, PASSWORD, now=NOW)


def test_a_link_is_kept_as_a_hash_and_expires(session: Session, cast: Cast) -> None:
    _, token = invited(session, cast)
    assert token not in {row.token_hash for row in session.scalars(select(OneTimeLink))}
    with pytest.raises(NotFound):
        accounts.find_link(session, "invitation", token, now=NOW + timedelta(days=7))


def test_a_refused_password_does_not_use_up_the_link(session: Session, cast: Cast) -> None:
    _, token = invited(session, cast)
    with pytest.raises(Refused) as refused:
        accounts.redeem(session, "invitation", token, "short", now=NOW)
    assert codes(refused) == {"password_short"}
    assert accounts.redeem(session, "invitation", token, PASSWORD, now=NOW)


def test_nobody_signs_in_with_a_wrong_password_or_without_one(session: Session, cast: Cast) -> None:
    assert accounts.authenticate(session, cast.anna.email, "") is None
    assert accounts.authenticate(session, "nobody@nowhere.example", PASSWORD) is None


def test_a_reset_ends_the_sessions_of_before_and_the_other_links(session: Session, cast: Cast) -> None:
    _, token = invited(session, cast)
    before = accounts.redeem(session, "invitation", token, PASSWORD, now=NOW)
    for _ in range(2):
        accounts.ask_reset(session, "eva@alpha.example", now=NOW)
    sent = session.scalars(select(OutboxMessage).where(OutboxMessage.kind == "password_reset")).all()
    first, second = (message.payload["path"].rpartition("/")[2] for message in sent)
    after = accounts.redeem(session, "reset", first, "another horse battery", now=NOW)
    assert viewers.by_user_id(session, before.user_id, before.epoch, NOW) is None
    assert viewers.by_user_id(session, after.user_id, after.epoch, NOW) is not None
    with pytest.raises(NotFound):
        accounts.find_link(session, "reset", second, now=NOW)


def test_a_reset_for_nobody_says_nothing_and_sends_nothing(session: Session, cast: Cast) -> None:
    accounts.ask_reset(session, "nobody@nowhere.example", now=NOW)
    assert session.scalars(select(OutboxMessage)).all() == []


def test_changing_the_password_asks_for_the_present_one(session: Session, cast: Cast) -> None:
    user_id, token = invited(session, cast)
    begun = accounts.redeem(session, "invitation", token, PASSWORD, now=NOW)
    eva = viewers.by_user_id(session, user_id, begun.epoch, NOW)
    assert eva is not None
    with pytest.raises(Refused) as refused:
        accounts.change_password(session, "wrong", "password12", actor=eva)
    assert codes(refused) == {"password_wrong", "password_common"}
    changed = accounts.change_password(session, PASSWORD, "another horse battery", actor=eva)
    assert changed.epoch == begun.epoch + 1


def test_a_token_is_seen_once_and_ends_when_revoked(session: Session, cast: Cast) -> None:
    made = tokens.create(session, "rig 3", actor=cast.anna, now=NOW, scope="read")
    caller = viewers.by_token(session, made.secret, NOW)
    assert caller is not None
    assert (caller.viewer.id, caller.viewer.scope) == (cast.anna.id, "read")
    with pytest.raises(NotFound):
        tokens.revoke(session, made.token.id, actor=cast.bo, now=NOW)
    tokens.revoke(session, made.token.id, actor=cast.anna, now=NOW)
    assert viewers.by_token(session, made.secret, NOW) is None
    assert tokens.list_own(session, viewer=cast.anna) == []


def test_managers_invite_engineers_and_only_admins_staff(session: Session, cast: Cast) -> None:
    manager = CreateUser("kim@university.example", "Kim", "university", "manager", ("cie",))
    with pytest.raises(Refused) as refused:
        users.create(session, manager, actor=cast.mia, now=NOW)
    assert codes(refused) == {"unknown_role"}
    assert users.create(session, manager, actor=cast.ada, now=NOW).facilities == ["cie"]
    with pytest.raises(Forbidden):
        users.create(session, manager, actor=cast.tom, now=NOW)
    with pytest.raises(Forbidden):
        users.change(session, cast.ada.id, ChangeUser(active=False), actor=cast.mia, now=NOW)


def test_every_problem_of_a_new_account_is_named_at_once(session: Session, cast: Cast) -> None:
    with pytest.raises(Refused) as refused:
        users.create(session, CreateUser("anna", "", "nowhere"), actor=cast.ada, now=NOW)
    assert codes(refused) == {"not_an_email", "missing", "unknown_organisation"}
    with pytest.raises(Refused) as refused:
        users.create(session, CreateUser(cast.anna.email, "A", "alpha"), actor=cast.ada, now=NOW)
    assert codes(refused) == {"email_taken"}


def test_a_deactivated_user_is_signed_out_at_once(session: Session, cast: Cast) -> None:
    users.change(session, cast.anna.id, ChangeUser(active=False), actor=cast.ada, now=NOW)
    assert viewers.by_user_id(session, cast.anna.id, 0, NOW) is None
    assert viewers.by_user_id(session, cast.anna.id, 1, NOW) is None
    users.change(session, cast.anna.id, ChangeUser(active=True), actor=cast.ada, now=NOW)
    epoch = session.scalar(select(User.session_epoch).where(User.id == cast.anna.id))
    assert viewers.by_user_id(session, cast.anna.id, epoch or 0, NOW) is not None


def test_nobody_locks_themselves_out(session: Session, cast: Cast) -> None:
    for command in (ChangeUser(active=False), ChangeUser(role="engineer")):
        with pytest.raises(Refused) as refused:
            users.change(session, cast.ada.id, command, actor=cast.ada, now=NOW)
        assert codes(refused) == {"yourself"}


def test_colleagues_are_nameable_and_for_staff_everybody(session: Session, cast: Cast) -> None:
    assert {c.name for c in users.nameable(session, viewer=cast.anna)} == {"Anna", "Bo"}
    assert len(users.nameable(session, viewer=cast.tom)) == 8


def test_qualifications_are_granted_renewed_and_revoked_by_managers(session: Session, cast: Cast) -> None:
    with pytest.raises(Forbidden):
        qualifications.grant(session, cast.anna.id, "hv", None, actor=cast.anna, now=NOW)
    for until in (date(2026, 5, 1), None):
        qualifications.grant(session, cast.anna.id, "hv", until, actor=cast.mia, now=NOW)
        assert [h.until for h in qualifications.held_by(session, viewer=cast.anna)] == [until]
    qualifications.revoke(session, cast.anna.id, "hv", actor=cast.mia)
    assert qualifications.held_by(session, viewer=cast.anna) == []


def test_what_an_organisation_may_book_is_a_setting(session: Session, cast: Cast) -> None:
    command = KeepOrganisation("beta", "Beta", "company", ("oscilloscope",), date(2026, 12, 31))
    assert organisations.change(session, command, actor=cast.mia).categories == ["oscilloscope"]
    with pytest.raises(Refused) as refused:
        organisations.create(session, KeepOrganisation("Beta!", "B", "club"), actor=cast.mia, now=NOW)
    assert codes(refused) == {"slug_malformed", "unknown_kind"}


def test_a_project_is_seen_by_its_organisation_and_its_members(session: Session, cast: Cast) -> None:
    made = KeepProject("secret", "Secret", "beta", "economic", members=(cast.dorte.email,))
    assert len(projects.create(session, made, actor=cast.ada, now=NOW).members) == 1
    assert projects.find(session, "secret", viewer=cast.carla).name == "Secret"
    for stranger in (cast.anna, cast.mia, cast.tom):
        with pytest.raises(NotFound):
            projects.find(session, "secret", viewer=stranger)
    projects.remove_member(session, "secret", cast.dorte.id, actor=cast.ada)
    projects.add_member(session, "secret", cast.bo.email, actor=cast.ada)
    found = projects.find(session, "secret", viewer=cast.ada)
    assert [member.name for member in found.members] == ["Bo"]


def test_only_its_own_organisations_manager_lets_anybody_into_a_project(
    session: Session, cast: Cast, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = KeepProject("ours", "Ours", "university", "research")
    projects.create(session, ours, actor=cast.mia, now=NOW)
    monkeypatch.setattr(logging.getLogger("labbook"), "propagate", True)
    with caplog.at_level("INFO", "labbook"):
        projects.add_member(session, "ours", cast.carla.email, actor=cast.mia)
    assert f"user {cast.mia.id} let user {cast.carla.id} into project ours" in caplog.text
    with pytest.raises(NotFound):  # joint is Alpha's, and nothing of it was ever at mia's laboratory
        projects.add_member(session, "joint", cast.mia.email, actor=cast.mia)
    booked(session, cast, project="joint")
    with pytest.raises(Forbidden):
        projects.add_member(session, "joint", cast.mia.email, actor=cast.mia)
    with pytest.raises(Forbidden):
        projects.remove_member(session, "joint", cast.dorte.id, actor=cast.mia)
    theirs = KeepProject("theirs", "Theirs", "alpha", "research", members=(cast.carla.email,))
    with pytest.raises(Forbidden):
        projects.create(session, theirs, actor=cast.mia, now=NOW)


def test_staff_know_of_what_is_charged_at_their_facility_and_not_who_pays_or_takes_part(
    session: Session, cast: Cast
) -> None:
    joint = KeepProject("joint", "Joint inverter", "alpha", "collaboration", "K-17")
    projects.change(session, joint, actor=cast.ada)
    assert projects.list_visible(session, viewer=cast.mia) == []
    booked(session, cast, project="joint")
    for staff in (cast.mia, cast.tom):
        (seen,) = projects.list_visible(session, viewer=staff)
        assert (seen.slug, seen.account_reference, list(seen.members)) == ("joint", "", [])
    elsewhere = replace(cast.mia, facility_ids=frozenset({cast.facility_id + 1}))
    assert projects.list_visible(session, viewer=elsewhere) == []
    changed = projects.change(
        session, replace(joint, activity="economic", account_reference=""), actor=cast.mia
    )
    assert changed.activity == "economic"
    assert projects.find(session, "joint", viewer=cast.dorte).account_reference == "K-17"


def test_staff_who_book_for_somebody_charge_what_that_person_may(session: Session, cast: Cast) -> None:
    with pytest.raises(Refused) as refused:
        booked(session, cast, actor=cast.mia, project="joint")
    assert codes(refused) == {"unknown_project"}
    made = booked(session, cast, actor=cast.mia, holder=cast.anna.email, project="joint")
    assert made.project == "joint"


def test_only_an_admin_lets_people_into_another_organisation(session: Session, cast: Cast) -> None:
    made = users.create(session, CreateUser("x@y.example", "X", "university"), actor=cast.mia, now=NOW)
    for tried in (
        lambda: users.create(session, CreateUser("z@y.example", "Z", "alpha"), actor=cast.mia, now=NOW),
        lambda: users.change(session, made.id, ChangeUser(organisation="alpha"), actor=cast.mia, now=NOW),
    ):
        with pytest.raises(Refused) as refused:
            tried()
        assert codes(refused) == {"not_your_organisation"}
    with pytest.raises(Forbidden):
        users.change(session, cast.anna.id, ChangeUser(active=False), actor=cast.mia, now=NOW)
    moved = users.change(session, made.id, ChangeUser(organisation="alpha"), actor=cast.ada, now=NOW)
    assert moved.organisation == "alpha"


def booked(
    session: Session, cast: Cast, actor: Viewer | None = None, **more: str
) -> reservation_views.ReservationView:
    start = at("2026-03-24 10:00")
    command = RequestReservation(
        equipment=(Wanted("chamber"),), start=start, end=start + timedelta(hours=2), title="T", **more
    )
    return reservations.request(session, command, actor=actor or cast.anna, now=NOW)
