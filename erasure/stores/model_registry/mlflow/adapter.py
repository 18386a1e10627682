"""The store adapter of an MLflow registry: membership by the manifests logged with its runs, and
retirement the whole way down."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from erasure.domain.errors import StoreError
from erasure.domain.models import VersionFacts, policy_of
from erasure.domain.needles import Matcher, Needle
from erasure.domain.values import Value
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
from erasure.stores.model_registry.manifest import fault
from erasure.stores.model_registry.mlflow import ladder, replacing, rows
from erasure.stores.model_registry.mlflow.client import Opened, opened, translated
from erasure.stores.model_registry.mlflow.versions import ALIAS, Known, Registered
from erasure.stores.model_registry.scan import needles_in
from erasure.stores.trained import Order
from lineage.graph import Dataset
from lineage.schema import Column, Inspection, Table

_PERSON = "person"
_ACTIONS = ("retrain", "retire")


class MlflowStore:
    """A registry at ``url``, the address of its database. A collection is a registered model, or
    one version of it (``churn/2``); artifacts lie where the runs say.

    A key is ``(version, "person", keyed hash)``. ``caches``: folders in which copies of artifacts
    are looked for and removed. ``artifacts``: the tracking server that keeps ``mlflow-artifacts:``.
    """

    kind = "mlflow"
    options = frozenset({"artifacts", "caches", "hash_key"})

    def __init__(self, *, name: str, url: str, options: Mapping[str, Any]) -> None:
        if not options.get("hash_key"):
            raise StoreError(name, "the option hash_key is missing; without it nobody is known")
        self.name, self._url = name, url
        self._secret = str(options["hash_key"])
        self._caches = [str(c) for c in options.get("caches") or ()]
        self._artifacts = str(options.get("artifacts") or "")
        self._opened: Opened | None = None

    @property
    def _at(self) -> Opened:
        if self._opened is None:
            self._opened = opened(self.name, self._url, self._artifacts)
        return self._opened

    def model(self, dataset: Dataset) -> Registered:
        """The registered model of a dataset. Raises StoreError where there is none."""
        alias = str(dataset.model.get("alias") or ALIAS)
        of = Registered(self._at, dataset.name, self._secret, alias)
        with translated(of.place):
            if not of.exists():
                raise StoreError(of.place, "there is no such model; correct the collection's name")
        return of

    def _all(self, of: Registered) -> list[Known]:
        with translated(of.place):
            return of.all()

    def inspect(self) -> Inspection:
        """One table per registered model; its column is the person key of its manifests."""
        tables = {}
        with translated(self.name):
            names = [m.name for m in self._at.client.search_registered_models()]
            for name in names:
                known = Registered(self._at, name, self._secret).all()
                keys = sorted({k.said.head["person_key"] for k in known if k.said} - {""})
                columns = tuple(
                    Column(name=k, data_type="keyed_hash", nullable=False) for k in keys
                )
                count = sum(len(k.people) for k in known)
                tables[name] = Table(name=name, columns=columns, rows=count)
        shape = repr({name: [c.name for c in t.columns] for name, t in tables.items()})
        return Inspection(tables=tables, fingerprint=hashlib.sha256(shape.encode()).hexdigest())

    def find(self, selector: Selector, values: Sequence[Value]) -> Iterator[Found]:
        """Who of ``values`` was in the training of which version, or of a run that was left by a
        deleted one. A version without a manifest may have had everybody. Raises StoreError for a
        manifest that holds nobody, or knows people by another key."""
        if selector.mode == "text" or not values:
            return
        of = self.model(selector.dataset)
        given = [v for v in single_values(of.place, selector, values) if v is not None]
        for known in self._all(of):
            _require_key(of.place, selector, known)
            kind = known.said.head["person_kind"] if known.said else ""
            hasher, by_hash = of.hasher(known), dict[str, list[Any]]()
            for value in given:
                by_hash.setdefault(hasher(value, kind or None), []).append(value)
            for text, same in by_hash.items():
                count = known.people.get(text) if known.said else 1
                if count is not None:
                    key = Key(values=(known.place.version, _PERSON, text), count=count)
                    yield Found(key=key, matched=tuple(same))

    def gather(self, dataset: Dataset, keys: Sequence[Key]) -> Iterator[tuple[Key, list[Needle]]]:
        """Manifests hold hashes, no values."""
        return iter(())

    def act(self, works: Sequence[Work], secrets: Secrets) -> list[Receipt]:
        """As a job does, without one: every version that knows somebody goes."""
        for work in works:
            if work.step.action not in _ACTIONS:
                raise StoreError(
                    f"{self.name}, {work.step.dataset.address}",
                    f"'{work.step.action}' is not offered; let the action be 'retrain'",
                )
            people = _people([work])
            of = self.model(work.step.dataset)
            held = replacing.holders(self._all(of), people)
            action = "delete" if work.step.action == "retire" else "retrain"
            self.carry_out(
                Order(
                    dataset=work.step.dataset,
                    people=people,
                    actions={k.place.version: action for k in held},  # type: ignore[misc]
                    policy=policy_of(work.step.dataset.model),
                    reasons={},
                )
            )
        return [self._receipt(work) for work in works]

    def carry_out(self, order: Order) -> dict[str, Any]:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        return replacing.carry_out(self.model(order.dataset), order, self._caches)

    def facts(self, dataset: Dataset, people: Collection[str]) -> list[VersionFacts]:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        wanted = frozenset(people)
        return [
            VersionFacts(
                version=k.place.version,
                current=k.current,
                known=len(wanted & k.people.keys()) if k.said else len(wanted),
                people=len(k.people),
                family="registered",
                recipe=bool(dataset.model.get("recipe")),
                inferred=k.said is None,
                seconds=k.seconds,
                root=str(k.said.head["people_root"]) if k.said else "",
            )
            for k in self._all(self.model(dataset))
        ]

    def records(self, dataset: Dataset) -> list[dict[str, Any]]:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        return [
            {**replacing.record(k), "current": k.current, "out_of_service": k.quarantined,
             "guarantee": "", "method": "", "signed": k.signed}
            for k in self._all(self.model(dataset))
        ]  # fmt: skip

    def take_back(self, dataset: Dataset, *, new: str, old: str) -> dict[str, Any]:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        of = self.model(dataset)
        replacing.take_back(of, new, old)
        return replacing.retire(of, [new], self._caches)

    def release(self, dataset: Dataset, version: str) -> None:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        replacing.release(self.model(dataset), version)

    def provenance(self, dataset: Dataset, version: str, signed: Mapping[str, Any]) -> None:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        replacing.sign(self.model(dataset), version, signed)

    def retire(self, dataset: Dataset, versions: Collection[str]) -> dict[str, Any]:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        return replacing.retire(self.model(dataset), versions, self._caches)

    def key_of(self, dataset: Dataset) -> bytes:
        """See :class:`erasure.stores.trained.TrainsModels`: that of the version which is served."""
        of = self.model(dataset)
        return of.hasher(next((k for k in self._all(of) if k.current), None)).key

    def alarms(self, dataset: Dataset) -> list[str]:
        """See :class:`erasure.stores.trained.TrainsModels`."""
        of = self.model(dataset)
        gone = replacing.forgotten(of)
        told = []
        for known in self._all(of):
            version = known.place.version
            if known.quarantined:
                told.append(f"version {version} is out of service: {known.quarantined}")
            if known.said is None:
                told.append(f"version {version} has no manifest: anybody may be in it")
            if again := len(gone & known.people.keys()):
                told.append(f"version {version} was trained on {again} people who were forgotten")
        return told

    def _receipt(self, work: Work) -> Receipt:
        left = self._left(work)
        return Receipt(
            dataset=work.step.dataset.address,
            action=work.step.action,
            done=sum(key.count for key in work.keys),
            residue="present" if left else "purged",
            note=left[0] if left else "versions, runs, logged models and artifacts are gone",
        )

    def _left(self, work: Work) -> list[str]:
        of = Registered(self._at, work.step.dataset.name, self._secret)
        held = replacing.holders(self._all(of), _people([work]))
        return [f"version {k.place.version} still has them in its training" for k in held]

    def check(self, works: Sequence[Work], secrets: Secrets) -> list[Failure]:
        """Nobody of ``works`` is in a version that is there."""
        return [
            Failure(dataset=work.step.dataset.address, why=why)
            for work in works
            for why in self._left(work)
        ]

    def scan(self, declared: Sequence[Declared], needles: Matcher) -> Iterator[Hit | Searched]:
        """Every text of the database and every file below the experiments, by value. Tables of
        the database come as ``db/<table>``, an experiment's files as its folder's name."""
        seen: dict[str, int] = {}
        for table, column, key, text in rows.texts(self._at.uri):
            seen[table] = seen.get(table, 0) + 1
            for needle in sorted(needles.found_in(text)):
                yield Hit(collection=f"db/{table}", field=column, key=(key,), needle=needle,
                          whole=False)  # fmt: skip
        for table, count in seen.items():
            yield Searched(collection=f"db/{table}", fields=1, rows=count)
        with translated(self.name):
            tops = ladder.roots(self._at)
        for top in tops:
            files = [p for p in sorted(top.rglob("*")) if p.is_file()]
            for path in files:
                inside = path.relative_to(top).as_posix()
                for needle in sorted(needles_in(path, needles) | needles.found_in(inside)):
                    yield Hit(collection=top.name, field=inside, key=(inside,), needle=needle,
                              whole=False)  # fmt: skip
            yield Searched(collection=top.name, fields=1, rows=len(files))

    def purge(self, datasets: Sequence[Dataset]) -> Purged:
        """What a deletion has left in free pages of the database."""
        if rows.compact(self._at.uri):
            return Purged(residue="purged")
        return Purged(residue="purged", note="free pages are the database's own to reuse")

    def report(self, dataset: Dataset) -> dict[str, Any]:
        """What the current version replaced, for the certificate."""
        return replacing.report(self.model(dataset))

    def close(self) -> None:
        """Forget the client."""
        self._opened = None


def _require_key(place: str, selector: Selector, known: Known) -> None:
    """Membership can only be asked by the key the manifest hashed; anything else finds nobody."""
    if known.said is None:
        return
    head = known.said.head
    if why := fault(head, " and ".join(selector.fields), str(head["person_kind"])):
        raise StoreError(f"{place}, version {known.place.version}", f"{why}, or retire it")


def _people(works: Sequence[Work]) -> frozenset[str]:
    keys = (key.values for work in works for key in work.keys)
    return frozenset(str(v[2]) for v in keys if len(v) == 3 and v[1] == _PERSON)
