"""Errors on the command line: a clear sentence each, all at once, and exit code 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from labbook.domain.errors import LabbookError, NotFound, Refused, StorageBusy, StorageTrouble
from labbook.formats.wording import sentence


class Failed(click.ClickException):
    """Every line of ``lines`` is one error."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines

    def show(self, file: IO[Any] | None = None) -> None:
        for line in self.lines:
            click.echo(f"Error: {line}", file=file, err=file is None)


@contextmanager
def refusals() -> Iterator[None]:
    """Whatever a service refuses, in words."""
    try:
        yield
    except Refused as error:
        told = [
            f"{p.field}: {sentence(p.code, p.params)}" if p.field else sentence(p.code, p.params)
            for p in error.problems
        ]
        told += [f"{c.equipment} is taken from {c.start} to {c.end}" for c in error.conflicts]
        raise Failed(*told) from error
    except NotFound as error:
        raise Failed(f"there is no such {error.noun}") from error
    except StorageBusy as error:
        raise Failed("another process is writing to the database; nothing was changed, try again") from error
    except StorageTrouble as error:
        raise Failed("the disk is full or read-only; nothing was changed") from error
    except LabbookError as error:
        raise Failed(str(error)) from error
