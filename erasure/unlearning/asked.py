"""What a recipe outside the process of Lethe is asked: for its script to read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erasure.domain.errors import UsageError
from erasure.domain.values import Scalar
from erasure.unlearning import manifest

VARIABLE = "LETHE_TRAINING"
ROWS, HELD, SLICE = "rows.npz", "held.npz", "slice:"


@dataclass(frozen=True, kw_only=True)
class Request:
    """``said``: model, source, seed, params, person_key, person_kind, tracking; ``key``: the
    model's own; ``excluded``: keyed hashes of who must not be in the training; ``folder``: where
    the model, its manifest and its figures are expected."""

    folder: Path
    said: Mapping[str, Any]
    key: bytes
    excluded: frozenset[str]

    def excludes(self, person: Scalar) -> bool:
        """Whether a person must not be in it, by the person key as it stands in the data. Their
        rows are gone already; this is for copies of the data that nobody has cleaned."""
        (name,) = manifest.hashes([person], self.key, str(self.said.get("person_kind", "")))
        return bytes(name).hex() in self.excluded

    def hand_over(
        self,
        features: Any,
        target: Any,
        people: Sequence[Scalar],
        *,
        held_out: bool = False,
        slices: Mapping[str, Any] | None = None,
    ) -> None:
        """(n, d) features as the model is given them, n targets, and whose each row is: those it
        was trained on, or ``held_out`` of it. With both, versions are compared on the same rows and
        attacked. They are read, encrypted beside the version and deleted here; whose they are is
        written as keyed hashes. ``slices``: name → (n,) which of them are looked at apart."""
        import numpy as np

        kind = str(self.said.get("person_kind", ""))
        names = [bytes(h).hex() for h in manifest.hashes(people, self.key, kind)]
        apart: dict[str, Any] = {
            f"{SLICE}{name}": np.asarray(mask, bool) for name, mask in (slices or {}).items()
        }
        path = self.folder / (HELD if held_out else ROWS)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            np.savez(
                file,
                features=np.asarray(features, dtype=np.float64),
                target=np.asarray(target),
                people=np.array(names, dtype=str),
                **apart,
            )


def request() -> Request:
    """Of this process. Raises UsageError where it was not started as a recipe."""
    if VARIABLE not in os.environ:
        raise UsageError(f"{VARIABLE} is not set; a recipe is started by a model job")
    folder = Path(os.environ[VARIABLE])
    said = json.loads((folder / "request.json").read_text())
    key = bytes.fromhex(said.pop("key"))
    excluded = frozenset((folder / "excluded").read_text().split())
    return Request(folder=folder, said=said, key=key, excluded=excluded)
