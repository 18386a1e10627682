"""Who and what was in a training, written down while it runs, without keeping who they are.

``with lethe_training(path, …) as run:`` around a training script; ``run.rows(people, ids,
content)`` for each batch that is read; ``run.artifact(file)`` at the end. Memory does not grow with
the rows, nor with the people: beyond ``SPILL`` of them, sorted parts go to a temporary file.

A manifest is one line of JSON, then for each person 32 bytes keyed hash (HMAC-SHA256 under the
model's own key, as everywhere) and 4 bytes row count, sorted by hash. In the line stand: the
Merkle root over the row ids (RFC 6962, in the order read) and over the people (``hash:rows``, as in
the registry's manifests), the digest of the full content, seed, recipe, lock-file and artifact
digest, and a seal over all of it under the same key. Registry digests are no proof: MLflow's is of
the first 10,000 rows.
"""

from __future__ import annotations

import hmac
import json
import os
import struct
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from erasure.domain import merkle
from erasure.domain.errors import EvidenceError, UsageError
from erasure.domain.values import Scalar, canonical, hashed
from erasure.unlearning.keyed import keyed

FORMAT = 1
SPILL = 200_000  # people held in memory
_ENTRY = struct.Struct(">32sI")
_CHUNK = 1 << 16
_MAPPED = 1 << 20  # bytes of people, beyond which they stay on disk
_TYPE = np.dtype([("hash", "V32"), ("rows", ">u4")])
Entry = tuple[bytes, int]


class Recorder:
    """What a training script calls. ``key``: the model's own, derived; a training never sees the
    key it was derived from."""

    def __init__(self, key: bytes, *, kind: str = "", spill: int = SPILL) -> None:
        if not key:
            raise UsageError("a manifest needs the model's own key")
        self._kind, self._spill = kind, spill
        self._digest = keyed(key)
        self._counts: dict[bytes, int] = {}
        self._known: dict[Any, bytes] = {}
        self._spilled: list[IO[bytes]] = []
        self._ids = merkle.Frontier()
        self._content = sha256()
        self.artifact_digest = ""

    def rows(self, people: Any, ids: Any, content: Any) -> None:
        """A batch of n rows, in the order they are trained on: n person keys (None for rows that
        are nobody's), n row ids, and their full content as bytes or an array of numbers."""
        listed = _plain(ids)
        whose = _plain(people)
        if len(listed) != len(whose):
            raise UsageError(f"{len(listed)} row ids and {len(whose)} people; give one each a row")
        self._ids.append_all(_leaves(listed))
        whole = content
        if isinstance(content, np.ndarray):
            whole = np.ascontiguousarray(content).data
        self._content.update(whole)
        for person, count in _counted(whose):
            name = self._known.get(person) or self._learn(person)
            self._counts[name] = self._counts.get(name, 0) + count
        if len(self._counts) >= self._spill or len(self._known) >= self._spill:
            self._spill_out()

    def artifact(self, file: str | os.PathLike[str] | bytes) -> str:
        """The trained model, as a file or as its bytes. Returns its digest."""
        self.artifact_digest = sha256(file).hexdigest() if isinstance(file, bytes) else _sha(file)
        return self.artifact_digest

    def _learn(self, person: Any) -> bytes:
        text = hashed(person, self._kind or None).encode(errors="surrogatepass")
        name = self._digest(text)
        self._known[person] = name
        return name

    def _spill_out(self) -> None:
        """Sorted, to a file without a name; what is read again is learnt again."""
        file = tempfile.TemporaryFile(buffering=8192)  # noqa: SIM115 - open until the manifest is written
        for name, count in sorted(self._counts.items()):
            file.write(_ENTRY.pack(name, count))
        self._spilled.append(file)
        self._counts, self._known = {}, {}

    def entries(self) -> Iterator[Entry]:
        """Everybody's keyed hash and row count, sorted."""
        parts: list[Iterable[Entry]] = [_entries(file) for file in self._spilled]
        together = merge(*parts, sorted(self._counts.items()))
        for name, same in groupby(together, key=itemgetter(0)):
            yield name, sum(count for _, count in same)

    def facts(self) -> dict[str, Any]:
        """Of the rows read so far."""
        return {
            "rows": self._ids.size,
            "rows_root": self._ids.root().hex(),
            "content": self._content.hexdigest(),
            "artifact": self.artifact_digest,
        }

    def close(self) -> None:
        """Forget everything."""
        for file in self._spilled:
            file.close()
        self._spilled, self._counts, self._known = [], {}, {}


