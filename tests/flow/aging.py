"""The shop of the cast with a retention for its orders, and what is done with plans for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings

from erasure.evidence.signing import pinned_keys
from erasure.evidence.verify import verify_certificate
from erasure.flow import dispose, expire
from erasure.models import Certificate, Expiry
from tests.flow.cast import APPROVER, CATALOGUE, OFFICER, SqliteShop

OLD, YOUNG = "2015-06-30", "2026-06-30"
HOLD: dict[str, Any] = {
    "code": "legal_claims",
    "legal_reference": "Art. 17(3)(e)",
    "because": "claim 17",
}
RULE = "erasure: {action: delete, retention: {period: 3y, starts: placed_on, basis: warranty}}"


def aging(sql_shop: SqliteShop) -> SqliteShop:
    """Ages what is in the shop."""
    sql_shop.widen("orders", "placed_on")
    for number, day in ((1, OLD), (2, YOUNG), (3, OLD)):
        sql_shop.execute("shop_db", "update orders set placed_on = ? where id = ?", [day, number])
    sql_shop.describe(catalogue())
    return sql_shop


def catalogue(rule: str = RULE) -> str:
    """The shop's, with a retention for orders."""
    orders = "      - name: orders\n        erasure: {action: delete}\n"
    text = CATALOGUE.read_text()
    assert orders in text
    text = text.replace(orders, f"      - name: orders\n        {rule}\n")
    return widened(text, "          - {name: wish,", "placed_on")


def widened(text: str, before: str, name: str) -> str:
    """The catalogue with another field, put before the one that starts like that."""
    return text.replace(before, f"          - {{name: {name}}}\n{before}")


def plan(address: str = "shop.orders", by: Any = OFFICER) -> Expiry:
    made = expire.plan_expired(address, by=by)
    assert made is not None
    return made


def approve(made: Expiry, by: Any = APPROVER, **more: Any) -> Expiry:
    return dispose.approve_expired(made, digest=made.digest, by=by, **more)


def orders(shop: SqliteShop) -> list[Any]:
    return [row["id"] for row in shop.rows("orders")]


def lines(shop: SqliteShop) -> list[Any]:
    return [row["order_id"] for row in shop.rows("line")]


def body() -> dict[str, Any]:
    sealed = Certificate.objects.get(kind="retention")
    data = (Path(settings.LETHE_HOME) / sealed.path).read_bytes()
    verdict = verify_certificate(data, pinned_keys())
    assert verdict.holds, verdict.findings
    return dict(json.loads(data)["body"])
