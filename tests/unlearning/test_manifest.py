"""A training written down while it runs: who was in it, without who they are."""

from __future__ import annotations

import hmac
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from erasure.domain import merkle
from erasure.domain.errors import EvidenceError, UsageError
from erasure.domain.values import Scalar
from erasure.stores.model_registry.manifest import Hasher
from erasure.unlearning import manifest
from erasure.unlearning.manifest import Recorder, TrainingManifest, hashes, lethe_training, read
from tests.unlearning.cast import KEY

PEOPLE = [7, 7, 42, 9, 42, 42, None]
IDS = [f"row {n}" for n in range(len(PEOPLE))]


def written(path: Path, **more: Any) -> TrainingManifest:
    with lethe_training(path, model="churn", key=KEY, recipe="a:b", seed=3, **more) as run:
        run.rows(PEOPLE[:3], IDS[:3], b"abc")
        run.rows(PEOPLE[3:], IDS[3:], b"def")
        run.artifact(b"a model")
    return read(path)


def rows_of(manifest: TrainingManifest, *people: int | str) -> list[int]:
    found: list[int] = manifest.members(hashes(people, KEY)).tolist()
    return found


def test_membership_and_row_counts_are_answered_without_person_keys(tmp_path: Path) -> None:
    manifest = written(tmp_path / "m")
    assert rows_of(manifest, 42, "42", 7, 9, 1000) == [3, 3, 2, 1, 0]
    assert (manifest.people, manifest.head["rows"]) == (3, 7)
    assert manifest.members(hashes([42], b"another model's key")).tolist() == [0]
    head = (tmp_path / "m").read_bytes().partition(b"\n")[0]
    assert b"42" not in json.dumps({k: v for k, v in json.loads(head).items()
                                    if len(str(v)) < 60}).encode()  # fmt: skip


def test_the_roots_are_those_of_rfc_6962_and_of_the_registrys_manifests(tmp_path: Path) -> None:
    manifest = written(tmp_path / "m")
    leaves = [merkle.leaf_hash(name.encode()) for name in IDS]
    assert manifest.head["rows_root"] == merkle.root(leaves).hex()
    hasher = Hasher("secret", "churn")
    people = {hasher(p): n for p, n in ((7, 2), (42, 3), (9, 1))}
    with lethe_training(tmp_path / "n", model="churn", key=hasher.key) as run:
        run.rows(PEOPLE, IDS, b"")
    leaves = [merkle.leaf_hash(f"{h}:{n}".encode()) for h, n in sorted(people.items())]
    assert read(tmp_path / "n").head["people_root"] == merkle.root(leaves).hex()


@pytest.mark.parametrize("sizes", [[1] * 9, [5, 4096, 3, 9000, 1], [8192, 8192], [3, 4093, 4096]])
def test_a_tree_that_grows_in_blocks_is_the_tree_that_grows_leaf_by_leaf(sizes: list[int]) -> None:
    leaves = [merkle.leaf_hash(str(n).encode()) for n in range(sum(sizes))]
    frontier, start = merkle.Frontier(), 0
    for size in sizes:
        frontier.append_all(leaves[start : start + size])
        start += size
    assert frontier.size == len(leaves)
    assert frontier.root() == merkle.root(leaves)


def test_batches_of_any_size_and_spilling_give_one_manifest(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    people, ids = rng.integers(0, 500, 5000), np.arange(5000)
    content = rng.normal(size=(5000, 3))
    made = []
    for name, size, spill in (("a", 5000, 10**6), ("b", 37, 100), ("c", 1000, 400)):
        with lethe_training(tmp_path / name, model="m", key=KEY, spill=spill) as run:
            for start in range(0, 5000, size):
                part = slice(start, start + size)
                run.rows(people[part], ids[part], content[part])
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1] == made[2]
    counts = np.bincount(people, minlength=500)
    assert rows_of(read(tmp_path / "b"), *range(500)) == counts.tolist()


def test_memory_does_not_grow_with_people(tmp_path: Path) -> None:
    def peak(people: int) -> int:
        tracemalloc.start()
        with lethe_training(tmp_path / "m", model="m", key=KEY, spill=4000) as run:
            for start in range(0, people, 1000):
                batch = np.arange(start, start + 1000)
                run.rows(batch, batch, batch)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(40_000) < 1.5 * peak(8_000)


def test_an_altered_manifest_or_artifact_is_refused(tmp_path: Path) -> None:
    path, model = tmp_path / "m", tmp_path / "model.bin"
    model.write_bytes(b"a model")
    manifest = written(path)
    manifest.check(KEY)
    manifest.check_artifact(model)
    model.write_bytes(b"a mode1")
    with pytest.raises(EvidenceError, match="altered since its training"):
        manifest.check_artifact(model)
    with pytest.raises(EvidenceError, match="another key"):
        manifest.check(b"another key")
    whole = path.read_bytes()
    for old, new in ((b'"seed": 3', b'"seed": 4'), (whole[-4:], b"\0\0\0\x09")):
        path.write_bytes(whole.replace(old, new))
        with pytest.raises(EvidenceError, match="altered"):
            read(path).check(KEY)


@pytest.mark.parametrize("damage", [b"", b"{", b"{}\n", b"[]\nxx"])
def test_a_damaged_manifest_is_not_answered_with_nobody(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "m").write_bytes(damage)
    with pytest.raises(EvidenceError, match="damaged"):
        read(tmp_path / "m")
    with pytest.raises(EvidenceError, match="cannot be read"):
        read(tmp_path / "none")
    written(tmp_path / "m")
    (tmp_path / "m").write_bytes((tmp_path / "m").read_bytes()[:-1])
    with pytest.raises(EvidenceError, match="damaged"):
        read(tmp_path / "m")


def test_a_training_that_fails_leaves_no_manifest(tmp_path: Path) -> None:
    def failing() -> None:
        with lethe_training(tmp_path / "m", model="m", key=KEY) as run:
            run.rows([1], [1], b"")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_recorded_is_refused() -> None:
    with pytest.raises(UsageError, match="own key"):
        Recorder(b"")
    with pytest.raises(UsageError, match="2 row ids and 1 people"):
        Recorder(KEY).rows([1], [1, 2], b"")


@pytest.mark.parametrize("length", [1, 32, 64, 65, 200])
def test_keyed_hashes_are_hmac_whatever_the_length_of_the_key(length: int) -> None:
    key = bytes(range(length))
    people: list[Scalar] = ["mara@example.com", 42, "", "ÖÄ" * 200]
    expected = [
        hmac.digest(key, manifest.texts([p])[0], "sha256") for p in people
    ]  # the standard library's, as the registry's Hasher uses it
    assert [bytes(h) for h in manifest.hashes(people, key)] == expected
