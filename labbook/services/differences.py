"""What of a stored row is no longer what it should be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FieldChange:
    """One field that is no longer what it was."""

    field: str
    old: Any
    new: Any


def differences(row: Any, values: Mapping[str, Any]) -> list[FieldChange]:
    return [
        FieldChange(name, getattr(row, name), value)
        for name, value in values.items()
        if getattr(row, name) != value
    ]


def assign(row: Any, values: Mapping[str, Any]) -> list[FieldChange]:
    changes = differences(row, values)
    for change in changes:
        setattr(row, change.field, change.new)
    return changes
