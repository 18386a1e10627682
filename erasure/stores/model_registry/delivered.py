"""A version that was trained by a recipe outside this process. Taken only with a manifest under the
model's own key that holds nobody who was to be forgotten, and with the manifest's own artifact."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

from erasure.domain.errors import StoreError
from erasure.stores.model_registry import adopting, artifact, external, handed, training
from erasure.stores.model_registry.external import Asked
from erasure.stores.model_registry.folder import ModelFolder
from erasure.stores.model_registry.kinds import kind_of
from erasure.stores.model_registry.manifest import Hasher, Manifest
from erasure.stores.model_registry.recipe import Trained
from erasure.stores.model_registry.training import Made
from erasure.stores.trained import Order

_DRAFT = ".new-recipe"  # swept, where a crash leaves it


def trained(
    folder: ModelFolder, old: Manifest, order: Order, hasher: Hasher
) -> tuple[Made, bool | None]:
    """The version, and whether a second training gave the same bytes: commands are executed
    twice (unless ``repeat: false``), None for anything else. Raises StoreError; nothing is left."""
    recipe = order.dataset.model["recipe"]
    kind = external.kind_of(folder.place, recipe)
    made = _once(folder, old, order, hasher)
    if kind != "command" or recipe.get("repeat") is False:
        return made, None
    again = _once(folder, old, order, hasher).manifest
    first = made.manifest
    if (again.artifact, again.data, again.people) != (first.artifact, first.data, first.people):
        raise StoreError(
            folder.place,
            "training twice gave two models; fix its seeds and row order, or say repeat: false",
        )
    return made, True


def _once(folder: ModelFolder, old: Manifest, order: Order, hasher: Hasher) -> Made:
    draft = folder.path / _DRAFT
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    began = time.monotonic()
    try:
        asked = _asked(folder, old, order, hasher, draft)
        where = external.deliver(folder.place, order.dataset.model["recipe"], asked, order.call)
        return _made(folder, old, order, hasher, where, began)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _asked(folder: ModelFolder, old: Manifest, order: Order, hasher: Hasher, draft: Path) -> Asked:
    how = training.how_of(folder.place, old, order.dataset)
    return Asked(
        job=order.job or f"{folder.model}-{folder.next_version()}",
        model=folder.model,
        folder=str(draft),
        key=hasher.key,
        people=order.people,
        source=training.resolved(folder.root, how.source),
        seed=how.seed,
        params=how.params,
        person_key=how.person_key,
        person_kind=how.person_kind,
        begun=order.begun,
    )


def _made(
    folder: ModelFolder, old: Manifest, order: Order, hasher: Hasher, where: Path, began: float
) -> Made:
    place, file = folder.place, where / external.ARTIFACT
    how = training.how_of(place, old, order.dataset)
    said, people = adopting.checked(folder, where / external.MANIFEST, file, hasher, how)
    if left := len(order.people & people.keys()):
        raise StoreError(
            place, f"the training data still hold {left} of the people; erase them there first"
        )
    estimator = artifact.load(place, file, said["artifact"])
    kind, figures = kind_of(estimator), external.metrics(place, where)
    made = replace(
        old,
        version=folder.next_version(),
        recipe=external.kind_of(place, order.dataset.model["recipe"]),
        seed=int(said["seed"]),
        trained_at=training.now().isoformat(timespec="seconds"),
        person_key=how.person_key,
        person_kind=how.person_kind,
        people=people,
        data=said["content"],
        artifact=said["artifact"],
        metrics=figures,
        libraries=artifact.libraries(),
        family=kind.family,
        forgets="",
        holds_rows=kind.holds_rows,
        seconds=round(time.monotonic() - began, 3),
        replaces=None,
        inferred=False,
    )
    rows, held = None, None
    if made.recipe != "http":  # nobody asks a pipeline to lay rows into a folder that is shared
        rows, held = handed.read(place, where, people, order.people)
    given = Trained(estimator=None, people={}, digest=said["content"], metrics=figures, held=held)
    data = file.read_bytes()
    return Made(manifest=made, data=data, estimator=estimator, trained=given, rows=rows)
