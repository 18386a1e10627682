"""Single-use tokens: links to a mailbox, and assertions of the controller's own login."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import jwt
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from erasure import vault
from erasure.domain.errors import UsageError
from erasure.domain.identity import LINKED
from erasure.models import ErasureRequest, Token

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")  # 32 bytes
_WRONG = "this link is not valid any more; ask for a new one"
_FRESH = timedelta(minutes=10)  # between the controller's login and here


def issue(request: ErasureRequest, *, now: datetime | None = None) -> str:
    """A new token for a link that is sent to the address that was given; it works once, until it
    expires, and older ones of the request do not work any more. Raises UsageError where there is
    nothing to confirm."""
    emails = request.identifiers.filter(kind="email").count()
    if request.state not in LINKED or emails != 1:
        raise UsageError(f"request {request.id}: has no one mailbox to be confirmed")
    token = secrets.token_urlsafe(32)
    expires_at = (now or timezone.now()) + timedelta(hours=settings.LETHE_LINK_HOURS)
    with transaction.atomic():
        request.tokens.filter(used_at=None).delete()
        Token.objects.create(
            request=request, keyed_hash=_hash("link", token), expires_at=expires_at
        )
    return token


def link(token: str) -> str:
    """The address that opens the controller's own page with that token, which gives it to
    ``/api/v1/mailbox``; empty where LETHE_CONFIRM_URL names no page."""
    return settings.LETHE_CONFIRM_URL.replace("{token}", token)


def masked(text: str) -> str:
    """A text whose links prove nothing."""
    return _SECRET.sub("…", text)


def redeem(token: str, *, now: datetime) -> ErasureRequest:
    """The request of a link that is used now, for the first time; joins the caller's transaction.
    Raises UsageError, with the same words whatever is wrong."""
    fresh = Token.objects.filter(
        keyed_hash=_hash("link", token), used_at=None, expires_at__gte=now
    ).exclude(request=None)
    if not fresh.update(used_at=now):
        raise UsageError(_WRONG)
    found = Token.objects.select_related("request").get(keyed_hash=_hash("link", token))
    if found.request is None:
        raise UsageError(_WRONG)
    return found.request


def asserted(assertion: str, *, now: datetime) -> Sequence[tuple[str, str]]:
    """What the controller's own login vouches for: (kind, value) pairs of one person.

    ``assertion``: a JSON Web Token (RFC 7519) signed with the key whose public half is
    LETHE_ACCOUNT_KEY, for the audience ``lethe``, with ``exp`` within ten minutes, ``jti``, and the
    claim ``identifiers``. It works once. Raises UsageError, without saying what is in it.
    """
    if not settings.LETHE_ACCOUNT_KEY:
        raise UsageError("LETHE_ACCOUNT_KEY: is not set; no login can vouch for anybody")
    try:
        claims = jwt.decode(
            assertion,
            settings.LETHE_ACCOUNT_KEY,
            algorithms=["EdDSA", "ES256", "RS256"],
            audience="lethe",
            options={"require": ["exp", "jti", "aud"]},
        )
    except jwt.PyJWTError as error:
        raise UsageError(f"the login's assertion is refused: {type(error).__name__}") from None
    identifiers, expires = _pairs(claims.get("identifiers")), claims["exp"]
    if expires > (now + _FRESH).timestamp():
        raise UsageError("the login's assertion is refused: it is valid for over ten minutes")
    _use_once(str(claims["jti"]), now)
    return identifiers


def _pairs(claim: Any) -> list[tuple[str, str]]:
    if not isinstance(claim, dict) or not claim:
        raise UsageError("the login's assertion is refused: it names no identifiers")
    return [(str(kind), str(value)) for kind, value in claim.items()]


def _use_once(name: str, now: datetime) -> None:
    try:
        with transaction.atomic():
            Token.objects.create(
                keyed_hash=_hash("assertion", name), used_at=now, expires_at=now + 2 * _FRESH
            )
    except IntegrityError:
        raise UsageError("the login's assertion is refused: it was used before") from None


def forget_expired(now: datetime) -> None:
    """What has expired proves nothing any more."""
    Token.objects.filter(expires_at__lt=now - _FRESH).delete()


def _hash(purpose: str, token: str) -> str:
    return vault.keyed_hash(f"token:{purpose}:{token}")
