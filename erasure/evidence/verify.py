"""Check a certificate with nothing but the file and a public key: no Django, no database.

``python -m erasure.evidence.verify FILE KEY.pem`` does it from the shell.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erasure.domain import merkle
from erasure.domain.errors import EvidenceError
from erasure.evidence import keys
from erasure.evidence.body import faults
from erasure.evidence.canonical import canonical, digest

LEAF_KIND_PREFIX = "sealed."

_SHAPE: Mapping[str, Mapping[str, type]] = {
    "": {"body": dict, "ledger": dict, "signature": dict},
    "ledger": {"head": dict, "inclusion": list, "leaf": dict, "range": dict},
    "ledger.head": {"key_id": str, "root": str, "signature": str, "signed_at": str, "size": int},
    "ledger.leaf": {"at": str, "index": int, "kind": str, "payload": dict},
    "ledger.leaf.payload": {"certificate": str, "digest": str, "request": str},
    "ledger.range": {"entries": int, "first": int, "last": int},
    "signature": {"algorithm": str, "key_id": str, "value": str},
}
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """``findings``: one sentence per failure, none when the certificate holds. ``document`` is
    the certificate as read, or None where it could not even be read."""

    findings: tuple[str, ...]
    document: Mapping[str, Any] | None = None

    @property
    def holds(self) -> bool:
        """True when nothing was found wrong."""
        return not self.findings


def verify_certificate(data: bytes, trusted: keys.TrustedKeys) -> Verdict:
    """Check the bytes of a certificate file against pinned public keys.

    Covers form, signature, digest, the certificate's own ledger entry, its inclusion proof and
    the signed tree head. Never raises for what the bytes say.
    """
    document, findings = _read(data)
    if document is None or findings:
        return Verdict(findings=tuple(findings))
    for check in _CHECKS:
        findings.extend(check(document, trusted))
    return Verdict(findings=tuple(findings), document=document)


def _read(data: bytes) -> tuple[dict[str, Any] | None, list[str]]:
    try:
        document = json.loads(data)
        same = canonical(document, "certificate") == data
    except (ValueError, RecursionError, EvidenceError):
        return None, ["The file is not a certificate: it cannot be read as canonical JSON."]
    if not same:
        return None, ["The file is not in canonical form: bytes were added, removed or changed."]
    findings = [finding for place in _SHAPE for finding in _misshapen(document, place)]
    return document, findings


def _misshapen(document: Any, place: str) -> Iterator[str]:
    """Exactly the members of the format, each of its type: nothing may ride along unsigned."""
    value = _at(document, place)
    if value is None:
        return  # reported where it is missing
    expected = _SHAPE[place]
    if set(value) != set(expected):
        yield f"The file does not have the members of a certificate at {place or 'its top'}."
        return
    for name, kind in expected.items():
        if type(value[name]) is not kind:
            yield f"The member {name} of {place or 'the file'} is not of its type."


def _at(document: Any, place: str) -> dict[str, Any] | None:
    for name in filter(None, place.split(".")):
        document = document.get(name) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else ({} if not place else None)


def _signature(document: Mapping[str, Any], trusted: keys.TrustedKeys) -> Iterator[str]:
    signature = document["signature"]
    if signature["algorithm"] != keys.ALGORITHM:
        yield f"The signature's algorithm is not {keys.ALGORITHM}."
    content = {"body": document["body"], "ledger": document["ledger"]}
    fault = keys.fault(
        trusted, signature["key_id"], signature["value"], keys.CERTIFICATE_CONTEXT, content
    )
    if fault:
        yield f"The certificate's signature {fault}."


def _head(document: Mapping[str, Any], trusted: keys.TrustedKeys) -> Iterator[str]:
    head = document["ledger"]["head"]
    content = {name: head[name] for name in ("root", "signed_at", "size")}
    fault = keys.fault(trusted, head["key_id"], head["signature"], keys.HEAD_CONTEXT, content)
    if fault:
        yield f"The signature of the ledger's head {fault}."


def _leaf(document: Mapping[str, Any], trusted: keys.TrustedKeys) -> Iterator[str]:
    body, leaf = document["body"], document["ledger"]["leaf"]
    payload = leaf["payload"]
    if payload["digest"] != digest(body):
        yield "The body's digest is not the one the ledger holds."
    if payload["certificate"] != body.get("id"):
        yield "The ledger's entry is that of another certificate."
    if leaf["kind"] != f"{LEAF_KIND_PREFIX}{body.get('kind')}":
        yield "The ledger's entry is of another kind."


def _inclusion(document: Mapping[str, Any], trusted: keys.TrustedKeys) -> Iterator[str]:
    ledger = document["ledger"]
    head, leaf = ledger["head"], ledger["leaf"]
    hashes = [*ledger["inclusion"], head["root"]]
    if not all(isinstance(text, str) and _HASH.fullmatch(text) for text in hashes):
        yield "The inclusion proof is malformed."
        return
    *proof, root = map(bytes.fromhex, hashes)
    hashed = merkle.leaf_hash(canonical(leaf))
    if not merkle.verify_inclusion(hashed, leaf["index"], head["size"], proof, root):
        yield "The inclusion proof does not lead to the ledger's head."


def _range(document: Mapping[str, Any], trusted: keys.TrustedKeys) -> Iterator[str]:
    span, leaf = document["ledger"]["range"], document["ledger"]["leaf"]
    length = span["last"] - span["first"] + 1
    if not (0 <= span["first"] <= span["last"] == leaf["index"] and 0 < span["entries"] <= length):
        yield "The ledger range does not end with the certificate's own entry."


def _content(document: Mapping[str, Any], trusted: keys.TrustedKeys) -> Iterator[str]:
    body = document["body"]
    for fault in faults(body):
        yield f"In the body, {fault}"
    request = body.get("request")
    named = request.get("id") if isinstance(request, dict) else None
    if named != document["ledger"]["leaf"]["payload"]["request"]:
        yield "The ledger's entry belongs to another request."


_Check = Callable[[Mapping[str, Any], keys.TrustedKeys], Iterator[str]]
_CHECKS: Sequence[_Check] = (_signature, _leaf, _inclusion, _head, _range, _content)


def main(arguments: Sequence[str]) -> int:
    """Verify a file against a PEM file of trusted keys; 0 holds, 1 does not, 2 usage."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m erasure.evidence.verify FILE KEY.pem\n")
        return 2
    try:
        data, pem = (Path(argument).read_bytes() for argument in arguments)
        trusted = keys.trusted_keys(pem, arguments[1])
    except OSError as error:
        sys.stderr.write(f"{error.filename}: cannot be read ({error.strerror})\n")
        return 2
    except EvidenceError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    verdict = verify_certificate(data, trusted)
    sys.stdout.write(
        "".join(f"{line}\n" for line in verdict.findings or ("The certificate holds.",))
    )
    return 0 if verdict.holds else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
