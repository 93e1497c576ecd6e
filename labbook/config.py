"""Typed settings: the environment outranks ``instance/labbook.toml``; no other file is read."""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

WEAK_BELOW = 32


class SettingsError(Exception):
    """A setting that is missing, malformed or unsafe, in words that say what to do."""


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. Each field ``x`` is ``LABBOOK_X`` in the environment, ``x`` in the file.

    ``instance`` is where the embedded database, the key made in development and unsent mail live.
    """

    instance: Path
    database_url: str
    secret_key: str
    env: Literal["development", "production"] = "development"
    scheduler: Literal["embedded", "off"] = "embedded"
    mail_url: str | None = None
    base_url: str = "http://127.0.0.1:5000"
    mail_from: str = "labbook@localhost"
    rate_limit_storage: str = "memory://"
    trusted_proxies: int = 0
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: str | None = None
    testing: bool = False

    @property
    def is_production(self) -> bool:
        return self.env == "production"

    @property
    def default_database(self) -> bool:
        return self.database_url == default_database_url(self.instance)


def default_database_url(instance: Path) -> str:
    return f"sqlite:///{instance / 'labbook.sqlite3'}"


def load(instance: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read and check every setting; all that is wrong in one ``SettingsError``."""
    values = _from_file(instance / "labbook.toml") | _from_environment(environ)
    wrong: list[str] = []
    env = _choice(values, "env", ("development", "production"), "development", wrong)
    scheduler = _choice(
        values, "scheduler", ("embedded", "off"), "off" if env == "production" else "embedded", wrong
    )
    key = values.get("secret_key") or ""
    if env == "production" and len(key) < WEAK_BELOW:
        wrong.append(
            f"LABBOOK_SECRET_KEY must have at least {WEAK_BELOW} characters in production; "
            "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    url = _database_url(values.get("database_url") or default_database_url(instance), wrong)
    mail = values.get("mail_url") or None
    if mail and urlsplit(mail).scheme not in ("smtp", "smtps"):
        wrong.append("LABBOOK_MAIL_URL must begin with smtp:// or smtps://")
    base = (values.get("base_url") or "http://127.0.0.1:" + environ.get("PORT", "5000")).rstrip("/")
    if urlsplit(base).scheme not in ("http", "https"):
        wrong.append("LABBOOK_BASE_URL must begin with http:// or https://")
    proxies = values.get("trusted_proxies") or "0"
    if not str(proxies).isdigit():
        wrong.append("LABBOOK_TRUSTED_PROXIES must be a whole number")
    if wrong:
        raise SettingsError("\n".join(wrong))
    return Settings(
        instance=instance,
        database_url=url,
        secret_key=key or _own_key(instance),
        env=env,  # type: ignore[arg-type]
        scheduler=scheduler,  # type: ignore[arg-type]
        mail_url=mail,
        base_url=base,
        mail_from=values.get("mail_from") or "labbook@" + (urlsplit(base).hostname or "localhost"),
        rate_limit_storage=values.get("rate_limit_storage") or "memory://",
        trusted_proxies=int(proxies),
        oidc_issuer=values.get("oidc_issuer"),
        oidc_client_id=values.get("oidc_client_id"),
        oidc_client_secret=values.get("oidc_client_secret"),
    )


def names() -> list[str]:
    """The environment variables that are read."""
    inner = ("instance", "testing")
    return sorted(f"LABBOOK_{f.name.upper()}" for f in fields(Settings) if f.name not in inner)


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    return {n.removeprefix("LABBOOK_").lower(): environ[n] for n in names() if environ.get(n)}


def _from_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name}: {error}") from error
    known = {n.removeprefix("LABBOOK_").lower() for n in names()}
    if unknown := sorted(set(values) - known):
        raise SettingsError(f"{path.name}: unknown setting {', '.join(unknown)}")
    return {k: str(v) for k, v in values.items()}


def _choice(
    values: Mapping[str, Any], name: str, choices: tuple[str, ...], default: str, wrong: list[str]
) -> str:
    value = str(values.get(name) or default)
    if value not in choices:
        wrong.append(f"LABBOOK_{name.upper()} must be one of {', '.join(choices)}, not {value!r}")
    return value


def _database_url(url: str, wrong: list[str]) -> str:
    if url.startswith("postgres://"):
        url = "postgresql://" + url.removeprefix("postgres://")
    if url.startswith("postgresql://"):
        return "postgresql+psycopg://" + url.removeprefix("postgresql://")
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        wrong.append("LABBOOK_DATABASE_URL must begin with sqlite:/// or postgresql://")
    return url


def _own_key(instance: Path) -> str:
    """The development key, made once; two processes that start together agree on one."""
    instance.mkdir(parents=True, exist_ok=True)
    path = instance / "secret_key"
    if not path.exists():
        fresh = instance / f".secret_key.{os.getpid()}.{secrets.token_hex(4)}"
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(48))
        try:
            os.link(fresh, path)  # fails if the other process was first: then its key holds
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text().strip()
