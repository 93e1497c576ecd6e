"""Flask commands: parse, call, print."""

from flask import Flask

from labbook.cli import feed


def register(app: Flask) -> None:
    """Hang every command onto the app."""
    app.cli.add_command(feed.group)
