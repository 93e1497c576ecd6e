"""Pages: parse, call, respond."""

from flask import Flask

from labbook.web import operations


def chosen_locale() -> str:
    """The language of the page; English until another is complete."""
    return "en"


def register(app: Flask) -> None:
    """Hang the blueprints onto the app."""
    operations.register(app)
