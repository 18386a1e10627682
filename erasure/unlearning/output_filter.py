"""Answers about people who wait to be forgotten are held back: for a process that serves a model.

    answers = OutputFilter.read("churn.filter", key)
    if answers.knows(customer_id) or answers.names(text):
        refuse()

This is suppression, not erasure: the model still knows them. The file holds keyed hashes
(HMAC-SHA256 under the model's own key) and no value in clear; it ends on a day, after which every
question raises, so that no filter goes on for ever as if it were an erasure.

A person is known by the key that the model's manifests know them by. In texts whole words are
compared, whatever their case, accents, encoding and punctuation, and numbers whatever stands
between their digits; what is written otherwise (a nickname, a typing error) is not recognised.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from erasure.domain.errors import EvidenceError, UsageError
from erasure.domain.values import Scalar, hashed
from erasure.unlearning.keyed import keyed

FORMAT = 2
SHORTEST = 7  # digits: a shorter number is many people's
_WORD = re.compile(r"[^\W_]+")
_GROUP = re.compile(r"\d+")
_GROUPS = 8  # that a number is written in, at most
_NUMBER = re.compile(r"\d(?:[\s().+/-]{0,3}\d)+")


@dataclass(frozen=True)
class OutputFilter:
    """``model``: its address; ``until``: when it ends; ``people``: how many stand in it."""

    model: str
    until: datetime
    _key: bytes
    _people: frozenset[str]
    _texts: frozenset[str]
    _lengths: tuple[int, ...]

    @classmethod
    def read(cls, path: str | os.PathLike[str], key: bytes) -> OutputFilter:
        """Raises EvidenceError where it is missing, damaged, altered, or of another key."""
        where = Path(path)
        try:
            said = json.loads(where.read_bytes())
            seal = said.pop("seal")
            whole = said["format"] == FORMAT and hmac.compare_digest(seal, _seal(said, key))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if not whole:
            told = "is not there, or not as it was made; serve nothing, and make it anew"
            raise EvidenceError(f"{where.name}: {told}")
        return cls(
            said["model"],
            datetime.fromisoformat(said["until"]),
            key,
            frozenset(said["people"]),
            frozenset(said["texts"]),
            tuple(said["words"]),
        )

    def __len__(self) -> int:
        return len(self._people)

    def knows(self, person: Scalar, *, kind: str = "", now: datetime | None = None) -> bool:
        """Whether the person waits to be forgotten. Raises UsageError once the filter has
        ended."""
        self._require(now)
        text = hashed(person, kind or None).encode(errors="surrogatepass")
        return keyed(self._key)(text).hex() in self._people

    def names(self, text: str, *, now: datetime | None = None) -> bool:
        """Whether a text holds a value of somebody who waits. Raises UsageError once the filter
        has ended."""
        self._require(now)
        digest = keyed(self._key)
        return any(digest(part).hex() in self._texts for part in _parts(text, self._lengths))

    def _require(self, now: datetime | None) -> None:
        if (now or datetime.now(UTC)) >= self.until:
            raise UsageError(
                f"{self.model}: its output filter ended on {self.until:%Y-%m-%d}; "
                "serve nothing until there is a version without them, or a new filter"
            )


def made(
    *, model: str, until: datetime, people: Collection[str], texts: Collection[str], key: bytes
) -> bytes:
    """The file: ``people`` as keyed hashes already, ``texts`` in clear, which it does not hold."""
    digest = keyed(key)
    words = [_words(text) for text in texts]
    numbers = [digits for text in texts if len(digits := _digits(text)) >= SHORTEST]
    parts = {_joined(w) for w in words if w} | {_number(n) for n in numbers}
    said = {
        "format": FORMAT,
        "model": model,
        "until": until.isoformat(),
        "people": sorted(people),
        "texts": sorted(digest(part).hex() for part in parts),
        "words": sorted({len(w) for w in words if w}),
    }
    return json.dumps({**said, "seal": _seal(said, key)}, sort_keys=True).encode()


def _seal(said: object, key: bytes) -> str:
    text = json.dumps(said, sort_keys=True).encode()
    return hmac.digest(key, b"output filter:" + text, "sha256").hex()


def _parts(text: str, lengths: Collection[int]) -> Iterator[bytes]:
    words = _words(text)
    for length in lengths:
        for start in range(len(words) - length + 1):
            yield _joined(words[start : start + length])
    for found in _NUMBER.finditer(unicodedata.normalize("NFKC", text)):
        groups = _GROUP.findall(found[0])
        for start in range(len(groups)):  # "room 12, 0113 496 0123": the number is part of it
            for end in range(start + 1, min(start + _GROUPS, len(groups)) + 1):
                if len(digits := "".join(groups[start:end])) >= SHORTEST:
                    yield _number(digits)


def _words(text: str) -> list[str]:
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return _WORD.findall("".join(c for c in apart if not unicodedata.combining(c)))


def _digits(text: str) -> str:
    """Those of a text that is a number but for what stands between its digits; else none."""
    plain = unicodedata.normalize("NFKC", text)
    return "" if re.search(r"[^\W\d_]", plain) else "".join(c for c in plain if c.isdigit())


def _joined(words: list[str]) -> bytes:
    return b"w:" + "\x1f".join(words).encode(errors="surrogatepass")


def _number(digits: str) -> bytes:
    return b"n:" + digits.encode()
