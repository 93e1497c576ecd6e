"""Loading the catalogue into both databases."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.orm import Session

from labbook.domain.errors import Refused
from labbook.formats.catalogue_entries import CatalogueRefused
from labbook.models import (
    Base,
    EnvironmentVersion,
    Equipment,
    Facility,
    Place,
    QualificationKind,
    Utility,
)
from labbook.services import reservations
from labbook.services.catalogue import Loaded, load
from labbook.services.commands import RequestReservation, Wanted
from tests.cast import NOW, Cast, at
from tests.formats.test_catalogue import FULL

CIE = """
[[utility]]
slug = "feeder-a"
facility = "cie"
name = "Feeder A"
capacity = "{capacity}"

[[equipment]]
slug = "cycler"
facility = "cie"
name = "Battery cycler"
category = "battery-cycler"
approval = "automatic"
places = {places}

[[equipment]]
slug = "source"
facility = "cie"
name = "Source"
category = "dc-source"
approval = "automatic"
draws = {{ feeder-a = "{draw}" }}
"""


def cie(*, capacity: str = "10 kVA", places: int = 4, draw: str = "6 kVA") -> str:
    return CIE.format(capacity=capacity, places=places, draw=draw)


def put(session: Session, text: str, **more: Any) -> Loaded:
    return load(session, text, now=NOW, **more)


def counts(session: Session) -> dict[str, int]:
    session.rollback()
    return {
        name: session.scalar(select(func.count()).select_from(table)) or 0
        for name, table in Base.metadata.tables.items()
    }


def changed(loaded: Loaded) -> dict[str, list[str]]:
    return {c.slug: [f.field for f in c.fields] for c in loaded.changes if not c.created}


def book(
    session: Session, cast: Cast, slug: str, start: str, end: str, *, places: int = 1
) -> reservations.ReservationView:
    command = RequestReservation(
        equipment=(Wanted(slug, places),), start=at(start), end=at(end), title="A test"
    )
    return reservations.request(session, command, actor=cast.anna, now=NOW)


def test_a_catalogue_is_created_with_everything_it_states(session: Session) -> None:
    loaded = put(session, FULL)
    assert [(c.kind, c.slug, c.created) for c in loaded.changes] == [
        ("facility", "cie", True),
        ("utility", "feeder-a", True),
        ("equipment", "chamber-1", True),
        ("equipment", "scope", True),
        ("environment", "damp-heat-bias", True),
    ]
    chamber = session.scalars(select(Equipment).where(Equipment.slug == "chamber-1")).one()
    assert [p.number for p in chamber.current_places] == [1, 2, 3, 4, 5, 6]
    assert (chamber.room and chamber.room.slug, chamber.setup, chamber.slot_shortest) == (
        "climate",
        1800,
        3600,
    )
    assert [(d.utility.slug, d.amount) for d in chamber.draws] == [("feeder-a", 3000)]
    assert [q.kind.slug for q in chamber.qualifications] == ["chamber"]
    assert chamber.slot_decision == 3 * 86_400
    facility = session.scalars(select(Facility)).one()
    assert [r.slug for r in facility.rooms] == ["power-hall", "climate"]
    recipe = session.scalars(select(EnvironmentVersion)).one()
    assert (recipe.draws, recipe.setup, recipe.teardown) == ({"feeder-a": 4000}, 7200, None)
    assert set(session.scalars(select(QualificationKind.slug))) == {"chamber", "hv-dc"}


def test_loading_twice_changes_nothing(session: Session) -> None:
    put(session, FULL)
    before = counts(session)
    assert put(session, FULL).changes == ()
    assert counts(session) == before


def test_an_update_tells_each_field_from_old_to_new(session: Session) -> None:
    put(session, FULL)
    text = FULL.replace("places = 6", "places = 8").replace('"3 kVA"', '"3.5 kVA"')
    text = text.replace('qualifications = ["chamber"]', 'qualifications = ["chamber", "ln2"]')
    (update,) = put(session, text).changes
    assert [(f.field, f.old, f.new) for f in update.fields] == [
        ("places", 6, 8),
        ("draws", {"feeder-a": "3 kVA"}, {"feeder-a": "3.5 kVA"}),
        ("qualifications", ["chamber"], ["chamber", "ln2"]),
    ]
    chamber = session.scalars(select(Equipment).where(Equipment.slug == "chamber-1")).one()
    assert len(chamber.current_places) == 8


def test_what_the_file_leaves_out_is_never_removed(session: Session) -> None:
    put(session, FULL)
    facility = FULL[: FULL.index("[[utility]]")].replace('"power-hall", "climate"', '"emc"')
    assert changed(put(session, facility)) == {"cie": ["rooms"]}
    assert session.scalar(select(func.count()).select_from(Equipment)) == 2
    stored = session.scalars(select(Facility)).one()
    session.refresh(stored, ["rooms"])
    assert [r.slug for r in stored.rooms] == ["emc", "power-hall", "climate"]


def test_a_key_left_out_has_its_default_again(session: Session) -> None:
    put(session, FULL)
    put(session, FULL.replace('state = "out_of_service"', ""))
    assert session.scalars(select(Equipment.state).where(Equipment.slug == "chamber-1")).one() == "in_service"


def test_a_changed_recipe_gets_a_new_version(session: Session) -> None:
    put(session, FULL)
    assert changed(put(session, FULL.replace('setup = "PT2H"', 'setup = "PT3H"'))) == {
        "damp-heat-bias": ["setup"]
    }
    versions = session.execute(
        select(EnvironmentVersion.number, EnvironmentVersion.setup).order_by(EnvironmentVersion.number)
    ).all()
    assert [tuple(v) for v in versions] == [(1, 7200), (2, 10_800)]


def test_one_mistake_keeps_everything_out(session: Session) -> None:
    before = counts(session)
    with pytest.raises(CatalogueRefused):
        put(session, FULL + '\n[[equipment]]\nslug = "late"\n')
    assert counts(session) == before


def test_a_dry_run_tells_the_changes_and_keeps_none(session: Session) -> None:
    before = counts(session)
    assert len(put(session, FULL, dry_run=True).changes) == 5
    assert counts(session) == before


def test_a_file_refers_to_what_is_stored(session: Session, cast: Cast) -> None:
    assert changed(put(session, cie(draw="5 kVA")))["source"] == ["draws"]


def test_places_are_not_taken_from_under_a_reservation(session: Session, cast: Cast) -> None:
    book(session, cast, "cycler", "2026-03-24 10:00", "2026-03-24 12:00", places=3)
    with pytest.raises(CatalogueRefused) as refused:
        put(session, cie(places=2))
    (fault,) = refused.value.faults
    assert (fault.code, fault.path) == ("places_in_use", 'equipment "cycler": places')
    assert "places" in changed(put(session, cie(places=3)))["cycler"]


def test_a_place_taken_away_is_booked_no_more_and_may_come_back(session: Session, cast: Cast) -> None:
    put(session, cie(places=2))
    with pytest.raises(Refused) as refused:
        book(session, cast, "cycler", "2026-03-24 10:00", "2026-03-24 12:00", places=3)
    assert [p.code for p in refused.value.problems] == ["too_many_places"]
    book(session, cast, "cycler", "2026-03-24 10:00", "2026-03-24 12:00", places=2)
    with pytest.raises(Refused) as refused:
        book(session, cast, "cycler", "2026-03-24 11:00", "2026-03-24 12:00")
    assert [c.equipment for c in refused.value.conflicts] == ["cycler"]
    put(session, cie(places=4))
    book(session, cast, "cycler", "2026-03-24 11:00", "2026-03-24 12:00", places=2)
    numbers = session.scalars(
        select(Place.number).join(Equipment).where(Equipment.slug == "cycler").order_by(Place.number)
    )
    assert numbers.all() == [1, 2, 3, 4]


def test_a_capacity_does_not_go_below_what_is_reserved(session: Session, cast: Cast) -> None:
    put(session, cie(capacity="20 kVA"))
    book(session, cast, "source", "2026-03-24 10:00", "2026-03-24 12:00")
    book(session, cast, "source-2", "2026-03-24 11:00", "2026-03-24 13:00")
    book(session, cast, "source", "2026-03-24 13:00", "2026-03-24 14:00")
    with pytest.raises(CatalogueRefused) as refused:
        put(session, cie(capacity="11.9 kVA"))
    assert [(f.code, f.params["drawn"]) for f in refused.value.faults] == [("capacity_in_use", 12)]
    assert changed(put(session, cie(capacity="12000 VA")))["feeder-a"] == ["capacity"]
    stored = session.scalars(select(Utility)).one()
    assert (stored.capacity, stored.unit) == (12_000, "kVA")


def test_an_entry_stays_in_its_facility(session: Session, cast: Cast) -> None:
    other = '[[facility]]\nslug = "other"\nname = "Other"\ntime_zone = "UTC"\n' + cie().replace(
        'slug = "cycler"\nfacility = "cie"', 'slug = "cycler"\nfacility = "other"'
    )
    with pytest.raises(CatalogueRefused) as refused:
        put(session, other)
    assert [f.code for f in refused.value.faults] == ["facility_fixed"]


def test_equipment_from_a_file_is_booked_by_its_rules(session: Session, cast: Cast) -> None:
    put(
        session,
        """
