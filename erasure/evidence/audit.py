"""Check the ledger in the database and this installation's certificates against each other.

Everything is recomputed from the payloads in one pass; nothing that is stored is believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from erasure.domain import merkle
from erasure.domain.errors import EvidenceError
from erasure.evidence import keys, ledger
from erasure.evidence.canonical import canonical, timestamp
from erasure.evidence.certificate import FOLDER, path_of
from erasure.evidence.verify import LEAF_KIND_PREFIX, verify_certificate
from erasure.models.evidence import Certificate, LedgerHead, LedgerLeaf, LedgerTip

_BATCH = 1000


def audit(trusted: keys.TrustedKeys) -> Iterator[str]:
    """One sentence for everything wrong with ledger or certificates; nothing when all holds."""
    yield from audit_ledger(trusted)
    yield from _missing_rows()
    for row in Certificate.objects.order_by("leaf").iterator(chunk_size=_BATCH):
        yield from _audit_certificate(row, trusted)
    yield from _stray_files()


def audit_ledger(trusted: keys.TrustedKeys) -> Iterator[str]:
    """Every leaf recomputed from its payload, every head that was ever shown, and the tip.

    Appends may go on meanwhile: the tip is read first, and what it counts is checked.
    """
    tip = LedgerTip.objects.filter(pk=1).first()
    size = tip.size if tip else 0
    frontier = merkle.Frontier()
    heads = LedgerHead.objects.filter(size__lte=size).order_by("size").iterator(chunk_size=_BATCH)
    head = next(heads, None)
    leaves = LedgerLeaf.objects.filter(index__lt=size).order_by("index")
    for leaf in leaves.iterator(chunk_size=_BATCH):
        while head and head.size <= frontier.size:
            yield from _head_faults(head, frontier, trusted)
            head = next(heads, None)
        yield from _leaf_faults(leaf, frontier.size)
        frontier.append(_recomputed(leaf))
    while head:
        yield from _head_faults(head, frontier, trusted)
        head = next(heads, None)
    if tip:
        yield from _tip_faults(tip, frontier, trusted)
    yield from _beyond()


def _beyond() -> Iterator[str]:
    """What stands behind the tip. Read before the tip, which only ever moves on."""
    leaf = LedgerLeaf.objects.order_by("-index").first()
    head = LedgerHead.objects.order_by("-size").first()
    tip = LedgerTip.objects.filter(pk=1).first()
    size = tip.size if tip else 0
    if leaf and leaf.index >= size:
        yield f"Entry {leaf.index}: stands behind the tip, which counts {size} entries."
    if head and head.size > size:
        yield f"Head {head.size}: the ledger ends before it, at {size} entries."


def _payload(leaf: LedgerLeaf) -> Any:
    try:
        return json.loads(leaf.payload)
    except (ValueError, RecursionError):
        return None


def _recomputed(leaf: LedgerLeaf) -> bytes:
    """The leaf hash of what the row says now; that of its raw text where it says nonsense."""
    try:
        return merkle.leaf_hash(canonical(ledger.entry(leaf, _payload(leaf))))
    except EvidenceError:
        return merkle.leaf_hash(leaf.payload.encode(errors="surrogatepass"))


def _leaf_faults(leaf: LedgerLeaf, expected: int) -> Iterator[str]:
    place = f"Entry {leaf.index}"
    if leaf.index != expected:
        yield f"{place}: stands where entry {expected} belongs; entries were removed or added."
    if leaf.previous_id != (leaf.index - 1 if leaf.index else None):
        yield f"{place}: does not follow on the entry before it."
    if _recomputed(leaf).hex() != leaf.leaf_hash:
        yield f"{place}: its content is not what was entered."
    payload = _payload(leaf)
    if not isinstance(payload, dict) or not _is_canonical(leaf.payload, payload):
        yield f"{place}: its payload is not canonical JSON."
    elif ledger.request_of(payload) != leaf.request:
        yield f"{place}: is filed under another request than its payload names."


def _is_canonical(text: str, payload: Any) -> bool:
    try:
        return canonical(payload) == text.encode()
    except (EvidenceError, UnicodeEncodeError):
        return False


def _head_faults(
    row: LedgerHead | LedgerTip, frontier: merkle.Frontier, trusted: keys.TrustedKeys
) -> Iterator[str]:
    place = "The tip" if isinstance(row, LedgerTip) else f"Head {row.size}"
    if row.root != frontier.root().hex():
        yield f"{place}: the entries do not lead to its root; history was rewritten."
    content = ledger.SignedHead.content(row.size, row.root, timestamp(row.created_at))
    fault = keys.fault(trusted, row.key_id, row.signature, keys.HEAD_CONTEXT, content)
    if fault:
        yield f"{place}: its signature {fault}."


def _tip_faults(
    tip: LedgerTip, frontier: merkle.Frontier, trusted: keys.TrustedKeys
) -> Iterator[str]:
    if tip.size != frontier.size:
        yield f"The tip: counts {tip.size} entries, the ledger has {frontier.size}."
    if tip.peaks != b"".join(frontier.peaks).hex():
        yield "The tip: its frontier is not that of the entries."
    yield from _head_faults(tip, frontier, trusted)


def _missing_rows() -> Iterator[str]:
    """Certificates the ledger knows and the table does not."""
    sealed = LedgerLeaf.objects.filter(kind__startswith=LEAF_KIND_PREFIX)
    known = Certificate.objects.values("leaf")
    for leaf in sealed.exclude(index__in=known).order_by("index").iterator(chunk_size=_BATCH):
        yield f"Entry {leaf.index}: the certificate it holds is not in the list of certificates."


def _audit_certificate(row: Certificate, trusted: keys.TrustedKeys) -> Iterator[str]:
    place = f"Certificate {row.pk}"
    try:
        data = path_of(row).read_bytes()
    except OSError as error:
        yield f"{place}: its file {row.path} cannot be read ({error.strerror})."
        return
    verdict = verify_certificate(data, trusted)
    yield from (f"{place}: {finding}" for finding in verdict.findings)
    if verdict.holds and verdict.document is not None:
        yield from (f"{place}: {finding}" for finding in against_ledger(verdict.document, row))


def against_ledger(document: Mapping[str, Any], row: Certificate) -> Iterator[str]:
    """Compare a verified certificate with its row, its entry and the ledger's head of its time."""
    body, place = document["body"], document["ledger"]
    payload, span = place["leaf"]["payload"], place["range"]
    issued = datetime.fromisoformat(body["issued_at"])
    said = (body["id"], payload["request"], body["kind"], payload["digest"], issued)
    listed = (row.pk, row.request, row.kind, row.digest, row.issued_at)
    if said != listed or row.leaf != place["leaf"]["index"]:
        yield "The list of certificates says something else about it."
    leaf = LedgerLeaf.objects.filter(pk=place["leaf"]["index"]).first()
    if leaf is None or ledger.entry(leaf, _payload(leaf)) != place["leaf"]:
        yield "The ledger does not hold its entry."
    head = LedgerHead.objects.filter(pk=place["head"]["size"]).first()
    if head is None or ledger.signed_head(head).to_json() != place["head"]:
        yield "The ledger's head it names was never shown by this ledger."
    earlier = ledger.span(row.request, before=row.leaf) or (row.leaf, 0)
    if (span["first"], span["entries"]) != (earlier[0], earlier[1] + 1):
        yield "The ledger range it names is not that of its request."


def _stray_files() -> Iterator[str]:
    """Files that say they are certificates of this installation and are not in its ledger."""
    folder = Path(settings.LETHE_HOME) / FOLDER
    names = sorted(path.name for path in folder.glob("*.json"))
    with transaction.atomic():
        # A file stands before its row is committed; once the tip is ours, no sealing is under way.
        LedgerTip.objects.select_for_update().first()
        stray = [n for n in names if not Certificate.objects.filter(path=f"{FOLDER}/{n}").exists()]
    for name in stray:
        yield f"The file {FOLDER}/{name}: the ledger knows no such certificate."
