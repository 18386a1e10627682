"""Catalogue files: fideslang dataset YAML with ``store`` entries and ``erasure`` blocks.

Our own parts are checked strictly; the rest is fideslang's to judge, which drops unknown keys
silently, so we warn about those. Categories of a field are the nearest that are given: its own,
else its parent's, its collection's, its dataset's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fideslang.default_taxonomy import DEFAULT_TAXONOMY
from fideslang.models import (
    CollectionMeta,
    DatasetCollection,
    DatasetField,
    DatasetMetadata,
    EdgeDirection,
    FidesDatasetReference,
    FidesMeta,
)
from fideslang.models import Dataset as FidesDataset
from pydantic import BaseModel, ValidationError

from lineage.errors import CatalogueError, suggestion
from lineage.graph import Dataset, Derivation, Field, Reference, StoreEntry
from lineage.importers import grammar
from lineage.importers.documents import Item, parse, read_file
from lineage.importers.entries import Catalogue, Placed
from lineage.importers.strict import unknown, until_column

_CATEGORIES = frozenset(str(c.fides_key) for c in DEFAULT_TAXONOMY.data_category)
_OURS = ("store", "dataset")
# Resources of fideslang manifests that say nothing about where data lies.
_UNREAD = frozenset(
    ["data_category", "data_subject", "data_use", "evaluation", "organization", "policy", "system"]
)
# What these would change in Fides has its own words here.
_UNHEEDED = {
    "masking_strategy_override": "use erasure.method",
    "skip_processing": "use erasure.action: ignore",
    "read_only": "use erasure.action",
}
_DIRECTIONS: Mapping[EdgeDirection | None, Literal["from", "to"] | None] = {
    None: None,
    EdgeDirection.FROM: "from",
    EdgeDirection.TO: "to",
}
_INHERITED = ("owner", "purpose", "legal_basis", "retention")


def read(paths: Iterable[str], *, extra_kinds: Iterable[str] = ()) -> Catalogue:
    """Everything the files say. ``extra_kinds``: store kinds that third parties registered.

    Raises CatalogueError at the first fault; names in other files are not looked up here.
    """
    total = Catalogue()
    for path in paths:
        total += read_text(read_file(path), path, extra_kinds=extra_kinds)
    return total


def read_text(source: str, file: str, *, extra_kinds: Iterable[str] = ()) -> Catalogue:
    """The catalogue in YAML text; ``file`` names it in places and errors."""
    document = parse(source, file)
    top = document.mapping("a catalogue file") if document else {}
    if document is None or not any(key in top for key in _OURS):
        raise CatalogueError(file, "holds neither 'store' nor 'dataset'; see the catalogue format")
    reader = _Reader(categories=_CATEGORIES | _own_categories(top))
    for key in top:
        if key in _UNREAD:
            reader.warn(document.keys[key], f"'{key}' is not read")
        elif key not in _OURS:
            raise unknown(document.keys[key], "unknown top-level key", key, _OURS)
    stores = tuple(
        Placed(value=grammar.store_entry(item, frozenset(extra_kinds)), place=item.place)
        for item in (top["store"].sequence("store") if "store" in top else ())
    )
    for store in stores:
        reader.check_url(store)
    for item in top["dataset"].sequence("dataset") if "dataset" in top else ():
        reader.dataset(item)
    return Catalogue(
        stores=stores,
        datasets=tuple(reader.datasets),
        references=tuple(reader.references),
        derivations=tuple(reader.derivations),
        warnings=tuple(reader.warnings),
    )


def _own_categories(top: Mapping[str, Item]) -> frozenset[str]:
    if "data_category" not in top:
        return frozenset()
    entries = (item.mapping("a data category") for item in top["data_category"].sequence("it"))
    return frozenset(entry["fides_key"].text for entry in entries if "fides_key" in entry)


@dataclass(frozen=True, kw_only=True)
class _Scope:
    """What a field inherits: the collection's address and the nearest data categories."""

    address: str
    prefix: str = ""
    categories: tuple[str, ...] = ()