def _plain(values: Any) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _counted(people: Sequence[Any]) -> Iterator[tuple[Any, int]]:
    """Each person of a batch with the number of their rows; 1, 1.0 and True are told apart."""
    if len(set(map(type, people))) > 1:
        people = [p if p is None or p != p else canonical(p) for p in people]
    for person, count in Counter(people).items():
        if person is not None and person == person:
            yield person, count


def _leaves(ids: Sequence[Any]) -> list[bytes]:
    """RFC 6962's leaf hashes of row ids."""
    if set(map(type, ids)) == {int}:
        return [sha256(b"\x00%d" % number).digest() for number in ids]
    return [sha256(b"\x00" + str(name).encode()).digest() for name in ids]


def _entries(file: IO[bytes]) -> Iterator[Entry]:
    file.seek(0)
    while piece := file.read(_ENTRY.size * 512):
        yield from _ENTRY.iter_unpack(piece)


def _sha(path: str | os.PathLike[str]) -> str:
    digest = sha256()
    with Path(path).open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def lethe_training(
    path: str | os.PathLike[str],
    *,
    model: str,
    key: bytes,
    recipe: str = "",
    seed: int = 0,
    lock: str | os.PathLike[str] | None = None,
    person_key: str = "",
    person_kind: str = "",
    spill: int = SPILL,
) -> Iterator[Recorder]:
    """Record a training; the manifest is at ``path``, whole, when it has ended well, and not at
    all otherwise. ``lock``: the file that pins the environment."""
    recorder = Recorder(key, kind=person_kind, spill=spill)
    try:
        yield recorder
        said = {
            "format": FORMAT,
            "model": model,
            "recipe": recipe,
            "seed": seed,
            "lock": _sha(lock) if lock else "",
            "person_key": person_key,
            "person_kind": person_kind,
            **recorder.facts(),
        }
        _write(Path(path), said, recorder.entries(), key)
    finally:
        recorder.close()


def _write(path: Path, said: Mapping[str, Any], entries: Iterable[Entry], key: bytes) -> None:
    body, root, people = sha256(), merkle.Frontier(), 0
    draft = path.with_name(f".new-{path.name}")
    with tempfile.TemporaryFile() as kept, draft.open("wb") as out:
        for name, count in entries:
            packed = _ENTRY.pack(name, count)
            kept.write(packed)
            body.update(packed)
            root.append(merkle.leaf_hash(f"{name.hex()}:{count}".encode()))
            people += 1
        head = {
            **said,
            "people": people,
            "people_root": root.root().hex(),
            "body": body.hexdigest(),
        }
        head["seal"] = _seal(head, key)
        out.write(json.dumps(head, sort_keys=True).encode() + b"\n")
        kept.seek(0)
        while piece := kept.read(_CHUNK):
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(path)


def _seal(head: Mapping[str, Any], key: bytes) -> str:
    text = json.dumps({k: v for k, v in head.items() if k != "seal"}, sort_keys=True)
    return hmac.digest(key, b"manifest:" + text.encode(), "sha256").hex()


