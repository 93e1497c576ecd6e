"""The JSON interface and its OpenAPI description."""

from flask import Blueprint, Flask

from labbook.api import (
    asking,
    calendar,
    catalogue,
    documentation,
    long_tests,
    people,
    problems,
    reservations,
    slots,
    utilities,
    waitlist,
)
from labbook.api.problems import http_error as http_error

PREFIX = "/api/v1"


def register(app: Flask) -> None:
    """Hang the blueprints onto the app."""
    blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
    asking.guard(blueprint)
    problems.handle(blueprint)
    for noun in (reservations, long_tests, calendar, catalogue, slots, utilities, people, waitlist):
        noun.register(blueprint)
    app.register_blueprint(blueprint)
    documentation.register(app)
