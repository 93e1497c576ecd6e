"""Which equipment meets which need."""

from __future__ import annotations

from labbook.domain.capability import offers, parse_need, parse_offer
from labbook.domain.matching import Candidate, Need, match


def source(slug: str, power: str, *, places: int = 1, parallel: bool = False) -> Candidate:
    return Candidate(slug, "dc-source", places, {"power": parse_offer(power).stored()}, offers, parallel)


def need(power: str, *, places: int = 1) -> Need:
    return Need(category="dc-source", capabilities={"power": parse_need(power).stored()}, places=places)


def test_a_modest_need_leaves_the_strong_source_to_the_one_that_asks_for_it() -> None:
    strong, weak = source("a-strong", "30 kW"), source("b-weak", "5 kW")
    assert match([need("4 kW"), need("20 kW")], [strong, weak]) == {"a-strong": 1, "b-weak": 1}


def test_no_two_needs_get_the_same_piece() -> None:
    assert match([need("4 kW"), need("4 kW")], [source("one", "30 kW")]) is None


def test_places_in_parallel_offer_their_sum_where_the_equipment_says_so() -> None:
    asked = [need("80 kW", places=3)]
    assert match(asked, [source("rack", "30 kW", places=3, parallel=True)]) == {"rack": 3}
    assert match(asked, [source("rack", "30 kW", places=3)]) is None


def test_who_needs_a_piece_whole_gets_every_place_of_it_or_another_one() -> None:
    whole = Need(category="dc-source", whole=True)
    six, two = source("six", "5 kW", places=6), source("two", "5 kW", places=2)
    assert match([whole], [six]) == {"six": 6}
    assert match([whole], [six.with_places(5), two]) == {"two": 2}
    assert match([whole], [six.with_places(5)]) is None


def test_a_whole_piece_in_parallel_offers_all_of_its_units() -> None:
    asked = Need(category="dc-source", capabilities=need("80 kW").capabilities, whole=True)
    assert match([asked], [source("rack", "30 kW", places=3, parallel=True)]) == {"rack": 3}
    assert match([asked], [source("rack", "20 kW", places=3, parallel=True)]) is None
