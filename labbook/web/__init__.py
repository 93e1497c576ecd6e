"""Pages: parse, call, respond."""

from flask import Flask

from labbook.web import context, formatting, look, operations


def chosen_locale() -> str:
    """The language of the page; English until another is complete."""
    return "en"


def register(app: Flask) -> None:
    """Hang the blueprints onto the app."""
    formatting.register(app)
    context.register(app)
    app.register_blueprint(look.blueprint)
    operations.register(app)
