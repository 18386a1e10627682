"""The certificate as a person reads it: Markdown that is plain text too.

Everything a sentence says comes from the sealed document; nothing is looked up elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

RESIDUE_IN_WORDS: Mapping[str, str] = {
    "present": "still present",
    "logically_deleted": (
        "deleted: no query returns it; bytes may stay in the store's own files until it rewrites "
        "them"
    ),
    "purged": "deleted, and no byte is left in the store's own files",
    "anonymized": "anonymised: the row stays without anything that points at a person",
    "pseudonymized": "pseudonymised only: the key holder can still find the person",
    "retained_until": "kept because the law asks for it, restricted",
    "expires_on": "still in a copy that expires",
    "beyond_use": "put beyond use: reachable only through a restore that erases it again",
    "blocked_until": "locked against deletion",
    "clean": "searched again by value and found clean",
}
_KINDS = {
    "certificate": "Certificate of erasure",
    "addendum": "Addendum to a certificate of erasure",
    "replay": "Record of an erasure repeated after a restore",
    "retention": "Certificate of data erased after their retention",
}


def describe(document: Mapping[str, Any]) -> str:
    """The readable report of a sealed document (``body``, ``ledger``, ``signature``)."""
    body = document["body"]
    parts: list[str] = [f"# {_KINDS.get(body['kind'], 'Certificate')} {_text(body['id'])}"]
    for section in _SECTIONS:
        parts.extend(section(body))
    parts.extend(_proof(document))
    return "\n\n".join(parts) + "\n"


def _text(value: Any) -> str:
    """A value as one line of Markdown: nothing in it can start markup or break a table."""
    if value is None or value == "":
        return "–"
    line = " ".join(str(value).split())
    return "".join(f"\\{c}" if c in "\\|`*<>[]" else c for c in line)


def _facts(pairs: Iterable[tuple[str, Any]]) -> list[str]:
    lines = [f"- {name}: {_text(value)}" for name, value in pairs if value not in (None, "", [])]
    return ["\n".join(lines)] if lines else []


def _table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]
    lines += ["| " + " | ".join(_text(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _asked(body: Mapping[str, Any]) -> Iterator[str]:
    request, subject = body["request"], body.get("subject", {})
    yield "## What was asked"
    yield from _facts(
        [
            ("Request", request["id"]),
            ("Law", request.get("law")),
            ("Channel", request.get("channel")),
            ("Person (keyed pseudonym)", subject.get("pseudonym")),
            ("Identified by", ", ".join(map(str, subject.get("identifier_kinds", [])))),
            ("Amends", body.get("amends")),
            ("Issued", body["issued_at"]),
            ("Issuer", body["issuer"].get("controller")),
            ("Data protection officer", body["issuer"].get("dpo_contact")),
            ("Tool", f"{body['tool']['name']} {body['tool']['version']}"),
        ]
    )
    yield from _facts((m["event"], m["at"]) for m in request.get("clock", []))


def _decided(body: Mapping[str, Any]) -> Iterator[str]:
    decision, identity = body.get("decision"), body.get("identity_check")
    if decision is None and identity is None:
        return
    yield "## What was decided"
    decision, identity = decision or {}, identity or {}
    yield from _facts(
        [
            ("Outcome", decision.get("outcome")),
            ("Ground", decision.get("ground")),
            ("Decided by", decision.get("decided_by")),
            ("Approved by", decision.get("approved_by")),
            ("Identity checked by", identity.get("method")),
            ("Result of the check", identity.get("result")),
        ]
    )
    if decision.get("exceptions"):
        rows = [
            (_excepted(e), e["reason"], e.get("legal_reference"), e.get("until"))
            for e in decision["exceptions"]
        ]
        yield _table(["Exception for", "Reason", "Law", "Until"], rows)


def _excepted(exemption: Mapping[str, Any]) -> str:
    fields = ", ".join(exemption.get("fields", ()))
    return f"{exemption['dataset']}: {fields}" if fields else str(exemption["dataset"])


def _done(body: Mapping[str, Any]) -> Iterator[str]:
    if "locations" not in body:
        return
    yield "## What was done, place by place"
    rows = [
        (place["store"], place["dataset"], place["action"], place["rows"], _left(place))
        for place in body["locations"]
    ]
    yield (
        _table(["Store", "Dataset", "Action", "Rows", "What is left"], rows)
        if rows
        else ("Nothing was held.")
    )
    scope = body.get("scope", {})
    yield from _facts(
        [
            ("Stores considered", scope.get("stores")),
            ("Datasets considered", scope.get("datasets")),
            ("Searched without a hit", ", ".join(map(str, scope.get("searched_without_hit", [])))),
        ]
    )


def _left(place: Mapping[str, Any]) -> str:
    words = RESIDUE_IN_WORDS.get(place["residue"], place["residue"])
    until = f" until {place['until']}" if place.get("until") else ""
    note = f" ({place['note']})" if place.get("note") else ""
    return f"{words}{until}{note}"


def _backups(body: Mapping[str, Any]) -> Iterator[str]:
    if not body.get("backups"):
        return
    yield "## Backups"
    rows = [
        (
            b["set"],
            b.get("newest_copy"),
            b["last_copy_until"],
            b.get("statement") or b.get("replay"),
        )
        for b in body["backups"]
    ]
    yield _table(["Set", "Newest copy", "Last copy expires", "Until then"], rows)


def _models(body: Mapping[str, Any]) -> Iterator[str]:
    if not body.get("models"):
        return
    yield "## Trained models"
    rows = [
        (m["model"], m.get("old_version"), m["action"], m.get("new_version"), m.get("due"))
        for m in body["models"]
    ]
    yield _table(["Model", "Version with the person", "Action", "Version without", "Due"], rows)
    for model in body["models"]:
        yield from _facts(
            (f"{model['model']}, {name.replace('_', ' ')}", value)
            for name, value in sorted((model.get("audit") or {}).items())
        )


def _residual(body: Mapping[str, Any]) -> Iterator[str]:
    if "residual" not in body:
        return
    yield "## What was not erased, and why"
    rows = [(r["dataset"], r["rows"], r["reason"], r.get("until")) for r in body["residual"]]
    yield _table(["Dataset", "Rows", "Reason", "Until"], rows) if rows else "Nothing."


def _shared(body: Mapping[str, Any]) -> Iterator[str]:
    if not body.get("shared"):
        return
    yield "## Equal values that are other people's own"
    rows = [(s["dataset"], s.get("field"), s["rows"], s.get("explanation")) for s in body["shared"]]
    yield _table(["Dataset", "Field", "Rows", "Why they stay"], rows)


def _limits(body: Mapping[str, Any]) -> Iterator[str]:
    if not body.get("limits"):
        return
    yield "## What this certificate cannot speak for"
    rows = [(m["dataset"], m.get("rows"), m["statement"]) for m in body["limits"]]
    yield _table(["Dataset", "Rows", "What is not known"], rows)


def _told(body: Mapping[str, Any]) -> Iterator[str]:
    if body.get("recipients"):
        yield "## Who was told"
        rows = [
            (r["recipient"], r.get("told_at"), r.get("channel"), r.get("acknowledgment"))
            for r in body["recipients"]
        ]
        yield _table(["Recipient", "When", "How", "Answer"], rows)
    if body.get("letters"):
        yield "## Letters"
        letters = [
            (n["template"], n.get("version"), n.get("sent_at"), n.get("hash"))
            for n in body["letters"]
        ]
        yield _table(["Letter", "Version", "Sent", "SHA-256"], letters)


def _kept(body: Mapping[str, Any]) -> Iterator[str]:
    suppression, record = body.get("suppression", {}), body.get("record", {})
    facts = [
        ("Keyed hashes that recognise the person after a restore", suppression.get("entries")),
        ("This record is erased after", record.get("erased_after")),
    ]
    lines = _facts(facts)
    if lines:
        yield "## What is kept about this request"
        yield from lines


def _proof(document: Mapping[str, Any]) -> Iterator[str]:
    ledger, signature = document["ledger"], document["signature"]
    head, span = ledger["head"], ledger["range"]
    yield "## Proof"
    yield from _facts(
        [
            ("Digest of the content (SHA-256)", ledger["leaf"]["payload"]["digest"]),
            (
                "Ledger entries of this request",
                f"{span['entries']}, {span['first']}–{span['last']}",
            ),
            ("Own ledger entry", ledger["leaf"]["index"]),
            ("Ledger head", f"{head['root']} over {head['size']} entries"),
            ("Signed with", f"{signature['algorithm']}, key {signature['key_id']}"),
        ]
    )
    yield (
        "This page is a rendering. What is signed is the file of the same name that ends in "
        ".json; `verify_evidence` checks it against the issuer's public key."
    )


_SECTIONS = (_asked, _decided, _done, _backups, _models, _residual, _shared, _limits, _told, _kept)
