"""People and their rows: few or many rows a person, rows twice, and a key of the model's own."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import skops.io
from hypothesis import strategies as st
from numpy.typing import NDArray

KEY = b"the key of one model"
SUBJECT = "subject"
NEIGHBOUR = "neighbour"
INTRUDER = "intruder"


@dataclass(frozen=True)
class Rows:
    """(n, d) features, n targets, n person keys."""

    X: NDArray[Any]
    y: NDArray[Any]
    people: NDArray[Any]

    def only(self, *names: str) -> Rows:
        return self._where(np.isin(self.people, names))

    def less(self, *names: str | int) -> Rows:
        return self._where(~np.isin(self.people, names))

    def shuffled(self, seed: int = 0) -> Rows:
        return self._where(np.random.default_rng(seed).permutation(len(self.X)))

    def all(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], bytes]:
        """What ``fit`` takes, and ``forget`` after the person keys."""
        return self.X, self.y, self.people, KEY

    def _where(self, which: NDArray[Any]) -> Rows:
        return Rows(self.X[which], self.y[which], self.people[which])


def names(count: int) -> list[str]:
    """The subject, the neighbour and others."""
    return [SUBJECT, NEIGHBOUR, *(f"other {n}" for n in range(count - 2))]


def regression(seed: int = 0, people: int = 12, width: int = 4, each: int = 6) -> Rows:
    """A linear target with noise; person n has 1 to ``each`` rows."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(names(people), rng.integers(1, each + 1, people))
    features = rng.normal(size=(len(owner), width)) * 10.0 ** rng.integers(-2, 3, width) + 3
    target = features @ rng.normal(size=width) + rng.normal(size=len(owner)) + 7
    return Rows(features, target, owner)


def classes(
    seed: int = 0, people: int = 12, width: int = 4, each: int = 6, labels: int = 2
) -> Rows:
    """Small whole numbers whose means differ by class."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(names(people), rng.integers(1, each + 1, people))
    label = np.arange(len(owner)) % labels
    features = rng.poisson(2 + 3 * (label[:, None] == np.arange(width) % labels)).astype(float)
    return Rows(features, np.array(["amber", "blue", "coral", "dun"])[label], owner)


def shapes() -> st.SearchStrategy[dict[str, int]]:
    """Arguments of ``regression`` and ``classes``; few people with many rows, and the reverse."""
    return st.fixed_dictionaries(
        {
            "seed": st.integers(0, 2**32 - 1),
            "people": st.integers(3, 20),
            "width": st.integers(1, 6),
            "each": st.integers(1, 12),
        }
    )


def twice(rows: Rows) -> Rows:
    """Every row two times."""
    return Rows(np.repeat(rows.X, 2, axis=0), np.repeat(rows.y, 2), np.repeat(rows.people, 2))


def copies(model: Any, *, trees: bool = False) -> list[Any]:
    """The model after pickle and after skops, which trusts this project's types alone, and
    ``trees`` where there are some."""
    saved = skops.io.dumps(model)
    held = skops.io.get_untrusted_types(data=saved)
    own = [
        t for t in held if t.startswith("erasure.") or (trees and t == "sklearn.tree._tree.Tree")
    ]
    return [pickle.loads(pickle.dumps(model)), skops.io.loads(saved, trusted=own)]
