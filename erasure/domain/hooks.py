"""What a recipient's webhook is told (GDPR Art. 19), and in which form it learns of whom. Pure.

The recipient has to know whom it concerns, and nobody else may: identifiers of the kinds that the
catalogue names go in the body, never in an address. ``keyed``: as HMAC-SHA-256 under the shared
secret, which the recipient compares with its own values; nothing readable leaves. ``encrypted``:
AES-256-GCM under a key derived from the secret. ``clear``: as they are, inside TLS.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from erasure.domain.errors import StoreError
from erasure.domain.values import canonical

Form = Literal["keyed", "encrypted", "clear"]
FORMS: tuple[Form, ...] = get_args(Form)
ANSWERS = ("answer", "callback")
SHORTEST_SECRET = 16
# Encrypts (key, plain); given from outside, so that this stays without randomness.
Seal = Callable[[bytes, bytes], bytes]


@dataclass(frozen=True, kw_only=True)
class Hook:
    """Where a recipient is told, and how. ``acknowledges``: by its 2xx ``answer``, or later by a
    ``callback``."""

    url: str
    secret: bytes
    kinds: tuple[str, ...]
    form: Form
    acknowledges: str


def hook_of(place: str, options: Mapping[str, Any]) -> Hook | None:
    """The webhook of a recipient, from its resolved options; None without. Raises StoreError."""
    url = str(options.get("webhook", ""))
    if not url:
        return None
    kinds = options.get("identifiers", ())
    kinds = (kinds,) if isinstance(kinds, str) else tuple(map(str, kinds))
    if not kinds:
        raise StoreError(place, "webhook: say which `identifiers` it is told, as [email]")
    secret = str(options.get("secret", "")).encode()
    if len(secret) < SHORTEST_SECRET:
        raise StoreError(place, f"webhook: needs a `secret` of {SHORTEST_SECRET} characters")
    form, by = str(options.get("form", "keyed")), str(options.get("acknowledges", "answer"))
    if form not in FORMS:
        raise StoreError(place, f"webhook: `form` is one of {', '.join(FORMS)}")
    if by not in ANSWERS:
        raise StoreError(place, f"webhook: `acknowledges` is one of {', '.join(ANSWERS)}")
    return Hook(url=url, secret=secret, kinds=kinds, form=form, acknowledges=by)


def subject(hook: Hook, known: Iterable[tuple[str, str]], seal: Seal) -> list[dict[str, str]]:
    """The identifiers of ``known`` (kind, value) that the recipient is told, in its form."""
    wanted = {(k, canonical(v, k)) for k, v in known if k in hook.kinds}
    return [{"kind": kind, **_formed(hook, kind, value, seal)} for kind, value in sorted(wanted)]


def _formed(hook: Hook, kind: str, value: str, seal: Seal) -> dict[str, str]:
    if hook.form == "clear":
        return {"value": value}
    if hook.form == "encrypted":
        sealed = seal(encryption_key(hook.secret), value.encode())
        return {"encrypted": b64encode(sealed).decode()}
    text = f"{kind}:{value}".encode()
    return {"keyed": hmac.new(hook.secret, text, hashlib.sha256).hexdigest()}


def encryption_key(secret: bytes) -> bytes:
    """32 bytes for AES-256-GCM; the nonce is the first 12 bytes of what it encrypted."""
    return hmac.new(secret, b"lethe webhook identifiers", hashlib.sha256).digest()


def body(
    *, event: str, notice: str, dataset: str, controller: str, law: str,
    people: Sequence[Mapping[str, str]] = (),
) -> bytes:  # fmt: skip
    """The bytes that are sent, the same ones every time. A reminder names nobody."""
    plain: dict[str, Any] = {
        "event": event,
        "notice": notice,
        "dataset": dataset,
        "controller": controller,
        "law": law,
        "asks": "erase every copy of what you received about this person, and tell your own "
        "recipients",
    }
    if people:
        plain["subject"] = list(people)
    return json.dumps(plain, sort_keys=True, ensure_ascii=False).encode()
