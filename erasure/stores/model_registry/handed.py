"""Rows that a command or project leaves beside its model: what it was trained on, and what it held
out. With them its version is compared and attacked as one of a recipe in this process is."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from erasure.domain.errors import StoreError
from erasure.stores.model_registry import kept
from erasure.stores.model_registry.kept import KeptRows
from erasure.stores.model_registry.recipe import Held, Rows
from erasure.unlearning.asked import HELD, ROWS, SLICE

_ARRAYS = ("features", "target", "people")


def read(
    place: str, folder: Path, known: Collection[str], excluded: Collection[str]
) -> tuple[KeptRows | None, Held | None]:
    """None for what was not handed over. ``known``: keyed hashes of everybody in the manifest.
    Raises StoreError where the rows are damaged, of somebody who is to be forgotten or whom the
    manifest does not name, or where somebody was both trained on and held out."""
    trained, held = (_arrays(place, folder / name) for name in (ROWS, HELD))
    whose = [set(a["people"].tolist()) if a else set() for a in (trained, held)]
    everybody = whose[0] | whose[1]
    if left := len(everybody & set(excluded)):
        raise StoreError(place, f"the recipe's rows still hold {left} of the people")
    if strangers := len(everybody - set(known)):
        raise StoreError(place, f"the recipe's rows are of {strangers} people beside its manifest")
    if both := len(whose[0] & whose[1]):
        raise StoreError(place, f"the recipe has held out {both} people that it was trained on")
    return (
        kept.grouped(*_three(trained)) if trained else None,
        Held(rows=_rows(held), slices=_slices(held)) if held else None,
    )


def _arrays(place: str, path: Path) -> dict[str, Any]:
    """Empty without a file; no object is made of what it says."""
    import numpy as np

    if not path.exists():
        return {}
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        rows = {len(array) for array in found.values()}
        if len(rows) == 1 and {*_ARRAYS} <= found.keys() and found["features"].ndim == 2:
            return found
    except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile):
        pass
    raise StoreError(place, f"the recipe's {path.name} is not what hand_over of its request writes")


def _three(found: dict[str, Any]) -> tuple[Any, Any, list[str]]:
    return found["features"], found["target"], found["people"].tolist()


def _rows(found: dict[str, Any]) -> Rows:
    features, target, people = _three(found)
    return Rows(features=features, target=target, people=people)


def _slices(found: dict[str, Any]) -> dict[str, Any]:
    return {k.removeprefix(SLICE): v for k, v in found.items() if k.startswith(SLICE)}
