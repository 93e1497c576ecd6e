"""The addresses that serve calendars."""

from flask import Flask

from labbook.feeds import masking
from labbook.feeds.calendars import blueprint


def register(app: Flask) -> None:
    """Hang the blueprint onto the app, and keep its secrets out of the logs."""
    app.register_blueprint(blueprint)
    masking.install(app)
