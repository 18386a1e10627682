"""HMAC-SHA256 of many short texts under one key."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

_BLOCK = 64  # of SHA-256
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def keyed(key: bytes) -> Callable[[bytes], bytes]:
    """The digest of a text under ``key``, 32 bytes. HMAC's two blocks (RFC 2104) are hashed once:
    going on from them takes less than half of what a call of ``hmac`` does."""
    block = (sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    inner, outer = sha256(block.translate(_INNER)).copy, sha256(block.translate(_OUTER)).copy

    def digest(text: bytes) -> bytes:
        within = inner()
        within.update(text)
        around = outer()
        around.update(within.digest())
        return around.digest()

    return digest
