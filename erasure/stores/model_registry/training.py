"""Training a version: by its recipe, on one thread, so that it can be repeated to the byte."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from erasure.domain.errors import StoreError, UsageError
from erasure.stores.model_registry import artifact, kept, recipe
from erasure.stores.model_registry.folder import ModelFolder
from erasure.stores.model_registry.kept import KeptRows
from erasure.stores.model_registry.kinds import kind_of
from erasure.stores.model_registry.manifest import Hasher, Manifest
from erasure.stores.model_registry.recipe import Trained
from lineage.graph import Dataset

Clock = Callable[[], datetime]


def now() -> datetime:
    """In UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model is trained: everything a manifest needs to have it repeated."""

    recipe: str
    source: Mapping[str, str]
    seed: int
    person_key: str
    person_kind: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A version that is not in its folder yet: manifest, artifact, and the rows to keep."""

    manifest: Manifest
    data: bytes
    estimator: Any
    trained: Trained
    rows: KeptRows | None = None


def publish(
    root: Path, model: str, training: Training, *, hash_key: str, clock: Clock = now
) -> Manifest:
    """Train a model and make it the current version. ``hash_key``: the option of that name of the
    store that will serve ``root``. Raises StoreError."""
    folder = ModelFolder(root, model, "model registry")
    hasher = Hasher(hash_key, model)
    with folder.locked():
        folder.sweep()
        made = train(folder, training, hasher, clock)
        add(folder, made, hasher)
        folder.point(made.manifest.version)
    return made.manifest


def add(folder: ModelFolder, made: Made, hasher: Hasher) -> None:
    """Write a version into its folder."""
    rows = kept.sealed(made.rows, hasher) if made.rows else None
    folder.add(made.manifest, made.data, rows)


def prepared(folder: ModelFolder, how: Training, excluded: frozenset[str] = frozenset()) -> Trained:
    """What the recipe gives; an estimator that forgets is not fitted yet. Raises StoreError."""
    source = resolved(folder.root, how.source)
    return recipe.run(
        folder.place, how.recipe, source, seed=how.seed, params=how.params, excluded=excluded
    )


def train(
    folder: ModelFolder,
    how: Training,
    hasher: Hasher,
    clock: Clock,
    excluded: frozenset[str] = frozenset(),
) -> Made:
    """A version by its recipe. Raises StoreError."""
    began = time.monotonic()
    trained = prepared(folder, how, excluded)
    rows = _rows(trained, hasher, how.person_kind)
    estimator = trained.estimator
    if rows is not None and hasattr(estimator, "forget"):
        estimator = fitted(folder.place, estimator, rows, hasher, folder.next_version())
    data = artifact.dumps(folder.place, estimator)
    kind = kind_of(estimator)
    made = Manifest(
        model=folder.model,
        version=folder.next_version(),
        recipe=how.recipe,
        seed=how.seed,
        params=how.params,
        source=how.source,
        trained_at=clock().isoformat(timespec="seconds"),
        person_key=how.person_key,
        person_kind=how.person_kind,
        people=hashed(trained, hasher, how.person_kind),
        data=trained.digest,
        artifact=artifact.digest(data),
        metrics=metrics(folder.place, trained, estimator),
        libraries=artifact.libraries(),
        family=kind.family,
        forgets=kind.forgets,
        holds_rows=kind.holds_rows,
        seconds=round(time.monotonic() - began, 3),
    )
    return Made(manifest=made, data=data, estimator=estimator, trained=trained, rows=rows)


def fitted(place: str, estimator: Any, rows: KeptRows, hasher: Hasher, version: str = "") -> Any:
    """An estimator that forgets, fitted with the model's own key. What it draws at random for each
    training, it draws for ``version``: alike when that is executed twice. Raises StoreError."""
    from sklearn.base import clone

    from erasure.unlearning.people import Pseudonym

    names = [Pseudonym(name) for name in rows.people]
    own = clone(estimator)
    if version and "training" in own.get_params():
        own.set_params(training=version)
    with recipe.one_thread(place):
        try:
            return own.fit(rows.features, rows.target, names, hasher.key)
        except (ValueError, UsageError) as error:
            raise StoreError(
                place, f"the recipe's rows cannot be learnt ({type(error).__name__})"
            ) from None


def how_of(place: str, old: Manifest, dataset: Dataset) -> Training:
    """As before, but by the recipe the catalogue names: a manifest may not say what code runs."""
    path = dataset.model.get("recipe")
    if not path:
        raise StoreError(place, "no recipe; add model.recipe to the collection")
    return Training(
        recipe=path if isinstance(path, str) else "",
        source=dataset.model.get("source") or old.source,
        seed=old.seed,
        params=old.params,
        person_key=old.person_key or str(dataset.model.get("person_key", "")),
        person_kind=old.person_kind,
    )


def resolved(root: Path, source: Mapping[str, str]) -> dict[str, str]:
    """Paths below the registry's folder made absolute; addresses as they are."""
    return {k: v if "://" in v else str((root / v).resolve()) for k, v in source.items()}


def hashed(trained: Trained, hasher: Hasher, kind: str) -> dict[str, int]:
    """Everybody whose rows were read, by keyed hash, with their row counts."""
    people: dict[str, int] = {}
    for value, rows in trained.people.items():
        text = hasher(value, kind)
        people[text] = people.get(text, 0) + rows
    return people


def _rows(trained: Trained, hasher: Hasher, kind: str) -> KeptRows | None:
    if trained.rows is None:
        return None
    known = {person: hasher(person, kind) for person in set(trained.rows.people)}
    names = [known[person] for person in trained.rows.people]
    return kept.grouped(trained.rows.features, trained.rows.target, names)


def metrics(place: str, trained: Trained, estimator: Any) -> dict[str, float]:
    """The recipe's figures, all of them finite. Raises StoreError."""
    given = recipe.scored(place, trained, estimator)
    bad = sorted(name for name, value in given.items() if not math.isfinite(value))
    if bad:
        raise StoreError(place, f"the recipe gave no finite figure for: {', '.join(bad)}")
    return {name: float(value) for name, value in given.items()}
