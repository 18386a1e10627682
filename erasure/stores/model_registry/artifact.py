"""Estimators as files: skops, made byte for byte repeatable.

skops writes memory addresses and the time of day into its archive, so that the same estimator
never gives the same file twice. Here addresses become numbers in order of appearance and times
a constant; the file is still an ordinary skops file.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from erasure.domain.errors import DriverMissing, StoreError

_SCHEMA = "schema.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment a zip archive can express
_LIBRARIES = ("scikit-learn", "numpy", "scipy", "skops")
_CHUNK = 1 << 20
_HEAD = 4096  # of an array, in which its type is described
# Estimators that forget: plain numbers and keyed hashes inside, and no code runs at loading.
_OWN = frozenset(
    f"erasure.unlearning.{name}"
    for name in (
        "certified.CertifiedLogistic",
        "counts.ForgettingBernoulliNB",
        "counts.ForgettingGaussianNB",
        "counts.ForgettingMultinomialNB",
        "forest.PersonForest",
        "influence.InfluenceLogistic",
        "linear.GramRegression",
        "moments.Moments",
        "removal.RemovalLogistic",
        "sharded.ShardedClassifier",
        "sharded.ShardedRegressor",
    )
)
# Of scikit-learn's compiled parts, which skops leaves to be decided: those that hold numbers.
_PARTS = frozenset(
    f"sklearn.{name}"
    for name in (
        "ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "metrics._dist_metrics.EuclideanDistance64",
        "neighbors._ball_tree.BallTree",
        "neighbors._kd_tree.KDTree",
        "neural_network._stochastic_optimizers.AdamOptimizer",
        "neural_network._stochastic_optimizers.SGDOptimizer",
        "tree._tree.Tree",
    )
)
_TRUSTED = _OWN | _PARTS


def dumps(place: str, estimator: Any) -> bytes:
    """The estimator as the bytes of a skops file; equal estimators give equal bytes."""
    raw = _skops(place).dumps(estimator)
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        schema = json.loads(archive.read(_SCHEMA))
        names = _Renumber()
        schema = names.node(schema)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as clean:
            for old, new in names.files.items():
                clean.writestr(zipfile.ZipInfo(new, _EPOCH), _filled(new, archive.read(old)))
            clean.writestr(zipfile.ZipInfo(_SCHEMA, _EPOCH), json.dumps(schema, indent=1))
    return out.getvalue()


def _filled(name: str, content: bytes) -> bytes:
    """An array whose bytes between its fields are zero: nobody sets them (a tree's nodes have
    some), so that they hold whatever lay in memory before."""
    if not name.endswith(".npy") or b"('', '|V" not in content[:_HEAD]:
        return content
    import numpy as np

    array = np.load(io.BytesIO(content), allow_pickle=False)
    clean = np.zeros(array.shape, dtype=array.dtype)
    for field in array.dtype.names or ():
        clean[field] = array[field]
    out = io.BytesIO()
    np.save(out, clean, allow_pickle=False)
    return out.getvalue()


class _Renumber:
    """Replaces ``__id__`` and file names, depth first."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self._numbers: dict[int, int] = {}
        self._next = 0

    def node(self, plain: Any) -> Any:
        if isinstance(plain, list):
            return [self.node(item) for item in plain]
        if not isinstance(plain, dict):
            return plain
        # Whether two equal constants are one object depends on the interpreter: never shared.
        shared = not plain.get("is_json") and plain.get("__loader__") != "TypeNode"
        return {key: self._entry(key, value, shared) for key, value in plain.items()}

    def _entry(self, key: str, value: Any, shared: bool) -> Any:
        if key == "__id__" and isinstance(value, int):
            return self._number(value) if shared else self._fresh()
        if key == "file" and isinstance(value, str):
            suffix = Path(value).suffix
            return self.files.setdefault(value, f"{len(self.files)}{suffix}")
        return self.node(value)

    def _number(self, address: int) -> int:
        if address not in self._numbers:
            self._numbers[address] = self._fresh()
        return self._numbers[address]

    def _fresh(self) -> int:
        self._next += 1
        return self._next


def load(place: str, path: Path, digest: str) -> Any:
    """The estimator at ``path``, made of trusted types and our own only. Raises StoreError where
    the file is gone, is not the one the manifest names, holds a type that nobody trusts, or is no
    artifact at all."""
    skops = _skops(place)
    if not path.is_file():
        raise StoreError(place, "the artifact is gone")
    if sha256(path) != digest:
        raise StoreError(place, "the artifact is not the one its manifest names")
    try:
        held = skops.get_untrusted_types(file=path)
        if unknown := [name for name in held if name not in _TRUSTED]:
            raise StoreError(place, f"the artifact holds untrusted types: {', '.join(unknown)}")
        return skops.load(path, trusted=held)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - a file that is no artifact may raise anything
        told = f"the artifact cannot be loaded ({type(error).__name__})"
        raise StoreError(place, told) from None


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces of 1 MB."""
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
    return hashed.hexdigest()


def digest(content: bytes) -> str:
    """Hex SHA-256 of an artifact not yet written."""
    return hashlib.sha256(content).hexdigest()


def libraries() -> Mapping[str, str]:
    """Versions that the bytes of a model depend on."""
    found = {"python": python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def _skops(place: str) -> Any:
    try:
        return import_module("skops.io")
    except ImportError:
        raise DriverMissing(place, "models") from None
