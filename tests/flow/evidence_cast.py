"""A small installation with evidence in it, for the tests of ledger and certificates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from django.db import connection, transaction

from erasure.evidence import certificate, ledger
from erasure.evidence.audit import audit
from erasure.evidence.signing import pinned_keys

BODY: dict[str, Any] = {
    "id": "C-1",
    "version": 1,
    "kind": "certificate",
    "issued_at": "2026-11-21T10:00:00.000000Z",
    "issuer": {"controller": "Example Shop", "dpo_contact": "dpo@example.com"},
    "tool": {"name": "lethe", "version": "0.1.0"},
    "request": {
        "id": "R-1",
        "law": "gdpr",
        "channel": "cli",
        "clock": [{"event": "received", "at": "2026-11-20T10:00:00Z"}],
    },
    "subject": {"pseudonym": "a" * 64, "identifier_kinds": ["email"]},
    "identity_check": {"method": "console operator", "result": "confirmed"},
    "decision": {
        "outcome": "partly_granted",
        "ground": "a",
        "exceptions": [
            {
                "dataset": "shop.invoice",
                "reason": "legal_obligation",
                "legal_reference": "tax law",
                "until": "2034-12-31",
                "approver": "operator",
            }
        ],
    },
    "scope": {"graph_hash": "b" * 64, "stores": 2, "datasets": 3},
    "locations": [
        {
            "store": "shop_db",
            "dataset": "shop.customer",
            "action": "delete",
            "rows": 1,
            "residue": "clean",
        },
        {
            "store": "shop_db",
            "dataset": "shop.invoice",
            "action": "retain",
            "rows": 7,
            "residue": "retained_until",
            "until": "2034-12-31",
        },
    ],
    "backups": [{"set": "nightly", "newest_copy": "2026-11-20", "last_copy_until": "2026-12-25"}],
    "models": [
        {
            "model": "churn",
            "action": "retrain",
            "old_version": "3",
            "new_version": "4",
            "audit": {"utility_after": "0.81"},
        },
    ],
    "recipients": [{"recipient": "courier", "told_at": None, "channel": "by hand"}],
    "residual": [
        {
            "dataset": "shop.invoice",
            "rows": 7,
            "reason": "legal_obligation",
            "until": "2034-12-31",
        }
    ],
    "shared": [{"dataset": "shop.address", "field": "street", "rows": 1, "explanation": "shared"}],
    "letters": [],
    "suppression": {"entries": 1},
    "record": {"erased_after": "2028-11-20"},
}


def body(**changes: Any) -> dict[str, Any]:
    return {**deepcopy(BODY), **changes}


def filled() -> certificate.Sealed:
    """A ledger with two certificates, an addendum and what happened in between."""
    ledger.append("request.opened", {"request": "R-1"})
    ledger.append_many([("batch.done", {"request": "R-1", "rows": n}) for n in range(3)])
    sealed = certificate.seal(body())
    ledger.append("request.opened", {"request": "R-2"})
    certificate.seal(body(id="C-2", request={"id": "R-2"}))
    certificate.seal(addendum())
    ledger.append("key.destroyed", {"request": "R-1"})
    return sealed


def addendum() -> dict[str, Any]:
    names = ("version", "issued_at", "issuer", "tool", "request", "subject")
    kept = {name: deepcopy(BODY[name]) for name in names}
    return {**kept, "id": "C-1.a", "kind": "addendum", "amends": "C-1"}


def findings() -> list[str]:
    return list(audit(pinned_keys()))


@contextmanager
def undone() -> Iterator[None]:
    """What is done inside is rolled back, also where the database would refuse it at commit."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def run_sql(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
