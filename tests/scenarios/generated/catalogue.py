"""The catalogue of a generated world, as somebody would have written it."""

from __future__ import annotations

import json
from typing import Any

from tests.scenarios.generated.world import MARK, Column, Link, Table, World

STORE = "generated"
KEY = "shop"


def catalogue_of(world: World, url: str) -> str:
    """The YAML text (JSON is YAML); nothing is purged, which would cost more than all the rest."""
    store = {"name": STORE, "kind": "sql", "url": url, "options": {"purge": "none"}}
    collections = [_collection(world, t) for t in world.tables if t.action]
    dataset = {"fides_key": KEY, "erasure": {"store": STORE}, "collections": collections}
    return json.dumps({"store": [store], "dataset": [dataset]}, indent=1, ensure_ascii=False)


def _collection(world: World, table: Table) -> dict[str, Any]:
    block: dict[str, Any] = {"action": table.action}
    if table.action == "retain":
        block |= {"until": "2099-12-31", "exception": "legal_obligation"}
    if table.action == "ignore":
        block["because"] = "holds nothing personal"
    fields = [_field(world, table, c) for c in table.columns if c.name != MARK]
    return {"name": table.name, "erasure": block, "fields": fields}


def _field(world: World, table: Table, column: Column) -> dict[str, Any]:
    meta: dict[str, Any] = {"primary_key": True} if column.key and table.key_told else {}
    if column.identity:
        meta["identity"] = "email"
    own: dict[str, Any] = {"free_text": True} if column.free_text else {}
    if column.method:
        word, _, argument = column.method.partition(" ")
        own["method"] = {word: argument} if argument else word
    for link in world.links_of(table.name):
        if link.field == column.name and link.declared:
            meta["references"] = [_reference(link)]
            own |= {"on_erase": link.on_erase} if link.on_erase else {}
    plain: dict[str, Any] = {"name": column.name}
    if column.category:
        plain["data_categories"] = [column.category]
    return plain | ({"fides_meta": meta} if meta else {}) | ({"erasure": own} if own else {})


def _reference(link: Link) -> dict[str, Any]:
    plain = {"dataset": KEY, "field": f"{link.target}.{link.target_field}"}
    return plain | ({"direction": link.direction} if link.direction else {})
