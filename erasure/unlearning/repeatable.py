"""Whether two estimators are the same, number by number.

Hashes of pickles tell apart what is equal: memory order, NumPy scalars and plain numbers, and the
bytes between the fields of a structured array (a tree's nodes), which nobody ever sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


def fingerprint(estimator: Any) -> str:
    """Hex SHA-256 over everything an estimator is made of."""
    digest = sha256()
    _feed(estimator, digest)
    return digest.hexdigest()


def _feed(value: Any, digest: Any) -> None:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, _PLAIN):
        digest.update(f"{type(value).__name__}:{value!r};".encode())
    elif isinstance(value, np.ndarray):
        _array(value, digest)
    elif isinstance(value, Mapping):
        digest.update(b"{")
        for key in sorted(value, key=repr):
            _feed([key, value[key]], digest)
        digest.update(b"}")
    elif isinstance(value, list | tuple | set | frozenset):
        digest.update(b"[")
        for each in sorted(value, key=repr) if isinstance(value, set | frozenset) else value:
            _feed(each, digest)
        digest.update(b"]")
    else:
        _object(value, digest)


def _array(array: NDArray[Any], digest: Any) -> None:
    digest.update(f"array {array.shape};".encode())
    if array.dtype.names:
        for name in array.dtype.names:
            _array(np.ascontiguousarray(array[name]), digest)
    elif array.dtype.hasobject:
        _feed(array.tolist(), digest)
    else:
        digest.update(array.dtype.str.encode())
        digest.update(np.ascontiguousarray(array).tobytes())


def _object(value: Any, digest: Any) -> None:
    if isinstance(value, type) or not hasattr(value, "__reduce_ex__") or _is_function(value):
        digest.update(f"{value.__module__}.{value.__qualname__};".encode())
        return
    reduced = value.__reduce_ex__(2)
    digest.update(f"{type(value).__module__}.{type(value).__qualname__};".encode())
    if isinstance(reduced, tuple):
        # what makes it, and the class it is made of, are said already
        _feed([a for a in reduced[1] if not isinstance(a, type)], digest)
        _feed(reduced[2] if len(reduced) > 2 else None, digest)


def _is_function(value: Any) -> bool:
    """Whether it is a function: told by its name, not by what it is made of."""
    return callable(value) and hasattr(value, "__qualname__")
