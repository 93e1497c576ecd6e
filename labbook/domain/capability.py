"""placeholder until the catalogue's own lands"""

from typing import Any


def offers(offered: Any, needed: Any) -> bool:
    return bool(
        offered["low"] <= needed["low"]
        and needed["high"] <= offered["high"]
        and offered["unit"] == needed["unit"]
    )
