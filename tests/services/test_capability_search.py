"""What can do it, by how much more, and what nearly can; parallel units add up."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from labbook.domain.access import Role, Viewer
from labbook.domain.errors import Refused
from labbook.services import catalogue, recipe_views
from labbook.services.capability_search import Answer, Asked, search
from labbook.services.equipment import Sought
from tests.cast import NOW

ANYBODY = Viewer(1, "Anybody", "anybody@example", 1, Role.ENGINEER)
TEXT = (Path(catalogue.__file__).parents[1] / "examples" / "catalogue.toml").read_text("utf-8")


@pytest.fixture
def loaded(session: Session) -> Session:
    catalogue.load(session, TEXT, now=NOW)
    return session


def looked(session: Session, *able: tuple[str, str], places: int = 1, units: int = 1, **more: str) -> Answer:
    return search(session, Asked(Sought(capabilities=able, **more), places, units))  # type: ignore[arg-type]


def slugs(answer: Answer) -> list[str]:
    return [found.piece.slug for found in answer.items]


def test_several_quantities_in_whatever_unit_must_all_be_offered(loaded: Session) -> None:
    found = looked(loaded, ("temperature", "-40…125 °C"), ("volume", "0.06 m3"))
    assert slugs(found) == ["chamber-4", "chamber-2", "chamber-1"]  # the least oversized first
    assert slugs(looked(loaded, ("dc_voltage", "0.8 kV"), ("power", "50 kW"))) == [
        "dc-source-3",
        "battery-emulator-1",
    ]


def test_each_says_by_how_much_it_offers_more(loaded: Session) -> None:
    found = looked(loaded, ("temperature", "-40..125 °C"), ("volume", "60 L"), category="climate-chamber")
    one = next(each for each in found.items if each.piece.slug == "chamber-1")
    assert [(fit.name, fit.more) for fit in one.fits] == [
        ("temperature", ("30 K", "55 K")),
        ("volume", ("", "940 L")),
    ]


def test_what_falls_short_is_listed_as_near_with_what_is_missing(loaded: Session) -> None:
    found = looked(loaded, ("dc_voltage", "800 V"), ("power", "40 kW"), category="dc-source")
    assert slugs(found) == ["dc-source-3"]
    assert [each.piece.slug for each in found.near] == ["dc-source-1", "dc-source-2"]
    voltage, power = found.near[0].fits
    assert (voltage.less, power.less) == (("", ""), ("", "10 kW"))
    assert power.offered == "30 kW"


def test_like_pieces_in_parallel_add_up_as_far_as_there_are_any_and_it_takes(loaded: Session) -> None:
    able = (("dc_voltage", "800 V"), ("power", "50 kW"))
    found = looked(loaded, *able, units=3, category="dc-source")
    assert {each.piece.slug: list(each.together) for each in found.items} == {
        "dc-source-1": ["dc-source-2"],
        "dc-source-2": ["dc-source-1"],
        "dc-source-3": [],  # it can by itself
    }
    assert slugs(looked(loaded, *able, units=1, facility="cie", category="dc-source")) == []
    more = looked(loaded, ("power", "70 kW"), units=3, facility="cie", category="dc-source")
    assert [(each.piece.slug, each.fits[0].less[1]) for each in more.near] == [
        ("dc-source-1", "10 kW"),
        ("dc-source-2", "10 kW"),
    ]


def test_places_of_a_piece_that_is_not_parallel_do_not_add_up(loaded: Session) -> None:
    found = looked(loaded, ("current", "150 A"), places=2, category="battery-cycler")
    assert slugs(found) == []
    assert found.near[0].fits[0].less == ("", "50 A")
    assert slugs(looked(loaded, ("current", "100 A"), places=16)) == ["battery-cycler-1"]
    assert slugs(looked(loaded, ("current", "100 A"), places=17)) == []


def test_another_kind_of_quantity_is_neither_found_nor_near(loaded: Session) -> None:
    found = looked(loaded, ("dc_voltage", "800 A"))
    assert (list(found.items), list(found.near)) == ([], [])


def test_every_quantity_that_cannot_be_read_is_said(loaded: Session) -> None:
    with pytest.raises(Refused) as refused:
        looked(loaded, ("dc_voltage", "lots"), ("power", "1 flurb"))
    assert [p.code for p in refused.value.problems] == ["not_a_quantity", "unknown_unit"]


def test_recipes_are_found_by_the_conditions_that_they_give(loaded: Session) -> None:
    def giving(*wanted: tuple[str, str]) -> list[str]:
        return [view.slug for view in recipe_views.list_all(loaded, viewer=ANYBODY, giving=wanted)]

    assert giving(("temperature", "85 °C"), ("humidity", "85 % rh")) == ["damp-heat-bias"]
    assert giving(("temperature", "-20 °C")) == ["thermal-cycling"]
    assert giving(("dc_voltage", "900 V")) == ["inverter-efficiency", "grid-code"]
    assert giving(("temperature", "300 °C")) == []
    assert {"temperature", "humidity", "dc_voltage"} <= recipe_views.known_conditions(
        loaded, viewer=ANYBODY
    ).keys()
