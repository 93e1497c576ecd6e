"""The addresses that serve calendars."""

from flask import Flask

from labbook.feeds.calendars import blueprint


def register(app: Flask) -> None:
    """Hang the blueprint onto the app."""
    app.register_blueprint(blueprint)
