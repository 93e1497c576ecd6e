"""The JSON interface and its OpenAPI description."""

from flask import Flask


def register(app: Flask) -> None:
    """Hang the blueprints onto the app."""
