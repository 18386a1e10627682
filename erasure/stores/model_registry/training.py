"""Training, and training again without somebody: the new version is proved before it is used, and
the old ones go only after that. Every step may be cut short and run again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from erasure.domain.errors import StoreError
from erasure.stores.model_registry import artifact, recipe
from erasure.stores.model_registry.folder import ARTIFACT, ModelFolder
from erasure.stores.model_registry.manifest import Hasher, Manifest, Retrained
from erasure.stores.model_registry.recipe import Trained
from lineage.graph import Dataset

Clock = Callable[[], datetime]


def _now() -> datetime:
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


def publish(
    root: Path, model: str, training: Training, *, hash_key: str, clock: Clock = _now
) -> Manifest:
    """Train a model and make it the current version. ``hash_key``: the option of that name of the
    store that will serve ``root``. Raises StoreError."""
    folder = ModelFolder(root, model, "model registry")
    with folder.locked():
        folder.sweep()
        made, data = _train(folder, training, Hasher(hash_key, model), clock)
        folder.add(made, data)
        folder.point(made.version)
    return made


def _train(
    folder: ModelFolder, how: Training, hasher: Hasher, clock: Clock
) -> tuple[Manifest, bytes]:
    trained = recipe.run(
        folder.place,
        how.recipe,
        _resolved(folder.root, how.source),
        seed=how.seed,
        params=how.params,
    )
    data = artifact.dumps(folder.place, trained.estimator)
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
        people=_hashed(trained, hasher, how.person_kind),
        data=trained.digest,
        artifact=artifact.digest(data),
        metrics=_finite(folder.place, trained.metrics),
        libraries=artifact.libraries(),
    )
    return made, data


def _resolved(root: Path, source: Mapping[str, str]) -> dict[str, str]:
    return {k: v if "://" in v else str((root / v).resolve()) for k, v in source.items()}


def _hashed(trained: Trained, hasher: Hasher, kind: str) -> dict[str, int]:
    people: dict[str, int] = {}
    for value, rows in trained.people.items():
        text = hasher(value, kind)
        people[text] = people.get(text, 0) + rows
    return people


def _finite(place: str, metrics: Mapping[str, float]) -> dict[str, float]:
    bad = sorted(name for name, value in metrics.items() if not math.isfinite(value))
    if bad:
        raise StoreError(place, f"the recipe gave no finite figure for: {', '.join(bad)}")
    return {name: float(value) for name, value in metrics.items()}


def holders(folder: ModelFolder, people: frozenset[str]) -> dict[str, Manifest]:
    """The versions in whose training any of these keyed hashes was."""
    return {v: m for v, m in folder.manifests().items() if not people.isdisjoint(m.people)}


def retrain(
    folder: ModelFolder, dataset: Dataset, people: frozenset[str], hasher: Hasher
) -> Mapping[str, Manifest]:
    """Make every version that knew ``people`` go, and where the current one did, put a version in
    its place that was trained without them. Returns the versions removed now. Raises StoreError,
    and then the current version is what it was.
    """
    with folder.locked():
        folder.sweep()
        gone = holders(folder, people)
        current = folder.current()
        if current in gone:
            heir = _heir(folder, current, people) or _replacement(
                folder, gone[current], dataset, people, hasher
            )
            folder.point(heir)
        if gone:
            folder.remove(gone)
        return gone


def retire(folder: ModelFolder, people: frozenset[str]) -> Mapping[str, Manifest]:
    """Remove every version that knew ``people``; nothing takes their place."""
    with folder.locked():
        folder.sweep()
        gone = holders(folder, people)
        if folder.current() in gone:
            folder.point(None)
        if gone:
            folder.remove(gone)
        return gone


def _heir(folder: ModelFolder, current: str, people: frozenset[str]) -> str | None:
    """A replacement that was finished just before a crash, and only has to be pointed at."""
    for version, found in reversed(folder.manifests().items()):
        replaced = found.replaces
        if replaced is None or replaced.old != current or not people.isdisjoint(found.people):
            continue
        if artifact.sha256(folder.path / version / ARTIFACT) == found.artifact:
            return version
    return None


def _replacement(
    folder: ModelFolder, old: Manifest, dataset: Dataset, people: frozenset[str], hasher: Hasher
) -> str:
    """1. train on what the data hold now, 2. nobody excluded is in it, 3. train again: the same
    bytes, 4. good enough, 5. write it down."""
    how = _how(folder.place, old, dataset)
    new, data = _train(folder, how, hasher, _now)
    left = len(people & new.people.keys())
    if left:
        raise StoreError(
            folder.place,
            f"the training data still hold {left} of the people; erase them there first",
        )
    again, _ = _train(folder, how, hasher, _now)
    if (again.artifact, again.data, again.people) != (new.artifact, new.data, new.people):
        raise StoreError(
            folder.place,
            "training twice gave two models; fix the recipe's random_state, n_jobs and row order",
        )
    new = replace(new, replaces=_compared(folder.place, old, new, dataset))
    folder.add(new, data)
    return new.version


def _how(place: str, old: Manifest, dataset: Dataset) -> Training:
    """As before, but by the recipe the catalogue names: a manifest may not say what code runs."""
    path = dataset.model.get("recipe")
    if not isinstance(path, str):
        raise StoreError(place, "no recipe; add model.recipe to the collection")
    return Training(
        recipe=path,
        source=old.source,
        seed=old.seed,
        params=old.params,
        person_key=old.person_key,
        person_kind=old.person_kind,
    )


def _compared(place: str, old: Manifest, new: Manifest, dataset: Dataset) -> Retrained:
    utility = dataset.model.get("utility") or {}
    metric = str(utility.get("metric", ""))
    if metric:
        _require_useful(place, old, new, utility)
    return Retrained(
        old=old.version,
        new=new.version,
        old_artifact=old.artifact,
        new_artifact=new.artifact,
        old_people_root=old.people_root,
        new_people_root=new.people_root,
        old_people=len(old.people),
        new_people=len(new.people),
        old_data=old.data,
        new_data=new.data,
        reexecution_matched=True,
        metric=metric,
        utility_before=_figure(old, metric),
        utility_after=_figure(new, metric),
    )


def _figure(version: Manifest, metric: str) -> str:
    return f"{version.metrics[metric]:.6f}" if metric in version.metrics else ""


def _require_useful(place: str, old: Manifest, new: Manifest, utility: Mapping[str, Any]) -> None:
    metric = utility["metric"]
    if metric not in new.metrics or metric not in old.metrics:
        raise StoreError(place, f"the recipe gives no figure for model.utility.metric '{metric}'")
    before, after = old.metrics[metric], new.metrics[metric]
    low = utility.get("min")
    if low is not None and after < low:
        raise StoreError(place, f"{metric} would be {after:.4f}, below the minimum of {low}")
    drop = utility.get("max_drop")
    if drop is not None and before - after > drop:
        raise StoreError(place, f"{metric} would fall by {before - after:.4f}, more than {drop}")
