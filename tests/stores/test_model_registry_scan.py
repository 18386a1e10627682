"""The model registry, searched by value: manifests, notes, and what lies inside artifacts."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.naive_bayes import GaussianNB

from erasure.stores.base import (
    Hit,
    Searched,
)
from erasure.stores.model_registry import scan
from erasure.stores.model_registry.artifact import dumps
from tests.stores.registry_cast import (
    NEEDLES,
    make_root,
    open_registry,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two versions of one model."""
    return make_root(tmp_path)


def _hits(root: Path) -> set[tuple[str, str, str]]:
    found = open_registry(root).scan([], NEEDLES)
    return {
        (h.collection, h.field, NEEDLES.needles[h.needle].text) for h in found if isinstance(h, Hit)
    }


def test_a_clean_registry_is_searched_to_its_end(root: Path) -> None:
    assert list(open_registry(root).scan([], NEEDLES)) == [
        Searched(collection="churn", fields=1, rows=6)
    ]


def test_values_are_found_in_any_file_and_in_names(root: Path) -> None:
    (root / "churn" / "1" / "card.md").write_text("trained for mara@example.com")
    (root / "churn" / "mara@example.com.txt").touch()
    (root / "notes.txt").write_text("asked by ZOË O\u0308HM")
    assert _hits(root) == {
        ("churn", "1/card.md", "mara@example.com"),
        ("churn", "mara@example.com.txt", "mara@example.com"),
        ("notes.txt", "notes.txt", "Zoë Öhm"),
    }


@pytest.mark.parametrize("dtype", ["<U20", ">U20"])
def test_categories_inside_an_artifact_are_found(root: Path, dtype: str) -> None:
    names = np.array(["agnes@example.com", "mara@example.com", "jonas@example.org"], dtype=dtype)
    model = GaussianNB().fit(np.arange(3.0).reshape(-1, 1), names)
    (root / "churn" / "2" / "model.skops").write_bytes(dumps("x", model))
    assert ("churn", "2/model.skops", "mara@example.com") in _hits(root)


@pytest.mark.parametrize("dtype", ["U7", "S9", "<U30"])
def test_an_array_of_strings_beside_the_artifact_is_read(root: Path, dtype: str) -> None:
    words = ["Zoë Öhm", "next"]
    encoded = [w.encode() for w in words] if dtype[0] == "S" else words
    np.save(root / "churn" / "1" / "vocabulary.npy", np.array(encoded, dtype=dtype))
    assert _hits(root) == {("churn", "1/vocabulary.npy", "Zoë Öhm")}


@pytest.mark.parametrize(
    "content", [b"\x93NUMPY", b"\x93NUMPY\x01\x00\xff\xffgarbage", b"PK\x03\x04"]
)
def test_a_broken_file_does_not_stop_the_search(root: Path, content: bytes) -> None:
    (root / "churn" / "1" / "broken").write_bytes(content)
    (root / "churn" / "1" / "card.md").write_text("mara@example.com")
    assert _hits(root) == {("churn", "1/card.md", "mara@example.com")}


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(before=st.integers(0, 300), after=st.integers(0, 100))
def test_a_value_is_found_wherever_the_pieces_of_a_file_are_cut(
    before: int, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "_CHUNK", 64)
    monkeypatch.setattr(scan, "_OVERLAP", 48)
    path = tmp_path / "file"
    path.write_text(f"{'ß' * before} mara@example.com {'ß' * after}")
    assert len(scan.needles_in(path, NEEDLES)) == 1
    for longer in ("mara@example.comm", "ßmara@example.com"):
        path.write_text(f"{'ß' * before} {longer} {'ß' * after}")
        assert scan.needles_in(path, NEEDLES) == set()


def test_an_artifact_is_an_ordinary_skops_file(root: Path) -> None:
    with zipfile.ZipFile(io.BytesIO((root / "churn" / "1" / "model.skops").read_bytes())) as file:
        assert file.testzip() is None
        assert "schema.json" in file.namelist()
