"""The controller's own login, which vouches for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.flow.cast import SUBJECT

LOGIN = Ed25519PrivateKey.generate()
PUBLIC = (
    LOGIN.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


def assertion(key: Any = LOGIN, algorithm: str = "EdDSA", **changes: Any) -> str:
    """What the login says of whoever has logged in."""
    claims = {
        "aud": "lethe",
        "jti": "1",
        "exp": datetime.now(UTC) + timedelta(minutes=5),
        "identifiers": {"email": SUBJECT.upper()},
        **changes,
    }
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm)