[[equipment]]
slug = "rig"
facility = "cie"
name = "Rig"
category = "rig"
qualifications = ["rig-training"]
slot = { shortest = "PT4H" }
""",
    )
    with pytest.raises(Refused) as refused:
        book(session, cast, "rig", "2026-03-24 10:00", "2026-03-24 12:00")
    assert [p.code for p in refused.value.problems] == ["too_short", "qualification_missing"]


def test_the_number_of_queries_does_not_grow_with_the_catalogue(session: Session) -> None:
    put(session, FULL)
    more = FULL + "".join(
        f'\n[[equipment]]\nslug = "extra-{n}"\nfacility = "cie"\nname = "Extra"\ncategory = "extra"\n'
        for n in range(20)
    )
    put(session, more)
    assert queries_of(session, more) == queries_of(session, FULL)


def queries_of(session: Session, catalogue: str) -> int:
    seen: list[str] = []
    engine = session.get_bind()

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        assert put(session, catalogue).changes == ()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len(seen) < 25
    return len(seen)


def test_calendars_are_told_of_a_new_name(session: Session, cast: Cast) -> None:
    def counter() -> int:
        session.rollback()
        return session.execute(text("SELECT number FROM change_counters")).scalar_one()

    before = counter()
    put(session, cie())
    assert counter() == before + 1
    put(session, cie())
    assert counter() == before + 1


def test_changes_are_plain_records(session: Session) -> None:
    (first, *_) = put(session, FULL).changes
    assert dataclasses.asdict(first) == {"kind": "facility", "slug": "cie", "created": True, "fields": ()}
