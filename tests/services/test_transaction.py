"""A use case is run again when others were in its way; a rehearsal is, too, and keeps nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from labbook.domain.errors import StorageBusy
from labbook.models import Remark
from labbook.services import transaction
from tests.cast import Cast


class Deadlock(Exception):
    sqlstate = "40P01"


def failing(session: Session, times: int) -> Callable[[], str]:
    """Writes a remark, and meets a deadlock so often before it is through."""
    left = [times]

    def work() -> str:
        session.add(Remark(text="Written"))
        session.flush()
        if left[0]:
            left[0] -= 1
            raise OperationalError("UPDATE", {}, Deadlock())
        return "through"

    return work


def remarks(session: Session) -> Any:
    session.rollback()
    return session.scalar(select(func.count()).select_from(Remark))


@pytest.mark.parametrize(("run", "kept"), [(transaction.write, 1), (transaction.rehearse, 0)])
def test_a_deadlock_is_tried_again(session: Session, cast: Cast, run: Any, kept: int) -> None:
    before = remarks(session)
    assert run(session, failing(session, transaction.ATTEMPTS - 1)) == "through"
    assert remarks(session) == before + kept


@pytest.mark.parametrize("run", [transaction.write, transaction.rehearse])
def test_what_meets_it_every_time_is_told_to_come_again(session: Session, cast: Cast, run: Any) -> None:
    before = remarks(session)
    with pytest.raises(StorageBusy):
        run(session, failing(session, transaction.ATTEMPTS))
    assert remarks(session) == before
