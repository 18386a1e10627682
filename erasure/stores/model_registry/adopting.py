"""Versions that were trained elsewhere, and recorded while they were."""

from __future__ import annotations

from pathlib import Path

from erasure.domain.errors import EvidenceError, StoreError
from erasure.stores.model_registry import artifact, training
from erasure.stores.model_registry.folder import ModelFolder
from erasure.stores.model_registry.kinds import kind_of
from erasure.stores.model_registry.manifest import Hasher, Manifest
from erasure.stores.model_registry.training import Clock, Training


def adopt(
    root: Path,
    model: str,
    how: Training,
    *,
    recorded: Path,
    artifact_file: Path,
    hash_key: str,
    clock: Clock = training.now,
) -> Manifest:
    """Make a recorded training (``erasure.unlearning.manifest``) a version, and the current one.

    ``how``: by which it can be trained again without somebody. Raises StoreError where manifest
    or artifact were altered since the training, or another key or model was meant; then nothing
    has changed.
    """
    folder = ModelFolder(root, model, "model registry")
    hasher = Hasher(hash_key, model)
    said, people = checked(folder.place, recorded, artifact_file, model, hasher)
    estimator = artifact.load(folder.place, artifact_file, said["artifact"])
    kind = kind_of(estimator)
    with folder.locked():
        folder.sweep()
        made = Manifest(
            model=model,
            version=folder.next_version(),
            recipe=how.recipe,
            seed=int(said["seed"]),
            params=how.params,
            source=how.source,
            trained_at=clock().isoformat(timespec="seconds"),
            person_key=how.person_key,
            person_kind=how.person_kind,
            people=people,
            data=said["content"],
            artifact=said["artifact"],
            libraries=artifact.libraries(),
            family=kind.family,
            holds_rows=kind.holds_rows,
        )
        folder.add(made, artifact_file.read_bytes())
        folder.point(made.version)
    return made


def checked(
    place: str, recorded: Path, artifact_file: Path, model: str, hasher: Hasher
) -> tuple[dict[str, str], dict[str, int]]:
    """What a recorded manifest says, and who is in it. Raises StoreError where it or the artifact
    was altered, or where another key or model was meant."""
    from erasure.unlearning import manifest

    try:
        found = manifest.read(recorded)
        found.check(hasher.key)
        found.check_artifact(artifact_file)
    except (EvidenceError, OSError) as error:
        why = str(error) if isinstance(error, EvidenceError) else "the artifact cannot be read"
        raise StoreError(place, why) from None
    if found.head["model"] != model:
        raise StoreError(place, "the manifest is that of another model")
    return dict(found.head), {name.hex(): rows for name, rows in found.entries()}
