"""What a recipe outside the process of Lethe is asked: for its script to read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erasure.domain.errors import UsageError
from erasure.domain.values import Scalar
from erasure.unlearning import manifest

VARIABLE = "LETHE_TRAINING"


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


def request() -> Request:
    """Of this process. Raises UsageError where it was not started as a recipe."""
    if VARIABLE not in os.environ:
        raise UsageError(f"{VARIABLE} is not set; a recipe is started by a model job")
    folder = Path(os.environ[VARIABLE])
    said = json.loads((folder / "request.json").read_text())
    key = bytes.fromhex(said.pop("key"))
    excluded = frozenset((folder / "excluded").read_text().split())
    return Request(folder=folder, said=said, key=key, excluded=excluded)
