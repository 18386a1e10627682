"""Who was in the training of a model, without keeping who they are or what their rows said.

A *roster* maps the keyed hash of a person (HMAC-SHA256, hex, as in the training manifests) to a
seal of that person's rows: a keyed hash that all of their rows, in any order, give and nothing
else does. The key is the model's own, is handed to ``fit`` and ``forget`` and is never kept, so
the roster tells nothing to who has the model alone. A person's entry goes when they do.
"""

from __future__ import annotations

import hmac
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from erasure.domain.errors import NothingLeft, RowsDiffer, UnknownPerson, UsageError
from erasure.domain.values import Scalar, canonical
from erasure.unlearning import tally
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
    if (kinds := set(map(type, plain))) == {int}:  # nearly all keys are, and need no further look
        known = {person: digest(b"%d" % person).hex() for person in set(plain)}
        return [known[person] for person in plain]
    if len(kinds) > 1:
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
    features, target = shaped(X, y, width)
    require_numbers(features, nan=nan)
    return features, target


def shaped(X: Any, y: Any, width: int) -> tuple[Floats, NDArray[Any]]:
    """:func:`rows_of` without a look at the values."""
    features, target = np.asarray(X, dtype=np.float64), np.asarray(y)
    if features.ndim != 2 or features.shape[1] != width or target.shape != features.shape[:1]:
        raise UsageError(f"rows must be (n, {width}) with n targets, as in the training")
    return features, target


def require_numbers(features: Floats, *, nan: bool = False) -> None:
    """Raises UsageError for infinite values, and for NaN unless it is allowed."""
    # a finite sum of squares says the same of every value, in half the time
    if not math.isfinite(np.vdot(features, features)) and not (
        np.isfinite(features).all() or (nan and not np.isinf(features).any())
    ):
        raise UsageError("the rows hold NaN or infinite values; the training had none")


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
    _require_one_each(people, rows)
    different, counts = _different(people)
    names = pseudonyms(different, len(different), key)
    if len(set(names)) < len(names):
        return counted(pseudonyms(people, rows, key))
    return dict(zip(names, map(str, counts.tolist()), strict=True))


def tallied(people: Sequence[Any] | NDArray[Any], rows: int, key: bytes | None) -> str:
    """:func:`tally.of` them; none where they are not an array of whole numbers."""
    if not key or not isinstance(people, np.ndarray) or people.dtype.kind not in "iu":
        return tally.NONE
    _require_one_each(people, rows)
    return tally.of(*_different(people), key)


def _require_one_each(people: NDArray[Any], rows: int) -> None:
    if len(people) != rows:
        raise UsageError(f"{rows} rows and {len(people)} people; give one person a row")


def _different(people: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Each once, and how often; numbers that lie close together without sorting them."""
    if people.dtype.kind in "iu" and len(people):
        low = people.min()
        if int(people.max()) - int(low) < len(people):
            # what wraps around in 64 bits comes back by the difference
            counts = np.bincount(np.subtract(people, low, dtype=np.int64, casting="unsafe"))
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


@dataclass(frozen=True, kw_only=True)
class Remaining:
    """Who goes, by keyed hash, with how many rows; and whom the model knows without them."""

    gone: frozenset[str]
    gone_rows: int
    roster: Roster
    tally: str


def remaining(
    roster: Mapping[str, str],
    held: str,
    person_keys: Iterable[Scalar],
    people: Sequence[Any] | NDArray[Any],
    rows: int,
    key: bytes,
) -> Remaining:
    """Of a roster of row counts with the tally ``held``, where the rows of ``people`` (rows,) are
    all that remain when ``person_keys`` go. Everybody is hashed only where the tally does not
    show that they are the same. Raises as :func:`wanted` and :func:`require_same`."""
    asked = person_keys if isinstance(person_keys, str | bytes) else list(person_keys)
    gone = wanted(roster, asked, key)
    left = dict(roster)
    gone_rows = sum(int(left.pop(name)) for name in gone)
    given = tallied(people, rows, key)
    if given == tally.NONE or given != _tally_without(roster, held, asked, key):
        require_same(left, row_counts(people, rows, key))
    return Remaining(gone=frozenset(gone), gone_rows=gone_rows, roster=left, tally=given)


def _tally_without(roster: Mapping[str, str], held: str, asked: Iterable[Any], key: bytes) -> str:
    """The tally without who goes; none where one of them is not named by a whole number."""
    digest, rows = keyed(key), {}
    for person in asked:
        if not isinstance(person, int | np.integer):
            return tally.NONE
        number = int(person)
        rows[number] = int(roster[pseudonym(number, digest)])
    return tally.less(held, rows, key)


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
