"""Read settings from the environment: bad values raise with the variable's name."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from base64 import b64decode, urlsafe_b64encode
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import available_timezones

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.core.exceptions import ImproperlyConfigured

from erasure.domain.clocks import holidays_of
from erasure.domain.letters import LANGUAGES

ROOT = Path(__file__).resolve().parent.parent
KEY_BYTES = 32
_UNITS = {"min": "minutes", "h": "hours", "d": "days"}
SQLITE_OPTIONS: dict[str, Any] = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; "
        "PRAGMA foreign_keys=ON;"
    ),
}


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    """One of ``allowed``."""
    value = os.environ.get(name) or default
    if value not in allowed:
        raise ImproperlyConfigured(f"{name}: must be one of {', '.join(allowed)}")
    return value


def whole(name: str, default: int, *, low: int = 1, high: int = 10**9) -> int:
    """A whole number from ``low`` to ``high``."""
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or len(text) > len(str(high)) or not low <= int(text) <= high:
        raise ImproperlyConfigured(f"{name}: must be a whole number from {low} to {high}")
    return int(text)


def span(name: str, *, longest: timedelta) -> timedelta:
    """A length of time, a number with min, h or d; none when unset or ``0``."""
    text = os.environ.get(name) or "0"
    found = re.fullmatch(r"([0-9]{1,6})(min|h|d)", text)
    length = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta()
    if length > longest or not (found or text == "0"):
        raise ImproperlyConfigured(
            f"{name}: must be 0, or like 30min, 24h, 7d; at most {longest.days}d"
        )
    return length


def zone(name: str, default: str) -> str:
    """A time zone by its IANA name."""
    value = os.environ.get(name) or default
    if value not in available_timezones():
        raise ImproperlyConfigured(f"{name}: must be a time zone like Europe/Berlin")
    return value


def establishment(name: str) -> str:
    """A country or a part of it whose public holidays are known; empty when unset."""
    value = os.environ.get(name, "")
    try:
        holidays_of(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name}: must be like DE, DE-BY or GB-ENG") from None
    return value


def public_key(name: str) -> str:
    """A public key in PEM; empty when unset."""
    value = os.environ.get(name, "").replace("\\n", "\n")
    try:
        if value:
            load_pem_public_key(value.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ImproperlyConfigured(f"{name}: must be a public key in PEM") from None
    return value


def mail(name: str, *, wanted_by: str) -> dict[str, Any]:
    """Django's settings for a mail server from ``smtp://`` (STARTTLS), ``smtps://`` (TLS) or
    ``smtp+plain://`` (neither: a relay on this machine)."""
    url = os.environ.get(name, "")
    parts = urlsplit(url)
    if not url:
        if os.environ.get(wanted_by):
            raise ImproperlyConfigured(f"{name}: must be set, for {wanted_by}")
        return {}
    try:
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured(f"{name}: the port is not a number") from None
    if parts.scheme not in ("smtp", "smtps", "smtp+plain") or not parts.hostname:
        raise ImproperlyConfigured(f"{name}: must be like smtp://user:password@host:587")
    return {
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": port or {"smtp": 587, "smtps": 465}.get(parts.scheme, 25),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "smtp",
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_TIMEOUT": 30,
    }


def listed(name: str) -> list[str]:
    """A comma-separated list; empty when unset."""
    return [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]


def languages(name: str) -> list[str]:
    """Languages that there are letters in, the usual one first; all of them when unset."""
    values = listed(name) or list(LANGUAGES)
    if not set(values) <= set(LANGUAGES):
        raise ImproperlyConfigured(f"{name}: must be some of {', '.join(LANGUAGES)}")
    return values


def home() -> Path:
    """``LETHE_HOME``, made with mode 0700 where it is not there."""
    path = Path(os.environ.get("LETHE_HOME") or ROOT / "var").expanduser().resolve()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"LETHE_HOME: {error.strerror} ({path})") from None
    return path


def secret(name: str, *, production: bool, home: Path, make: Any = None) -> str:
    """The secret of that name: the environment's, or in development one made once (mode 0600)."""
    if value := os.environ.get(name):
        return value
    if production:
        raise ImproperlyConfigured(f"{name}: must be set when LETHE_ENV=production")
    path = home / "secrets" / name.lower()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        _make_once(path, make() if make else secrets.token_urlsafe(48))
    value = path.read_text().strip()
    if not value:
        raise ImproperlyConfigured(f"{name}: {path} is empty; remove it and start again")
    return value


def _make_once(path: Path, value: str) -> None:
    """Of several processes that start at once, one makes the secret and all read that one."""
    descriptor, aside = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(value)
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        os.unlink(aside)


def keys(name: str, *, production: bool, home: Path) -> list[str]:
    """A secret of one or more comma-separated keys, each url-safe base64 of 32 bytes."""
    text = secret(name, production=production, home=home, make=_new_key)
    values = [part.strip() for part in text.split(",")]
    if not all(_is_key(value) for value in values):
        raise ImproperlyConfigured(f"{name}: must be url-safe base64 of 32 bytes")
    return values


def key(name: str, *, production: bool, home: Path) -> str:
    """A secret of exactly one such key."""
    value, *more = keys(name, production=production, home=home)
    if more:
        raise ImproperlyConfigured(f"{name}: must be one key, not a list")
    return value


def _new_key() -> str:
    return urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _is_key(text: str) -> bool:
    try:
        return len(b64decode(text, altchars=b"-_", validate=True)) == KEY_BYTES
    except ValueError:
        return False


def database(name: str, home: Path) -> dict[str, Any]:
    """A Django database from ``sqlite:////abs/path`` or ``postgresql://user@host:port/db``."""
    url = os.environ.get(name) or f"sqlite:///{home / 'control.sqlite3'}"
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        path = unquote(parts.path)
        if parts.netloc or parts.query or path.strip("/") == "":
            raise ImproperlyConfigured(f"{name}: needs an absolute path, sqlite:////abs/path")
        # sqlite:////abs has the path //abs, sqlite:///abs has /abs: both mean /abs here
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": "/" + path.lstrip("/"),
            "OPTIONS": SQLITE_OPTIONS,
            "TEST": {"NAME": str(home / "test.sqlite3")},
        }
    if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        raise ImproperlyConfigured(
            f"{name}: must be sqlite:////abs/path or postgresql://user@host:port/db"
        )
    try:
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured(f"{name}: the port is not a number") from None
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(port or ""),
        # libpq's own parameters: ?sslmode=verify-full&sslrootcert=…
        "OPTIONS": dict(parse_qsl(parts.query)),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


def web_address(name: str) -> str:
    """An address like ``https://host/path``; empty when unset."""
    value = os.environ.get(name, "")
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ImproperlyConfigured(f"{name}: must be like https://host/api/v1/lineage")
    return value


def page(name: str) -> str:
    """An address with ``{token}`` in it, where a secret goes; empty when unset."""
    value = os.environ.get(name, "")
    parts = urlsplit(value.replace("{token}", ""))
    if value and (parts.scheme != "https" or not parts.hostname or value.count("{token}") != 1):
        raise ImproperlyConfigured(f"{name}: must be like https://host/confirm#{{token}}")
    return value


def broker(name: str) -> str:
    """``memory://`` (in-process worker) or a Redis or AMQP address."""
    url = os.environ.get(name) or "memory://localhost/"
    if urlsplit(url).scheme not in ("memory", "redis", "rediss", "amqp", "amqps", "sentinel"):
        raise ImproperlyConfigured(f"{name}: must be memory://, redis://… or amqp://…")
    return url
