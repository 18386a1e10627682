"""Who was in the training of a model, without keeping who they are or what their rows said.

A *roster* maps the keyed hash of a person (HMAC-SHA256, hex, as in the training manifests) to a
seal of that person's rows: a keyed hash that all of their rows, in any order, give and nothing
else does. The key is the model's own, is handed to ``fit`` and ``forget`` and is never kept, so
the roster tells nothing to who has the model alone. A person's entry goes when they do.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from erasure.domain.errors import NothingLeft, RowsDiffer, UnknownPerson, UsageError
from erasure.domain.values import Scalar, canonical
from erasure.unlearning.keyed import keyed

Floats = NDArray[np.float64]
Roster = dict[str, str]
_LABEL_BYTES = 6  # a whole number of 48 bits is exact in a float


class Pseudonym(str):
    """A person's keyed hash, handed over in the place of their key."""

    __slots__ = ()


def pseudonym(person: Scalar, digest: Callable[[bytes], bytes]) -> str:
    """Hex, 64 characters; 42 and "42" are one person. ``digest``: :func:`keyed.keyed` of the
    model's own key. Raises UsageError for no person."""
    if isinstance(person, Pseudonym):
        return str(person)
    if person is None or person != person:
        raise UsageError("a row belongs to nobody; give it a person key or leave it out")
    text = canonical(person).encode(errors="surrogatepass")
    return digest(text).hex()


def pseudonyms(people: Sequence[Any] | NDArray[Any], rows: int, key: bytes | None) -> list[str]:
    """One keyed hash per row. Raises UsageError unless there is a key and one person a row."""
    if not key:
        raise UsageError("people are given without a key; hand over the model's own key")
    digest = keyed(key)
    plain = people.tolist() if isinstance(people, np.ndarray) else list(people)
    if len(plain) != rows:
        raise UsageError(f"{rows} rows and {len(plain)} people; give one person a row")
    if len(set(map(type, plain))) > 1:
        # 1, 1.0 and True are one key of a dict and need not be one person
        plain = [(type(person), person) for person in plain]
        by_type = {each: pseudonym(each[1], digest) for each in set(plain)}
        return [by_type[each] for each in plain]
    known = {person: pseudonym(person, digest) for person in set(plain)}
    return [known[person] for person in plain]


def rows_of(X: Any, y: Any, width: int, *, nan: bool = False) -> tuple[Floats, NDArray[Any]]:
    """The rows handed to ``forget``: (n, width) floats and n targets. Raises UsageError for
    another shape, and for NaN and infinite values unless ``nan`` allows the former.

    scikit-learn's own checks take ten times as long as the removal of one person.
    """
    features, target = np.asarray(X, dtype=np.float64), np.asarray(y)
    if features.ndim != 2 or features.shape[1] != width or target.shape != features.shape[:1]:
        raise UsageError(f"rows must be (n, {width}) with n targets, as in the training")
    if not np.isfinite(features).all() and (not nan or np.isinf(features).any()):
        raise UsageError("the rows hold NaN or infinite values; the training had none")
    return features, target


def table_of(features: Floats, target: NDArray[Any], *, labels: bool) -> Floats:
    """(n, d + 1): the rows as they are sealed. Class labels stand by a hash of their own, so
    that a class that goes does not change the seals of the others."""
    column = target
    if labels:
        classes, place = np.unique(target, return_inverse=True)
        column = np.array([_label(label) for label in classes.tolist()], dtype=np.float64)[place]
    # adding zero makes -0.0 the 0.0 that it equals
    return np.column_stack([features, column]).astype(np.float64, copy=False) + 0.0


def _label(label: Any) -> float:
    text = label if isinstance(label, str) else float(label).hex()
    return float(int.from_bytes(sha256(text.encode()).digest()[:_LABEL_BYTES], "big"))


def sealed(names: Sequence[str], table: Floats, key: bytes) -> Roster:
    """The roster of these rows; ``names``: the keyed hash of each row's person."""
    width = table.shape[1] * table.itemsize
    content = np.ascontiguousarray(table).tobytes()
    rows: dict[str, list[bytes]] = {}
    for place, name in enumerate(names):
        rows.setdefault(name, []).append(content[place * width : (place + 1) * width])
    return {name: _seal(name, own, key) for name, own in rows.items()}


