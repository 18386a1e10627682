"""A model registry's contents as catalogue entries: every version a dataset, trained from what its
run logged, derived from the models it was made from. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lineage.columns import Relation, Relations
from lineage.graph import Dataset, Derivation, Field, StoreEntry
from lineage.importers.entries import Catalogue, Placed
from lineage.importers.sql_columns import read_query
from lineage.importers.sql_schema import fides_key

# A tag or parameter that names the model this one was made from.
_MODEL = re.compile(r"models:/([^/@\s]+)/(\d+)")


@dataclass(frozen=True, kw_only=True)
class Input:
    """A dataset that a run logged. ``source``: where it was read from, as MLflow keeps it."""

    name: str
    source_type: str = ""
    source: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A version of a registered model, or a run that made a model nobody registered.

    ``run``, ``model``: ids that other entries may name; ``made_from``: what it was fine-tuned or
    copied from, as ``name/version``, a model's id or a run's.
    """

    name: str
    run: str = ""
    model: str = ""
    inputs: tuple[Input, ...] = ()
    made_from: tuple[str, ...] = ()
    copied: bool = False


def columns_of(schema: str) -> tuple[str, ...]:
    """Names of the columns in MLflow's schema of an input; none where it says otherwise."""
    specs = _json(schema).get("mlflow_colspec")
    names = [s.get("name") for s in specs if isinstance(s, dict)] if isinstance(specs, list) else []
    return tuple(name for name in names if isinstance(name, str))


def source_of(text: str) -> dict[str, Any]:
    """MLflow's source of an input."""
    return _json(text)


def named_models(values: Iterable[str]) -> list[str]:
    """``name/version`` of every model that the values of tags and parameters name."""
    found = (_MODEL.search(value) for value in values if len(value) < 1_000)
    return [f"{match[1]}/{match[2]}" for match in found if match]


def _json(text: str) -> dict[str, Any]:
    try:
        plain = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return {}
    return plain if isinstance(plain, dict) else {}


def catalogue(
    trained: Iterable[Trained],
    *,
    place: str,
    store: str,
    stores: Iterable[StoreEntry],
    datasets: Mapping[str, Dataset],
) -> Catalogue:
    """The entries. ``store``: where the models are, made where it is not there; ``stores`` and
    ``datasets``: what the catalogue has, to find what was trained on."""
    reader = _Reader(store=store, stores={s.name: s for s in stores}, known=datasets)
    for one in trained:
        reader.add(one)
    reader.join()
    fresh = [] if store in reader.stores else [StoreEntry(name=store, kind="mlflow")]
    return Catalogue(
        stores=tuple(Placed(value=s, place=place) for s in fresh),
        datasets=tuple(Placed(value=d, place=place) for _, d in sorted(reader.datasets.items())),
        derivations=tuple(
            Placed(value=d, place=place) for _, d in sorted(reader.derivations.items())
        ),
        warnings=tuple(dict.fromkeys(reader.warnings)),
    )


@dataclass(kw_only=True)
class _Reader:
    store: str
    stores: Mapping[str, StoreEntry]
    known: Mapping[str, Dataset]
    datasets: dict[str, Dataset] = field(default_factory=dict)
    derivations: dict[tuple[str, str, str], Derivation] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    _by_id: dict[str, list[str]] = field(default_factory=dict)
    _later: list[tuple[str, Trained]] = field(default_factory=list)

    def add(self, one: Trained) -> None:
        address = f"{fides_key(self.store)}.{one.name}"
        features = dict.fromkeys(name for i in one.inputs for name in i.columns)
        made = Dataset(
            address=address,
            store=self.store,
            name=one.name,
            model={"features": list(features)} if features else {},
        )
        known = self.known.get(address)
        self.datasets[address] = known or made
        for name in filter(None, (one.name, one.model, one.run)):
            self._by_id.setdefault(name, []).append(address)
        for logged in one.inputs:
            for source in self._sources(logged):
                self._derive(source, address, "trained")
        self._later.append((address, one))

    def join(self) -> None:
        """Models made from models, once all of them are known."""
        for address, one in self._later:
            for name in one.made_from:
                upstream = [a for a in self._by_id.get(name, ()) if a != address]
                if not upstream:
                    self.warnings.append(f"{address}: is made from '{name}', which is not there")
                for source in upstream:
                    self._derive(source, address, "exported" if one.copied else "derived")

    def _derive(self, source: str, address: str, kind: Any) -> None:
        key = (source, address, kind)
        self.derivations[key] = Derivation(upstream=source, downstream=address, kind=kind)

    def _sources(self, logged: Input) -> list[str]:
        """The datasets of the catalogue that an input was read from; a new one where it is none of
        them, so that nothing that was trained on is lost."""
        found = list(self._matching(logged))
        if found:
            return found
        address = f"{fides_key(self.store)}.input/{logged.name}"
        fields = tuple(Field(name=name) for name in logged.columns)
        known = self.known.get(address)
        made = Dataset(
            address=address, store=self.store, name=f"input/{logged.name}", fields=fields
        )
        self.datasets[address] = known or made
        if known is None:
            self.warnings.append(
                f"{address}: was trained on and is in no store of the catalogue; say where it is "
                "with `derived_from`, or classify it"
            )
        return [address]

    def _matching(self, logged: Input) -> Iterator[str]:
        source = logged.source
        relations = Relations(
            Relation(
                address=a,
                parts=tuple(p for p in (d.schema, d.name) if p),
                columns=tuple(f.name for f in d.fields),
            )
            for a, d in self.known.items()
        )
        if isinstance(source.get("sql"), str):
            read = read_query(source["sql"], target="model", relations=relations)
            yield from (a for a in read.sources if a not in read.unknown)
        for name in ("table_name", "delta_table_name", "table"):
            if isinstance(source.get(name), str):
                found = relations.find(tuple(source[name].replace("`", "").split(".")))
                if found:
                    yield found.address
        for name in ("uri", "path", "url"):
            if isinstance(source.get(name), str):
                yield from self._at(source[name])
        if logged.name in self.known:
            yield logged.name

    def _at(self, uri: str) -> Iterator[str]:
        """Datasets of stores that the address is in, whose name is a part of the rest of it."""
        place = _plain(uri)
        for address, dataset in self.known.items():
            store = self.stores.get(dataset.store)
            root = _plain(store.url) if store else ""
            if root and place.startswith(f"{root}/"):
                parts = place[len(root) :].strip("/").split("/")
                names = {*parts, *(part.partition(".")[0] for part in parts)}
                if dataset.name in names or dataset.name.rpartition("/")[2] in names:
                    yield address


def _plain(uri: str) -> str:
    return re.sub(r"^file:(//)?", "", uri).rstrip("/")


def merged(found: Iterable[Trained]) -> list[Trained]:
    """Each name once; a run that made a registered version is that version."""
    by_name: dict[str, Trained] = {}
    registered: set[str] = set()
    for one in found:
        if one.name.startswith("run/") and one.run in registered:
            continue
        if not one.name.startswith("run/"):
            registered.add(one.run)
        by_name[one.name] = replace(one, made_from=tuple(dict.fromkeys(one.made_from)))
    return list(by_name.values())