@dataclass(kw_only=True)
class _Reader:
    """Collects what one file says."""

    categories: frozenset[str]
    datasets: list[Placed[Dataset]] = field(default_factory=list)
    references: list[Placed[Reference]] = field(default_factory=list)
    derivations: list[Placed[Derivation]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def warn(self, place: str, message: str) -> None:
        self.warnings.append(f"{place}: {message}")

    def check_url(self, store: Placed[StoreEntry]) -> None:
        _, _, rest = store.value.url.partition("://")
        login, at, _ = rest.partition("/")[0].rpartition("@")
        if at and ":" in login and "${" not in login:
            self.warn(store.place, "the url holds a password; write ${NAME} and set it outside")

    def dataset(self, item: Item) -> None:
        """One entry of ``dataset``: a store's schema with its collections."""
        entries = item.mapping("a dataset")
        plain = item.plain(without="erasure")
        try:
            parsed = FidesDataset.model_validate(plain)
        except ValidationError as error:
            raise _refused(error, item) from None
        if "erasure" not in entries:
            raise CatalogueError(item.place, "the dataset has no erasure block; add {store: NAME}")
        block = grammar.dataset_block(entries["erasure"])
        self._heed(item, FidesDataset, DatasetMetadata, "a dataset")
        by_name = {c.name: c for c in parsed.collections}
        for collection in entries["collections"].sequence("collections"):
            name = collection.mapping("a collection")["name"].text
            scope = _Scope(
                address=f"{parsed.fides_key}.{name}",
                categories=tuple(by_name[name].data_categories or parsed.data_categories or ()),
            )
            self._collection(collection, by_name[name], scope, block)

    def _collection(
        self, item: Item, parsed: DatasetCollection, scope: _Scope, inherited: dict[str, Any]
    ) -> None:
        self._heed(item, DatasetCollection, CollectionMeta, "a collection")
        entries = item.mapping("a collection")
        own = entries.get("erasure")
        block = grammar.collection_block(own)
        self._known(item, parsed.data_categories or ())
        fields = tuple(self._fields(entries["fields"], parsed.fields, scope))
        _refuse_duplicates(fields)
        for group in block.pop("composite", ()):
            self._join(scope.address, group, own.keys["composite"] if own else "")
        for source in block.pop("derived_from", ()):
            upstream = source.pop("dataset")
            derivation = Derivation(upstream=upstream, downstream=scope.address, **source)
            self.derivations.append(Placed(value=derivation, place=own.place if own else ""))
        block["after"] = (*block.get("after", ()), *_erase_after(parsed))
        block["quasi_identifiers"] = tuple(block.get("quasi_identifiers", ()))
        dataset = Dataset(
            address=scope.address,
            name=parsed.name,
            store=inherited["store"],
            schema=inherited.get("schema"),
            fields=tuple(placed.value for placed in fields),
            **{**{k: inherited[k] for k in _INHERITED if k in inherited}, **block},
        )
        if own:
            _check_names(dataset, own)
        self.datasets.append(Placed(value=dataset, place=item.place))

    def _join(self, holder: str, names: Sequence[str], place: str) -> None:
        """The references of these fields are one: they count only all together."""
        own = [p for p in self.references if p.value.holder == holder]
        parts = [[p for p in own if p.value.holder_field == name] for name in names]
        if len(names) < 2 or any(len(found) != 1 for found in parts):
            raise CatalogueError(
                place, "composite: name two or more fields, each with one reference"
            )
        first, *others = (found[0].value for found in parts)
        if any(_aim(other) != _aim(first) for other in others):
            raise CatalogueError(
                place, "composite: its references must be to one collection, alike"
            )
        also = tuple((other.holder_field, other.target_field) for other in others)
        joined = {id(found[0]) for found in parts}
        self.references = [p for p in self.references if id(p) not in joined]
        self.references.append(replace(parts[0][0], value=replace(first, also=also)))

    def _fields(
        self, items: Item, parsed: Iterable[DatasetField] | None, scope: _Scope
    ) -> Iterator[Placed[Field]]:
        """The fields, nested ones flattened to dotted paths, in the order of the file."""
        by_name = {f.name: f for f in parsed or ()}
        for item in items.sequence("fields"):
            entries = item.mapping("a field")
            one = by_name[entries["name"].text]
            self._heed(item, DatasetField, FidesMeta, "a field")
            self._known(item, one.data_categories or ())
            categories = tuple(one.data_categories or scope.categories)
            built = self._field(item, one, replace(scope, categories=categories))
            nested = entries.get("fields")
            # A parent that says nothing of its own is only the path to its children.
            if not one.fields or one.fides_meta or "erasure" in entries:
                yield Placed(value=built, place=item.place)
            if nested is not None and one.fields:
                inner = replace(scope, prefix=f"{built.name}.", categories=categories)
                yield from self._fields(nested, one.fields, inner)

    def _field(self, item: Item, parsed: DatasetField, scope: _Scope) -> Field:
        own = item.mapping("a field").get("erasure")
        block = grammar.field_block(own)
        meta = parsed.fides_meta or FidesMeta()
        effect, ghost = block.pop("on_erase", (None, False))
        name = scope.prefix + parsed.name
        if own and effect and not meta.references:
            raise CatalogueError(own.keys["on_erase"], "on_erase needs a reference on its field")
        for reference in meta.references or ():
            direction = _DIRECTIONS[reference.direction]
            if own and effect == "refcount" and direction == "from":
                place = own.keys["on_erase"]
                raise CatalogueError(place, "refcount needs direction 'to', or none")
            value = Reference(
                holder=scope.address,
                holder_field=name,
                target=reference.dataset,
                target_field=reference.field,
                direction=direction,
                on_erase=effect,
                ghost=ghost,
            )
            self.references.append(Placed(value=value, place=item.place))
        return _built(name, own, block, meta, scope.categories)

    def _heed(self, item: Item, model: type[BaseModel], meta: type[BaseModel], what: str) -> None:
        """Warn of keys that fideslang drops and of those that have no effect here."""
        allowed = {*model.model_fields, "fidesops_meta", "erasure"}
        self._unknown_keys(item, allowed, what)
        entries = item.mapping(what)
        for name in ("fides_meta", "fidesops_meta"):
            inner = entries.get(name)
            if inner is None or not isinstance(inner.value, dict):
                continue
            if "erasure" in inner.value:
                place = inner.keys["erasure"]
                raise CatalogueError(place, f"erasure belongs beside {name}, not into it")
            self._unknown_keys(inner, set(meta.model_fields), name)
            for reference in _listed(inner.value.get("references")):
                known = set(FidesDatasetReference.model_fields)
                self._unknown_keys(reference, known, "a reference")

    def _unknown_keys(self, item: Item, allowed: set[str], what: str) -> None:
        for key in item.mapping(what):
            if key not in allowed:
                hint = suggestion(key, allowed)
                self.warn(item.keys[key], f"unknown key of {what} '{key}' is ignored; {hint}")
            elif key in _UNHEEDED:
                self.warn(item.keys[key], f"'{key}' has no effect here; {_UNHEEDED[key]}")

    def _known(self, item: Item, categories: Iterable[str]) -> None:
        for category in categories:
            if category not in self.categories:
                hint = suggestion(category, self.categories)
                self.warn(item.place, f"unknown data category '{category}'; {hint}")


def _built(
    name: str,
    own: Item | None,
    block: Mapping[str, Any],
    meta: FidesMeta,
    categories: tuple[str, ...],
) -> Field:
    method = block.get("method")
    if own and method and method.name == "null" and meta.primary_key:
        raise CatalogueError(own.keys["method"], "a primary key is never nulled; use random")
    return Field(
        name=name,
        data_type=meta.data_type,
        categories=categories,
        identity=meta.identity,
        primary_key=bool(meta.primary_key),
        free_text=block.get("free_text", False),
        method=method,
        personal_override=block.get("personal"),
        because=block.get("because", ""),
    )


def _aim(reference: Reference) -> tuple[object, ...]:
    """What the parts of a composite reference have in common."""
    collection = reference.target_field.rpartition(".")[0]
    how = (reference.direction, reference.on_erase, reference.ghost)
    return (reference.target, collection, *how)


def _listed(item: Item | None) -> Iterable[Item]:
    return item.value if item is not None and isinstance(item.value, list) else ()


def _erase_after(parsed: DatasetCollection) -> tuple[str, ...]:
    """Fides' word for our ``after``: addresses of collections."""
    return tuple(parsed.fides_meta.erase_after or ()) if parsed.fides_meta else ()


def _refuse_duplicates(fields: Iterable[Placed[Field]]) -> None:
    # fideslang looks at the outermost level only
    seen: set[str] = set()
    for placed in fields:
        if placed.value.name in seen:
            raise CatalogueError(placed.place, f"the field '{placed.value.name}' stands here twice")
        seen.add(placed.value.name)


def _check_names(dataset: Dataset, own: Item) -> None:
    """Fields that the block of a collection names must be fields of that collection."""
    named = {"quasi_identifiers": list(dataset.quasi_identifiers)}
    column = until_column(dataset.until or "")
    if column is not None:
        named["until"] = [column]
    for key, names in named.items():
        for name in names:
            if dataset.get(name) is None:
                known = (f.name for f in dataset.fields)
                raise unknown(own.keys[key], f"erasure.{key}: unknown field", name, known)


def _refused(error: ValidationError, item: Item) -> CatalogueError:
    """fideslang's first objection, at the line it is about."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    here = item
    for step in first["loc"]:
        inner = _inside(here, step)
        if inner is None:
            break
        here = inner
    path = ".".join(str(step) for step in first["loc"])
    return CatalogueError(here.place, f"{path}: {first['msg'].removeprefix('Value error, ')}")


def _inside(item: Item, step: str | int) -> Item | None:
    if isinstance(item.value, dict):
        # both spellings come out of fideslang as fides_meta
        inner: Item | None = item.value.get(str(step))
        if inner is None and step == "fides_meta":
            inner = item.value.get("fidesops_meta")
        return inner
    if isinstance(item.value, list) and isinstance(step, int):
        entry: Item = item.value[step]
        return entry
    return None
