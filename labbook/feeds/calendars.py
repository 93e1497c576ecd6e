"""``GET /feeds/{secret}.ics``."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

from flask import Blueprint, Response, abort, current_app, request
from flask_limiter.util import get_remote_address
from limits import parse

from labbook.domain.errors import NotFound
from labbook.extensions import db, limiter
from labbook.formats.icalendar import MEDIA_TYPE
from labbook.services import feeds, transaction
from labbook.services.feed_cache import RenderedFeed

UNKNOWN_ALLOWED = parse("30 per minute")

blueprint = Blueprint("feeds", __name__, url_prefix="/feeds")


@blueprint.get("/<secret>.ics")
def calendar(secret: str) -> Response:
    base_url = current_app.config["SETTINGS"].base_url
    try:
        transaction.read_apart(db.session())
        rendered = feeds.read(db.session(), secret, now=datetime.now(UTC), base_url=base_url)
    except NotFound:
        abort(_unknown())
    return _represented(rendered)


def _unknown() -> HTTPStatus:
    """Only guesses are counted: a known address is served however many were made from the same place."""
    counted = not limiter.enabled or limiter.limiter.hit(UNKNOWN_ALLOWED, "feeds", get_remote_address())
    return HTTPStatus.NOT_FOUND if counted else HTTPStatus.TOO_MANY_REQUESTS


def _represented(rendered: RenderedFeed) -> Response:
    """The calendar as the client takes it. Each encoding is a representation with a strong tag of its own."""
    compressed = request.accept_encodings["gzip"] > 0
    response = Response(rendered.compressed if compressed else rendered.content, content_type=MEDIA_TYPE)
    response.set_etag(f"{rendered.digest}-gzip" if compressed else rendered.digest)
    if compressed:
        response.content_encoding = "gzip"
    response.last_modified = rendered.modified
    response.vary.add("Accept-Encoding")
    # Revalidated each time (which is cheap), and never kept where another could get at it.
    response.cache_control.private = True
    response.cache_control.no_cache = True
    response.headers["Content-Disposition"] = 'inline; filename="labbook.ics"'
    response.headers["X-Robots-Tag"] = "noindex"
    response.make_conditional(request)
    return response
