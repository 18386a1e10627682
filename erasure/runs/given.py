"""What a person gives to be found by: checked, compared as pseudonyms, sealed for a case."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db.models import QuerySet

from erasure import vault
from erasure.domain.errors import UsageError
from erasure.domain.values import canonical
from erasure.models import ErasureRequest, Identifier, SuppressionEntry
from lineage import selectors

_LONGEST = 1000
Pairs = Sequence[tuple[str, str]]


def checked(identifiers: Pairs) -> list[tuple[str, str]]:
    """Identifiers with surplus space removed. Raises UsageError for what cannot be one, and
    UnknownIdentity for a kind that no field carries."""
    cleaned = tidied(identifiers)
    selectors.identity_start({kind for kind, _ in cleaned})
    return cleaned


def tidied(identifiers: Pairs) -> list[tuple[str, str]]:
    """As :func:`checked`, without asking whether the kinds are known."""
    if not identifiers:
        raise UsageError("no identifier given; say for example email=person@example.com")
    cleaned: list[tuple[str, str]] = []
    for kind, value in identifiers:
        text = value.strip()
        if not text or len(text) > _LONGEST or not text.isprintable():
            raise UsageError(f"{kind}: the value is empty, too long or has control characters")
        if kind == "email" and not _looks_like_email(text):
            raise UsageError("email: the value is not an email address")
        if (kind, canonical(text, kind)) not in {(k, canonical(v, k)) for k, v in cleaned}:
            cleaned.append((kind, text))
    return cleaned


def keyed(cleaned: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """The same as (kind, keyed pseudonym)."""
    return {(kind, vault.pseudonym(kind, value)) for kind, value in cleaned}


def known_to(request: ErasureRequest) -> set[tuple[str, str]]:
    """By what a case knows its person, as (kind, keyed pseudonym): what was given, and what was
    found and erased."""
    given = Identifier.objects.filter(request=request)
    erased = SuppressionEntry.objects.filter(request_id=request.pk, ended_at=None)
    return {pair for rows in (given, erased) for pair in rows.values_list("kind", "keyed_hash")}


def readable(request: ErasureRequest) -> QuerySet[Identifier]:
    """What a case was given and could still open; the rest is there to be found by."""
    return request.identifiers.exclude(sealed=b"")


def seal(request: ErasureRequest, cleaned: Pairs, key: bytes) -> None:
    """Keep them for a case under its identifiers key; joins the caller's transaction."""
    Identifier.objects.bulk_create(
        (
            Identifier(
                request=request,
                kind=kind,
                keyed_hash=vault.pseudonym(kind, value),
                sealed=vault.seal(key, value.encode(), label=f"identifier:{request.id}:{kind}"),
            )
            for kind, value in cleaned
        ),
        update_conflicts=True,
        unique_fields=["request", "kind", "keyed_hash"],
        update_fields=["sealed", "proved_by"],
    )


def _looks_like_email(text: str) -> bool:
    local, at, domain = text.rpartition("@")
    return bool(at and local and domain) and not any(c.isspace() for c in text)
