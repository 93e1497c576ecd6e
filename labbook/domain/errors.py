"""The error tree. Channels map it to HTTP once.

::

    LabbookError
    ├── NotFound            404  no such thing, or not for you to know of
    ├── Forbidden           403  you see it, but may not do that
    ├── Refused             422  problems (and perhaps conflicts); 409 when there are conflicts only
    ├── WrongStatus         409  the status does not allow that step
    ├── StaleRevision       412  somebody changed it since you read it
    ├── RevisionRequired    428  say which revision you read
    └── StorageTrouble      503
        ├── StorageBusy          another writer holds the database; nothing was changed
        └── StorageUnwritable    the disk is full or read-only; nothing was changed
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Weight = Literal["blocking", "warning"]


@dataclass(frozen=True)
class Problem:
    """One thing that stands in the way.

    ``code`` and ``params`` are put into the reader's language by the channel
    (``formats.wording``). ``field`` names the part of the command it belongs to.
    ``overridable`` says that a manager of the facility may set it aside.
    """

    code: str
    field: str | None = None
    weight: Weight = "blocking"
    overridable: bool = False
    params: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False)


@dataclass(frozen=True, order=True)
class Conflict:
    """A stretch of time in which a piece of equipment has too few free places."""

    equipment: str
    start: datetime
    end: datetime


_FASTER = ("taken_meanwhile", "changed_meanwhile")


class LabbookError(Exception):
    """Whatever Labbook says no to."""


class NotFound(LabbookError):
    """No such thing, or nothing that the asker may know of."""

    def __init__(self, noun: str = "page") -> None:
        super().__init__(noun)
        self.noun = noun


class Forbidden(LabbookError):
    """The asker may see it and may not do that to it."""

    def __init__(self, action: str) -> None:
        super().__init__(action)
        self.action = action


class Refused(LabbookError):
    """Everything that stands in the way, at once."""

    def __init__(self, problems: Sequence[Problem] = (), conflicts: Sequence[Conflict] = ()) -> None:
        super().__init__(", ".join([*(p.code for p in problems), *(c.equipment for c in conflicts)]))
        self.problems = tuple(problems)
        self.conflicts = tuple(conflicts)

    @property
    def is_conflict(self) -> bool:
        """Nothing is wrong with what was asked for, only somebody else was there first."""
        return all(problem.code in _FASTER for problem in self.problems)


class WrongStatus(LabbookError):
    """The transition table has no such step from this status."""

    def __init__(self, action: str, status: str) -> None:
        super().__init__(f"{action} from {status}")
        self.action = action
        self.status = status


class StaleRevision(LabbookError):
    """Somebody changed it since the asker read it."""

    def __init__(self, current: int) -> None:
        super().__init__(str(current))
        self.current = current


class RevisionRequired(LabbookError):
    """A change has to say which revision it was made on."""


class StorageTrouble(LabbookError):
    """The database could not take the write; nothing of it was kept."""


class StorageBusy(StorageTrouble):
    """Another writer holds the database for too long."""


class StorageUnwritable(StorageTrouble):
    """The disk is full or read-only."""
