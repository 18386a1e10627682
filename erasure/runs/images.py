"""Before-images in the control database: sealed per person under the case's ``undo`` key, durable
before the store commits, and read back latest first."""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import transaction

from erasure import vault
from erasure.domain.finding import KeyText, Person
from erasure.domain.values import all_from_json, all_to_json, from_json, to_json
from erasure.models import Batch, Capture, ImageChunk, Run, UndoWindow
from erasure.runs.lease import Fence
from erasure.stores.base import Image, Left
from erasure.stores.images import exact_key

# What is held open in memory before it is sealed, over all people.
CHUNK_BYTES = 2**20
# place of a work and key in it → whose row it is
Whose = Mapping[tuple[int, KeyText], set[Person]]
_Row = tuple[str, KeyText]


@dataclass
class _Own:
    """What is being kept for one person."""

    key: bytes
    window: UndoWindow
    capture: Capture
    pending: list[str]
    shared_with: set[Person]
    chunks: int = 0


class Sealer:
    """The keeper of one execution of batches. Several people's images lie apart; a row that two
    share is sealed for each."""

    def __init__(
        self,
        run: Run,
        store: str,
        batches: Sequence[Batch],
        windows: Mapping[Person, UndoWindow],
        whose: Whose,
        named: Callable[[Image], set[Person]],
        fence: Fence,
    ) -> None:
        self._run, self._store, self._fence = run, store, fence
        self._whose, self._named = whose, named
        last = run.captures.filter(store=store).order_by("ordinal").last()
        self._ordinal = last.ordinal + 1 if last else 0
        keys = vault.open_keys(map(UUID, windows), "undo")
        self._own = {
            person: _Own(
                key=keys[UUID(person)],
                window=window,
                capture=Capture(
                    request_id=UUID(person),
                    run=run,
                    store=store,
                    ordinal=self._ordinal,
                    batches=[b.ordinal for b in batches],
                ),
                pending=[],
                shared_with=set(),
            )
            for person, window in windows.items()
        }
        self._rows: dict[_Row, set[Person]] = {}
        self._pending = 0

    def keep(self, image: Image) -> None:
        """Take an image for everybody whose row it is."""
        owners = {p for at, key in image.whose for p in self._whose[at, exact_key(key)]}
        text = json.dumps(
            [
                image.collection,
                image.key_names,
                all_to_json(image.key),
                {name: to_json(value) for name, value in image.values.items()},
            ],
            separators=(",", ":"),
        )
        self._rows[image.collection, exact_key(image.key)] = owners
        concerned = owners | self._named(image)
        for person in owners & self._own.keys():
            own = self._own[person]
            own.pending.append(text)
            own.capture.rows += 1
            own.shared_with |= concerned - {person}
            self._pending += len(text)
        if self._pending > CHUNK_BYTES:
            self._flush()

    def seal(self, left: Iterable[Left]) -> None:
        """Write down how the rows were left: only then does the capture count."""
        told: dict[Person, list[object]] = defaultdict(list)
        for one in left:
            plain = [one.collection, all_to_json(one.key), one.digest, all_to_json(one.now)]
            for person in self._rows[one.collection, exact_key(one.key)]:
                told[person].append(plain)
        self._flush()
        with transaction.atomic():
            self._fence.check()
            for person, own in self._still_open():
                if own.capture.pk:
                    label = _left_label(own.capture)
                    own.capture.sealed_left = _sealed(own.key, told[person], label)
                    own.capture.shared_with = sorted(own.shared_with)
                    own.capture.complete = True
                    own.capture.save()

    def discard(self) -> None:
        """The store has rolled back: what was kept says nothing."""
        self._run.captures.filter(store=self._store, ordinal=self._ordinal).delete()

    def _flush(self) -> None:
        with transaction.atomic():
            self._fence.check()
            for _, own in self._still_open():
                if own.pending:
                    own.capture.save()
                    label = _chunk_label(own.capture, own.chunks)
                    ImageChunk.objects.create(
                        capture=own.capture,
                        ordinal=own.chunks,
                        sealed=_sealed(own.key, own.pending, label),
                    )
                    own.chunks += 1
                    own.pending = []
        self._pending = 0

    def _still_open(self) -> Iterator[tuple[Person, _Own]]:
        """Those whose window nobody has closed meanwhile; locked until the transaction ends."""
        windows = UndoWindow.objects.select_for_update().filter(
            pk__in=[own.window.pk for own in self._own.values()], closed_at=None
        )
        standing = {str(window.request_id) for window in windows.order_by("pk")}
        self._own = {p: own for p, own in self._own.items() if p in standing}
        return iter(list(self._own.items()))


class Images:
    """The images of one capture, latest first; iterated as often as needed, some in memory."""

    def __init__(self, capture: Capture, key: bytes) -> None:
        self._capture, self._key = capture, key

    def __iter__(self) -> Iterator[Image]:
        chunks = self._capture.chunks
        # Each is asked for by itself: whoever reads may stop anywhere, and leaves no query open.
        for ordinal in list(chunks.order_by("-ordinal").values_list("ordinal", flat=True)):
            chunk = chunks.get(ordinal=ordinal)
            label = _chunk_label(self._capture, chunk.ordinal)
            for text in reversed(_opened(self._key, chunk.sealed, label)):
                collection, names, key, values = json.loads(text)
                left = self._left.get((collection, exact_key(all_from_json(key))))
                yield Image(
                    collection=collection,
                    key_names=tuple(names),
                    key=all_from_json(key),
                    values={name: from_json(plain) for name, plain in values.items()},
                    left=left.digest if left else None,
                    now=left.now if left else (),
                )

    @cached_property
    def _left(self) -> dict[_Row, Left]:
        label = _left_label(self._capture)
        found = {}
        for collection, key, digest, now in _opened(self._key, self._capture.sealed_left, label):
            row = Left(
                collection=collection,
                key=all_from_json(key),
                digest=digest,
                now=all_from_json(now),
            )
            found[collection, exact_key(row.key)] = row
        return found


def _sealed(key: bytes, content: Sequence[object], label: str) -> bytes:
    return vault.seal(key, zlib.compress(json.dumps(content).encode(), 1), label=label)


def _opened(key: bytes, sealed: bytes | memoryview, label: str) -> list[Any]:
    opened: list[Any] = json.loads(zlib.decompress(vault.unseal(key, sealed, label=label)))
    return opened


def _left_label(capture: Capture) -> str:
    return f"left:{capture.run_id}:{capture.store}:{capture.ordinal}:{capture.request_id}"


def _chunk_label(capture: Capture, ordinal: int) -> str:
    return (
        f"image:{capture.run_id}:{capture.store}:{capture.ordinal}:{capture.request_id}:{ordinal}"
    )
