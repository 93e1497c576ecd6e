"""Recipes made in the browser: versions, who may say what, and whose they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Viewer
from labbook.domain.errors import Forbidden, NotFound, Refused
from labbook.models import Environment, EnvironmentVersion, QualificationKind, Reservation, User
from labbook.services import (
    catalogue,
    choices,
    decisions,
    feeds,
    options,
    recipe_views,
    recipes,
    reservation_views,
    reservations,
    slot_search,
    transaction,
)
from labbook.services.commands import Decide
from labbook.services.feeds import CreateFeed
from labbook.services.options import ConvertOption
from labbook.services.recipes import KeepRecipe, Kept
from labbook.services.reservation_views import Search
from labbook.services.slot_search import FindSlots
from tests.cast import NOW, Cast, at
from tests.services.test_kiosk import queries
from tests.services.test_reservations import codes, wish

VALUES: dict[str, Any] = {
    "name": {"en": "Soak"},
    "needs": [{"equipment": "cycler", "places": 2}, {"category": "oscilloscope"}],
    "ambient": {"temperature": "85 degC"},
}
MORE = {"draws": {"feeder-a": "2 kVA"}, "setup": "PT2H", "qualifications": ["lone-work"]}
ALONE = {"staffing": "unattended", "on_call": "Tom", "safe_state": "Off"}


def keep(values: dict[str, Any] = VALUES, slug: str = "soak", **more: Any) -> KeepRecipe:
    return KeepRecipe("cie", values, slug, **more)


def create(session: Session, actor: Viewer, values: dict[str, Any] = VALUES, **more: Any) -> Kept:
    return recipes.create(session, keep(values, **more), actor=actor, now=NOW)


def test_a_manager_makes_a_recipe_of_the_laboratory_with_everything_in_it(
    session: Session, cast: Cast
) -> None:
    kept = create(session, cast.mia, VALUES | MORE | ALONE, note="First")
    assert kept == Kept("soak", 1, changed=True)
    view = recipe_views.find(session, "soak", viewer=cast.carla)
    assert (view.organisation, view.owner, view.setup) == (None, None, 7200)
    assert [(draw.utility, draw.amount) for draw in view.draws] == [("feeder-a", 2000)]
    assert (view.qualifications, view.on_call) == (["lone-work"], "Tom")
    assert "lone-work" in set(session.scalars(select(QualificationKind.slug)))
    (version,) = recipe_views.history(session, "soak", viewer=cast.mia)
    assert (version.number, version.by, version.note, version.changes) == (1, "Mia", "First", None)


def test_a_recipe_says_only_so_much_since_it_is_read_with_every_list(session: Session, cast: Cast) -> None:
    many = {f"quantity_{number}": "1 V" for number in range(101)}
    wrong = {"ambient": many, "needs": [{"category": "oscilloscope", "capabilities": many}]}
    with pytest.raises(Refused) as refused:
        create(session, cast.anna, VALUES | wrong)
    assert {(p.field, p.code) for p in refused.value.problems} == {
        ("ambient", "too_many"),
        ("needs.0.capabilities", "too_many"),
    }


def test_everything_that_is_wrong_is_said_at_once_each_at_its_key(session: Session, cast: Cast) -> None:
    wrong = {
        "name": {"en": " "},
        "needs": [{"equipment": "cycler", "places": 9}, {"category": "x", "capabilities": {"v": "1 flurb"}}],
        "setup": "soon",
        "staffing": "unattended",
        "hazards": ["dragons"],
    }
    with pytest.raises(Refused) as refused:
        create(session, cast.mia, wrong, slug="New One", note="x\0")
    assert {(p.field, p.code) for p in refused.value.problems} == {
        ("slug", "slug_malformed"),
        ("note", "control_characters"),
        ("name.en", "missing"),
        ("needs.0.places", "too_many_places"),
        ("needs.1.capabilities.v", "unknown_unit"),
        ("setup", "not_a_duration"),
        ("on_call", "unattended_needs"),
        ("safe_state", "unattended_needs"),
        ("hazards.0", "not_one_of"),
    }


@pytest.mark.parametrize("slug", ["new", "soak"])
def test_a_short_name_is_nobody_elses_and_no_address_of_a_page(
    session: Session, cast: Cast, slug: str
) -> None:
    create(session, cast.mia)
    with pytest.raises(Refused) as refused:
        create(session, cast.mia, slug=slug)
    assert codes(refused) == {"slug_taken"}


def test_a_change_is_a_version_of_its_own_and_reservations_keep_theirs(session: Session, cast: Cast) -> None:
    create(session, cast.mia)
    booked = reservations.request(session, replace(wish(), environment="soak"), actor=cast.anna, now=NOW)
    later = keep(VALUES | {"permit": True}, edited_from=1, note="Energised")
    assert recipes.change(session, "soak", later, actor=cast.max, now=NOW) == Kept("soak", 2, changed=True)
    number = session.scalar(
        select(EnvironmentVersion.number)
        .join(Reservation, Reservation.environment_version_id == EnvironmentVersion.id)
        .where(Reservation.public_id == booked.id)
    )
    assert number == 1
    newest, first = recipe_views.history(session, "soak", viewer=cast.carla)
    assert newest.changes is not None
    assert [(c.field, c.old, c.new) for c in newest.changes] == [("permit", False, True)]
    assert (newest.note, newest.by, first.changes) == ("Energised", None, None)
    assert recipe_views.history(session, "soak", viewer=cast.tom)[0].by == "Max"


def test_saving_what_is_there_already_makes_no_version(session: Session, cast: Cast) -> None:
    create(session, cast.mia)
    again = recipes.change(session, "soak", keep(edited_from=1), actor=cast.mia, now=NOW)
    assert again == Kept("soak", 1, changed=False)


def test_the_file_and_the_browser_say_the_same_in_the_same_words(session: Session, cast: Cast) -> None:
    create(session, cast.mia, VALUES | MORE)
    text = """
