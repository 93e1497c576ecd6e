"""The Flask extensions, made once and bound by the factory."""

from __future__ import annotations

from flask import request
from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

from labbook.models import Base

db = SQLAlchemy(model_class=Base)
migrate = Migrate()
login = LoginManager()
csrf = CSRFProtect()
babel = Babel()


class PageLimiter(Limiter):
    """Only pages have limits of this kind; looking for some on every other call costs as much as a query."""

    def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:
        if not request.path.startswith(("/api/", "/feeds/")):
            super()._check_request_limit(callable_name, in_middleware)


limiter = PageLimiter(get_remote_address)
