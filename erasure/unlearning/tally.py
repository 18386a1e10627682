"""Whether people and their numbers of rows are those of a model, without a keyed hash of each.

A tally is the sum, over people, of a block that stands for a person and the number of their rows
and that nobody can foretell without the model's key: AES of the two numbers. Two sets of people
with one tally are found by chance once in 2¹²⁸ times. It tells nothing without the key, and what
is left of it when a person's block is taken out is the tally of the others.

Source: Bellare and Micciancio, "A New Paradigm for Collision-free Hashing" (1997), section 5; to
withstand a forger who has the key is not asked of it.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

NONE = ""  # of people that are not all plain numbers
_LARGEST = np.iinfo(np.int64).max


def of(people: NDArray[np.integer], rows: NDArray[np.integer], key: bytes) -> str:
    """Of people (n,), each once, and how many rows each has; hex, 32 characters."""
    if people.dtype.kind == "u" and len(people) and people.max() > _LARGEST:
        return NONE
    return _sum(people.astype(np.int64), rows.astype(np.int64), key).tobytes().hex()


def less(tally: str, gone: Mapping[int, int], key: bytes) -> str:
    """Without people, by the number of their rows."""
    if tally == NONE:
        return NONE
    people, rows = np.array(list(gone), np.int64), np.array(list(gone.values()), np.int64)
    held = np.frombuffer(bytes.fromhex(tally), dtype="<u8")
    return (held - _sum(people, rows, key)).tobytes().hex()


def _sum(people: NDArray[np.int64], rows: NDArray[np.int64], key: bytes) -> NDArray[np.uint64]:
    """(2,), modulo 2⁶⁴ each."""
    own = hmac.digest(key, b"tally", "sha256")
    # each block stands for itself and none is seen, so that no mode is needed
    cipher = Cipher(algorithms.AES(own), modes.ECB()).encryptor()  # noqa: S305
    blocks = np.column_stack([people, rows]).astype("<i8")
    halves = np.frombuffer(cipher.update(blocks.tobytes()), dtype="<u8").reshape(-1, 2)
    return np.asarray(halves.sum(axis=0), dtype="<u8")