[[environment]]
slug = "soak"
facility = "cie"
name = "Soak"
needs = [{ equipment = "cycler", places = 2 }, { category = "oscilloscope" }]
ambient = { temperature = "85 degC" }
draws = { feeder-a = "2 kVA" }
setup = "PT2H"
qualifications = ["lone-work"]
"""
    assert catalogue.load(session, text, now=NOW).changes == ()
    changed = catalogue.load(session, text.replace("PT2H", "PT3H"), now=NOW).changes
    assert [(c.slug, [f.field for f in c.fields]) for c in changed] == [("soak", ["setup"])]
    newest = recipe_views.history(session, "soak", viewer=cast.mia)[0]
    assert (newest.number, newest.by, newest.at) == (2, None, NOW)


def test_a_newer_version_of_somebody_else_is_not_overwritten_unseen(session: Session, cast: Cast) -> None:
    create(session, cast.mia)
    recipes.change(session, "soak", keep(VALUES | {"permit": True}, edited_from=1), actor=cast.max, now=NOW)
    mine = keep(VALUES | {"hazards": ["heat"]}, edited_from=1)
    with pytest.raises(Refused) as refused:
        recipes.change(session, "soak", mine, actor=cast.mia, now=NOW)
    assert refused.value.is_conflict
    assert codes(refused) == {"changed_meanwhile"}
    assert recipe_views.find(session, "soak", viewer=cast.mia).version == 2


@pytest.mark.parametrize("name", ["anna", "carla", "tom"])
def test_only_managers_edit_the_laboratorys_recipes(session: Session, cast: Cast, name: str) -> None:
    create(session, cast.mia)
    actor = getattr(cast, name)
    for step in (
        lambda: recipes.change(session, "soak", keep(edited_from=1), actor=actor, now=NOW),
        lambda: recipes.retire(session, "soak", actor=actor, now=NOW),
        lambda: recipes.publish(session, "soak", actor=actor),
        lambda: recipes.take_over(session, "soak", actor=actor),
    ):
        with pytest.raises(Forbidden):
            step()


def test_a_retired_recipe_is_listed_and_booked_no_more_until_it_is_taken_back(
    session: Session, cast: Cast
) -> None:
    create(session, cast.mia)
    recipes.retire(session, "soak", actor=cast.mia, now=NOW)
    assert recipe_views.list_all(session, viewer=cast.anna) == []
    assert not choices.for_booking(session, viewer=cast.anna).environments
    assert recipe_views.find(session, "soak", viewer=cast.anna).retired_at == NOW
    with pytest.raises(Refused) as refused:
        reservations.request(session, replace(wish(), environment="soak"), actor=cast.anna, now=NOW)
    assert "environment_retired" in codes(refused)
    recipes.restore(session, "soak", actor=cast.mia)
    assert [view.slug for view in recipe_views.list_all(session, viewer=cast.anna)] == ["soak"]


# --- one organisation's own ---------------------------------------------------------------------------


@pytest.fixture
def own(session: Session, cast: Cast) -> str:
    """A recipe that Anna of Alpha saved."""
    return create(session, cast.anna).slug


def test_an_engineers_recipe_is_their_organisations_and_the_staffs(
    session: Session, cast: Cast, own: str
) -> None:
    assert own.startswith("soak-")
    for viewer in (cast.anna, cast.bo, cast.mia, cast.tom, cast.ada):
        view = recipe_views.find(session, own, viewer=viewer)
        assert (view.organisation, view.owner) == ("alpha", "Anna")
        assert [each.slug for each in recipe_views.list_all(session, viewer=viewer)] == [own]
    booked = reservations.request(session, replace(wish(), environment=own), actor=cast.bo, now=NOW)
    assert booked.environment == own


@pytest.mark.parametrize("name", ["carla", "dorte"])
def test_nobody_else_learns_of_it_in_any_way(session: Session, cast: Cast, own: str, name: str) -> None:
    stranger = getattr(cast, name)
    for look in (recipe_views.find, recipe_views.history):
        with pytest.raises(NotFound):
            look(session, own, viewer=stranger)
    assert recipe_views.list_all(session, viewer=stranger) == []
    assert recipe_views.using(session, "cycler", viewer=stranger) == []
    assert not choices.for_booking(session, viewer=stranger).environments
    for step in (
        lambda slug: recipes.change(session, slug, keep(edited_from=1), actor=stranger, now=NOW),
        lambda slug: recipes.retire(session, slug, actor=stranger, now=NOW),
        lambda slug: recipes.publish(session, slug, actor=stranger),
    ):
        with pytest.raises(NotFound):
            step(own)


def refusal(session: Session, cast: Cast, slug: str, kind: str) -> list[tuple[str, str | None, str]]:
    """What a competitor is told of a recipe, with its short name left out."""
    carla = cast.carla
    wished = replace(wish("scope"), environment=slug)
    asked = FindSlots(timedelta(hours=1), since=NOW, environment=slug)
    asking: dict[str, Callable[[], object]] = {
        "book": lambda: reservations.request(session, wished, actor=carla, now=NOW),
        "slots": lambda: slot_search.find(session, asked, viewer=carla, now=NOW),
        "feed": lambda: feeds.create(session, CreateFeed(f"environment:{slug}"), actor=carla, now=NOW),
        "search": lambda: reservation_views.search(session, Search(environment=slug), viewer=carla),
    }
    with pytest.raises(Refused) as refused:
        asking[kind]()
    return [(p.code, p.field, str(p.params).replace(slug, "…")) for p in refused.value.problems]


@pytest.mark.parametrize("kind", ["book", "slots", "feed", "search"])
def test_a_competitor_is_told_the_same_of_it_as_of_one_that_never_was(
    session: Session, cast: Cast, own: str, kind: str
) -> None:
    reservations.request(session, replace(wish(), environment=own), actor=cast.anna, now=NOW)
    told = refusal(session, cast, own, kind)
    assert told == refusal(session, cast, "never-was", kind)
    assert {code for code, _, _ in told} == {"unknown_environment"}


def test_a_manager_does_not_book_by_one_companys_recipe_for_another(
    session: Session, cast: Cast, own: str
) -> None:
    for_carla = replace(wish(), environment=own, holder=cast.carla.email)
    with pytest.raises(Refused) as refused:
        reservations.request(session, for_carla, actor=cast.mia, now=NOW)
    assert codes(refused) == {"environment_of_others"}
    for_bo = replace(for_carla, holder=cast.bo.email)
    assert reservations.request(session, for_bo, actor=cast.mia, now=NOW).environment == own


def test_nor_is_what_was_booked_by_it_handed_to_another_company(
    session: Session, cast: Cast, own: str
) -> None:
    held = replace(wish(), environment=own, customer="Beta", decide_by=at("2026-03-24 08:00"))
    option = options.create(session, held, actor=cast.mia, now=NOW)
    booked = reservations.request(
        session,
        replace(wish(start="2026-03-25 10:00", end="2026-03-25 12:00"), environment=own),
        actor=cast.anna,
        now=NOW,
    )
    for hand_over, field in (
        (lambda: options.convert(
            session, ConvertOption(option.id, cast.carla.email), actor=cast.mia, now=NOW), "holder"),
        (lambda: decisions.transfer(
            session, Decide(booked.id, to=cast.carla.email), actor=cast.mia, now=NOW), "to"),
    ):  # fmt: skip
        with pytest.raises(Refused) as refused:
            hand_over()
        assert [(p.code, p.field) for p in refused.value.problems] == [("environment_of_others", field)]
    converted = options.convert(session, ConvertOption(option.id, cast.bo.email), actor=cast.mia, now=NOW)
    assert converted.environment == own


def test_only_who_saved_it_changes_it_and_never_loosens_a_rule(
    session: Session, cast: Cast, own: str
) -> None:
    for actor in (cast.bo, cast.mia):
        with pytest.raises(Forbidden):
            recipes.change(session, own, keep(edited_from=1), actor=actor, now=NOW)
    loose = keep(VALUES | MORE | ALONE, edited_from=1)
    with pytest.raises(Refused) as refused:
        recipes.change(session, own, loose, actor=cast.anna, now=NOW)
    assert {(p.field, p.code) for p in refused.value.problems} == {
        ("draws", "managers_only"),
        ("setup", "managers_only"),
        ("staffing", "managers_only"),
        ("qualifications", "unknown_qualification"),
    }
    stricter = keep(VALUES | {"staffing": "attended", "permit": True}, edited_from=1)
    assert recipes.change(session, own, stricter, actor=cast.anna, now=NOW).version == 2


def test_once_published_it_is_everybodys_and_the_managers_and_its_past_stays_its_authors(
    session: Session, cast: Cast, own: str
) -> None:
    secret = keep(VALUES | {"description": {"en": "for project X"}}, edited_from=1, note="for X")
    recipes.change(session, own, secret, actor=cast.anna, now=NOW)
    recipes.change(session, own, keep(edited_from=2, note="without X"), actor=cast.anna, now=NOW)
    recipes.publish(session, own, actor=cast.mia)
    view = recipe_views.find(session, own, viewer=cast.carla)
    assert (view.organisation, view.owner) == (None, None)
    with pytest.raises(Forbidden):
        recipes.change(session, own, keep(edited_from=3), actor=cast.anna, now=NOW)
    recipes.change(session, own, keep(VALUES | {"permit": True}, edited_from=3), actor=cast.mia, now=NOW)
    seen = recipe_views.history(session, own, viewer=cast.carla)
    assert [(v.number, v.by, v.note) for v in seen] == [(4, None, ""), (3, None, "")]
    assert seen[1].changes is None
    assert len(recipe_views.history(session, own, viewer=cast.mia)) == 4
    ours = recipe_views.history(session, own, viewer=cast.bo)
    assert [(v.number, v.by, v.note) for v in ours] == [
        (4, None, ""),
        (3, "Anna", "without X"),
        (2, "Anna", "for X"),
        (1, "Anna", ""),
    ]


def test_what_the_lab_takes_over_stays_its_organisations_and_the_managers_edit_it(
    session: Session, cast: Cast, own: str
) -> None:
    recipes.take_over(session, own, actor=cast.mia)
    changed = keep(VALUES | MORE, edited_from=1)
    assert recipes.change(session, own, changed, actor=cast.mia, now=NOW).version == 2
    assert recipe_views.find(session, own, viewer=cast.bo).organisation == "alpha"
    with pytest.raises(NotFound):
        recipe_views.find(session, own, viewer=cast.carla)
    with pytest.raises(Forbidden):
        recipes.change(session, own, keep(edited_from=2), actor=cast.anna, now=NOW)


def test_what_would_meet_each_need_today_is_told_with_what_is_wrong(session: Session, cast: Cast) -> None:
    found = recipes.look(session, "cie", VALUES, actor=cast.mia)
    assert (found.meets, found.unmet, found.problems) == ([["cycler"], ["scope", "scope-2"]], None, [])
    three = VALUES | {"needs": [{"category": "oscilloscope", "count": 3}]}
    assert recipes.look(session, "cie", three, actor=cast.mia).unmet == -1
    unread = recipes.look(session, "cie", {"needs": [{"category": "x", "places": 0}]}, actor=cast.mia)
    assert unread.meets == []
    assert {p.field for p in unread.problems} == {"name", "needs.0.places"}
    loose = recipes.look(session, "cie", VALUES | MORE, actor=cast.anna)
    assert {p.code for p in loose.problems} == {"managers_only", "unknown_qualification"}


def test_a_recipe_is_a_row_of_its_own_facility(session: Session, cast: Cast, own: str) -> None:
    row = session.scalars(select(Environment).where(Environment.slug == own)).one()
    assert (row.facility_id, row.organisation_id, row.open_from) == (
        cast.facility_id,
        cast.anna.organisation_id,
        1,
    )


def test_a_member_of_the_project_reads_by_what_it_was_booked_and_does_not_open_it(
    session: Session, cast: Cast, own: str
) -> None:
    wished = replace(wish(), environment=own, project="joint")
    booked = reservations.request(session, wished, actor=cast.anna, now=NOW)
    known = {
        who: reservation_views.find(session, booked.id, viewer=getattr(cast, who)).environment_known
        for who in ("anna", "bo", "mia", "dorte")
    }
    assert known == {"anna": True, "bo": True, "mia": True, "dorte": False}


def test_who_left_the_organisation_reads_no_more_of_its_recipe_in_a_calendar(
    session: Session, cast: Cast, own: str
) -> None:
    made = feeds.create(session, CreateFeed(f"environment:{own}"), actor=cast.anna, now=NOW)

    def read() -> str:
        session.rollback()
        found = feeds.read(session, made.secret, now=NOW, base_url="http://lab.example")
        return found.content.decode()

    assert "X-WR-CALNAME:Soak" in read()

    def leave() -> None:
        session.get_one(User, cast.anna.id).organisation_id = cast.carla.organisation_id

    transaction.write(session, leave)
    assert "Soak" not in read()


def test_lists_take_the_same_queries_however_many_recipes_there_are(session: Session, cast: Cast) -> None:
    def lists() -> None:
        session.expire_all()
        recipe_views.list_all(session, viewer=cast.anna)
        recipe_views.list_managed(session, viewer=cast.mia)
        choices.for_booking(session, viewer=cast.anna)

    create(session, cast.mia, VALUES | MORE)
    create(session, cast.anna)
    few = queries(session, lists)
    for number in range(5):
        create(session, cast.mia, VALUES | MORE, slug=f"soak-{number}")
        create(session, cast.anna)
    assert queries(session, lists) == few


def test_the_order_in_which_hazards_are_ticked_is_no_difference(session: Session, cast: Cast) -> None:
    create(session, cast.mia, VALUES | {"hazards": ["high_voltage", "heat"], "qualifications": ["b", "a"]})
    again = keep(VALUES | {"hazards": ["heat", "high_voltage"], "qualifications": ["a", "b"]}, edited_from=1)
    assert not recipes.change(session, "soak", again, actor=cast.mia, now=NOW).changed
