"""How many random examples: enough for every change, ten times as many with HYPOTHESIS_PROFILE=thorough."""

from __future__ import annotations

import os

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


def examples(usual: int) -> int:
    return 10 * usual if THOROUGH else usual
