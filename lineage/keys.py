"""Keys of those who send events: random, shown once, hashed at rest."""

from __future__ import annotations

import hashlib
import secrets
import time

from django.utils import timezone

from lineage.errors import CatalogueError
from lineage.event_models import LineageKey

_PREFIX = "lethe_"
_BYTES = 32


def make_key(name: str) -> str:
    """A new token under that name; it is nowhere afterwards. Raises CatalogueError for a name that
    is taken or too long."""
    if not 0 < len(name) <= 100:
        raise CatalogueError("key", "the name must have 1 to 100 characters")
    token = _PREFIX + secrets.token_urlsafe(_BYTES)
    _, made = LineageKey.objects.get_or_create(name=name, defaults={"digest": _digest(token)})
    if not made:
        raise CatalogueError(name, "there is a key of this name; take another, or revoke it")
    return token


def revoke_key(name: str) -> None:
    """Nobody gets in with it from now on. Raises CatalogueError for an unknown one."""
    rows = LineageKey.objects.filter(name=name, revoked_at=None)
    if not rows.update(revoked_at=timezone.now()):
        raise CatalogueError(name, "there is no such key in use; list them with --list")
    _admitted.clear()


def admits(token: str) -> bool:
    """Whether the token is that of a key in use: in this process for a few seconds from what it
    knew. A long random token needs no slow hash, and a look-up by digest tells nothing of the
    tokens that are near."""
    digest = _digest(token)
    now = time.monotonic()
    if _admitted.get(digest, 0.0) > now:
        return True
    _admitted.pop(digest, None)
    known = LineageKey.objects.filter(digest=digest, revoked_at=None).exists()
    if known:
        _admitted[digest] = now + REMEMBERED
    return known


# Seconds for which a key that was revoked by another process may still get in.
REMEMBERED = 5.0
_admitted: dict[str, float] = {}


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
