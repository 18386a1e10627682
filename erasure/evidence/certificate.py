"""Seal a certificate: its digest goes into the ledger, its file under LETHE_HOME/certificates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings

from erasure.domain.errors import EvidenceError
from erasure.evidence import disk, keys, ledger
from erasure.evidence.body import faults
from erasure.evidence.canonical import canonical, digest, plain
from erasure.evidence.report import describe
from erasure.evidence.signing import pinned_keys, signer
from erasure.evidence.verify import LEAF_KIND_PREFIX, verify_certificate
from erasure.models.evidence import Certificate, LedgerHead, LedgerLeaf, LedgerTip

FOLDER = "certificates"
_FAULTS_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """Where a certificate and its readable report stand, and the digest of its body."""

    path: Path
    report: Path
    digest: str
    leaf: int


def seal(body: Mapping[str, Any]) -> Sealed:
    """Enter a body (see :class:`erasure.evidence.body.Body`) into the ledger, sign it, write it.

    Repeatable: for an id that is sealed already the first sealing stands, and its file is made
    again if it is missing. Raises EvidenceError for a body that breaks the rules of a body, or
    that differs from the sealed one in more than ``issued_at``. Joins the caller's transaction:
    if that is rolled back, the file stays without an entry until the same id is sealed again.
    """
    content = _checked(body)
    with ledger.together():
        tip = ledger.locked_tip()  # before looking: two that seal the same id take turns
        row = Certificate.objects.filter(pk=content["id"]).first()
        if row is None:
            row, document = _enter(content, tip)
        else:
            document = _again(row, content)
        path = path_of(row)
        report = path.with_suffix(".md")
        disk.replace(report, describe(document).encode())
        disk.replace(path, canonical(document))
    return Sealed(path=path, report=report, digest=row.digest, leaf=row.leaf)


def path_of(row: Certificate) -> Path:
    """The absolute path of a certificate's file."""
    return Path(settings.LETHE_HOME) / row.path


def _checked(body: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = plain(body, "certificate")
    wrong = list(islice(faults(content), _FAULTS_SHOWN))
    if wrong:
        raise EvidenceError(f"certificate: cannot be sealed: {' '.join(wrong)}")
    return content


def _enter(content: dict[str, Any], tip: LedgerTip) -> tuple[Certificate, dict[str, Any]]:
    """The ledger's entry, the head over it, the row and the file's content."""
    sealed_digest = digest(content)
    payload = {
        "certificate": content["id"],
        "digest": sealed_digest,
        "request": content["request"]["id"],
    }
    kind = f"{LEAF_KIND_PREFIX}{content['kind']}"
    leaf, head, proof = ledger.append_shown(kind, payload, tip)
    row = Certificate(
        id=content["id"],
        request=content["request"]["id"],
        kind=content["kind"],
        digest=sealed_digest,
        path=f"{FOLDER}/{content['id']}.json",
        leaf=leaf.index,
        issued_at=datetime.fromisoformat(content["issued_at"]),
    )
    row.save()
    return row, _document(content, leaf, head, proof)


def _document(
    content: dict[str, Any], leaf: LedgerLeaf, head: LedgerHead, proof: list[str]
) -> dict[str, Any]:
    """The file's content: the body, its place in the ledger, the signature over both."""
    earlier = ledger.span(leaf.request, before=leaf.index)
    first, entries = earlier or (leaf.index, 0)
    place = {
        "head": ledger.signed_head(head).to_json(),
        "inclusion": proof,
        "leaf": ledger.entry(leaf, json.loads(leaf.payload)),
        "range": {"first": first, "last": leaf.index, "entries": entries + 1},
    }
    signed = {"body": content, "ledger": place}
    by = signer()
    signature = {
        "algorithm": keys.ALGORITHM,
        "key_id": by.key_id,
        "value": by.sign(keys.CERTIFICATE_CONTEXT, signed),
    }
    return {**signed, "signature": signature}


def _again(row: Certificate, content: dict[str, Any]) -> dict[str, Any]:
    """The document of an id that was sealed before."""
    standing = _on_file(row)
    if standing is not None:
        if _timeless(standing["body"]) != _timeless(content):
            raise EvidenceError(f"certificate {row.pk}: is sealed with another content already")
        return standing
    if digest(content) != row.digest:
        raise EvidenceError(
            f"certificate {row.pk}: its file is missing or damaged and this is not the content "
            "that was sealed; restore the file from a backup"
        )
    leaf = LedgerLeaf.objects.get(pk=row.leaf)
    head = LedgerHead.objects.get(pk=row.leaf + 1)
    return _document(content, leaf, head, ledger.prove(row.leaf, row.leaf + 1))


def _on_file(row: Certificate) -> dict[str, Any] | None:
    """The sealed document as it stands on the disk; None when it is missing or damaged."""
    try:
        data = path_of(row).read_bytes()
    except FileNotFoundError:
        return None
    verdict = verify_certificate(data, pinned_keys())
    if not verdict.holds or verdict.document is None:
        return None
    document = dict(verdict.document)
    return document if digest(document["body"]) == row.digest else None


def _timeless(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "issued_at"}
