from __future__ import annotations

import pytest
from flask import Flask

from tests.web.people import Clock


@pytest.fixture(autouse=True)
def clock(app: Flask) -> Clock:
    """The app's one clock stands still."""
    return Clock(app)
