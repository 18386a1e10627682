"""What the catalogue leaves open, as findings: the gate that keeps it true to the live stores.

Pure: it is handed the catalogue and the live schemas and returns values; the command opens the
stores. Every finding says which line of YAML would settle it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lineage.documents import misplaced
from lineage.downstream import left_open
from lineage.graph import Dataset, Derivation, StoreEntry, walk
from lineage.importers.guesses import guess
from lineage.importers.writing import quoted
from lineage.links import Link, Links, link_of
from lineage.schema import Column, ForeignKey, Inspection, Table
from lineage.snapshot import Snapshot
from lineage.starts import undated

RULES: Mapping[str, str] = {
    "unclassified-table": "A table of the store is not in the catalogue",
    "unclassified-column": "A column of the store is not in the catalogue",
    "undeclared-foreign-key": "A foreign key of the store is no reference of the catalogue",
    "reference-in-parts": "The columns of a composite foreign key are declared one by one",
    "undecided": "Personal fields, and nobody decided what happens to them",
    "undecided-downstream": "Made from personal data, and nobody decided what happens to it",
    "derived-without-key": "Made from personal data without a key, and nobody decided about it",
    "suggested-reference": "A key or an identity flows into it, transformed: to be confirmed",
    "event-unreadable": "A lineage event that nothing could be learnt from",
    "influenced": "Personal data decided which rows are in it, and no more",
    "unreachable": "Personal fields that no identity, reference or derivation leads to",
    "unjustified": "Personal fields without purpose, legal basis or retention",
    "retention-start": "A retention starts with a field that its dataset does not have",
    "retention-by-hand": "A retention starts with a day that no column holds: nobody looks for it",
    "published": "The database sends it to subscribers, and no copy of it is declared",
    "values-logged": "The server writes the values that are looked for into its own log",
    "store-unreachable": "The store cannot be reached",
    "store-unusable": "The store cannot be used as it is declared",
    "webhook-unusable": "The webhook of a recipient cannot be used as it is declared",
    "no-connector": "Nothing connects to a store of that kind",
    "driver-missing": "The optional driver of the store is not installed",
    "no-primary-key": "Rows cannot be told apart, so none can be erased",
    "table-gone": "A table of the catalogue is not in the store any more",
    "field-gone": "A field of the catalogue is not in the store any more",
    "reference-gone": "A reference holds or leads to a field that is not in the store any more",
}
WARNINGS = frozenset(
    {"unjustified", "retention-start", "suggested-reference", "published", "values-logged"}
)
# Told, and no fault.
NOTES = frozenset({"influenced", "retention-by-hand"})
# What these hold can be compared with the catalogue, table by table and column by column.
_COMPARED = frozenset({"sql", "memory", "files", "delta", "iceberg"})
# What happens to these follows from their kind: expiry, retraining, a notice.
_DECIDED_BY_KIND = frozenset({"backups", "model_registry", "mlflow", "manual", "http"})
_KEYED = frozenset({"sql"})
_SAID = {"retention": "retention: {period: …, starts: …}"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """``remedy`` is a line of YAML, or words where no line would help."""

    code: str
    place: str
    reason: str
    remedy: str

    @property
    def fingerprint(self) -> str:
        """The same for the same fault at the same place, whatever the words say."""
        return hashlib.sha256(f"{self.code} {self.place}".encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A store that could not be inspected: one of the codes above, and why."""

    code: str
    reason: str


def findings(
    catalogue: Snapshot,
    live: Mapping[str, Inspection],
    broken: Mapping[str, Broken] | None = None,
) -> list[Finding]:
    """Everything that is open, by place. ``live`` and ``broken`` are keyed by store name."""
    found = [
        Finding(code=fault.code, place=name, reason=fault.reason, remedy=_repair(name, fault))
        for name, fault in (broken or {}).items()
    ]
    compared = [s for s in catalogue.stores if s.name in live and s.kind in _COMPARED]
    links = Links(catalogue.references if compared else ())
    gone: set[str] = set()
    for store in compared:
        one = _Compared(catalogue=catalogue, store=store, live=live[store.name], links=links)
        found += one.findings()
        gone |= one.gone
    found += _gone_references(catalogue, gone)
    found += _undecided(catalogue, live)
    others = (*left_open(catalogue), *undated(catalogue, _DECIDED_BY_KIND))
    found += [Finding(code=c, place=p, reason=r, remedy=m) for c, p, r, m in others]
    found += _unreachable(catalogue)
    found += _unjustified(catalogue)
    return sorted(found, key=lambda f: (f.code in NOTES, f.place, f.code))


