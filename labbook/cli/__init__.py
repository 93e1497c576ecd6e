"""Flask commands: parse, call, print."""

from flask import Flask

from labbook.cli import catalogue, feed, scheduler, serve, sweep


def register(app: Flask) -> None:
    """Hang every command onto the app."""
    app.cli.add_command(catalogue.group)
    app.cli.add_command(feed.group)
    app.cli.add_command(scheduler.scheduler)
    app.cli.add_command(serve.serve)
    app.cli.add_command(sweep.sweep)
