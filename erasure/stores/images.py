"""Images of rows: how two are told apart, and what stands in the place of one. Shared by stores
of rows that can put back what they took; pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from erasure.domain.errors import StoreError
from erasure.domain.values import Scalar, to_json
from erasure.stores.base import Image, Standing

Values = Mapping[str, Scalar]


def digest(values: Values) -> str:
    """Hex SHA-256 over names, types and values: equal for equal rows and for no others."""
    plain = [[name, to_json(values[name])] for name in sorted(values)]
    return hashlib.sha256(json.dumps(plain, separators=(",", ":")).encode()).hexdigest()


def exact_key(values: Iterable[Scalar]) -> tuple[str, ...]:
    """A key as text, in which nothing is folded or trimmed."""
    return tuple(str(value) for value in values)


def same_row(row: Values, image: Image) -> bool:
    """Whether a row is as the image has it. A column added since then says nothing."""
    return _digest_as(row, image) == digest(image.values)


def _digest_as(row: Values, image: Image) -> str:
    return digest({name: row[name] for name in image.values if name in row})


def how_it_stands(
    image: Image, at_key: Values | None, now: Values | None
) -> Literal["before", "left", "changed", "taken"]:
    """``at_key``: the row at the image's key; ``now``: the one at its rewritten key, or the same
    where it has none. None where no row is."""
    if not image.values:  # the batch added it
        if at_key is None:
            return "before"
        return "left" if digest(at_key) == image.left else "changed"
    if at_key is not None and same_row(at_key, image):
        return "before"
    moved = bool(image.now) and image.now != image.key
    if at_key is not None and (moved or image.left is None):
        return "taken"
    if image.left is None:
        return "left"
    return "left" if now is not None and _digest_as(now, image) == image.left else "changed"


def refuse_moved(standings: Iterable[Standing], place: str) -> Iterator[Image]:
    """The images that are to be put back. Raises StoreError, passing, where one cannot be."""
    for standing in standings:
        if standing.how in ("changed", "taken"):
            raise StoreError(
                f"{place}.{standing.image.collection}",
                "rows were changed while they were put back; looking again",
                permanent=False,
            )
        if standing.how == "left":
            yield standing.image
