"""Flask commands: parse, call, print."""

from flask import Flask


def register(app: Flask) -> None:
    """Hang every command onto the app."""
