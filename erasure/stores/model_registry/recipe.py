"""The contract of a recipe: how a model is trained, so that it can be trained again."""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from erasure.domain.errors import DriverMissing, StoreError
from erasure.domain.values import Scalar

# What a recipe may fail with: its own mistakes, and the errors of what it reads.
_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    sqlite3.Error,
)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a recipe returns.

    ``estimator``: fitted, of types that skops trusts (scikit-learn, NumPy, SciPy). ``people``:
    every person whose rows were read for training, validation or a hold-out, by the person key
    as it stands in the data, with their row counts; only keyed hashes of it are written down.
    ``digest``: hex SHA-256 over the full content of what was read, in the order it was used.
    ``metrics``: figures on a hold-out that the recipe draws by the person key, higher is better.
    """

    estimator: Any
    people: Mapping[Scalar, int]
    digest: str
    metrics: Mapping[str, float] = field(default_factory=dict)


class Recipe(Protocol):
    """A function at ``package.module:function``.

    It reads its own source, all of it, and leaves nobody out by itself: that a person is gone
    must be true of the data. It knows no secrets of the registry. The same source, seed and
    parameters give the same bytes: fixed ``random_state``, ``n_jobs=1``, rows in a fixed order.
    """

    def __call__(
        self, source: Mapping[str, str], *, seed: int, params: Mapping[str, Any]
    ) -> Trained:
        """Train. ``source`` maps the recipe's own names to absolute paths or addresses."""


def named(place: str, path: str) -> Recipe:
    """The recipe at that dotted path. Raises StoreError."""
    module, _, function = path.partition(":")
    if not module or not function:
        raise StoreError(place, "model.recipe must read 'package.module:function'")
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ImportError as error:
        raise StoreError(place, f"the recipe needs {error.name or module}, install it") from None
    if not callable(found):
        raise StoreError(place, f"there is no recipe {path}; correct model.recipe")
    return cast(Recipe, found)


def run(
    place: str, path: str, source: Mapping[str, str], *, seed: int, params: Mapping[str, Any]
) -> Trained:
    """Run a recipe on one thread, because sums on several differ in their last bits.

    Raises StoreError, which names the kind of failure and not its text: that may hold values.
    """
    recipe = named(place, path)
    try:
        import threadpoolctl  # type: ignore[import-untyped] # comes with scikit-learn
    except ImportError:
        raise DriverMissing(place, "models") from None
    try:
        with threadpoolctl.threadpool_limits(limits=1):
            trained = recipe(source, seed=seed, params=params)
    except _FAILURES as error:
        raise StoreError(place, f"the recipe {path} failed ({type(error).__name__})") from None
    if not isinstance(trained, Trained):
        raise StoreError(place, f"the recipe {path} must return a Trained")
    return trained
