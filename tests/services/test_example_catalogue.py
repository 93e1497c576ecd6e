"""The example catalogue loads as it is, and says that it is an example."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from labbook.domain.access import Role, Viewer
from labbook.models import Equipment, Facility
from labbook.services import catalogue, equipment, recipe_views
from labbook.services.capability_search import Asked, search
from labbook.services.equipment import Sought
from tests.cast import NOW

ANYBODY = Viewer(1, "Anybody", "anybody@example", 1, Role.ENGINEER)
TEXT = (Path(catalogue.__file__).parents[1] / "examples" / "catalogue.toml").read_text("utf-8")


@pytest.fixture
def loaded(session: Session) -> Session:
    found = catalogue.load(session, TEXT, now=NOW)
    assert not found.warnings
    return session


def test_it_has_two_laboratories_forty_pieces_and_ten_environments_in_three_languages(
    loaded: Session,
) -> None:
    pieces = loaded.scalars(select(Equipment)).all()
    recipes = recipe_views.list_all(loaded, viewer=ANYBODY)
    assert len(pieces) >= 40
    assert len(recipes) >= 10
    assert all({"en", "da", "de"} <= set(each.name) for each in (*pieces, *recipes))
    assert {f.slug: f.example for f in loaded.scalars(select(Facility))} == {"cie": True, "green-power": True}


def test_small_instruments_are_booked_at_once_and_chambers_ask_a_manager(loaded: Session) -> None:
    scope, chamber = (equipment.find_equipment(loaded, slug) for slug in ("oscilloscope-1", "chamber-1"))
    assert (scope.approval, scope.check_in, scope.setup) == ("automatic", "none", 0)
    assert (chamber.approval, chamber.check_in, chamber.setup) == ("manager", "required", 1800)


@pytest.mark.parametrize("wanted", ["800V", "0.8 kV", "8..1200 V"])
def test_it_is_searched_by_what_a_piece_can_do(loaded: Session, wanted: str) -> None:
    found = search(loaded, Asked(Sought(capabilities=(("dc_voltage", wanted),))))
    slugs = {each.piece.slug for each in found.items}
    assert {"dc-source-1", "dc-source-3", "battery-emulator-1"} <= slugs
    assert "pv-simulator-1" not in slugs or wanted != "8..1200 V"
    assert "battery-cycler-1" not in slugs


def test_each_environment_can_be_met_by_what_there_is(loaded: Session) -> None:
    for recipe in recipe_views.list_all(loaded, viewer=ANYBODY):
        for need in recipe.needs:
            if need.equipment is not None:
                assert equipment.find_equipment(loaded, need.equipment).facility == recipe.facility
                continue
            wanted = Sought(
                facility=recipe.facility,
                category=need.category,
                capabilities=tuple(need.capabilities.items()),
            )
            assert search(loaded, Asked(wanted)).items, (recipe.slug, need)
