"""The example is marked as one, and loading it again changes nothing."""

from __future__ import annotations

from sqlalchemy.orm import Session

from labbook.examples import CATALOGUE
from labbook.services import example
from labbook.services.catalogue import load
from tests.cast import NOW


def test_it_is_marked_and_a_second_time_changes_nothing(session: Session) -> None:
    text = CATALOGUE.read_text("utf-8")
    assert not example.is_marked(session)
    assert load(session, text, now=NOW).warnings == ()
    assert load(session, text, now=NOW).changes == ()
    assert example.is_marked(session)
