"""Signatures, as anybody can check them: Ed25519 under pinned public keys. No Django here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from erasure.domain.errors import EvidenceError
from erasure.evidence.canonical import canonical

ALGORITHM = "Ed25519"
# What is signed begins with what it is, so that one can never be passed off as the other.
HEAD_CONTEXT = b"lethe tree head v1\n"
MODEL_CONTEXT = b"lethe model provenance v1\n"
CERTIFICATE_CONTEXT = b"lethe certificate v1\n"

TrustedKeys = Mapping[str, Ed25519PublicKey]

_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
_SIGNATURE = re.compile(r"[0-9a-f]{128}")


def key_id(public: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal digits of SHA-256 over the raw public key."""
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return sha256(raw).hexdigest()[:16]


def to_pem(public: Ed25519PublicKey) -> bytes:
    """The public key as PEM (SubjectPublicKeyInfo)."""
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def trusted_keys(pem: bytes, place: str) -> TrustedKeys:
    """The Ed25519 keys of a PEM file, by key id: one, or after a change of key several.

    Raises EvidenceError naming ``place`` when there is none, or one of another kind.
    """
    keys: dict[str, Ed25519PublicKey] = {}
    for block in _PEM.findall(pem):
        public = _loaded(block, place)
        keys[key_id(public)] = public
    if not keys:
        raise EvidenceError(f"{place}: holds no public key; give the PEM file keys/signing.pub")
    return keys


def _loaded(block: bytes, place: str) -> Ed25519PublicKey:
    try:
        public = load_pem_public_key(block)
    except ValueError:
        raise EvidenceError(f"{place}: is not a readable PEM public key") from None
    if not isinstance(public, Ed25519PublicKey):
        raise EvidenceError(f"{place}: is not an Ed25519 public key")
    return public


def signed_bytes(context: bytes, value: Any) -> bytes:
    """The bytes a signature covers: what it is, then the canonical value."""
    return context + canonical(value)


def fault(
    trusted: TrustedKeys, identity: str, signature: str, context: bytes, value: Any
) -> str | None:
    """What is wrong with a signature in words, or None when a trusted key made it."""
    public = trusted.get(identity)
    if public is None:
        return "was not made by a trusted key"
    # Upper-case digits would be the same signature in other bytes.
    if not _SIGNATURE.fullmatch(signature):
        return "is malformed"
    try:
        public.verify(bytes.fromhex(signature), signed_bytes(context, value))
    except InvalidSignature:
        return "does not match what it signs"
    return None
