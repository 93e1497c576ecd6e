"""Passwords: what is accepted, and how they are kept (Argon2id)."""

from __future__ import annotations

from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from labbook.domain.errors import Problem

LEAST, MOST = 10, 200

_COMMON = ("password", "123456789", "qwertyuiop", "passw0rd", "letmein", "1111111", "abcdefgh", "labbook")
_hasher = PasswordHasher()


def problems(password: str, *, field: str = "password", known: str = "") -> list[Problem]:
    """Long enough, not endless, and neither on everybody's list nor the address it belongs to."""
    if len(password) < LEAST:
        return [Problem("password_short", field, params={"least": LEAST})]
    if len(password) > MOST:
        return [Problem("password_long", field, params={"most": MOST})]
    low = password.lower()
    local = known.partition("@")[0].lower()
    rest = low
    for common in (*_COMMON, *([local] if len(local) > 3 else ())):
        rest = rest.replace(common, "")
    return [Problem("password_common", field)] if len(rest) < 4 or len(set(low)) < 4 else []


def hashed(password: str) -> str:
    return _hasher.hash(password.encode("utf-8", "surrogatepass"))


def matches(kept: str | None, password: str) -> bool:
    """Takes the same time where nothing is kept, so that it doesn't tell who has an account."""
    try:
        _hasher.verify(kept or _nobodys(), password[:MOST].encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


def is_outdated(kept: str) -> bool:
    return _hasher.check_needs_rehash(kept)


@lru_cache(maxsize=1)
def _nobodys() -> str:
    return hashed("what nobody has for a password")