def _seal(name: str, rows: list[bytes], key: bytes) -> str:
    head = f"seal:{name}:{len(rows)}:".encode()
    return hmac.digest(key, head + b"".join(sorted(rows)), "sha256").hex()


def places(
    people: Sequence[Any] | NDArray[Any], rows: int, key: bytes | None
) -> tuple[list[str], NDArray[np.intp]]:
    """The different keyed hashes, and (rows,) each row's place among them."""
    if isinstance(people, np.ndarray) and people.dtype.kind in "iuUS" and len(people) == rows:
        different, owner = np.unique(people, return_inverse=True)
        names = pseudonyms(different, len(different), key)
        if len(set(names)) == len(names):
            return names, np.asarray(owner, dtype=np.intp)
    first: dict[str, int] = {}
    each = [first.setdefault(n, len(first)) for n in pseudonyms(people, rows, key)]
    return list(first), np.array(each, dtype=np.intp)


def row_counts(people: Sequence[Any] | NDArray[Any], rows: int, key: bytes | None) -> Roster:
    """:func:`counted` of :func:`pseudonyms`, without a name per row where people are an array of
    numbers or texts."""
    if not isinstance(people, np.ndarray) or people.dtype.kind not in "iuUS":
        return counted(pseudonyms(people, rows, key))
    if len(people) != rows:
        raise UsageError(f"{rows} rows and {len(people)} people; give one person a row")
    different, counts = _different(people)
    names = pseudonyms(different, len(different), key)
    if len(set(names)) < len(names):
        return counted(pseudonyms(people, rows, key))
    return dict(zip(names, map(str, counts.tolist()), strict=True))


def _different(people: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Each once, and how often; numbers that lie close together without sorting them."""
    if people.dtype.kind in "iu" and len(people):
        low = people.min()
        if int(people.max()) - int(low) < len(people):
            wide = people if people.dtype.kind == "u" else people.astype(np.int64)
            counts = np.bincount((wide - wide.min()).astype(np.intp))
            found = np.flatnonzero(counts)
            return found.astype(people.dtype) + low, counts[found]
    return np.unique(people, return_counts=True)


def counted(names: Iterable[str]) -> Roster:
    """A roster whose seals are row counts only: for methods that see every remaining row again,
    where sealing would cost more than forgetting."""
    return {name: str(rows) for name, rows in Counter(names).items()}


def wanted(roster: Mapping[str, str], people: Iterable[Scalar], key: bytes | None) -> set[str]:
    """Whom to forget, by keyed hash, each once.

    Raises UsageError for nobody or no key, UnknownPerson when one is not in the training (or
    forgotten already), NothingLeft when nobody else is.
    """
    if not key:
        raise UsageError("forgetting needs the key that the model was fitted with")
    if isinstance(people, str | bytes):
        raise UsageError("person keys are a list; put the one key into a list")
    digest = keyed(key)
    if not (names := {pseudonym(person, digest) for person in people}):
        raise UsageError("nobody to forget was named")
    if unknown := sum(name not in roster for name in names):
        raise UnknownPerson(
            f"{unknown} of {len(names)} people are not in this model's training (another key, "
            "never were, or forgotten already); look them up in its manifest"
        )
    if len(names) == len(roster):
        raise NothingLeft("nobody would be left in this model; retire it")
    return names


def require_same(expected: Mapping[str, str], given: Mapping[str, str]) -> None:
    """Raises RowsDiffer unless the rows given are all and only those of the people expected."""
    if strangers := len(given.keys() - expected.keys()):
        raise RowsDiffer(f"rows of {strangers} people too many; hand over only those asked for")
    if missing := len(expected.keys() - given.keys()):
        raise RowsDiffer(
            f"no rows of {missing} people; hand over the rows the model was trained on"
        )
    if changed := sum(given[name] != seal for name, seal in expected.items()):
        raise RowsDiffer(
            f"the rows of {changed} people are not those the model was trained on; hand over all "
            "of them as they were, or train again"
        )
