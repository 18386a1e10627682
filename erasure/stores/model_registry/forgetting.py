"""Taking people out of an estimator that can forget them, without a training from the start."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from erasure.domain.errors import CannotForget, StoreError, UsageError
from erasure.stores.model_registry import artifact, recipe, training
from erasure.stores.model_registry.checking import Old
from erasure.stores.model_registry.folder import ModelFolder
from erasure.stores.model_registry.kept import KeptRows
from erasure.stores.model_registry.kinds import kind_of
from erasure.stores.model_registry.manifest import Hasher, Manifest
from erasure.stores.model_registry.recipe import Trained
from erasure.stores.model_registry.training import Made


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """A version without the people, and the number that shows it: ``certificate`` by the removal,
    ``audit`` by asking the remaining rows independently; ``repeated``: a training from the start
    on the remaining rows gave the same bytes, None where that is not promised."""

    made: Made
    certificate: Mapping[str, str]
    audit: Mapping[str, str]
    guarantee: str
    method: str
    repeated: bool | None


def forgotten(
    folder: ModelFolder, old: Old, people: frozenset[str], hasher: Hasher, trained: Trained | None
) -> Forgotten:
    """``trained``: what the recipe gives of the data as they are now, to compare on. Raises
    CannotForget, also where what is proved falls short of what is promised; then nothing is
    written."""
    model, rows = old.estimator, old.rows
    if model is None or rows is None:
        raise CannotForget(old.why or "the training rows were not kept, so it cannot be shown")
    if not hasattr(model, "way"):  # decided by a person: the table does not ask it of such a one
        raise CannotForget("its estimator has no way of its own to forget")
    gone = people & set(rows.people)
    left = rows.without(people)
    began = time.monotonic()
    with recipe.one_thread(folder.place):
        certificate = _forget(model, rows, left, gone, hasher) if gone else None
        audit = _audited(model, left, hasher)
    if not audit.holds:
        raise CannotForget(f"{audit.method}: the remaining rows say {audit.bound:.1e}")
    way = model.way
    data = artifact.dumps(folder.place, model)
    repeated = _repeated(folder.place, model, left, hasher, data)
    if repeated is False and way.guarantee.value == "bit-exact":
        raise CannotForget("a training from the start gave another model")
    made = _made(folder, old.manifest, people, model, data, left, trained, began)
    return Forgotten(
        made=made,
        certificate=_words(certificate) if certificate else {},
        audit=_words(audit),
        guarantee=way.guarantee.value,
        method=audit.method,
        repeated=repeated,
    )


def _forget(
    model: Any, rows: KeptRows, left: KeptRows, gone: frozenset[str], hasher: Hasher
) -> Any:
    from erasure.unlearning.people import Pseudonym

    handed = rows.only(gone) if model.way.rows == "own" else left
    people = [Pseudonym(name) for name in handed.people]
    names = [Pseudonym(name) for name in sorted(gone)]
    try:
        return model.forget(names, handed.features, handed.target, people, hasher.key)
    except UsageError as error:
        raise CannotForget(str(error)) from None


def _audited(model: Any, left: KeptRows, hasher: Hasher) -> Any:
    """Ask the remaining rows."""
    from erasure.unlearning.people import Pseudonym

    people = [Pseudonym(name) for name in left.people]
    if model.way.family in ("sharded", "forest"):
        return model.certify(left.features, left.target, people, hasher.key)
    if model.way.guarantee.value == "(ε,δ)":
        return model.certify(left.features, left.target, hasher.key)
    return model.certify(left.features, left.target)


def _repeated(place: str, model: Any, left: KeptRows, hasher: Hasher, data: bytes) -> bool | None:
    """Train from the start on what is left, and compare the bytes; of shards that has been done."""
    if model.way.guarantee.value == "bit-exact":
        return artifact.dumps(place, training.fitted(place, model, left, hasher)) == data
    return True if model.way.family in ("sharded", "forest") else None


def _made(
    folder: ModelFolder,
    old: Manifest,
    people: frozenset[str],
    model: Any,
    data: bytes,
    left: KeptRows,
    trained: Trained | None,
    began: float,
) -> Made:
    kind = kind_of(model)
    manifest = replace(
        old,
        version=folder.next_version(),
        trained_at=training.now().isoformat(timespec="seconds"),
        people={name: rows for name, rows in old.people.items() if name not in people},
        data=_content(left),
        artifact=artifact.digest(data),
        metrics={} if trained is None else training.metrics(folder.place, trained, model),
        libraries=artifact.libraries(),
        family=kind.family,
        forgets=kind.forgets,
        holds_rows=kind.holds_rows,
        seconds=round(time.monotonic() - began, 3),
        replaces=None,
    )
    empty = Trained(estimator=None, people={}, digest="")
    return Made(manifest=manifest, data=data, estimator=model, trained=trained or empty, rows=left)


def _content(rows: KeptRows) -> str:
    """Digest of the full content of what is left."""
    digest = hashlib.sha256(rows.features.tobytes())
    digest.update(repr(rows.target.tolist()).encode())
    digest.update("\n".join(rows.people).encode())
    return digest.hexdigest()


def _words(certificate: Any) -> dict[str, str]:
    """Without floats."""
    told = {**certificate.plain(), **certificate.plain()["numbers"]}
    told.pop("numbers")
    return {k: f"{v:.6g}" if isinstance(v, float) else str(v) for k, v in told.items()}


def require_clean(place: str, trained: Trained, manifest: Manifest, people: frozenset[str],
                  hasher: Hasher) -> None:  # fmt: skip
    """Raises StoreError while the data still hold somebody who is to be forgotten."""
    if left := len(people & training.hashed(trained, hasher, manifest.person_kind).keys()):
        raise StoreError(
            place, f"the training data still hold {left} of the people; erase them there first"
        )