def _repair(name: str, fault: Broken) -> str:
    if fault.code != "no-connector":
        return "correct url and options of this store, or start it"
    variable = re.sub(r"[^A-Z0-9]+", "_", f"{name}_URL".upper())
    return (
        f'- {{name: {name}, kind: sql, url: "${{{variable}}}"}}  # or files, logs, manual …; or '
        "install the connector of that kind"
    )


@dataclass(kw_only=True)
class _Compared:
    """One store: its datasets against its live tables. ``gone``: fields that are not there."""

    catalogue: Snapshot
    store: StoreEntry
    live: Inspection
    links: Links
    gone: set[str] = field(default_factory=set)

    def findings(self) -> Iterator[Finding]:
        mine = [d for d in self.catalogue.datasets.values() if d.store == self.store.name]
        by_table = {table: d for d in mine for table in [self._table_of(d)] if table is not None}
        for dataset in mine:
            if self._table_of(dataset) is None and not self._is_view(dataset):
                yield self._table_gone(dataset)
        yield from self._copies(mine)
        yield from self._published(by_table)
        if reason := self.live.logged:
            how, _, remedy = reason.partition("; ")
            yield Finding(code="values-logged", place=self.store.name, reason=how, remedy=remedy)
        for name, table_ in self.live.tables.items():
            if table_.kind == "shadow":
                continue  # a virtual table's own, and said with it
            if name not in by_table:
                yield self._unclassified(name, table_)
                continue
            yield from self._columns(by_table[name], table_)
            yield from self._foreign_keys(by_table, name, table_)

    def _table_of(self, dataset: Dataset) -> str | None:
        return next((n for n in _names(dataset) if n in self.live.tables), None)

    def _is_view(self, dataset: Dataset) -> bool:
        """A view may be in the catalogue to show what is made of what; nothing is done to it."""
        there = any(name in self.live.views for name in _names(dataset))
        return there and dataset.action in (None, "ignore")

    def _copies(self, mine: Iterable[Dataset]) -> Iterator[Finding]:
        known = {name for dataset in mine for name in _names(dataset)}
        for name, kind in self.live.views.items():
            if kind == "materialized view" and name not in known:
                how, aside, refresh = self.live.view_remedy(name).partition("}  # ")
                yield Finding(
                    code="unclassified-table",
                    place=f"{self.store.name}: {name}",
                    reason="the materialized view keeps a copy and is not in the catalogue",
                    remedy=f"- {{name: {quoted(name.rpartition('.')[2])}, {how}, derived_from: "
                    f"[{{dataset: …, kind: derived}}]}}, fields: []{aside}{refresh}",
                )

    def _published(self, by_table: Mapping[str, Dataset]) -> Iterator[Finding]:
        """Logical replication hands rows on to whoever subscribes: databases, or a change feed."""
        copied = {d.upstream for d in self.catalogue.derivations} if self.live.published else set()
        for name, publications in self.live.published.items():
            dataset = by_table.get(name)
            if dataset and dataset.has_personal_fields and dataset.address not in copied:
                yield Finding(
                    code="published",
                    place=dataset.address,
                    reason=f"the publication {', '.join(publications)} sends its rows to "
                    "subscribers, and no copy of it is declared",
                    remedy=f"erasure: {{derived_from: [{{dataset: {dataset.address}, kind: "
                    "derived}]}  # on each copy",
                )

    def _table_gone(self, dataset: Dataset) -> Finding:
        self.gone |= {f"{dataset.address}.{f.name}" for f in dataset.fields}
        return Finding(
            code="table-gone",
            place=dataset.address,
            reason=self.live.absent(_qualified(dataset), dataset.name),
            remedy=self.live.view_remedy(*_names(dataset))
            or "correct its name, or remove the collection and import with --prune",
        )

    def _unclassified(self, name: str, table: Table) -> Finding:
        return Finding(
            code="unclassified-table",
            place=f"{self.store.name}: {name}",
            reason="the table is not in the catalogue",
            remedy=f'- {{name: {quoted(table.name)}, erasure: {{action: ignore, because: "…"}}, '
            f"fields: [{', '.join(_field(c) for c in table.columns)}]}}",
        )

    def _columns(self, dataset: Dataset, table: Table) -> Iterator[Finding]:
        declared = {f.name for f in dataset.fields}
        roots = declared | {name.partition(".")[0] for name in declared}
        for column in table.columns:
            if column.name not in roots:
                yield Finding(
                    code="unclassified-column",
                    place=f"{dataset.address}.{column.name}",
                    reason="the column is not in the catalogue",
                    remedy=f"- {_field(column)}",
                )
        # No columns at all: the store does not say, so nothing can be missing.
        for name in sorted(declared) if table.columns else ():
            reason = self._missing(dataset, table, name)
            if reason:
                self.gone.add(f"{dataset.address}.{name}")
                yield Finding(
                    code="field-gone",
                    place=f"{dataset.address}.{name}",
                    reason=reason,
                    remedy="correct its name, or remove the field and import with --prune",
                )
        keyless = not (table.primary_key or dataset.key) and dataset.action != "ignore"
        if keyless and self.store.kind in _KEYED:
            yield Finding(
                code="no-primary-key",
                place=dataset.address,
                reason="the table has no primary key",
                remedy="fides_meta: {primary_key: true}  # on the fields that tell rows apart",
            )

    def _missing(self, dataset: Dataset, table: Table, name: str) -> str:
        if "." in name and self.store.kind in _KEYED:
            return misplaced(dataset, table, name)
        there = table.get(name) or table.get(name.partition(".")[0])
        return "" if there else "the column is not in the store"

    def _foreign_keys(
        self, by_table: Mapping[str, Dataset], name: str, table: Table
    ) -> Iterator[Finding]:
        for key in table.foreign_keys:
            target = by_table.get(key.target)
            if target is None:
                continue
            holder = by_table[name].address
            link = link_of(holder, key.columns, target.address, key.target_columns)
            if not self.links.has(holder, target.address, link):
                yield self._undeclared(holder, key, target, link)

    def _undeclared(self, holder: str, key: ForeignKey, target: Dataset, link: Link) -> Finding:
        place = f"{holder}.{', '.join(key.columns)}"
        together = f"erasure: {{composite: [[{', '.join(map(quoted, key.columns))}]]}}"
        parts = (frozenset({pair}) for pair in link)
        if any(self.links.has(holder, target.address, part) for part in parts):
            return Finding(
                code="reference-in-parts",
                place=place,
                reason=f"its columns refer to {target.address} only together; each alone leads to "
                "rows of other people",
                remedy=f"{together}  # on the collection",
            )
        fides_key = target.address.removesuffix(f".{target.name}")
        references = "; ".join(
            f"{mine}: fides_meta: {{references: [{{dataset: {fides_key}, field: "
            f"{quoted(f'{target.name}.{theirs}')}, direction: from}}]}}"
            for mine, theirs in zip(key.columns, key.target_columns, strict=False)
        )
        return Finding(
            code="undeclared-foreign-key",
            place=place,
            reason=f"the foreign key to {target.address} is no reference",
            remedy=references.removeprefix(f"{key.columns[0]}: ")
            if len(key.columns) == 1
            else f"{references}; {together}",
        )


