"""A token for the API is made and revoked; a call that names a key opens one request only."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from erasure import vault
from erasure.domain.errors import UsageError, WrongState
from erasure.domain.roles import SCOPES, Actor, deed
from erasure.evidence import ledger
from erasure.models import ApiToken, ErasureRequest, IdempotencyKey

PREFIX = "lethe_"
LONGEST = timedelta(days=365)
KEPT = timedelta(days=1)
_LONGEST_KEY = 200


@deed("manage_accounts")
def make_token(
    user: User, *, name: str, scopes: Sequence[str], days: int, by: Actor
) -> tuple[ApiToken, str]:
    """A token, and the secret that is shown once. It can never do more than its account's roles.
    Raises UsageError by field."""
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise UsageError("name: say what it is for, in at most 100 characters")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise UsageError(f"scopes: must be some of {', '.join(SCOPES)}")
    if not 1 <= days <= LONGEST.days:
        raise UsageError(f"days: must be from 1 to {LONGEST.days}")
    secret, now = PREFIX + secrets.token_urlsafe(32), timezone.now()
    with transaction.atomic():
        token = ApiToken.objects.create(
            user=user,
            name=name.strip(),
            keyed_hash=_hash(secret),
            scopes=sorted(set(scopes)),
            made_at=now,
            expires_at=now + timedelta(days=days),
        )
        told = {"token": str(token.id), "of": user.get_username(), "scopes": token.scopes}
        ledger.record("token_made", {**told, "by": by})
    return token, secret


@deed("manage_accounts")
def revoke_token(token: ApiToken, *, by: Actor) -> None:
    """It works no more. Raises WrongState when it was revoked before."""
    with transaction.atomic():
        live = ApiToken.objects.filter(pk=token.pk, revoked_at=None)
        if not live.update(revoked_at=timezone.now()):
            raise WrongState("token: was revoked before")
        ledger.record("token_revoked", {"token": str(token.id), "by": by})


def token_of(secret: str, *, now: datetime) -> ApiToken | None:
    """The live token of that secret, of an active account; notes that it was used."""
    if not secret.startswith(PREFIX) or not secret.isascii():
        return None
    live = ApiToken.objects.filter(keyed_hash=_hash(secret), revoked_at=None, expires_at__gt=now)
    token = live.filter(user__is_active=True).select_related("user").first()
    if token and (token.used_at is None or now - token.used_at > timedelta(minutes=1)):
        ApiToken.objects.filter(pk=token.pk).update(used_at=now)
    return token


def once(
    user: User, key: str, body: str, opening: Callable[[], ErasureRequest]
) -> tuple[ErasureRequest, bool]:
    """Open a request, or find the one that the same call has opened; True for the latter. Raises
    UsageError for a key that was used for another call."""
    if not key:
        return opening(), False
    if len(key) > _LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise UsageError("Idempotency-Key: must be at most 200 printable ASCII characters")
    named, digest = _hash(key), vault.keyed_hash(f"body|{body}")
    try:
        with transaction.atomic():
            if found := _known(user, named, digest):
                return found, True
            request = opening()
            IdempotencyKey.objects.create(
                user=user,
                keyed_hash=named,
                body_hash=digest,
                request=request,
                made_at=timezone.now(),
            )
            return request, False
    except IntegrityError:  # the same call came in beside this one
        found = _known(user, named, digest)
        if found is None:
            raise
        return found, True


def _known(user: User, named: str, digest: str) -> ErasureRequest | None:
    earlier = IdempotencyKey.objects.filter(user=user, keyed_hash=named).first()
    if earlier is None:
        return None
    if earlier.body_hash != digest:
        raise UsageError("Idempotency-Key: was used for another call; take a new one")
    return earlier.request


def forget_calls(now: datetime) -> None:
    """Keys of calls that nobody repeats any more."""
    IdempotencyKey.objects.filter(made_at__lt=now - KEPT).delete()


def _hash(secret: str) -> str:
    return vault.keyed_hash(f"api|{secret}")
