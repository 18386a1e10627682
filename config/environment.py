"""Read settings from the environment: bad values raise with the variable's name."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent
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
    if not text.isdecimal() or not low <= int(text) <= high:
        raise ImproperlyConfigured(f"{name}: must be a whole number from {low} to {high}")
    return int(text)


def listed(name: str) -> list[str]:
    """A comma-separated list; empty when unset."""
    return [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]


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
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _written(path, name)
    with os.fdopen(descriptor, "w") as file:
        file.write(make() if make else secrets.token_urlsafe(48))
    return path.read_text()


def _written(path: Path, name: str) -> str:
    value = path.read_text()
    if not value:
        raise ImproperlyConfigured(f"{name}: {path} is empty; remove it and start again")
    return value


def database(name: str, home: Path) -> dict[str, Any]:
    """A Django database from ``sqlite:////abs/path`` or ``postgresql://user@host:port/db``."""
    url = os.environ.get(name) or f"sqlite:///{home / 'control.sqlite3'}"
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        path = unquote(parts.path)
        if not path.startswith("/") or path == "/":
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
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


def broker(name: str) -> str:
    """``memory://`` (in-process worker) or a Redis or AMQP address."""
    url = os.environ.get(name) or "memory://"
    if urlsplit(url).scheme not in ("memory", "redis", "rediss", "amqp", "amqps", "sentinel"):
        raise ImproperlyConfigured(f"{name}: must be memory://, redis://… or amqp://…")
    return url