def _names(dataset: Dataset) -> tuple[str, str]:
    """What its table may be called in an inspection."""
    return (_qualified(dataset), dataset.name)


def _qualified(dataset: Dataset) -> str:
    return f"{dataset.schema}.{dataset.name}" if dataset.schema else dataset.name


def _field(column: Column) -> str:
    found = guess(column)
    category = f", data_categories: [{found.category}]" if found else ""
    return f"{{name: {quoted(column.name)}{category}}}"


def _gone_references(catalogue: Snapshot, gone: set[str]) -> Iterator[Finding]:
    joins = _joins(catalogue) if gone else ()
    for holder, target, what in sorted({j for j in joins if j[0] in gone or j[1] in gone}):
        missing = holder if holder in gone else target
        yield Finding(
            code="reference-gone",
            place=f"{holder} → {target}",
            reason=f"{missing} is not in the store",
            remedy=f"correct the {what}, or remove it and import with --prune",
        )


def _joins(catalogue: Snapshot) -> Iterator[tuple[str, str, str]]:
    """Every pair of fields that the catalogue joins, and by what."""
    for r in catalogue.references:
        for mine, theirs in zip(r.holder_fields, r.target_fields, strict=True):
            yield f"{r.holder}.{mine}", f"{r.target}.{theirs}", "reference"
    for d in catalogue.derivations:
        for mine, theirs in d.columns.items():
            yield f"{d.downstream}.{mine}", f"{d.upstream}.{theirs}", "derived_from"


