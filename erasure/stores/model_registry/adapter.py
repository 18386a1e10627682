"""The store adapter of a model registry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from erasure.domain import models
from erasure.domain.errors import StoreError, StoreUnreachable
from erasure.domain.models import VersionFacts, policy_of
from erasure.domain.needles import Matcher, Needle
from erasure.domain.values import Scalar, Value
from erasure.stores.base import (
    Declared,
    Failure,
    Found,
    Hit,
    Key,
    Purged,
    Receipt,
    Searched,
    Secrets,
    Selector,
    Work,
)
from erasure.stores.matching import single_values
from erasure.stores.model_registry import artifact, external, replacing, retiring
from erasure.stores.model_registry.folder import ARTIFACT, ROWS, ModelFolder
from erasure.stores.model_registry.manifest import Hasher, Manifest
from erasure.stores.model_registry.recovery import still_there
from erasure.stores.model_registry.scan import needles_in
from erasure.stores.trained import Order
from lineage.graph import Dataset
from lineage.schema import Column, Inspection, Table

_PERSON = "person"
_ACTIONS = ("retrain", "retire")


class ModelRegistryStore:
    """A folder of models. A collection is a model; ``erasure.model`` of the catalogue names its
    ``recipe``, ``person_key`` and ``utility`` thresholds.

    A key is ``(version, "person", keyed hash)`` and stands for ``count`` training rows.
    """

    kind = "model_registry"
    options = frozenset({"tracking", "hash_key"})

    def __init__(self, *, name: str, url: str, options: Mapping[str, Any]) -> None:
        parts = urlsplit(url)
        self._root = Path(unquote(parts.path))
        if parts.scheme != "file" or parts.netloc or not self._root.is_absolute():
            raise StoreError(name, "the url must be file:///absolute/folder")
        if not options.get("hash_key"):
            raise StoreError(name, "the option hash_key is missing; without it nobody is known")
        self.name = name
        self._secret = str(options["hash_key"])

    def _model(self, dataset: Dataset) -> ModelFolder:
        shared = external.delivers(dataset.model.get("recipe"))
        folder = ModelFolder(self._root, dataset.name, self.name, shared)
        if not folder.path.is_dir():
            raise StoreError(folder.place, "there is no such model; correct the collection's name")
        return folder

    def _models(self) -> list[ModelFolder]:
        if not self._root.is_dir():
            raise StoreUnreachable(self.name, "the registry's folder is not there; check its url")
        names = sorted(p.name for p in self._root.iterdir() if p.is_dir() and p.name[0] != ".")
        return [ModelFolder(self._root, name, self.name) for name in names]

    def inspect(self) -> Inspection:
        """One table per model, whose column is the person key of its manifests."""
        tables: dict[str, Table] = {}
        for folder in self._models():
            found = folder.manifests()
            keys = sorted({m.person_key for m in found.values()} - {""})
            columns = tuple(Column(name=k, data_type="keyed_hash", nullable=False) for k in keys)
            rows = sum(len(m.people) for m in found.values())
            tables[folder.model] = Table(name=folder.model, columns=columns, rows=rows)
        shape = json.dumps({name: [c.name for c in t.columns] for name, t in tables.items()})
        return Inspection(tables=tables, fingerprint=hashlib.sha256(shape.encode()).hexdigest())

    def find(self, selector: Selector, values: Sequence[Value]) -> Iterator[Found]:
        """Who of ``values`` was in the training of which version: all versions, not only the
        current one. Raises StoreError where a manifest is missing: then nobody can tell."""
        if selector.mode == "text" or not values:
            return
        folder = self._model(selector.dataset)
        given = single_values(folder.place, selector, values)
        hasher = Hasher(self._secret, folder.model)
        for version, found in folder.manifests().items():
            _require_key(folder.place, selector, found)
            kind = found.person_kind
            if found.inferred:
                kind = str(selector.dataset.model.get("person_kind", ""))
            yield from _members(version, found, given, hasher, kind)

    def gather(self, dataset: Dataset, keys: Sequence[Key]) -> Iterator[tuple[Key, list[Needle]]]:
        """Manifests hold hashes, no values."""
        return iter(())

    def act(self, works: Sequence[Work], secrets: Secrets) -> list[Receipt]:
        """One retraining per model for everybody in ``works``; or, to ``retire``, none.

        Raises StoreError where the new version is not proved; the current one then stays.
        """
        together: dict[tuple[str, str], list[Work]] = {}
        for work in works:
            if work.step.action not in _ACTIONS:
                raise StoreError(
                    f"{self.name}, {work.step.dataset.address}",
                    f"'{work.step.action}' is not offered; let the action be 'retrain'",
                )
            together.setdefault((work.step.dataset.address, work.step.action), []).append(work)
        for (_, action), same in together.items():
            self._forget(same[0].step.dataset, action, _people(same))
        return [self._receipt(work) for work in works]

    def _forget(self, dataset: Dataset, action: str, people: frozenset[str]) -> None:
        folder = self._model(dataset)
        held = replacing.holders(folder, people)
        what: models.Action = "delete" if action == "retire" else "retrain"
        order = Order(
            dataset=dataset,
            people=people,
            actions=dict.fromkeys(held, what),
            policy=policy_of(dataset.model),
            reasons={},
        )
        replacing.carry_out(folder, order, Hasher(self._secret, folder.model))

    def carry_out(self, order: Order) -> dict[str, Any]:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        folder = self._model(order.dataset)
        replacing.carry_out(folder, order, Hasher(self._secret, folder.model))
        out = [v for v in folder.quarantined() if order.actions.get(v) == "quarantine"]
        waits = replacing.proposed(folder, order.people) if order.propose else None
        if waits is not None:
            told = folder.manifest(waits).replaces
            return {**replacing.plain(told), "proposed": waits}
        held = replacing.holders(folder, order.people)
        if kept := {v: until for v, until in folder.kept().items() if v in held}:
            return {**replacing.report(folder), "kept": kept}
        filtered = "filter" in order.actions.values()  # somebody decided that they stay for now
        left = [] if out or filtered else still_there(folder, order.people)
        if left:
            raise StoreError(folder.place, left[0])
        return {**replacing.report(folder), **({"quarantined": sorted(out)} if out else {})}

    def facts(self, dataset: Dataset, people: Collection[str]) -> list[VersionFacts]:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        folder = self._model(dataset)
        current, wanted = folder.in_place(), frozenset(people)
        return [
            VersionFacts(
                version=version,
                current=version == current,
                known=len(wanted if found.inferred else wanted & found.people.keys()),
                inferred=found.inferred,
                people=len(found.people),
                family=found.family,
                guarantee=found.forgets if (folder.path / version / ROWS).is_file() else "",
                holds_rows=found.holds_rows,
                recipe=bool(dataset.model.get("recipe")),
                seconds=found.seconds,
                root=found.people_root,
                empirical_since=replacing.empirical_since(found),
            )
            for version, found in folder.manifests().items()
        ]

    def records(self, dataset: Dataset) -> list[dict[str, Any]]:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        folder = self._model(dataset)
        current, out = folder.current(), folder.quarantined()
        return [
            {
                **retiring.record(found),
                "current": version == current,
                "out_of_service": out.get(version, ""),
                "signed": folder.is_signed(version),
                "guarantee": found.replaces.guarantee if found.replaces else "",
                "method": found.replaces.method if found.replaces else "",
            }
            for version, found in folder.manifests().items()
        ]

    def take_back(self, dataset: Dataset, *, new: str, old: str) -> dict[str, Any]:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        folder = self._model(dataset)
        replacing.take_back(folder, new, old)
        return retiring.retire(folder, [new])

    def release(self, dataset: Dataset, version: str) -> None:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        replacing.release(self._model(dataset), version)

    def provenance(self, dataset: Dataset, version: str, signed: Mapping[str, Any]) -> None:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        self._model(dataset).sign(version, signed)

    def retire(self, dataset: Dataset, versions: Collection[str]) -> dict[str, Any]:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        return retiring.retire(self._model(dataset), versions)

    def key_of(self, dataset: Dataset) -> bytes:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        return Hasher(self._secret, self._model(dataset).model).key

    def alarms(self, dataset: Dataset) -> list[str]:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        folder = self._model(dataset)
        gone, policy = folder.forgotten().keys(), policy_of(dataset.model)
        told = [*replacing.ending(folder, policy)]
        told += [f"version {v} is out of service: {why}" for v, why in folder.quarantined().items()]
        for version, found in folder.manifests().items():
            path = folder.path / version / ARTIFACT
            if found.inferred:
                told.append(f"version {version} has no manifest: anybody may be in it")
            if not path.is_file() or artifact.sha256(path) != found.artifact:
                told.append(f"version {version}: its artifact was altered or is gone")
            if replacing.is_over(found, policy):
                told.append(f"version {version}: forgot approximately, and its time is over")
            if again := len(gone & found.people.keys()):
                told.append(f"version {version} was trained on {again} people who were forgotten")
        return told

    def _receipt(self, work: Work) -> Receipt:
        folder = self._model(work.step.dataset)
        left = still_there(folder, _people([work]))
        return Receipt(
            dataset=work.step.dataset.address,
            action=work.step.action,
            done=sum(key.count for key in work.keys),
            residue="present" if left else "purged",
            note=left[0] if left else _note(folder, work),
        )

    def check(self, works: Sequence[Work], secrets: Secrets) -> list[Failure]:
        """Nobody of ``works`` is in a version, and no removed version comes back by its name, its
        path or a copy of its bytes in this store."""
        return [
            Failure(dataset=work.step.dataset.address, why=why)
            for work in works
            for why in still_there(self._model(work.step.dataset), _people([work]))
        ]

    def scan(self, declared: Sequence[Declared], needles: Matcher) -> Iterator[Hit | Searched]:
        """Every file under the folder by value: manifests, notes, the members of artifacts. A
        hit's field and key are the file's path below its model."""
        if not self._root.is_dir():
            raise StoreUnreachable(self.name, "the registry's folder is not there; check its url")
        for top in sorted(self._root.iterdir()):
            files = sorted(p for p in top.rglob("*") if p.is_file()) if top.is_dir() else [top]
            for path in files:
                yield from self._hits(top, path, needles)
            yield Searched(collection=top.name, fields=1, rows=len(files))

    def _hits(self, top: Path, path: Path, needles: Matcher) -> Iterator[Hit]:
        inside = path.relative_to(top).as_posix() if path != top else path.name
        try:
            found = needles_in(path, needles)
        except FileNotFoundError:
            return  # a version that went while we looked
        except OSError as error:
            raise StoreError(f"{self.name}, {top.name}", f"unreadable: {error.strerror}") from None
        for needle in sorted(found | needles.found_in(inside)):
            yield Hit(collection=top.name, field=inside, key=(inside,), needle=needle, whole=False)

    def purge(self, datasets: Sequence[Dataset]) -> Purged:
        """Removed versions leave no file behind; ``act`` has looked."""
        return Purged(residue="purged")

    def load(self, model: str, version: str | None = None) -> object:
        """The estimator of a version, else of the current one. Raises StoreError."""
        folder = ModelFolder(self._root, model, self.name)
        wanted = version or folder.current()
        if wanted is None:
            raise StoreError(folder.place, "has no current version")
        return folder.load(wanted)

    def report(self, dataset: Dataset) -> dict[str, Any]:
        """What the current version replaced, for the certificate; see :class:`Retrained`. Empty
        when it replaced nothing. ``removed`` lists every version that is gone."""
        folder = self._model(dataset)
        return replacing.report(folder)

    def close(self) -> None:
        """Nothing stays open between calls."""


def _people(works: Sequence[Work]) -> frozenset[str]:
    keys = (key.values for work in works for key in work.keys)
    return frozenset(str(v[2]) for v in keys if len(v) == 3 and v[1] == _PERSON)


def _require_key(place: str, selector: Selector, found: Manifest) -> None:
    """Membership can only be asked by the key the manifest hashed; anything else finds nobody."""
    if not found.inferred and set(selector.fields) != {found.person_key}:
        raise StoreError(
            f"{place}, version {found.version}",
            f"knows people by '{found.person_key}' only; refer to the model by that field",
        )


def _members(
    version: str, found: Manifest, values: Sequence[Scalar], hasher: Hasher, kind: str
) -> Iterator[Found]:
    """Of a version without a manifest everybody who is asked for: the walk came here for them."""
    given: dict[str, list[Scalar]] = {}
    for value in values:
        if value is not None:
            given.setdefault(hasher(value, kind), []).append(value)
    for text, same in given.items():
        rows = 1 if found.inferred else found.people.get(text)
        if rows is not None:
            key = Key(values=(version, _PERSON, text), count=rows)
            yield Found(key=key, matched=tuple(same))


def _note(folder: ModelFolder, work: Work) -> str:
    gone = sorted({str(key.values[0]) for key in work.keys if len(key.values) == 3})
    if not gone:
        return "nobody of this request was in its training"
    current = folder.current()
    heir = f" → {current}" if current and work.step.action == "retrain" else " removed"
    return f"version {', '.join(gone)}{heir}"
