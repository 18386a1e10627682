"""Estates of any size for the map: people, what refers to them, and what is made of that."""

from __future__ import annotations

from random import Random

from lineage import catalog
from lineage.graph import Dataset, Derivation, Field, Reference, StoreEntry
from lineage.importers.entries import Catalogue, Placed

STORES = (
    StoreEntry(name="shop_db", kind="sql"),
    StoreEntry(name="crm_db", kind="sql"),
    StoreEntry(name="support_db", kind="sql"),
    StoreEntry(name="lake", kind="files"),
    StoreEntry(name="web_logs", kind="logs"),
    StoreEntry(name="warehouse", kind="sql"),
    StoreEntry(name="payments_db", kind="sql"),
    StoreEntry(name="hr_db", kind="sql"),
    StoreEntry(name="models", kind="model_registry"),
    StoreEntry(name="nightly", kind="backups"),
    StoreEntry(name="mailing house", kind="manual"),
)
_HELD = (
    ("user.contact.address", "street"), ("user.name.last", "last_name"), ("user.content", "note"),
    ("user.financial.bank_account", "iban"), ("user.health_and_medical", "allergies"),
    ("user.behavior", "seen"), ("user.device.ip_address", "ip"),
)  # fmt: skip
_NOUNS = [
    "order",
    "order_line",
    "invoice",
    "payment",
    "refund",
    "parcel",
    "ticket",
    "message",
    "review",
    "wishlist",
    "basket",
    "visit",
    "click",
    "session",
    "coupon",
    "subscription",
    "consent",
    "newsletter",
    "call",
    "complaint",
    "warranty",
    "return",
    "loyalty",
]
_DECIDED = ("delete", "delete", "anonymize", "retain", "redact", None)


def dataset(address: str, store: str, *fields: Field, action: str | None = "delete") -> Dataset:
    """A dataset with a key."""
    kept = action == "retain"
    return Dataset(
        address=address,
        store=store,
        name=address.partition(".")[2],
        fields=(Field(name="id", primary_key=True), *fields),
        action=action,
        because="no person in it" if action == "ignore" else "",
        until="2040-01-01" if kept else None,
        exception="legal_obligation" if kept else None,
    )


def estate(size: int, seed: int = 1) -> Catalogue:
    """So many datasets that a person's data can be in, over all stores, and two that are lost."""
    dice = Random(seed)
    email = Field(name="email", categories=("user.contact.email",), identity="email")
    number = Field(name="customer_no", categories=("user.unique_id",), identity="customer_id")
    made = [dataset("shop.customer", "shop_db", email, number)]
    if size > 20:
        made.append(dataset("crm.contact", "crm_db", email))
    references: list[Reference] = []
    derivations: list[Derivation] = []
    copies = max(size // 5, 1)
    for n in range(size - copies - len(made)):
        base = dice.choice(made[: max(len(made) // 2, 1)] if n > 2 else made)
        category, name = dice.choice(_HELD)
        store = dice.choice(STORES[: 3 if size < 20 else 8]).name
        noun = f"{_NOUNS[n % len(_NOUNS)]}{f'_{n // len(_NOUNS)}' if n >= len(_NOUNS) else ''}"
        held = () if n % 4 == 3 else (Field(name=name, categories=(category,)),)
        one = dataset(
            f"{store.partition('_')[0]}.{noun}", store, Field(name="owner_id"), *held,
            action=dice.choice(_DECIDED) if held else "delete",
        )  # fmt: skip
        references.append(
            Reference(
                holder=one.address, holder_field="owner_id", target=base.address,
                target_field="id", direction="from",
                on_erase="shallow" if n % 9 == 8 else None,
            )
        )  # fmt: skip
        made.append(one)
    for n in range(copies):
        store, kind = (
            ("warehouse", "derived"), ("models", "trained"), ("nightly", "backed_up"),
            ("mailing house", "exported"), ("lake", "derived"),
        )[n % 5]  # fmt: skip
        copy = Dataset(
            address=f"{store.replace(' ', '_')}.{kind}_{n}",
            store=store,
            name=f"{kind}_{n}",
        )
        upstream = dice.choice(made)
        derivations.append(
            Derivation(upstream=upstream.address, downstream=copy.address, kind=kind)  # type: ignore[arg-type]
        )
        made.append(copy)
    lost = [dataset(f"hr.lost_{n}", "hr_db", Field(name="name", categories=("user.name",)))
            for n in range(2)]  # fmt: skip
    return Catalogue(
        stores=tuple(Placed(value=s, place="") for s in STORES),
        datasets=tuple(Placed(value=d, place="") for d in [*made, *lost]),
        references=tuple(Placed(value=r, place="") for r in references),
        derivations=tuple(Placed(value=d, place="") for d in derivations),
    )


def import_estate(size: int) -> None:
    """Write it into the catalogue."""
    catalog.upsert(estate(size))
