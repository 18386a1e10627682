"""What stands beside the plan in the shop: parcels nobody declared, and triggers."""

from __future__ import annotations

import json
from typing import Any

from erasure.domain.roles import Actor
from erasure.evidence.certificate import path_of
from erasure.flow import decide
from erasure.models import Certificate, ErasureRequest, Plan
from tests.flow.cast import (
    APPROVER,
    SqliteShop,
)
from tests.flow.postgresql_shop import PostgresqlShop

PARCELS = "cascade:shop_db.parcel.order_id"
LABELS = "cascade:shop_db.label.parcel_id"
WATCH = "trigger:shop_db.orders.watch"
COPYING = "INSERT INTO audit (id, was) VALUES (OLD.id + 100, OLD.wish);"


def add_parcels(shop: SqliteShop, on_delete: str = "CASCADE") -> None:
    """Parcels 1 and 2 belong to the subject's orders, 3 to the neighbour's; one has a label."""
    shop.execute(
        "shop_db",
        "CREATE TABLE parcel (id INTEGER PRIMARY KEY, "
        f"order_id INTEGER REFERENCES orders (id) ON DELETE {on_delete})",
    )
    shop.execute(
        "shop_db",
        "CREATE TABLE label (id INTEGER PRIMARY KEY, "
        "parcel_id INTEGER REFERENCES parcel (id) ON DELETE CASCADE)",
    )
    for number in (1, 2, 3):
        shop.insert("parcel", {"id": number, "order_id": number})
    shop.insert("label", {"id": 1, "parcel_id": 2})


def add_trigger(shop: SqliteShop, body: str = "", table: str = "orders") -> None:
    """A trigger ``watch`` that runs when a row goes."""
    if isinstance(shop, PostgresqlShop):
        shop.execute(
            "shop_db",
            "CREATE OR REPLACE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql "
            f"AS 'BEGIN {body} RETURN OLD; END'",
        )
        how = f"AFTER DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION watch()"
        shop.execute("shop_db", f"CREATE OR REPLACE TRIGGER watch {how}")
        return
    shop.execute("shop_db", "DROP TRIGGER IF EXISTS watch")
    how = f"AFTER DELETE ON {table} BEGIN {body or 'SELECT 1;'} END"
    shop.execute("shop_db", f"CREATE TRIGGER watch {how}")


def plan_of(request: ErasureRequest) -> Plan:
    return request.plans.get(state="draft")


def accepting(request: ErasureRequest, *codes: str, by: Actor = APPROVER) -> ErasureRequest:
    """The same case, its plan approved with these codes."""
    decide.approve_plan(request, digest=plan_of(request).digest, by=by, accept=codes)
    return request


def beside(shop: SqliteShop) -> dict[str, Any]:
    """Everything in the shop, with what stands beside it."""
    return shop.everything() | {name: shop.rows(name) for name in ("parcel", "label")}


def body_of(request: ErasureRequest) -> dict[str, Any]:
    """What the certificate says."""
    sealed = Certificate.objects.get(pk=f"lethe-{request.id}")
    found: dict[str, Any] = json.loads(path_of(sealed).read_text())["body"]
    return found
