"""The addresses that serve calendars."""

from flask import Flask


def register(app: Flask) -> None:
    """Hang the blueprints onto the app."""