@dataclass(frozen=True)
class TrainingManifest:
    """A manifest that was read: ``head``, what its first line says; the people stay on disk."""

    path: Path
    head: Mapping[str, Any]
    _body: NDArray[Any] = field(repr=False)

    @property
    def people(self) -> int:
        """How many there are."""
        return len(self._body)

    def entries(self) -> Iterator[Entry]:
        """Keyed hash and row count of everybody, sorted."""
        for each in self._body:
            yield bytes(each["hash"]), int(each["rows"])

    def members(self, hashes: NDArray[Any]) -> NDArray[np.int64]:
        """(n,) how many rows each of n keyed hashes (``V32``) has in the training; 0: none."""
        if not len(self._body):
            return np.zeros(len(hashes), dtype=np.int64)
        known = np.ascontiguousarray(self._body["hash"]).view(">u8").reshape(-1, 4)
        wanted = np.ascontiguousarray(hashes).view(">u8").reshape(-1, 4)
        # the first 8 of 32 bytes find the place; few others begin alike
        first = np.ascontiguousarray(known[:, 0])
        place = np.searchsorted(first, wanted[:, 0])
        found = np.zeros(len(wanted), dtype=np.int64)
        near = np.flatnonzero(place < len(first))
        while len(near):
            near = near[first[place[near]] == wanted[near, 0]]
            same = (known[place[near]] == wanted[near]).all(axis=1)
            found[near[same]] = self._body["rows"][place[near[same]]]
            near = near[~same]
            place[near] += 1
            near = near[place[near] < len(first)]
        return found

    def check(self, key: bytes) -> None:
        """Raises EvidenceError where anything in the manifest was altered since the training."""
        body = sha256(np.ascontiguousarray(self._body).tobytes()).hexdigest()
        seal = str(self.head.get("seal", ""))
        if body != self.head.get("body") or not hmac.compare_digest(seal, _seal(self.head, key)):
            raise EvidenceError(f"{self.path.name}: altered, or sealed under another key")

    def check_artifact(self, file: str | os.PathLike[str]) -> None:
        """Raises EvidenceError where the artifact is not the one of this training."""
        if _sha(file) != self.head.get("artifact"):
            raise EvidenceError(
                f"{Path(file).name}: altered since its training; do not load it, and look at why"
            )


def read(path: str | os.PathLike[str]) -> TrainingManifest:
    """Raises EvidenceError where it is missing or damaged."""
    where = Path(path)
    try:
        with where.open("rb") as file:
            head = json.loads(file.readline())
            start = file.tell()
        size = where.stat().st_size - start
        whole, left = divmod(size, _ENTRY.size)
        if left or head["format"] != FORMAT or head["people"] != whole:
            raise ValueError
        if size > _MAPPED:
            body: NDArray[Any] = np.memmap(
                where, dtype=_TYPE, mode="r", offset=start, shape=(whole,)
            )
        else:  # to map a small file takes longer than to read it
            body = np.fromfile(where, dtype=_TYPE, offset=start, count=whole)
    except OSError as error:
        raise EvidenceError(f"{where.name}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError):
        raise EvidenceError(f"{where.name}: is damaged, so nobody can tell who is in it") from None
    return TrainingManifest(where, head, body)


def texts(people: Iterable[Scalar], kind: str = "") -> list[bytes]:
    """What is hashed of each person: the same for every model, so that whoever asks many models
    makes it once, for :func:`hashes_of`."""
    told = kind or None
    return [hashed(p, told).encode(errors="surrogatepass") for p in people]


def hashes_of(named: Sequence[bytes], key: bytes) -> NDArray[Any]:
    """(n,) keyed hashes (``V32``) of :func:`texts` under one model's key."""
    digest = keyed(key)
    return np.frombuffer(b"".join([digest(text) for text in named]), dtype="V32")


def hashes(people: Iterable[Scalar], key: bytes, kind: str = "") -> NDArray[Any]:
    """(n,) keyed hashes (``V32``) under one model's key, for :meth:`TrainingManifest.members`."""
    return hashes_of(texts(people, kind), key)
