"""Names that stand in another file, or in the database already: looked up, or refused by line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

from lineage.errors import CatalogueError, suggestion
from lineage.graph import Dataset, Derivation, Pairs, Reference, StoreEntry
from lineage.importers.entries import Catalogue, Placed

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Known:
    """Names that exist besides those of the files: stores, fields and ``after`` by address."""

    stores: frozenset[str] = frozenset()
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    after: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def named(catalogue: Catalogue) -> set[str]:
    """Every address that the files name, in whatever way a dotted name can be read."""
    found = {placed.value.address for placed in catalogue.datasets}
    for placed in catalogue.datasets:
        for name in placed.value.after:
            found |= {_sibling(placed.value, name), name}
    for reference in (placed.value for placed in catalogue.references):
        path = f"{reference.target}.{reference.target_field}"
        found |= {reference.holder, *(address for address, _ in _splits(path))}
    for derivation in (placed.value for placed in catalogue.derivations):
        found |= {derivation.upstream, derivation.downstream}
    return found


def resolve(catalogue: Catalogue, known: Known) -> Catalogue:
    """The same catalogue with targets, upstreams and ``after`` as addresses that exist.

    A target comes as ``fides_key`` and ``collection.field`` or as an address and a field; both
    parts may hold dots. Raises CatalogueError at the first name that is given twice or not there.
    """
    stores = {*known.stores, *_once(catalogue.stores, lambda s: s.name, "store")}
    addresses = _once(catalogue.datasets, lambda d: d.address, "dataset")
    fields = dict(known.fields)
    for address, placed in addresses.items():
        own = frozenset(f.name for f in placed.value.fields)
        fields[address] = fields.get(address, frozenset()) | own
    _check_stores(catalogue, stores)
    resolved = replace(
        catalogue,
        datasets=tuple(_dataset(placed, fields) for placed in catalogue.datasets),
        references=tuple(_reference(placed, fields) for placed in catalogue.references),
        derivations=tuple(_derivation(placed, fields) for placed in catalogue.derivations),
    )
    _once(resolved.references, _reference_name, "reference")
    _once(resolved.derivations, _derivation_name, "derivation")
    _refuse_cycles(resolved.datasets, known.after)
    return resolved


def _once(
    entries: Iterable[Placed[T]], name: Callable[[T], str], what: str
) -> dict[str, Placed[T]]:
    """The entries by name. Raises CatalogueError for a name that is given twice."""
    seen: dict[str, Placed[T]] = {}
    for placed in entries:
        key = name(placed.value)
        if key in seen:
            first = seen[key].place
            raise CatalogueError(placed.place, f"the {what} '{key}' stands already at {first}")
        seen[key] = placed
    return seen


def _reference_name(entry: Reference) -> str:
    return f"{entry.holder}.{entry.holder_field} → {entry.target}.{entry.target_field}"


def _derivation_name(entry: Derivation) -> str:
    return f"{entry.upstream} ⇒ {entry.downstream} ({entry.kind})"


def _check_stores(catalogue: Catalogue, stores: set[str]) -> None:
    for dataset in catalogue.datasets:
        name = dataset.value.store
        if name not in stores:
            message = f"unknown store '{name}'; {suggestion(name, stores)}"
            raise CatalogueError(dataset.place, message)
    for store in catalogue.stores:
        for name in covered(store.value):
            if name not in stores:
                message = f"covers: unknown store '{name}'; {suggestion(name, stores)}"
                raise CatalogueError(store.place, message)


def covered(store: StoreEntry) -> list[str]:
    """The stores that a backup store holds copies of; none for other kinds."""
    names = store.options.get("covers", []) if store.kind == "backups" else []
    return [names] if isinstance(names, str) else list(names)


def _dataset(placed: Placed[Dataset], fields: Mapping[str, frozenset[str]]) -> Placed[Dataset]:
    entry = placed.value
    after = tuple(_after(placed, name, fields) for name in entry.after)
    return replace(placed, value=replace(entry, after=tuple(dict.fromkeys(after))))


def _after(placed: Placed[Dataset], name: str, fields: Mapping[str, frozenset[str]]) -> str:
    """A collection of the same dataset, or an address."""
    sibling = _sibling(placed.value, name)
    for address in (sibling, name):
        if address in fields:
            return address
    message = f"after: unknown collection '{name}'; {suggestion(sibling, fields)}"
    raise CatalogueError(placed.place, message)


def _sibling(dataset: Dataset, name: str) -> str:
    return f"{dataset.address.removesuffix(dataset.name)}{name}"


def _reference(
    placed: Placed[Reference], fields: Mapping[str, frozenset[str]]
) -> Placed[Reference]:
    entry = placed.value
    path = f"{entry.target}.{entry.target_field}"
    nearest: str | None = None
    for address, name in _splits(path):
        if address in fields:
            if name in fields[address]:
                also = _also(placed, address, fields[address])
                resolved = replace(entry, target=address, target_field=name, also=also)
                return replace(placed, value=resolved)
            nearest = address
    if nearest is None:
        wanted = next((a for a, _ in _splits(path) if a.count(".") == 1), path)
        message = f"reference to '{path}': there is no such dataset; {suggestion(wanted, fields)}"
        raise CatalogueError(placed.place, message)
    missing = path.removeprefix(f"{nearest}.")
    message = f"reference to '{path}': '{nearest}' has no field '{missing}'"
    raise CatalogueError(placed.place, f"{message}; {suggestion(missing, fields[nearest])}")


def _also(placed: Placed[Reference], address: str, names: frozenset[str]) -> Pairs:
    """The further pairs of a composite reference, their targets as fields of that address."""
    found = []
    for mine, theirs in placed.value.also:
        name = f"{placed.value.target}.{theirs}".removeprefix(f"{address}.")
        if name not in names:
            message = f"composite: '{address}' has no field '{name}'"
            raise CatalogueError(placed.place, f"{message}; {suggestion(name, names)}")
        found.append((mine, name))
    return tuple(found)


def _splits(path: str) -> Iterator[tuple[str, str]]:
    """Every way to read a dotted path as an address and a field, shortest address first."""
    parts = path.split(".")
    for end in range(1, len(parts)):
        yield ".".join(parts[:end]), ".".join(parts[end:])


def _derivation(
    placed: Placed[Derivation], fields: Mapping[str, frozenset[str]]
) -> Placed[Derivation]:
    entry = placed.value
    if entry.upstream not in fields:
        message = f"derived_from: unknown dataset '{entry.upstream}'"
        raise CatalogueError(placed.place, f"{message}; {suggestion(entry.upstream, fields)}")
    if entry.upstream == entry.downstream:
        raise CatalogueError(placed.place, f"'{entry.upstream}' is said to derive from itself")
    for mine, theirs in entry.columns.items():
        for address, name in ((entry.downstream, mine), (entry.upstream, theirs)):
            if name not in fields[address]:
                message = f"derived_from.columns: '{address}' has no field '{name}'"
                hint = suggestion(name, fields[address])
                raise CatalogueError(placed.place, f"{message}; {hint}")
    return placed


def _refuse_cycles(
    datasets: Iterable[Placed[Dataset]], after: Mapping[str, tuple[str, ...]]
) -> None:
    places = {placed.value.address: placed.place for placed in datasets}
    order = {**after, **{placed.value.address: placed.value.after for placed in datasets}}
    try:
        TopologicalSorter(order).prepare()
    except CycleError as error:
        ring = error.args[1]
        place = next((places[address] for address in ring if address in places), ring[0])
        raise CatalogueError(place, f"after: goes in a circle: {' → '.join(ring)}") from None
