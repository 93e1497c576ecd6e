"""Flask commands: parse, call, print."""

from flask import Flask

from labbook.cli import (
    backup,
    catalogue,
    demo,
    feed,
    kiosk,
    organisation,
    project,
    reservations,
    scheduler,
    serve,
    sweep,
    token,
    user,
    verify,
)


def register(app: Flask) -> None:
    """Hang every command onto the app."""
    for command in (
        backup.backup,
        backup.restore,
        catalogue.group,
        demo.command,
        feed.group,
        kiosk.group,
        organisation.group,
        project.group,
        reservations.group,
        scheduler.scheduler,
        serve.serve,
        sweep.sweep,
        token.group,
        user.group,
        verify.verify,
    ):
        app.cli.add_command(command)
