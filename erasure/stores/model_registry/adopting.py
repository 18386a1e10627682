"""Versions that were trained elsewhere, and recorded while they were."""

from __future__ import annotations

from pathlib import Path

from erasure.domain.errors import EvidenceError, StoreError
from erasure.stores.model_registry import artifact, training
from erasure.stores.model_registry.folder import ModelFolder
from erasure.stores.model_registry.kinds import kind_of
from erasure.stores.model_registry.manifest import Hasher, Manifest, fault
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
    or artifact were altered since the training, where another key or model was meant, or where the
    manifest holds nobody or knows people by another key than ``how`` names; then nothing has
    changed.
    """
    folder = ModelFolder(root, model, "model registry")
    hasher = Hasher(hash_key, model)
    said, people = checked(folder, recorded, artifact_file, hasher, how)
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
    folder: ModelFolder, recorded: Path, artifact_file: Path, hasher: Hasher, how: Training
) -> tuple[dict[str, str], dict[str, int]]:
    """What a recorded manifest says, and who is in it. Raises StoreError where it or the artifact
    was altered, where another key or model was meant, or where it cannot show who was not in it."""
    from erasure.unlearning import manifest

    place = folder.place
    try:
        found = manifest.read(recorded)
        found.check(hasher.key)
        found.check_artifact(artifact_file)
    except (EvidenceError, OSError) as error:
        why = str(error) if isinstance(error, EvidenceError) else "the artifact cannot be read"
        raise StoreError(place, why) from None
    if found.head["model"] != folder.model:
        raise StoreError(place, "the manifest is that of another model")
    if why := fault(found.head, how.person_key, how.person_kind):
        raise StoreError(place, why)
    return dict(found.head), {name.hex(): rows for name, rows in found.entries()}
