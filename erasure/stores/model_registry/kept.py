"""Training rows that are kept beside a version: each person's encrypted apart, so that they can be
taken out of the model after their data are gone, and the model be attacked with them. They go with
the version; the next one is written without whoever was forgotten.

A file is one line of JSON (width, whether the target is labels, hash → place and length), then the
sealed parts: nonce and AES-256-GCM, bound to whose they are. The key is the version's own, held in
the vault, named in the line and destroyed with the version: a copy of the file that lies elsewhere
can be opened by nobody then. Without a vault (a training script beside the installation) it is
derived from the store's and lives as long as that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from erasure.domain.errors import StoreError
from erasure.stores import keyring
from erasure.stores.model_registry.folder import ROWS
from erasure.stores.model_registry.manifest import Hasher

_NONCE = 12


@dataclass(frozen=True)
class KeptRows:
    """(n, d) features, n targets, n keyed hashes; grouped by person, in the order of the training
    both of people and of each one's rows."""

    features: Any
    target: Any
    people: Sequence[str]

    def __len__(self) -> int:
        return len(self.people)

    def without(self, people: Collection[str]) -> KeptRows:
        """Everybody else's."""
        return self._where([name not in people for name in self.people])

    def only(self, people: Collection[str]) -> KeptRows:
        """Theirs alone."""
        return self._where([name in people for name in self.people])

    def _where(self, mask: list[bool]) -> KeptRows:
        import numpy as np

        chosen = np.array(mask, dtype=np.bool_)
        left = [name for name, stays in zip(self.people, mask, strict=True) if stays]
        return KeptRows(self.features[chosen], self.target[chosen], left)


def grouped(features: Any, target: Any, people: Sequence[str]) -> KeptRows:
    """Rows by person, as they will be read back."""
    import numpy as np

    first: dict[str, int] = {}
    place = np.array([first.setdefault(name, len(first)) for name in people], dtype=np.intp)
    order = np.argsort(place, kind="stable")
    features, target = np.asarray(features, dtype=np.float64), np.asarray(target)
    return KeptRows(features[order], target[order], [people[i] for i in order])


def sealed(rows: KeptRows, hasher: Hasher) -> bytes:
    """The file's content."""
    ring, own = keyring.held(), uuid4()
    cipher = AESGCM(hasher.rows_key if ring is None else ring.make(own))
    labels = rows.target.dtype.kind not in "f"
    index: dict[str, list[int]] = {}
    parts: list[bytes] = []
    offset = 0
    for name, first, after in _runs(rows.people):
        plain = json.dumps(rows.target[first:after].tolist()).encode() + b"\n"
        plain += rows.features[first:after].tobytes()
        nonce = os.urandom(_NONCE)
        part = nonce + cipher.encrypt(nonce, plain, name.encode())
        index[name] = [offset, len(part)]
        offset += len(part)
        parts.append(part)
    head: dict[str, Any] = {"key": "" if ring is None else str(own)}
    head |= {"width": int(rows.features.shape[1]), "labels": labels, "people": index}
    return json.dumps(head).encode() + b"\n" + b"".join(parts)


def _runs(people: Sequence[str]) -> Iterable[tuple[str, int, int]]:
    start = 0
    for place in range(1, len(people) + 1):
        if place == len(people) or people[place] != people[start]:
            yield people[start], start, place
            start = place


def read(place: str, path: Path, hasher: Hasher) -> KeptRows | None:
    """Everybody's rows; None where none were kept. Raises StoreError where they were altered."""
    import numpy as np

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    head, _, body = content.partition(b"\n")
    try:
        plain: Mapping[str, Any] = json.loads(head)
        opened = list(_opened(plain, body, AESGCM(_key(place, plain, hasher))))
    except (ValueError, KeyError, TypeError, InvalidTag):
        raise StoreError(place, f"{ROWS} was altered, or sealed under another key") from None
    width = plain["width"]
    target = [value for _, values, _ in opened for value in values]
    return KeptRows(
        np.frombuffer(b"".join(f for _, _, f in opened)).reshape(-1, width).copy(),
        np.array(target, dtype=None if plain["labels"] else np.float64),
        [name for name, values, _ in opened for _ in values],
    )


def _key(place: str, head: Mapping[str, Any], hasher: Hasher) -> bytes:
    if not head.get("key"):
        return hasher.rows_key
    ring = keyring.held()
    key = ring.open(UUID(head["key"])) if ring else None
    if key is None:
        raise StoreError(place, f"the key of {ROWS} was destroyed, or is in another vault")
    return key


def _opened(
    head: Mapping[str, Any], body: bytes, cipher: AESGCM
) -> Iterable[tuple[str, list[Any], bytes]]:
    for name, (offset, length) in head["people"].items():
        part = body[offset : offset + length]
        plain = cipher.decrypt(part[:_NONCE], part[_NONCE:], name.encode())
        values, _, features = plain.partition(b"\n")
        yield name, json.loads(values), features
