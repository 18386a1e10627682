"""This installation's signing key, and the public half it pins on first use."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from erasure.domain.errors import EvidenceError
from erasure.evidence import keys
from erasure.evidence.disk import create_once

_SEED_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Signs under the pinned key."""

    key_id: str
    private: Ed25519PrivateKey

    def sign(self, context: bytes, value: Any) -> str:
        """The signature over context and canonical value, in hexadecimal."""
        return self.private.sign(keys.signed_bytes(context, value)).hex()


def public_key_path() -> Path:
    """Where the public key is pinned."""
    return Path(settings.LETHE_HOME) / "keys" / "signing.pub"


def signer() -> Signer:
    """The signer of LETHE_SIGNING_KEY; the first call pins its public key.

    Raises EvidenceError when the key is malformed, or is not one that is pinned.
    """
    own, path = _own(settings.LETHE_SIGNING_KEY), public_key_path()
    try:
        pinned = path.read_bytes()
    except FileNotFoundError:
        create_once(path, keys.to_pem(own.private.public_key()))
        pinned = path.read_bytes()
    if own.key_id not in _known(pinned, str(path)):
        raise EvidenceError(
            f"LETHE_SIGNING_KEY: is not the key pinned in {path}; set the old key again, "
            "or append the new public key to that file"
        )
    return own


@lru_cache(maxsize=4)
def _known(pinned: bytes, place: str) -> keys.TrustedKeys:
    """What is pinned, parsed once for as long as the file stays as it is."""
    return keys.trusted_keys(pinned, place)


def pinned_keys() -> keys.TrustedKeys:
    """The public keys this installation trusts. Raises EvidenceError while none is pinned."""
    path = public_key_path()
    try:
        pem = path.read_bytes()
    except FileNotFoundError:
        raise EvidenceError(
            f"{path}: no key is pinned here; name the issuer's public key with --key"
        ) from None
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read ({os.strerror(error.errno or 0)})") from None
    return keys.trusted_keys(pem, str(path))


@lru_cache(maxsize=1)
def _own(key: str) -> Signer:
    try:
        seed = urlsafe_b64decode(key)
    except (Base64Error, ValueError):
        seed = b""
    if len(seed) != _SEED_BYTES:
        raise EvidenceError("LETHE_SIGNING_KEY: must be url-safe base64 of 32 bytes")
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return Signer(key_id=keys.key_id(private.public_key()), private=private)
