"""Pages: parse, call, respond."""

from flask import Flask

from labbook.web import (
    about,
    account,
    approvals,
    booking,
    calendar,
    context,
    deputies,
    engine,
    equipment,
    faults,
    finding,
    formatting,
    home,
    keeping,
    kiosk,
    kiosks,
    labels,
    long_tests,
    look,
    manage,
    operations,
    options,
    projects,
    recipes,
    relays,
    reservations,
    rigs,
    sign_in,
    swaps,
    today,
    utilities,
    waitlist,
    wording,
)
from labbook.web.errors import http_error as http_error
from labbook.web.page import RowId

PAGES = (
    sign_in,
    home,
    today,
    calendar,
    utilities,
    booking,
    finding,
    reservations,
    long_tests,
    approvals,
    equipment,
    recipes,
    kiosk,
    relays,
    faults,
    labels,
    projects,
    waitlist,
    options,
    manage,
    kiosks,
    deputies,
    rigs,
    engine,
    swaps,
    account,
    about,
)
"""The blueprints of pages, each in the module of its name."""


def chosen_locale() -> str:
    """The language of the page; English until another is complete."""
    return "en"


def register(app: Flask) -> None:
    """Hang the blueprints onto the app."""
    formatting.register(app)
    wording.register(app)
    context.register(app)
    keeping.register(app)
    app.register_blueprint(look.blueprint)
    app.url_map.converters["id"] = RowId
    for page in PAGES:
        app.register_blueprint(page.blueprint)
    operations.register(app)
