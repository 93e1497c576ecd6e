"""Writing recipes: each change is a version of its own, and reservations keep the one they were made with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from labbook.formats.catalogue_entries import EnvironmentEntry
from labbook.models import Environment, EnvironmentVersion
from labbook.services import qualifications
from labbook.services.differences import FieldChange, differences


@dataclass(frozen=True)
class Signature:
    """When a version was made, by whom (None: from the catalogue file), and what it changed."""

    at: datetime
    by_id: int | None = None
    note: str = ""


def write_first(session: Session, row: Environment, entry: EnvironmentEntry, signed: Signature) -> None:
    """The first version of a recipe that is new."""
    row.version = 1
    session.add(row)
    session.flush()
    _add(session, row, entry, signed)


def write_next(
    session: Session, row: Environment, entry: EnvironmentEntry, signed: Signature
) -> list[FieldChange]:
    """A new version, if anything differs from the current one; what differs."""
    current = next(version for version in row.versions if version.number == row.version)
    changes = differences(current, entry.values())
    if changes:
        row.version += 1
        _add(session, row, entry, signed)
    return changes


def _add(session: Session, row: Environment, entry: EnvironmentEntry, signed: Signature) -> None:
    qualifications.make_kinds(session, entry.qualifications)
    row.versions.append(
        EnvironmentVersion(
            environment_id=row.id,
            number=row.version,
            note=signed.note,
            created_at=signed.at,
            created_by_id=signed.by_id,
            **entry.values(),
        )
    )
    session.flush()
