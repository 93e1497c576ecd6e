"""Whether what is stored is an example and no inventory: then every page says so."""

from __future__ import annotations

from sqlalchemy import exists, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from labbook.models import Facility

_MARKED = select(exists().where(Facility.example))


def is_marked(session: Session) -> bool:
    """Also asked for the page that says that the database is out of reach: then nothing is known."""
    try:
        return bool(session.scalar(_MARKED))
    except SQLAlchemyError:
        session.rollback()
        return False