def _undecided(catalogue: Snapshot, live: Mapping[str, Inspection]) -> Iterator[Finding]:
    personal = {a for a, d in catalogue.datasets.items() if d.has_personal_fields}
    made_of = _downstream(personal, catalogue.derivations)
    kinds = {store.name: store.kind for store in catalogue.stores}
    for address, dataset in catalogue.datasets.items():
        if dataset.action is not None or kinds[dataset.store] in _DECIDED_BY_KIND:
            continue  # what only events know is left_open's
        if address in personal:
            code, reason = "undecided", "it has personal fields and no action"
        elif address in made_of:
            code, reason = "undecided-downstream", f"it is made from {made_of[address]}"
        else:
            continue
        view = live[dataset.store].view_remedy(*_names(dataset)) if dataset.store in live else ""
        remedy = view or "erasure: {action: …}  # delete, anonymize, retain, restrict, redact"
        yield Finding(code=code, place=address, reason=reason, remedy=remedy)


def _downstream(sources: Iterable[str], derivations: Iterable[Derivation]) -> dict[str, str]:
    """What is derived from the sources, directly or not, each with what it was made from."""
    by_upstream: dict[str, list[str]] = {}
    for derivation in derivations:
        by_upstream.setdefault(derivation.upstream, []).append(derivation.downstream)
    found: dict[str, str] = {}
    waiting = sorted(sources)
    while waiting:
        upstream = waiting.pop()
        for downstream in by_upstream.get(upstream, ()):
            if downstream not in found:
                found[downstream] = upstream
                waiting.append(downstream)
    return found


def _unreachable(catalogue: Snapshot) -> Iterator[Finding]:
    start = {a: [f.name for f in d.identities] for a, d in catalogue.datasets.items()}
    reach = walk(
        {address: names for address, names in start.items() if names}, catalogue.neighbours
    )
    reached = {stop.address for stop in reach.stops}
    for address, dataset in catalogue.datasets.items():
        # Free text is searched by value wherever it is.
        personal = [f for f in dataset.fields if f.personal and not f.free_text]
        if personal and dataset.action != "ignore" and address not in reached:
            mail = next((f for f in personal if "user.contact.email" in f.categories), None)
            identity = f"identity: email}}  # on {quoted(mail.name)}; or {{" if mail else ""
            yield Finding(
                code="unreachable",
                place=address,
                reason=f"no identity and no path leads to '{personal[0].name}'",
                remedy=f"fides_meta: {{{identity}references: [{{dataset: …, field: …, "
                "direction: from}]}",
            )


def _unjustified(catalogue: Snapshot) -> Iterator[Finding]:
    for address, dataset in catalogue.datasets.items():
        missing = [
            word for word in ("purpose", "legal_basis", "retention") if not getattr(dataset, word)
        ]
        asked = dataset.has_personal_fields and dataset.action != "ignore" and not dataset.heard
        if missing and asked:
            yield Finding(
                code="unjustified",
                place=address,
                reason=f"it has personal fields and no {', '.join(missing)}",
                remedy=f"erasure: {{{', '.join(_SAID.get(w, f'{w}: …') for w in missing)}}}",
            )
