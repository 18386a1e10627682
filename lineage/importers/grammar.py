"""The words of the catalogue file: store entries and ``erasure`` blocks, as tables of checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lineage.errors import CatalogueError
from lineage.graph import StoreEntry
from lineage.importers.documents import Item
from lineage.importers.strict import (
    Check,
    duration,
    flag,
    free,
    list_of,
    mapping,
    method,
    number,
    on_erase,
    one_of,
    or_placeholder,
    text,
    text_mapping,
    unknown,
    until,
    whole,
)

ACTIONS = ("delete", "anonymize", "retain", "restrict", "redact", "rebuild", "ignore")
DERIVATION_KINDS = ("derived", "trained", "backed_up", "logged", "exported")
ROLES = ("controller", "processor", "recipient")
# GDPR Art. 6(1)(a)-(f)
LEGAL_BASES = (
    "consent",
    "contract",
    "legal_obligation",
    "vital_interests",
    "public_task",
    "legitimate_interests",
)
# GDPR Art. 17(3)(a)-(e)
EXCEPTIONS = (
    "freedom_of_expression",
    "legal_obligation",
    "public_interest",
    "official_authority",
    "public_health",
    "archiving",
    "legal_claims",
)
# How a model after forgetting may stand to one trained without the person; weaker to the right.
GUARANTEES = ("bit-exact", "exact in distribution", "exact to tolerance", "(ε,δ)", "empirical")

_EVERY_KIND: Mapping[str, Check] = {
    "max_concurrent": whole(1),
    "rescan": one_of("inline", "scheduled"),
    # How its datasets are called in lineage events: what stands before their names.
    "lineage": list_of(text),
}
# Options by store kind. Adapters live above this package, so their option names are data here.
STORE_OPTIONS: Mapping[str, Mapping[str, Check]] = {
    "sql": {
        "schema": text,
        "lock_timeout": text,
        "statement_timeout": text,
        "purge": one_of("none", "vacuum", "vacuum_full"),
        "refresh": list_of(text),
    },
    "files": {
        "format": text,
        "glob": text,
        "compression": text,
        "partitioning": text,
        "preserve_times": flag,
    },
    "logs": {
        "format": one_of("jsonl", "logfmt", "combined", "text"),
        "glob": text,
        "policy": one_of("drop", "redact"),
        "preserve_times": flag,
    },
    "backups": {
        "covers": list_of(text),
        "glob": text,
        "taken_at": text,
        "retention": duration,
        "immutable_for": duration,
        "format": text,
    },
    "model_registry": {"tracking": text},
    "mlflow": {"artifacts": text, "caches": list_of(text)},
    "http": {"protocol": one_of("webhook", "opendsr"), "secret": text},
    "manual": {
        "webhook": text,
        "secret": text,
        "identifiers": list_of(text),
        "form": one_of("keyed", "encrypted", "clear"),
        "acknowledges": one_of("answer", "callback"),
    },
    "memory": {},
    "cache": {},
    "delta": {},
    "iceberg": {},
}

_RETENTION = mapping({"period": duration, "starts": text, "basis": text}, required=["period"])
_MODEL = mapping(
    {
        "person_key": text,
        "features": list_of(text),
        "target": text,
        "recipe": free,
        "source": text_mapping,
        "alias": text,
        "promote": one_of("apply", "propose"),
        "rollback": duration,
        "webhooks": list_of(text),
        "webhook_secret": text,
        "guarantee": one_of(*GUARANTEES),
        "utility": mapping(
            {
                "metric": text,
                "min": number,
                "max_drop": number,
                "max_slice_drop": number,
                "max_drift": number,
            }
        ),
        "batch": mapping(
            {
                "every": duration,
                "people": whole(1),
                "share": number,
                "drift": number,
                "new_data": number,
            }
        ),
        "cost": mapping(
            {"training": number, "currency": text, "most": number, "days": whole(1)},
            required=["training", "currency"],
        ),
        "audit": mapping({"references": whole(4)}),
        "deadline_margin": duration,
        "most_seconds": number,
        "attempts": whole(1),
        "anonymous": mapping({"assessment": text, "until": text}, required=["assessment", "until"]),
        "tell": list_of(text),
        "deployed": list_of(text),
    }
)
_INHERITED: Mapping[str, Check] = {
    "owner": text,
    "purpose": text,
    "legal_basis": one_of(*LEGAL_BASES),
    "retention": _RETENTION,
}
_DATASET = mapping({"store": text, "schema": text, **_INHERITED}, required=["store"])
_COLLECTION = mapping(
    {
        **_INHERITED,
        "action": one_of(*ACTIONS),
        "because": text,
        "until": until,
        "exception": one_of(*EXCEPTIONS),
        "legal_reference": text,
        "derived_from": list_of(
            mapping(
                {"dataset": text, "kind": one_of(*DERIVATION_KINDS), "columns": text_mapping},
                required=["dataset"],
            )
        ),
        "after": list_of(text),
        "composite": list_of(list_of(text)),
        "model": _MODEL,
        "quasi_identifiers": list_of(text),
        "k": whole(2),
    }
)
_FIELD = mapping(
    {
        "method": method,
        "free_text": flag,
        "on_erase": on_erase,
        "personal": flag,
        "because": text,
    }
)
_STORE = mapping(
    {"name": text, "kind": text, "url": text, "role": one_of(*ROLES), "options": free},
    required=["name", "kind"],
)


def store_entry(item: Item, extra_kinds: frozenset[str] = frozenset()) -> StoreEntry:
    """One entry of ``store``. Options of ``extra_kinds`` (third parties') are taken as they are."""
    values = _STORE(item, "store")
    entries = item.mapping("store")
    kind = values["kind"]
    if kind in extra_kinds:
        return StoreEntry(**values)
    if kind not in STORE_OPTIONS:
        raise unknown(
            entries["kind"].place, "unknown store kind", kind, {*STORE_OPTIONS, *extra_kinds}
        )
    if "options" in entries:
        known = {**_EVERY_KIND, **STORE_OPTIONS[kind]}
        check = mapping({name: or_placeholder(option) for name, option in known.items()})
        values["options"] = check(entries["options"], f"options of a {kind} store")
    return StoreEntry(**values)


def dataset_block(item: Item) -> dict[str, Any]:
    """The ``erasure`` block of a dataset, by key."""
    return dict(_DATASET(item, "erasure"))


def collection_block(item: Item | None) -> dict[str, Any]:
    """The ``erasure`` block of a collection, by key; what belongs together is asked for."""
    if item is None:
        return {}
    block: dict[str, Any] = _COLLECTION(item, "erasure")
    action = block.get("action")
    _demand(item, block, "retain", ("until", "exception"))
    _demand(item, block, "ignore", ("because",))
    for key in ("until", "exception"):
        if key in block and action not in ("retain", "restrict"):
            place = item.keys[key]
            raise CatalogueError(place, f"'{key}' is for action retain; set it, or remove '{key}'")
    if "k" in block and "quasi_identifiers" not in block:
        raise CatalogueError(item.keys["k"], "k needs quasi_identifiers; name the fields")
    return block


def _demand(item: Item, block: Mapping[str, Any], action: str, keys: tuple[str, ...]) -> None:
    missing = [key for key in keys if key not in block]
    if block.get("action") == action and missing:
        place = item.keys["action"]
        raise CatalogueError(place, f"action {action} needs '{missing[0]}'; add it")


def field_block(item: Item | None) -> dict[str, Any]:
    """The ``erasure`` block of a field, by key; ``on_erase`` as (effect, ghost)."""
    if item is None:
        return {}
    block: dict[str, Any] = _FIELD(item, "erasure")
    if block.get("personal") is False and "because" not in block:
        raise CatalogueError(item.keys["personal"], "personal: false needs 'because'; say why")
    return block
