"""The contract of a recipe: how a model is trained, so that it can be trained again."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from erasure.domain.errors import DriverMissing, StoreError
from erasure.domain.values import Scalar


@dataclass(frozen=True, kw_only=True)
class Rows:
    """(n, d) features, n targets, n person keys."""

    features: Any
    target: Any
    people: Sequence[Scalar]


@dataclass(frozen=True, kw_only=True)
class Held:
    """Rows that were held out of the training, to compare versions on; ``slices``: name → (n,)
    which of them belong to a group whose figure is looked at by itself."""

    rows: Rows
    slices: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a recipe returns.

    ``estimator``: fitted, of types that skops trusts (scikit-learn, NumPy, SciPy) or one of
    ``erasure.unlearning``. ``people``:
    every person whose rows were read for training, validation or a hold-out, by the person key
    as it stands in the data, with their row counts; only keyed hashes of it are written down.
    ``digest``: hex SHA-256 over the full content of what was read, in the order it was used.
    ``metrics``: figures on a hold-out that the recipe draws by the person key, higher is better.

    ``rows``: what it was trained on. With them an estimator of ``erasure.unlearning`` comes
    unfitted and is fitted by the registry, which has the key; they are kept beside the version,
    encrypted, to take people out of it and to attack it, and go with it. ``held`` and ``score``
    (fitted estimator → figures, in the place of ``metrics``) let versions be compared on the same
    rows.
    """

    estimator: Any
    people: Mapping[Scalar, int]
    digest: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    rows: Rows | None = None
    held: Held | None = None
    score: Callable[[Any], Mapping[str, float]] | None = None


class Recipe(Protocol):
    """A function at ``package.module:function``.

    It reads its own source, all of it, and leaves nobody out by itself: that a person is gone
    must be true of the data. It knows no secrets of the registry. The same source, seed and
    parameters give the same bytes: fixed ``random_state``, ``n_jobs=1``, rows in a fixed order.
    """

    def __call__(
        self, source: Mapping[str, str], *, seed: int, params: Mapping[str, Any]
    ) -> Trained:
        """Train. ``source`` maps the recipe's own names to absolute paths or addresses. A recipe
        that has a parameter ``excluded`` is given the keyed hashes of who must not be in it."""


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
    place: str,
    path: str,
    source: Mapping[str, str],
    *,
    seed: int,
    params: Mapping[str, Any],
    excluded: frozenset[str] = frozenset(),
) -> Trained:
    """Run a recipe on one thread, because sums on several differ in their last bits.

    Raises StoreError, which names the kind of failure and not its text: that may hold values.
    """
    recipe = named(place, path)
    wants = "excluded" in inspect.signature(recipe).parameters
    more = {"excluded": excluded} if wants else {}
    limited = one_thread(place)
    try:
        with limited:
            trained = recipe(source, seed=seed, params=params, **more)
    except Exception as error:  # noqa: BLE001 - whatever it raises, and whatever it reads
        raise StoreError(place, f"the recipe {path} failed ({type(error).__name__})") from None
    if not isinstance(trained, Trained):
        raise StoreError(place, f"the recipe {path} must return a Trained")
    return trained


def scored(place: str, trained: Trained, estimator: Any) -> Mapping[str, float]:
    """The recipe's figures of a fitted estimator. Raises StoreError, without the error's text."""
    if trained.score is None:
        return trained.metrics
    try:
        return {name: float(value) for name, value in trained.score(estimator).items()}
    except Exception as error:  # noqa: BLE001 - it is the recipe's own code
        raise StoreError(place, f"the recipe's score failed ({type(error).__name__})") from None


def one_thread(place: str) -> AbstractContextManager[Any]:
    """While it is open sums are made on one thread. Raises DriverMissing."""
    try:
        import threadpoolctl  # type: ignore[import-untyped] # comes with scikit-learn
    except ImportError:
        raise DriverMissing(place, "models") from None
    return cast(AbstractContextManager[Any], threadpoolctl.threadpool_limits(limits=1))
