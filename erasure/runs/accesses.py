"""Who has looked at what names a person: the part of the ledger that auditors ask for first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from erasure.models import LedgerLeaf

# kind of a leaf → what was looked at
KINDS: Mapping[str, str] = {
    "identifiers_seen": "identifiers",
    "reasons_seen": "reasons",
    "letter_seen": "a letter",
    "letter_previewed": "a letter before it was written",
    "complaint_seen": "a complaint",
    "export_read": "an export",
    "export_passphrase_shown": "the passphrase of an export",
    "looked_up": "whether a person is known",
}


@dataclass(frozen=True, kw_only=True)
class Access:
    """One look. ``request``: empty where it was at no one case; ``more``: of what kind, or how
    many; never a value."""

    index: int
    at: datetime
    by: str
    what: str
    request: str
    more: str


def leaves() -> QuerySet[LedgerLeaf]:
    """Every look, the newest first."""
    return LedgerLeaf.objects.filter(kind__in=KINDS).order_by("-index")


def access_of(leaf: LedgerLeaf) -> Access:
    """A look as it was recorded."""
    told: dict[str, Any] = json.loads(leaf.payload)
    return Access(
        index=leaf.index,
        at=leaf.created_at,
        by=str(told.get("by", "")),
        what=KINDS[leaf.kind],
        request=leaf.request,
        more=_more(told),
    )


def _more(told: Mapping[str, Any]) -> str:
    kinds = ", ".join(told.get("identifier_kinds") or told.get("about") or ())
    found = f"{told['found']} found" if "found" in told else ""
    return "; ".join(filter(None, (kinds, found)))
