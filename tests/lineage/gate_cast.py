"""A catalogue that fits its store, and the gate over it: what the tests of the gate share."""

from __future__ import annotations

from dataclasses import replace

from lineage.gate import Finding, findings
from lineage.graph import Dataset, Derivation, Field, Reference, StoreEntry
from lineage.schema import Column, Inspection, Table
from lineage.snapshot import Snapshot
from tests.lineage.cast import person, ref, table

DATED = {"period": "3y", "starts": "id"}
JUSTIFIED = {"purpose": "sell", "legal_basis": "contract", "retention": DATED}
CUSTOMER = replace(person("k.customer"), action="delete", **JUSTIFIED)  # type: ignore[arg-type]
INVOICE = table("k.invoice", Field(name="customer_id"), action="delete")
REFERENCE = ref("k.invoice.customer_id > k.customer.id", direction="from")


def live(*datasets: Dataset, **changes: Table) -> Inspection:
    """The tables that the datasets describe, and others."""
    made = {
        d.name: Table(
            name=d.name,
            columns=tuple(
                Column(name=n, data_type="TEXT", primary_key=n == "id")
                for n in dict.fromkeys(f.name.partition(".")[0] for f in d.fields)
            ),
        )
        for d in datasets
    }
    return Inspection(tables={**made, **changes}, fingerprint="x")


def found(
    datasets: list[Dataset],
    inspection: Inspection | None = None,
    references: list[Reference] | None = None,
    derivations: list[Derivation] | None = None,
    kind: str = "sql",
) -> list[Finding]:
    catalogue = Snapshot(
        stores=[StoreEntry(name="db", kind=kind), StoreEntry(name="vault", kind="backups")],
        datasets={d.address: d for d in datasets},
        references=references or [],
        derivations=derivations or [],
    )
    return findings(catalogue, {"db": inspection or live(*datasets)})


def codes(result: list[Finding]) -> list[tuple[str, str]]:
    return [(f.code, f.place) for f in result]
